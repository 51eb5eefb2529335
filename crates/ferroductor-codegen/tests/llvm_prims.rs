//! Every basic prim, on every type it is defined for, at every width, on every instruction set that
//! this machine has, against the semantics written down in Rust.

mod llvm_common;

use ferroductor_ir::interp::scalar;
use ferroductor_ir::kernel::*;
use ferroductor_ir::prim::{Literal, Prim};
use ferroductor_ir::{DType, Scalar};
use llvm_common::*;

type OnBits = fn(u8, u8) -> bool;
type OnWord = fn(u32) -> u32;

const LANES: [u32; 6] = [1, 2, 4, 8, 16, 32];

/// What the reference knows of an element type.
trait Lane: Element + PartialEq + std::fmt::Debug {
    const DTYPE: DType;
    fn samples() -> Vec<Self>;
    /// The reference result; `None` where the prim is not defined for the type.
    fn apply(prim: Prim, a: Self, b: Self, c: Self) -> Option<Self>;
    fn compare(prim: Prim, a: Self, b: Self) -> bool;
}

macro_rules! compare_body {
    ($prim:expr, $a:expr, $b:expr) => {
        match $prim {
            Prim::Eq => $a == $b,
            Prim::Ne => $a != $b,
            Prim::Lt => $a < $b,
            Prim::Le => $a <= $b,
            Prim::Gt => $a > $b,
            _ => $a >= $b,
        }
    };
}

macro_rules! int_lane {
    ($t:ty, $dtype:ident, $abs:expr, $div:expr, $rem:expr) => {
        impl Lane for $t {
            const DTYPE: DType = DType::$dtype;
            fn samples() -> Vec<$t> {
                let bits = 8 * size_of::<$t>() as i64;
                let edges = [
                    0,
                    1,
                    2,
                    3,
                    7,
                    -1,
                    -2,
                    -7,
                    bits - 1,
                    bits,
                    bits + 1,
                    100,
                    -100,
                ];
                let mut samples: Vec<$t> = edges.iter().map(|e| *e as $t).collect();
                samples.extend([<$t>::MIN, <$t>::MAX, <$t>::MIN + 1]);
                samples
            }
            fn apply(prim: Prim, a: $t, b: $t, _: $t) -> Option<$t> {
                let bits = 8 * size_of::<$t>() as i64;
                let in_range = (0..bits).contains(&(b as i64)) && b >= 0 as $t;
                Some(match prim {
                    Prim::Add => a.wrapping_add(b),
                    Prim::Sub => a.wrapping_sub(b),
                    Prim::Mul => a.wrapping_mul(b),
                    Prim::Div if b == 0 => 0,
                    Prim::Div => $div(a, b),
                    Prim::Rem if b == 0 => 0,
                    Prim::Rem => $rem(a, b),
                    Prim::Neg => (0 as $t).wrapping_sub(a),
                    Prim::Abs => $abs(a),
                    Prim::MinNum => {
                        if a < b {
                            a
                        } else {
                            b
                        }
                    }
                    Prim::MaxNum => {
                        if a > b {
                            a
                        } else {
                            b
                        }
                    }
                    Prim::And => a & b,
                    Prim::Or => a | b,
                    Prim::Xor => a ^ b,
                    Prim::Not => !a,
                    Prim::Shl if in_range => a << b,
                    Prim::Shl => 0,
                    Prim::Shr if in_range => a >> b,
                    Prim::Shr => {
                        if a < (0 as $t) {
                            !(0 as $t)
                        } else {
                            0
                        }
                    }
                    _ => return None,
                })
            }
            #[allow(unused_comparisons)]
            fn compare(prim: Prim, a: $t, b: $t) -> bool {
                compare_body!(prim, a, b)
            }
        }
    };
}

int_lane!(u8, U8, |a: u8| a, |a: u8, b| a / b, |a: u8, b| a % b);
int_lane!(i8, I8, i8::wrapping_abs, i8::wrapping_div, i8::wrapping_rem);
int_lane!(
    i16,
    I16,
    i16::wrapping_abs,
    i16::wrapping_div,
    i16::wrapping_rem
);
int_lane!(
    i32,
    I32,
    i32::wrapping_abs,
    i32::wrapping_div,
    i32::wrapping_rem
);
int_lane!(
    i64,
    I64,
    i64::wrapping_abs,
    i64::wrapping_div,
    i64::wrapping_rem
);

