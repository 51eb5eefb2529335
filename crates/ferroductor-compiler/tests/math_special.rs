//! Special operands, functions of two operands, and the agreement of the test's evaluator with the
//! reference interpreter.

mod math_support;

use ferroductor_compiler::math;
use ferroductor_ir::DType;
use ferroductor_ir::interp::scalar;
use ferroductor_ir::kernel::{Function, Isa, Op, Target, Ty, ValueId};
use ferroductor_ir::prim::Prim;
use math_support::{Column, KINDS, function, run, ulp_error_f32};
use std::collections::HashMap;

const FLOATS: [DType; 2] = [DType::F32, DType::F64];
const INTEGERS: [DType; 5] = [DType::U8, DType::I8, DType::I16, DType::I32, DType::I64];

/// One lane through the interpreter's scalar operators.
fn interpret(function: &Function, operands: &[u64]) -> u64 {
    let mut values: HashMap<ValueId, (u64, DType)> = HashMap::new();
    for (param, bits) in function.params.iter().zip(operands) {
        values.insert(*param, (*bits, function.ty.scalar));
    }
    for (id, op) in function.code() {
        let result = match op {
            Op::Const { value, ty } => (scalar::literal(*value, ty.scalar), ty.scalar),
            Op::Prim { prim, args } => {
                let bits: Vec<u64> = args.iter().map(|arg| values[arg].0).collect();
                let last = values[args.last().expect("an operand")].1;
                let of = if *prim == Prim::Select {
                    last
                } else {
                    values[&args[0]].1
                };
                let to = if prim.is_comparison() {
                    DType::Bool
                } else {
                    of
                };
                (scalar::prim(*prim, of, &bits).expect("a basic prim"), to)
            }
            Op::Convert { value, to } => {
                let (bits, from) = values[value];
                (scalar::convert(bits, from, *to), *to)
            }
            Op::Bitcast { value, to } => (values[value].0, *to),
            other => panic!("{other:?} in a function"),
        };
        values.insert(*id, result);
    }
    let lane = |id: ValueId| values[&id].0;
    match &function.rare {
        Some(rare) if lane(rare.lanes) != 0 => lane(rare.result),
        _ => lane(function.result),
    }
}

fn f32_operands() -> Vec<f32> {
    let mut all: Vec<f32> = Vec::new();
    for magnitude in [
        0.0,
        1e-45,
        1e-39,
        1.1754944e-38,
        1e-10,
        0.1,
        0.5,
        0.75,
        1.0,
        1.5,
        2.0,
        3.0,
        7.5,
        10.0,
        33.0,
        88.0,
        89.0,
        104.5,
        1e5,
        16777215.0,
        16777216.0,
        33554434.0,
        1e20,
        3.4028235e38,
        f32::INFINITY,
    ] {
        all.extend([magnitude, -magnitude]);
    }
    all.push(f32::NAN);
    all
}

#[test]
fn columns_agree_with_the_interpreter() {
    for prim in Prim::all().filter(|prim| !prim.is_basic()) {
        for (scalar, kind) in FLOATS.iter().flat_map(|&s| KINDS.map(|kind| (s, kind))) {
            let ty = Ty::scalar(scalar);
            let Some(function) = math::function(prim, ty, &Target::of(kind)) else {
                continue;
            };
            for x in f32_operands() {
                for y in f32_operands() {
                    check_agreement(&function, f64::from(x), f64::from(y));
                    if prim.arity() == 1 {
                        break;
                    }
                }
            }
        }
    }
}

fn check_agreement(function: &Function, x: f64, y: f64) {
    let (columns, bits) = match function.ty.scalar {
        DType::F32 => {
            let (x, y) = (x as f32, y as f32);
            let bits = [u64::from(x.to_bits()), u64::from(y.to_bits())];
            ([Column::F32(vec![x]), Column::F32(vec![y])], bits)
        }
        _ => {
            let bits = [x.to_bits(), y.to_bits()];
            ([Column::F64(vec![x]), Column::F64(vec![y])], bits)
        }
    };
    let arity = function.params.len();
    let got = match run(function, &columns[..arity]) {
        Column::F32(lanes) => f64::from(lanes[0]),
        Column::F64(lanes) => lanes[0],
        other => panic!("{other:?}"),
    };
    let expected = interpret(function, &bits[..arity]);
    let expected = match function.ty.scalar {
        DType::F32 => f64::from(f32::from_bits(expected as u32)),
        _ => f64::from_bits(expected),
    };
    let same = got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan();
    assert!(
        same,
        "{}({x:e}, {y:e}): {got:e}, interpreter {expected:e}",
        function.prim
    );
}

