//! Exact semantics of the basic prims and conversions on one lane.
//!
//! A lane travels as the bits of its type, zero-extended to `u64`; a predicate is 0 or 1. The
//! functions here are total: no operand has undefined behaviour.

use crate::prim::{Literal, Prim, Scalar};
use half::{bf16, f16};

/// The lane's bits for a literal of the given type. Halves are rounded from `f32`.
pub fn literal(value: Literal, scalar: Scalar) -> u64 {
    match scalar {
        Scalar::Bool => u64::from(value.as_bool()),
        Scalar::F32 => u64::from((value.as_f64() as f32).to_bits()),
        Scalar::F64 => value.as_f64().to_bits(),
        Scalar::F16 => u64::from(f32_to_f16(value.as_f64() as f32)),
        Scalar::BF16 => u64::from(f32_to_bf16(value.as_f64() as f32)),
        int => truncate(value.as_i64() as u64, int),
    }
}

/// The low bits that the type keeps.
pub fn truncate(bits: u64, scalar: Scalar) -> u64 {
    match scalar.size() {
        1 => bits & 0xff,
        2 => bits & 0xffff,
        4 => bits & 0xffff_ffff,
        _ => bits,
    }
}

/// The value of an integer (or predicate) lane; `u8` and predicates extend by zeros.
pub fn signed(bits: u64, scalar: Scalar) -> i64 {
    match scalar {
        Scalar::I8 => i64::from(bits as u8 as i8),
        Scalar::I16 => i64::from(bits as u16 as i16),
        Scalar::I32 => i64::from(bits as u32 as i32),
        _ => bits as i64,
    }
}

/// Rounds to nearest even; a NaN stays a quiet NaN.
pub fn f32_to_f16(value: f32) -> u16 {
    if value.is_nan() {
        let bits = value.to_bits();
        return ((bits >> 16) & 0x8000) as u16 | 0x7e00 | ((bits >> 13) & 0x3ff) as u16;
    }
    f16::from_f32_const(value).to_bits()
}

/// Rounds to nearest even; a NaN stays a quiet NaN. Subnormal results are kept.
pub fn f32_to_bf16(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    let to_even = 0x7fff + ((bits >> 16) & 1);
    ((bits + to_even) >> 16) as u16
}

fn f32_of(bits: u64) -> f32 {
    f32::from_bits(bits as u32)
}

fn f64_of(bits: u64) -> f64 {
    f64::from_bits(bits)
}

fn of_f32(value: f32) -> u64 {
    u64::from(value.to_bits())
}

/// Applies a basic prim to lanes of operand type `scalar`: the predicate of `Select` aside, the
/// type of every operand. `None` for a prim that is not basic or not defined for the type.
pub fn prim(prim: Prim, scalar: Scalar, args: &[u64]) -> Option<u64> {
    let lane = |at: usize| args.get(at).copied().unwrap_or(0);
    let (a, b, c) = (lane(0), lane(1), lane(2));
    if prim == Prim::Select {
        return Some(if a != 0 { b } else { c });
    }
    match scalar {
        Scalar::F32 => float32(prim, f32_of(a), f32_of(b), f32_of(c)),
        Scalar::F64 => float64(prim, f64_of(a), f64_of(b), f64_of(c)),
        Scalar::Bool => predicate(prim, a != 0, b != 0).map(u64::from),
        int if int.is_int() => integer(prim, int, a, b),
        _ => None,
    }
}

macro_rules! float {
    ($name:ident, $float:ty, $bits:expr) => {
        fn $name(prim: Prim, a: $float, b: $float, c: $float) -> Option<u64> {
            let value = match prim {
                Prim::Add => a + b,
                Prim::Sub => a - b,
                Prim::Mul => a * b,
                Prim::Div => a / b,
                Prim::Neg => -a,
                Prim::Abs => a.abs(),
                Prim::Fma => a.mul_add(b, c),
                Prim::Scale => {
                    let quiet = $bits(a) >> (<$float>::MANTISSA_DIGITS - 2) & 1 == 1;
                    scale(f64::from(a), f64::from(b), quiet) as $float
                }
                Prim::Sqrt => a.sqrt(),
                Prim::Floor => a.floor(),
                Prim::Ceil => a.ceil(),
                Prim::Trunc => a.trunc(),
                Prim::Round => a.round_ties_even(),
                Prim::MinNum if a < b => a,
                Prim::MaxNum if a > b => a,
                Prim::MinNum | Prim::MaxNum => b,
                Prim::CopySign => a.copysign(b),
                _ => return compare(prim, &a, &b).map(u64::from),
            };
            Some($bits(value))
        }
    };
}

float!(float32, f32, of_f32);
float!(float64, f64, f64::to_bits);

/// `a * 2^floor(b)`. A result that is subnormal in `f32` is still exact here.
fn scale(a: f64, b: f64, is_quiet: bool) -> f64 {
    if a.is_nan() && is_quiet && b.is_infinite() {
        return if b > 0.0 { b } else { 0.0 };
    }
    if a.is_nan() || b.is_nan() {
        return f64::NAN;
    }
    if b.is_infinite() {
        // Zero times infinity and its like are NaN.
        return if b > 0.0 { a * b } else { a * 0.0 };
    }
    // Steps of a power that is a number; the last one rounds, the others leave enough bits.
    let mut power = b.floor().clamp(-2200.0, 2200.0) as i32;
    let mut value = a;
    while power > 1023 {
        value *= f64::powi(2.0, 1023);
        power -= 1023;
    }
    while power < -1022 {
        value *= f64::powi(2.0, -1022 + 53);
        power += 1022 - 53;
    }
    value * f64::powi(2.0, power)
}

