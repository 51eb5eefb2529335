//! The error bounds of the double-precision functions, against exact values.

mod math_support;

use ferroductor_compiler::math;
use ferroductor_ir::DType;
use ferroductor_ir::prim::Prim;
use math_support::exact::{Exact, ulp_error};
use math_support::{Column, KINDS, function, row, run};

/// Functions of one operand: least and greatest operand of the bulk of the samples, and those
/// between which results are finite and not zero.
const UNARY: &[(Prim, [f64; 2], [f64; 2])] = &[
    (Prim::Exp, [-2.0, 2.0], [-744.0, 709.78]),
    (Prim::Exp2, [-2.0, 2.0], [-1073.9, 1023.99]),
    (Prim::Expm1, [-2.0, 2.0], [-50.0, 709.78]),
    (Prim::Log, [0.4, 3.0], [5e-324, 1.79e308]),
    (Prim::Log2, [0.4, 3.0], [5e-324, 1.79e308]),
    (Prim::Log10, [0.4, 3.0], [5e-324, 1.79e308]),
    (Prim::Log1p, [-0.7, 3.0], [-0.9999999999, 1.79e308]),
    (Prim::Sin, [-10.0, 10.0], [-1.79e308, 1.79e308]),
    (Prim::Cos, [-10.0, 10.0], [-1.79e308, 1.79e308]),
    (Prim::Tan, [-10.0, 10.0], [-1.79e308, 1.79e308]),
    (Prim::Asin, [-1.0, 1.0], [-1.0, 1.0]),
    (Prim::Acos, [-1.0, 1.0], [-1.0, 1.0]),
    (Prim::Atan, [-4.0, 4.0], [-1e300, 1e300]),
    (Prim::Sinh, [-4.0, 4.0], [-710.4, 710.4]),
    (Prim::Cosh, [-4.0, 4.0], [-710.4, 710.4]),
    (Prim::Tanh, [-4.0, 4.0], [-25.0, 25.0]),
    (Prim::Asinh, [-4.0, 4.0], [-1.79e308, 1.79e308]),
    (Prim::Acosh, [1.0, 4.0], [1.0, 1.79e308]),
    (
        Prim::Atanh,
        [-0.9, 0.9],
        [-0.9999999999999999, 0.9999999999999999],
    ),
    (Prim::Erf, [-4.0, 4.0], [-6.5, 6.5]),
    (Prim::Erfc, [-4.0, 4.0], [-6.0, 27.2]),
    (Prim::Sigmoid, [-4.0, 4.0], [-744.0, 50.0]),
];

/// Operands spread evenly over an interval, then over its exponents in both signs.
fn operands(count: usize, middle: [f64; 2], range: [f64; 2]) -> Vec<f64> {
    let step = (middle[1] - middle[0]) / count as f64;
    let mut all: Vec<f64> = (0..count)
        .map(|at| middle[0] + (at as f64 + 0.37) * step)
        .collect();
    let stride = (u64::MAX / count as u64) | 1;
    let patterns = (0..count as u64).map(|at| f64::from_bits(at.wrapping_mul(stride)));
    all.extend(patterns.filter(|x| (range[0]..=range[1]).contains(x) && *x != 0.0));
    let wide = (range[1].min(1e3) - range[0].max(-1e3)) / count as f64;
    all.extend((0..count).map(|at| range[0].max(-1e3) + (at as f64 + 0.61) * wide));
    all
}

/// The greatest error and its operand, for each kind of target.
fn worst(prim: Prim, operands: &[f64], exact: &mut Exact) -> [(f64, f64); 3] {
    let results = KINDS.map(|kind| {
        let function = function(prim, DType::F64, operands.len(), kind);
        match run(&function, &[Column::F64(operands.to_vec())]) {
            Column::F64(results) => results,
            other => panic!("{prim} gives {other:?}"),
        }
    });
    let mut worst = [(0.0, 0.0); 3];
    for (at, &x) in operands.iter().enumerate() {
        let value = exact.value(prim, x, 0.0);
        for (worst, results) in worst.iter_mut().zip(&results) {
            let error = ulp_error(results[at], &value);
            if error > worst.0 {
                *worst = (error, x);
            }
        }
    }
    worst
}

