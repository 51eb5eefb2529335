//! The error bounds of the single-precision functions, over the whole range of exponents.

mod math_support;

use ferroductor_compiler::math;
use ferroductor_ir::DType;
use ferroductor_ir::prim::Prim;
use math_support::{Column, KINDS, function, row, run, ulp_error_f32};

const LANES: usize = 4096;

/// A function of one operand and the same function in double precision.
type Row = (Prim, fn(f64) -> f64);

const UNARY: &[Row] = &[
    (Prim::Exp, libm::exp),
    (Prim::Exp2, libm::exp2),
    (Prim::Expm1, libm::expm1),
    (Prim::Log, libm::log),
    (Prim::Log2, libm::log2),
    (Prim::Log10, libm::log10),
    (Prim::Log1p, libm::log1p),
    (Prim::Tanh, libm::tanh),
    (Prim::Erf, libm::erf),
    (Prim::Sigmoid, sigmoid),
    (Prim::Sin, libm::sin),
    (Prim::Cos, libm::cos),
    (Prim::Tan, libm::tan),
    (Prim::Asin, libm::asin),
    (Prim::Acos, libm::acos),
    (Prim::Atan, libm::atan),
    (Prim::Sinh, libm::sinh),
    (Prim::Cosh, libm::cosh),
    (Prim::Asinh, libm::asinh),
    (Prim::Acosh, acosh),
    (Prim::Atanh, libm::atanh),
    (Prim::Erfc, libm::erfc),
];

/// The reference library is only right where the function is defined.
fn acosh(x: f64) -> f64 {
    if x < 1.0 { f64::NAN } else { libm::acosh(x) }
}

fn sigmoid(x: f64) -> f64 {
    if x < 0.0 {
        let e = libm::exp(x);
        return e / (1.0 + e);
    }
    1.0 / (1.0 + libm::exp(-x))
}

/// `count` bit patterns evenly over all of them (so over all exponents), then as many numbers
/// evenly over the interval where most functions have their curves.
fn operands(count: u32) -> Vec<f32> {
    let step = (u32::MAX / count) | 1;
    let patterns = (0..count).map(|at| f32::from_bits(at.wrapping_mul(step)));
    let middle = (0..count).map(|at| 24.0 * (f64::from(at) / f64::from(count) - 0.5));
    let mut operands: Vec<f32> = patterns.chain(middle.map(|x| x as f32)).collect();
    operands.extend([
        0.0,
        -0.0,
        1.0,
        -1.0,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::NAN,
    ]);
    operands.extend([f32::MIN_POSITIVE, f32::MAX, f32::MIN, f32::from_bits(1)]);
    while !operands.len().is_multiple_of(LANES) {
        operands.push(0.5);
    }
    operands
}

/// The greatest error over the operands and where it is, for each kind of target.
fn worst(prim: Prim, exact: fn(f64) -> f64, operands: &[f32]) -> [(f64, f32); 3] {
    let functions = KINDS.map(|kind| function(prim, DType::F32, LANES, kind));
    let mut worst = [(0.0, 0.0); 3];
    for chunk in operands.chunks(LANES) {
        let expected: Vec<f64> = chunk.iter().map(|&x| exact(x.into())).collect();
        for (worst, function) in worst.iter_mut().zip(&functions) {
            let Column::F32(results) = run(function, &[Column::F32(chunk.to_vec())]) else {
                panic!("{prim} gives no f32");
            };
            for (at, &got) in results.iter().enumerate() {
                let error = ulp_error_f32(got, expected[at]);
                if error > worst.0 {
                    *worst = (error, chunk[at]);
                }
            }
        }
    }
    worst
}

fn check(rows: &[Row]) {
    let operands = operands(1 << 19);
    for &(prim, exact) in rows {
        let bound = math::error_bound(prim, DType::F32).expect("a bound");
        for (error, x) in worst(prim, exact, &operands) {
            assert!(error <= bound, "{prim}({x:e}): {error} ULP");
        }
    }
}

// Two tests, so that they run beside each other.
#[test]
fn functions_written_in_single_precision_keep_their_bounds() {
    check(&UNARY[..UNARY.len() / 2]);
}

#[test]
fn the_other_functions_keep_their_bounds() {
    check(&UNARY[UNARY.len() / 2..]);
}

/// Prints the first table of `docs/math.md`. Run in release mode with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a check"]
fn print_greatest_errors() {
    let operands = operands(1 << 24);
    for &(prim, exact) in UNARY {
        let bound = math::error_bound(prim, DType::F32).expect("a bound");
        let errors = worst(prim, exact, &operands).map(|worst| worst.0);
        println!("{}", row(prim, DType::F32, bound, errors));
    }
}