fn compare<T: PartialOrd>(prim: Prim, a: &T, b: &T) -> Option<bool> {
    Some(match prim {
        Prim::Eq => a == b,
        Prim::Ne => a != b,
        Prim::Lt => a < b,
        Prim::Le => a <= b,
        Prim::Gt => a > b,
        Prim::Ge => a >= b,
        _ => return None,
    })
}

fn predicate(prim: Prim, a: bool, b: bool) -> Option<bool> {
    Some(match prim {
        Prim::And => a & b,
        Prim::Or => a | b,
        Prim::Xor => a ^ b,
        Prim::Not => !a,
        _ => return compare(prim, &a, &b),
    })
}

fn integer(prim: Prim, scalar: Scalar, a: u64, b: u64) -> Option<u64> {
    let bits = 8 * scalar.size() as i64;
    let is_signed = scalar != Scalar::U8;
    let (x, y) = (signed(a, scalar), signed(b, scalar));
    let value = match prim {
        Prim::Add => x.wrapping_add(y),
        Prim::Sub => x.wrapping_sub(y),
        Prim::Mul => x.wrapping_mul(y),
        Prim::Div | Prim::Rem if y == 0 => 0,
        Prim::Div => x.wrapping_div(y),
        Prim::Rem => x.wrapping_rem(y),
        Prim::Neg => x.wrapping_neg(),
        Prim::Abs => x.wrapping_abs(),
        Prim::MinNum => x.min(y),
        Prim::MaxNum => x.max(y),
        Prim::And => x & y,
        Prim::Or => x | y,
        Prim::Xor => x ^ y,
        Prim::Not => !x,
        Prim::Shl if (0..bits).contains(&y) => x << y,
        Prim::Shl => 0,
        Prim::Shr if (0..bits).contains(&y) => x >> y,
        Prim::Shr if is_signed => x >> 63,
        Prim::Shr => 0,
        _ => return compare(prim, &x, &y).map(u64::from),
    };
    Some(truncate(value as u64, scalar))
}

/// [`crate::kernel::Op::Convert`] on one lane. Half precision converts through `f32`.
pub fn convert(bits: u64, from: Scalar, to: Scalar) -> u64 {
    if from == to {
        return bits;
    }
    match from {
        Scalar::F16 => convert(
            of_f32(f16::from_bits(bits as u16).to_f32_const()),
            Scalar::F32,
            to,
        ),
        Scalar::BF16 => convert(
            of_f32(bf16::from_bits(bits as u16).to_f32_const()),
            Scalar::F32,
            to,
        ),
        Scalar::F32 => from_f32(f32_of(bits), to),
        Scalar::F64 => from_f64(f64_of(bits), to),
        int => from_i64(signed(bits, int), to),
    }
}

fn from_f32(value: f32, to: Scalar) -> u64 {
    match to {
        Scalar::F16 => u64::from(f32_to_f16(value)),
        Scalar::BF16 => u64::from(f32_to_bf16(value)),
        Scalar::F32 => of_f32(value),
        // Exact, so the integer and predicate rules of f64 hold.
        _ => from_f64(f64::from(value), to),
    }
}

fn from_f64(value: f64, to: Scalar) -> u64 {
    match to {
        Scalar::F64 => value.to_bits(),
        Scalar::F32 => of_f32(value as f32),
        Scalar::F16 | Scalar::BF16 => from_f32(value as f32, to),
        Scalar::Bool => u64::from(value != 0.0),
        Scalar::I64 => float_to_i64(value) as u64,
        int => truncate(i64::from(float_to_i32(value)) as u64, int),
    }
}

fn float_to_i64(value: f64) -> i64 {
    // The bounds are exact doubles.
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&value) {
        value as i64
    } else {
        i64::MIN
    }
}

fn float_to_i32(value: f64) -> i32 {
    let whole = value.trunc();
    if (-2_147_483_648.0..2_147_483_648.0).contains(&whole) {
        whole as i32
    } else {
        i32::MIN
    }
}

fn from_i64(value: i64, to: Scalar) -> u64 {
    match to {
        Scalar::F64 => (value as f64).to_bits(),
        Scalar::F32 => of_f32(value as f32),
        Scalar::F16 | Scalar::BF16 => from_f32(value as f32, to),
        Scalar::Bool => u64::from(value != 0),
        int => truncate(value as u64, int),
    }
}

/// One lane of the AVX512_BF16 instruction: `acc + a1*b1`, then `+ a0*b0`, each fused and rounded
/// to nearest even, with subnormal operands and results taken for zero.
pub fn dot_bf16(acc: u64, a: [u64; 2], b: [u64; 2]) -> u64 {
    let widen = |half: u64| flush(f32::from_bits((half as u32) << 16));
    let mut sum = flush(f32_of(acc));
    for at in [1, 0] {
        sum = flush(widen(a[at]).mul_add(widen(b[at]), sum));
    }
    of_f32(sum)
}

/// A subnormal becomes a zero of its sign.
fn flush(value: f32) -> f32 {
    if value.is_subnormal() {
        0f32.copysign(value)
    } else {
        value
    }
}
