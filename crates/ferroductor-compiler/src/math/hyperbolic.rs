//! Hyperbolic functions and their inverses.

use super::builder::Value;
use super::exp::{half_exp, half_expm1, twice_logistic};
use super::log::log_of_sum;
use super::two::exact_sum;
use std::f64::consts::LN_2;

/// From here on the hyperbolic tangent is above one half, so that `1 - 2 / (1 + e^2a)` halves the
/// error of the quotient.
const TANH_NEAR_ONE_FROM: f64 = 0.55;
/// `(tanh(a) / a - 1) / a^2` in powers of `a^2`, below that; error 2^-29 of `tanh(a)`.
const TANH_F32: [f64; 5] = [
    -0.33333316,
    0.13332544,
    -0.053847548,
    0.021050714,
    -0.0062428494,
];
/// The same; error 2^-58.
const TANH_F64: [f64; 11] = [
    -0.333333333333333,
    0.13333333333326622,
    -0.05396825396376068,
    0.021869488385857963,
    -0.008863232601475377,
    0.0035920920307699325,
    -0.0014555428478394093,
    0.000588444494562749,
    -0.00023338158595842198,
    8.331647615330396e-05,
    -1.949470464252983e-05,
];

/// Hyperbolic tangent.
pub fn tanh(x: Value<'_>) -> Value<'_> {
    let a = x.abs();
    // Beyond the bound the result rounds to one.
    let large = 1.0 - twice_logistic(a.at_most(x.by_format(9.25, 19.5)));
    let z = a * a;
    let small = (a * z).fma(z.polynomial(x.by_format(&TANH_F32, &TANH_F64)), a);
    a.lt(TANH_NEAR_ONE_FROM).select(small, large).copy_sign(x)
}

/// Hyperbolic sine, in double precision: with `h = (e^a - 1) / 2`, `h + h / (2 h + 1)`.
pub fn sinh(x: Value<'_>) -> Value<'_> {
    let h = half_expm1(x.abs());
    let finite = h.at_most(1e300);
    (h + finite / (finite * 2.0 + 1.0)).copy_sign(x)
}

/// Hyperbolic cosine, in double precision.
pub fn cosh(x: Value<'_>) -> Value<'_> {
    let h = half_exp(x.abs());
    h + 0.25 / h
}

/// From here on `asinh(a)` and `acosh(a)` are `log(2 a)`, and squares might overflow.
const LARGE: f64 = 1073741824.0; // 2^30

/// Inverse hyperbolic sine, in double precision: the logarithm of `1 + a + a^2 / (1 + root)`,
/// where the root is that of `1 + a^2`, so that small operands keep their digits.
pub fn asinh(x: Value<'_>) -> Value<'_> {
    let a = x.abs();
    let is_large = a.gt(LARGE);
    let square = a * a;
    let added = square / ((square + 1.0).sqrt() + 1.0);
    log1p_or_log_of_twice(a, a, added, is_large).copy_sign(x)
}

/// Inverse hyperbolic cosine, in double precision: with `t = x - 1`, the logarithm of
/// `1 + t + sqrt(2 t + t^2)`.
pub fn acosh(x: Value<'_>) -> Value<'_> {
    let t = x - 1.0;
    let root = t.fma(t, t * 2.0).sqrt();
    let result = log1p_or_log_of_twice(x, root, t, x.gt(LARGE));
    x.lt(1.0).select(x.number(f64::NAN), result)
}

/// `log(1 + greater + lesser)`, or `log(2 a)` for a large `a`.
fn log1p_or_log_of_twice<'b>(
    a: Value<'b>,
    greater: Value<'b>,
    lesser: Value<'b>,
    is_large: Value<'b>,
) -> Value<'b> {
    let (sum, lost) = sum_of_three(greater, lesser);
    let logarithm = log_of_sum(
        is_large.select(a, sum),
        is_large.select(a.number(0.0), lost),
    );
    let shifted = is_large.select(logarithm + LN_2, logarithm);
    a.lt(f64::INFINITY).select(shifted, a)
}

/// `1 + a + b` for positive summands, as a number and what rounding lost.
fn sum_of_three<'b>(a: Value<'b>, b: Value<'b>) -> (Value<'b>, Value<'b>) {
    let partial = exact_sum(a, b);
    let sum = exact_sum(partial.high, a.number(1.0));
    (sum.high, partial.low + sum.low)
}

/// Inverse hyperbolic tangent, in double precision: half the logarithm of `1 + 2 a / (1 - a)`.
pub fn atanh(x: Value<'_>) -> Value<'_> {
    let a = x.abs();
    let twice = a + a;
    // `2 a + 2 a a / (1 - a)` keeps the leading part exact.
    let added = twice * (a / (1.0 - a));
    let (sum, lost) = sum_of_three(twice, added);
    let logarithm = log_of_sum(sum, lost);
    let half = (logarithm * 0.5).copy_sign(x);
    let limit = a.eq(1.0).select(x.number(f64::INFINITY).copy_sign(x), half);
    a.gt(1.0).select(x.number(f64::NAN), limit)
}