macro_rules! float_lane {
    ($t:ty, $dtype:ident) => {
        impl Lane for $t {
            const DTYPE: DType = DType::$dtype;
            fn samples() -> Vec<$t> {
                let tiny = <$t>::from_bits(1);
                let mut samples = vec![
                    0.0,
                    1.0,
                    0.5,
                    1.5,
                    2.5,
                    3.0,
                    0.1,
                    7.75,
                    1e10,
                    3.4e38,
                    1e-30,
                    tiny,
                    <$t>::MIN_POSITIVE,
                    <$t>::MAX,
                    <$t>::INFINITY,
                    <$t>::NAN,
                ];
                let negative: Vec<$t> = samples.iter().map(|x| -x).collect();
                samples.extend(negative);
                samples
            }
            fn apply(prim: Prim, a: $t, b: $t, c: $t) -> Option<$t> {
                let result = match prim {
                    Prim::Add => a + b,
                    Prim::Sub => a - b,
                    Prim::Mul => a * b,
                    Prim::Div => a / b,
                    Prim::Neg => -a,
                    Prim::Abs => a.abs(),
                    Prim::Fma => a.mul_add(b, c),
                    Prim::Sqrt => a.sqrt(),
                    Prim::Floor => a.floor(),
                    Prim::Ceil => a.ceil(),
                    Prim::Trunc => a.trunc(),
                    Prim::Round => a.round_ties_even(),
                    Prim::MinNum => {
                        if a < b {
                            a
                        } else {
                            b
                        }
                    }
                    Prim::MaxNum => {
                        if a > b {
                            a
                        } else {
                            b
                        }
                    }
                    Prim::CopySign => a.copysign(b),
                    Prim::Scale if !runnable_targets().iter().any(Target::has_scale) => {
                        return None;
                    }
                    Prim::Scale => {
                        let operands = [a.to_bits().into(), b.to_bits().into()];
                        let lane = scalar::prim(prim, DType::$dtype, &operands);
                        <$t>::from_bits(lane.unwrap() as _)
                    }
                    _ => return None,
                };
                Some(if result.is_nan() { <$t>::NAN } else { result })
            }
            fn compare(prim: Prim, a: $t, b: $t) -> bool {
                compare_body!(prim, a, b)
            }
        }
    };
}
float_lane!(f32, F32);
float_lane!(f64, F64);

/// All pairs of samples, filled up to whole vectors of any width.
fn pairs<T: Lane>() -> (Vec<T>, Vec<T>, Vec<T>) {
    let samples = T::samples();
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for x in &samples {
        for y in &samples {
            a.push(*x);
            b.push(*y);
        }
    }
    while a.len() % 32 != 0 {
        a.push(samples[1]);
        b.push(samples[2]);
    }
    let c = (0..a.len()).map(|i| samples[(i * 5 + 3) % samples.len()]);
    let c = c.collect();
    (a, b, c)
}

fn check_type<T: Lane>() {
    let (a, b, c) = pairs::<T>();
    let inputs = [bytes(&a), bytes(&b), bytes(&c)];
    let mut defined = 0;
    for basic in Prim::all().filter(|p| p.is_basic() && *p != Prim::Select) {
        let arity = basic.arity();
        let operands: Vec<u32> = (0..arity as u32).collect();
        for lanes in LANES {
            if basic.is_comparison() {
                let kernel = map_kernel(&[T::DTYPE; 2], DType::Bool, lanes, |body| {
                    body.push(let_(100, prim(basic, &operands)));
                });
                let got = run_map(&kernel, &inputs[..2], lanes);
                for (i, got) in got.iter().enumerate() {
                    let want = u8::from(T::compare(basic, a[i], b[i]));
                    assert_eq!(*got, want, "{basic} {:?} {:?} × {lanes}", a[i], b[i]);
                }
                continue;
            }
            if T::apply(basic, a[0], b[0], c[0]).is_none() {
                continue;
            }
            defined += 1;
            let types = vec![T::DTYPE; arity];
            let kernel = map_kernel(&types, T::DTYPE, lanes, |body| {
                body.push(let_(100, prim(basic, &operands)));
            });
            let got: Vec<T> = values(&run_map(&kernel, &inputs[..arity], lanes));
            for (i, got) in got.iter().enumerate() {
                let want = T::apply(basic, a[i], b[i], c[i]).unwrap();
                assert_eq!(
                    got.bytes(),
                    want.bytes(),
                    "{basic} {:?} {:?} {:?} × {lanes}: {got:?}, not {want:?}",
                    a[i],
                    b[i],
                    c[i]
                );
            }
        }
    }
    assert!(defined >= 14 * LANES.len(), "{defined}");
}

#[test]
fn on_u8() {
    check_type::<u8>();
}
#[test]
fn on_i8() {
    check_type::<i8>();
}
#[test]
fn on_i16() {
    check_type::<i16>();
}
#[test]
fn on_i32() {
    check_type::<i32>();
}
#[test]
fn on_i64() {
    check_type::<i64>();
}
#[test]
fn on_f32() {
    check_type::<f32>();
}
#[test]
fn on_f64() {
    check_type::<f64>();
}