/// Runs a function of two `f32` operands over all pairs.
fn over_pairs(prim: Prim, kind: Isa, operands: &[f32]) -> Vec<(f32, f32, f32)> {
    let pairs: Vec<(f32, f32)> = operands
        .iter()
        .flat_map(|&x| operands.iter().map(move |&y| (x, y)))
        .collect();
    let function = function(prim, DType::F32, pairs.len(), kind);
    let (xs, ys) = pairs.iter().copied().unzip();
    let Column::F32(results) = run(&function, &[Column::F32(xs), Column::F32(ys)]) else {
        panic!("{prim} gives no f32");
    };
    pairs
        .iter()
        .zip(results)
        .map(|(&(x, y), got)| (x, y, got))
        .collect()
}

#[test]
fn pow_keeps_its_bound_and_the_rules_of_c() {
    let bound = math::error_bound(Prim::Pow, DType::F32).expect("a bound");
    let mut operands = f32_operands();
    operands.extend((0..400).map(|at| f32::from_bits(0x3e00_0000 + at * 0x2_4d31)));
    operands.extend((-200..200).map(|at| at as f32 * 0.73));
    operands.extend((0..300).map(|at| f32::from_bits(at * 0x6d_3a01)));
    for kind in KINDS {
        for (x, y, got) in over_pairs(Prim::Pow, kind, &operands) {
            let error = ulp_error_f32(got, libm::pow(x.into(), y.into()));
            assert!(error <= bound, "pow({x:e}, {y:e}) = {got:e}: {error} ULP");
        }
    }
}

#[test]
fn pow_in_double_precision_follows_the_rules_of_c() {
    let function = function(Prim::Pow, DType::F64, 1, KINDS[0]);
    let operands = f32_operands();
    for (x, y) in operands
        .iter()
        .flat_map(|&x| operands.iter().map(move |&y| (x, y)))
    {
        let (x, y) = (f64::from(x), f64::from(y));
        let got = f64::from_bits(interpret(&function, &[x.to_bits(), y.to_bits()]));
        let expected = libm::pow(x, y);
        let is_close = (got - expected).abs() <= expected.abs() * 1e-15;
        let is_same = got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan();
        let is_special = !expected.is_finite() || expected.abs() < 1e-300;
        assert!(
            is_same || !is_special && is_close,
            "pow({x:e}, {y:e}) = {got:e}, not {expected:e}"
        );
    }
}

#[test]
fn minimum_and_maximum_choose_as_aten_does() {
    let cases = [
        (1.0, f32::NAN, f32::NAN, f32::NAN),
        (f32::NAN, 1.0, f32::NAN, f32::NAN),
        (0.0, -0.0, -0.0, 0.0),
        (-0.0, 0.0, 0.0, -0.0),
        (-1.0, f32::INFINITY, -1.0, f32::INFINITY),
        (2.0, 1.0, 1.0, 2.0),
    ];
    for (a, b, least, greatest) in cases {
        for (prim, expected) in [(Prim::Minimum, least), (Prim::Maximum, greatest)] {
            let function = function(prim, DType::F32, 1, KINDS[0]);
            let bits = [a, b].map(|x| u64::from(x.to_bits()));
            let got = f32::from_bits(interpret(&function, &bits) as u32);
            let same = got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan();
            assert!(same, "{prim}({a}, {b}) = {got}");
        }
    }
}

#[test]
fn sign_of_nan_and_of_zeros_is_zero() {
    let function = function(Prim::Sign, DType::F32, 1, KINDS[0]);
    for (x, expected) in [(f32::NAN, 0.0), (-0.0, 0.0), (-3.0, -1.0), (1e-45, 1.0f32)] {
        let got = f32::from_bits(interpret(&function, &[x.to_bits().into()]) as u32);
        assert_eq!(got.to_bits(), expected.to_bits(), "sign({x})");
    }
}

/// Runs an integer function of two operands in the interpreter.
fn integer(prim: Prim, scalar: DType, a: i64, b: i64) -> i64 {
    let function = function(prim, scalar, 1, KINDS[0]);
    let bits = [a, b].map(|x| scalar::truncate(x as u64, scalar));
    scalar::signed(interpret(&function, &bits), scalar)
}

#[test]
fn integer_powers_wrap_and_follow_aten_below_zero() {
    for scalar in INTEGERS {
        for base in [0i64, 1, 2, 3, 7, 100] {
            for exponent in [0u32, 1, 2, 5, 8, 63, 127] {
                let expected = base.wrapping_pow(exponent);
                let expected = scalar::signed(scalar::truncate(expected as u64, scalar), scalar);
                let got = integer(Prim::Pow, scalar, base, exponent.into());
                assert_eq!(got, expected, "{base}^{exponent} in {scalar}");
            }
        }
    }
    for (base, exponent, expected) in [
        (1, -5, 1),
        (-1, -5, -1),
        (-1, -4, 1),
        (2, -1, 0),
        (0, -1, 0),
    ] {
        assert_eq!(integer(Prim::Pow, DType::I64, base, exponent), expected);
    }
    assert_eq!(integer(Prim::Pow, DType::I32, -3, 3), -27);
}