#[test]
fn unary_functions_keep_their_bounds() {
    let mut exact = Exact::default();
    for &(prim, middle, range) in UNARY {
        let bound = math::error_bound(prim, DType::F64).expect("a bound");
        for (error, x) in worst(prim, &operands(400, middle, range), &mut exact) {
            assert!(error <= bound, "{prim}({x:e}): {error} ULP");
        }
    }
}

/// Bases of all exponents, with exponents that put the result anywhere in the range; then bases
/// near one with large exponents.
fn power_operands(count: usize) -> Vec<(f64, f64)> {
    let mut pairs = Vec::new();
    for at in 0..count as u64 {
        let mixed = at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let base = f64::from_bits((mixed >> 1) % f64::INFINITY.to_bits());
        let part = (mixed % 1009) as f64 / 1009.0;
        let exponent = (part * 1454.0 - 745.0) / base.ln();
        pairs.push((base, exponent));
        let near_one = 1.0 + (part - 0.5) * f64::powi(2.0, -((mixed >> 20) as i32 & 31));
        pairs.push((near_one, (part * 1454.0 - 745.0) / near_one.ln()));
        pairs.push((base, part * 3.0 - 1.5));
    }
    pairs.retain(|(x, y)| {
        let result = x.powf(*y);
        result.is_finite() && result != 0.0 && y.is_finite() && *x > 0.0
    });
    pairs
}

/// Points of all directions and distances, and such whose coordinates have one magnitude.
fn points(count: usize) -> Vec<(f64, f64)> {
    let mixed = |at: u64| at.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let near =
        (0..count as u64).map(|at| (mixed(at) as i64 as f64, mixed(at + 7919) as i64 as f64));
    let any =
        (0..count as u64).map(|at| (f64::from_bits(mixed(at)), f64::from_bits(mixed(at * 3 + 1))));
    let quotient = |(y, x): &(f64, f64)| (y / x).is_normal() && y.is_finite() && x.is_finite();
    near.chain(any).filter(quotient).collect()
}

/// The greatest error of a function of two operands and its operands, for each kind of target.
fn worst_of_two(prim: Prim, pairs: &[(f64, f64)], exact: &mut Exact) -> [(f64, (f64, f64)); 3] {
    let (xs, ys): (Vec<f64>, Vec<f64>) = pairs.iter().copied().unzip();
    let results = KINDS.map(|kind| {
        let function = function(prim, DType::F64, pairs.len(), kind);
        let columns = [Column::F64(xs.clone()), Column::F64(ys.clone())];
        match run(&function, &columns) {
            Column::F64(results) => results,
            other => panic!("{prim} gives {other:?}"),
        }
    });
    let mut worst = [(0.0, (0.0, 0.0)); 3];
    for (at, &(x, y)) in pairs.iter().enumerate() {
        let value = exact.value(prim, x, y);
        for (worst, results) in worst.iter_mut().zip(&results) {
            let error = ulp_error(results[at], &value);
            if error > worst.0 {
                *worst = (error, (x, y));
            }
        }
    }
    worst
}

#[test]
fn functions_of_two_operands_keep_their_bounds() {
    let mut exact = Exact::default();
    for (prim, pairs) in [(Prim::Pow, power_operands(400)), (Prim::Atan2, points(400))] {
        let bound = math::error_bound(prim, DType::F64).expect("a bound");
        for (error, pair) in worst_of_two(prim, &pairs, &mut exact) {
            assert!(error <= bound, "{prim}{pair:?}: {error} ULP");
        }
    }
}

/// Prints the second table of `docs/math.md`. Run in release mode with `--ignored --nocapture`.
#[test]
#[ignore = "a measurement, not a check"]
fn print_greatest_errors() {
    let mut exact = Exact::default();
    for (prim, pairs) in [
        (Prim::Pow, power_operands(2000)),
        (Prim::Atan2, points(2000)),
    ] {
        print_row(prim, worst_of_two(prim, &pairs, &mut exact).map(|w| w.0));
    }
    for &(prim, middle, range) in UNARY {
        let operands = operands(2000, middle, range);
        print_row(prim, worst(prim, &operands, &mut exact).map(|w| w.0));
    }
}

fn print_row(prim: Prim, errors: [f64; 3]) {
    let bound = math::error_bound(prim, DType::F64).expect("a bound");
    println!("{}", row(prim, DType::F64, bound, errors));
}