/// A literal divisor takes another path, and so does each literal for which the machine would trap.
#[test]
fn division_by_literals() {
    fn check<T: Lane>(divisors: &[i64], of: fn(i64) -> T) {
        let (a, _, _) = pairs::<T>();
        for divisor in divisors {
            for op in [Prim::Div, Prim::Rem] {
                for lanes in [1, 16] {
                    let kernel = map_kernel(&[T::DTYPE], T::DTYPE, lanes, |body| {
                        body.push(let_(9, constant(Literal::Int(*divisor), T::DTYPE, lanes)));
                        body.push(let_(100, prim(op, &[0, 9])));
                    });
                    let got: Vec<T> = values(&run_map(&kernel, &[bytes(&a)], lanes));
                    for (x, got) in a.iter().zip(got) {
                        let want = T::apply(op, *x, of(*divisor), of(0)).unwrap();
                        assert_eq!(got, want, "{op} {x:?} {divisor}");
                    }
                }
            }
        }
    }
    // 256 is 0 as a byte, 255 is -1 as a signed one.
    check(&[0, 1, -1, 7, 255, 256, 64], |d| d as i8);
    check(&[0, 1, -1, 7, 255, 256, 64], |d| d as u8);
    check(&[0, 1, -1, 7, 1 << 31, 1 << 32], |d| d as i32);
    check(&[0, 1, -1, 7, i64::MIN, 1 << 40], |d| d);
}

#[test]
fn predicates_and_select() {
    let bits: Vec<u8> = (0..64).map(|i| i & 1).collect();
    let more: Vec<u8> = (0..64).map(|i| (i >> 1) & 1).collect();
    let rules: [(Prim, OnBits); 10] = [
        (Prim::And, |a, b| a & b != 0),
        (Prim::Or, |a, b| a | b != 0),
        (Prim::Xor, |a, b| a != b),
        (Prim::Not, |a, _| a == 0),
        (Prim::Eq, |a, b| a == b),
        (Prim::Ne, |a, b| a != b),
        (Prim::Lt, |a, b| a < b),
        (Prim::Le, |a, b| a <= b),
        (Prim::Gt, |a, b| a > b),
        (Prim::Ge, |a, b| a >= b),
    ];
    for lanes in LANES {
        for (op, rule) in rules {
            let operands: Vec<u32> = (0..op.arity() as u32).collect();
            let kernel = map_kernel(&[DType::Bool; 2], DType::Bool, lanes, |body| {
                body.push(let_(100, prim(op, &operands)));
            });
            let got = run_map(&kernel, &[bits.clone(), more.clone()], lanes);
            for i in 0..64 {
                assert_eq!(got[i], u8::from(rule(bits[i], more[i])), "{op} × {lanes}");
            }
        }
        for dtype in DType::native().filter(|d| !d.is_half()) {
            let a: Vec<u8> = (0..64 * dtype.size()).map(|i| (i % 2) as u8).collect();
            let b: Vec<u8> = (0..64 * dtype.size()).map(|i| (i / 2 % 2) as u8).collect();
            let kernel = map_kernel(&[DType::Bool, dtype, dtype], dtype, lanes, |body| {
                body.push(let_(100, prim(Prim::Select, &[0, 1, 2])));
            });
            let got = run_map(&kernel, &[bits.clone(), a.clone(), b.clone()], lanes);
            for (i, bit) in bits.iter().enumerate() {
                let of = if *bit != 0 { &a } else { &b };
                let lane = i * dtype.size()..(i + 1) * dtype.size();
                assert_eq!(got[lane.clone()], of[lane], "{dtype} × {lanes}");
            }
        }
    }
}

/// Sign operations keep every bit of a NaN.
#[test]
fn sign_operations_keep_payloads() {
    let patterns = [
        0x7f80_0001u32,
        0xff80_0001,
        0x7fc1_2345,
        0xffff_ffff,
        0x8000_0000,
    ];
    let a: Vec<u32> = (0..16).map(|i| patterns[i % 5]).collect();
    let rules: [(Prim, OnWord); 2] = [
        (Prim::Neg, |x| x ^ 1 << 31),
        (Prim::Abs, |x| x & !(1 << 31)),
    ];
    for lanes in [1, 4, 16] {
        for (op, rule) in rules {
            let kernel = map_kernel(&[DType::I32], DType::I32, lanes, |body| {
                let cast = |value, to| Op::Bitcast {
                    value: ValueId(value),
                    to,
                };
                body.push(let_(1, cast(0, Scalar::F32)));
                body.push(let_(2, prim(op, &[1])));
                body.push(let_(100, cast(2, Scalar::I32)));
            });
            let got: Vec<u32> = values(&run_map(&kernel, &[bytes(&a)], lanes));
            let want: Vec<u32> = a.iter().map(|x| rule(*x)).collect();
            assert_eq!(got, want, "{op} × {lanes}");
        }
    }
}