/// Dividends and divisors of all magnitudes, whole and broken, and the special ones.
fn division_operands() -> Vec<f32> {
    let mut operands = f32_operands();
    operands.extend((-60..60).map(|at| at as f32 * 0.5));
    operands.extend((0..300).map(|at| f32::from_bits(at * 0x6d_3a01)));
    operands.extend((0..200).map(|at| -f32::from_bits(0x3c00_0000 + at * 0x9_3a01)));
    operands
}

fn same(a: f32, b: f32) -> bool {
    a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
}

#[test]
fn fmod_is_exact_for_all_magnitudes() {
    for kind in KINDS {
        for (x, y, got) in over_pairs(Prim::Fmod, kind, &division_operands()) {
            assert!(
                same(got, x % y),
                "fmod({x:e}, {y:e}) = {got:e}, not {:e}",
                x % y
            );
        }
    }
}

/// ATen's `remainder`, as its scalar code has it.
fn aten_remainder(a: f32, b: f32) -> f32 {
    let rest = a % b;
    if rest != 0.0 && (b < 0.0) != (rest < 0.0) {
        rest + b
    } else {
        rest
    }
}

/// ATen's `div_floor`, as its scalar code has it.
fn aten_floor_divide(a: f32, b: f32) -> f32 {
    if b == 0.0 {
        return a / b;
    }
    let rest = a % b;
    let mut quotient = (a - rest) / b;
    if rest != 0.0 && (b < 0.0) != (rest < 0.0) {
        quotient -= 1.0;
    }
    if quotient == 0.0 {
        return 0.0f32.copysign(a / b);
    }
    let floor = quotient.floor();
    if quotient - floor > 0.5 {
        floor + 1.0
    } else {
        floor
    }
}

#[test]
fn remainder_and_floor_divide_follow_aten() {
    type Reference = fn(f32, f32) -> f32;
    let cases: [(Prim, Reference); 2] = [
        (Prim::Remainder, aten_remainder),
        (Prim::FloorDivide, aten_floor_divide),
    ];
    for (prim, expected) in cases {
        for kind in KINDS {
            for (x, y, got) in over_pairs(prim, kind, &division_operands()) {
                let expected = expected(x, y);
                assert!(
                    same(got, expected),
                    "{prim}({x:e}, {y:e}) = {got:e}, not {expected:e}"
                );
            }
        }
    }
}

#[test]
fn atan2_keeps_its_bound_and_the_rules_of_c() {
    let bound = math::error_bound(Prim::Atan2, DType::F32).expect("a bound");
    for kind in KINDS {
        for (y, x, got) in over_pairs(Prim::Atan2, kind, &division_operands()) {
            let error = ulp_error_f32(got, libm::atan2(y.into(), x.into()));
            assert!(error <= bound, "atan2({y:e}, {x:e}) = {got:e}: {error} ULP");
        }
    }
}

#[test]
fn integer_division_follows_the_divisor() {
    for scalar in INTEGERS {
        let top = if scalar == DType::U8 {
            255
        } else {
            i64::MAX >> (64 - 8 * scalar.size())
        };
        let all = [0, 1, 2, 3, 7, 100, top, -1, -2, -7, -100, -top - 1];
        let fitting = |x: &&i64| scalar != DType::U8 || **x >= 0;
        for &a in all.iter().filter(fitting) {
            for &b in all.iter().filter(fitting).filter(|&&b| b != 0) {
                let rest = a.wrapping_rem(b);
                let is_wrong = rest != 0 && (rest < 0) != (b < 0);
                let floor = a.wrapping_div(b).wrapping_sub(i64::from(is_wrong));
                let floor = scalar::signed(scalar::truncate(floor as u64, scalar), scalar);
                let modulus = if is_wrong { rest + b } else { rest };
                assert_eq!(
                    integer(Prim::FloorDivide, scalar, a, b),
                    floor,
                    "{a} // {b} {scalar}"
                );
                assert_eq!(
                    integer(Prim::Remainder, scalar, a, b),
                    modulus,
                    "{a} % {b} {scalar}"
                );
                assert_eq!(
                    integer(Prim::Fmod, scalar, a, b),
                    rest,
                    "fmod {a} {b} {scalar}"
                );
                assert_eq!(integer(Prim::Minimum, scalar, a, b), a.min(b));
                assert_eq!(integer(Prim::Maximum, scalar, a, b), a.max(b));
            }
            assert_eq!(integer(Prim::Sign, scalar, a, 0), a.signum());
        }
    }
}
