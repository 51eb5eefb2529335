//! The exponential and its kin: `exp`, `exp2`, `expm1`, `sigmoid`.
//!
//! All split the operand into `n ln 2 + r` with `|r| <= ln 2 / 2` and use a polynomial `q` with
//! `exp(r) = 1 + r + r^2 q(r)`, so that the two greatest terms carry no error of a coefficient.

use super::builder::Value;
use super::format::{Nearest, nearest};
use ferroductor_ir::dtype::DType;
use std::f64::consts::{LN_2, LOG2_E};

/// `(exp(r) - 1 - r) / r^2` on `|r| <= ln 2 / 2`; error 2^-28 of `exp(r)`.
const EXP_F32: [f64; 5] = [
    0.49999994,
    0.16666521,
    0.041668274,
    0.008368683,
    0.0013820053,
];
/// The same; error 2^-56.
const EXP_F64: [f64; 10] = [
    0.5000000000000011,
    0.16666666666666413,
    0.04166666666653016,
    0.008333333333494465,
    0.0013888888943628945,
    0.0001984126950656571,
    2.480149310007098e-05,
    2.755758638843295e-06,
    2.7630247990155085e-07,
    2.5000056708160523e-08,
];
/// `(exp(r) - 1 - r) / r^2` again; error 2^-26 of `expm1(r)`.
const EXPM1_F32: [f64; 5] = [
    0.49999997,
    0.16666546,
    0.041667435,
    0.008366272,
    0.0013870692,
];
/// The same; error 2^-58.
const EXPM1_F64: [f64; 11] = [
    0.5,
    0.16666666666666682,
    0.041666666666666095,
    0.008333333333317034,
    0.0013888888889115668,
    0.0001984126989638535,
    2.4801586926559774e-05,
    2.7557234860519807e-06,
    2.755758190624906e-07,
    2.5112037290469702e-08,
    2.082661040031384e-09,
];
/// `(2^r - 1) / r` on `|r| <= 1/2`; error 2^-28 of `2^r`.
const EXP2_F32: [f64; 6] = [
    LN_2,
    0.24022648,
    0.0555036,
    0.009618506,
    0.0013390806,
    0.00015326473,
];
/// The same; error 2^-55.
const EXP2_F64: [f64; 12] = [
    LN_2,
    0.24022650695910072,
    0.05550410866482169,
    0.00961812910762833,
    0.0013333558146392688,
    0.00015403530393640755,
    1.5252733854319745e-05,
    1.3215486594888574e-06,
    1.0178051941364606e-07,
    7.054974486137083e-09,
    4.456570596502064e-10,
    2.5625410688440726e-11,
];

/// `e^x`. The bounds lie just beyond the operands whose results overflow or round to zero.
pub fn exp(x: Value<'_>) -> Value<'_> {
    exp_scaled(between(x, x.by_format((-104.0, 89.0), (-746.0, 710.0))))
}

/// Bounds the operand of `2^n p(r)`, but not from above where one instruction scales by any `2^n`
/// and `p` is of even degree and positive, as in single precision: a great `n` then gives infinity
/// whatever became of `r`, and so does an infinite one even if `r` is no number.
fn between<'b>(x: Value<'b>, (lowest, highest): (f64, f64)) -> Value<'b> {
    let x = x.at_least(lowest);
    if x.builder().has_scale() && x.scalar() == DType::F32 {
        x
    } else {
        x.at_most(highest)
    }
}

fn exp_scaled(x: Value<'_>) -> Value<'_> {
    let [ln_2, rest] = x.format().ln_2;
    let n = nearest(x, LOG2_E, 2 * x.format().bias);
    let r = n.float.fnma(rest, n.float.fnma(ln_2, x));
    n.scale(exp_near_zero(r))
}

/// `e^r` for `|r| <= ln 2 / 2`.
fn exp_near_zero(r: Value<'_>) -> Value<'_> {
    let q = r.polynomial(r.by_format(&EXP_F32, &EXP_F64));
    (r * r).fma(q, r) + 1.0
}

/// `factor e^(x + rest)`, scaled last, so that a subnormal product is rounded once.
pub(super) fn exp_times<'b>(x: Value<'b>, rest: Value<'b>, factor: Value<'b>) -> Value<'b> {
    let split = split_by_ln_2(x, 2 * x.format().bias);
    let low = split.low.map_or(rest, |low| low + rest);
    split.n.scale(exp_near_zero(split.high + low) * factor)
}

/// `e^x / 2`, which is finite a little beyond the range of `e^x`, for `x >= 0` in double precision.
pub(super) fn half_exp(x: Value<'_>) -> Value<'_> {
    let [ln_2, rest] = x.format().ln_2;
    let x = x.at_most(710.6);
    let n = nearest(x, LOG2_E, x.format().bias - 2);
    let r = n.float.fnma(rest, n.float.fnma(ln_2, x));
    exp_near_zero(r) * n.power_of_two() * 2.0
}

/// `(e^a - 1) / 2` for `a >= 0`, likewise.
pub(super) fn half_expm1(a: Value<'_>) -> Value<'_> {
    let split = split_by_ln_2(a.at_most(710.6), a.format().bias - 2);
    split.expm1_times_power(0.25) * 2.0
}

/// `2^x`.
pub fn exp2(x: Value<'_>) -> Value<'_> {
    let x = between(x, x.by_format((-151.0, 128.0), (-1076.0, 1024.0)));
    let n = nearest(x, 1.0, 2 * x.format().bias);
    let r = x - n.float;
    let q = r.polynomial(r.by_format(&EXP2_F32, &EXP2_F64));
    n.scale(r.fma(q, 1.0))
}

/// `e^x - 1`. Works with half the power of two, since `2^n` itself overflows before the result.
pub fn expm1(x: Value<'_>) -> Value<'_> {
    let (lowest, highest) = x.by_format((-18.0, 89.0), (-40.0, 710.0));
    let split = split_by_ln_2(x.at_least(lowest).at_most(highest), x.format().bias - 1);
    (split.expm1_times_power(0.5) * 2.0).copy_sign(x)
}

/// `e^(x + rest) - 1` with `rest` below the last bit of `x`, where an error of `n 2^-29` relative
/// to `2^n` is small beside the result's own rounding. `2^n` must be a normal number.
pub(super) fn expm1_of_sum<'b>(x: Value<'b>, rest: Option<Value<'b>>) -> Value<'b> {
    let bias = x.format().bias;
    let mut split = if x.builder().has_fma() && x.scalar() == DType::F32 {
        // One step: the product is exact before the subtraction, `ln 2` is good to 2^-29.
        let n = nearest(x, LOG2_E, bias);
        let high = n.float.fnma(LN_2, x);
        Split { n, high, low: None }
    } else {
        split_by_ln_2(x, bias)
    };
    split.low = match (split.low, rest) {
        (Some(low), Some(rest)) => Some(low + rest),
        (low, rest) => low.or(rest),
    };
    split.expm1_times_power(1.0)
}

/// `x = n ln 2 + high + low`, with `high` exact.
struct Split<'b> {
    n: Nearest<'b>,
    high: Value<'b>,
    low: Option<Value<'b>>,
}

fn split_by_ln_2<'b>(x: Value<'b>, offset: i64) -> Split<'b> {
    let [ln_2, rest] = x.format().ln_2;
    let n = nearest(x, LOG2_E, offset);
    Split {
        n,
        high: n.float.fnma(ln_2, x),
        low: Some(n.float * -rest),
    }
}

impl<'b> Split<'b> {
    /// `scale * (e^x - 1)`, where the offset of `n` makes `2^n` times `scale` the power of two.
    ///
    /// `2^n (e^r - 1) + 2^n - 1` is summed from its greatest parts, each of which is nearly exact.
    fn expm1_times_power(&self, scale: f64) -> Value<'b> {
        let r = self.low.map_or(self.high, |low| self.high + low);
        let q = r.polynomial(r.by_format(&EXPM1_F32, &EXPM1_F64));
        let correction = match self.low {
            Some(low) => (r * r).fma(q, low),
            None => r * r * q,
        };
        let power = self.n.power_of_two();
        let leading = power.fma(self.high, power - scale);
        power.fma(correction, leading)
    }
}

/// `1 / (1 + e^-x)`; one minus the value at `-x` for positive operands.
pub fn sigmoid(x: Value<'_>) -> Value<'_> {
    let lowest = x.by_format(104.0, 746.0);
    // The result may be subnormal, its power of two must not be.
    let (raise, lower) = x.by_format((32, f64::powi(2.0, -32)), (64, f64::powi(2.0, -64)));
    let Logistic { power, r, factor } = logistic(x.abs().at_most(lowest), 1.0, raise);
    // `2^n + r factor + 1`. Tiny powers would be lost beside 1, and beside 1/4 are not.
    let sum = r.fma(factor, power.fma(lower, -0.25)) + 1.25;
    let below_half = power / sum * lower;
    x.lt(0.0).select(below_half, 1.0 - below_half)
}

/// `2 / (1 + e^2a)` for `a` from 0 to 30.
pub(super) fn twice_logistic(a: Value<'_>) -> Value<'_> {
    let Logistic { power, r, factor } = logistic(a, 2.0, 0);
    2.0 * power / r.fma(factor, power + 1.0)
}

/// `1 / (1 + e^y)` is `2^n / (2^n + e^r)`, where `y = r - n ln 2`. The divisor is summed from parts
/// of which most are exact.
struct Logistic<'b> {
    /// `2^(n + raise)`
    power: Value<'b>,
    r: Value<'b>,
    /// `(e^r - 1) / r`
    factor: Value<'b>,
}

/// For `y = factor * a`, where `factor` is a power of two and `a` is not negative.
fn logistic<'b>(a: Value<'b>, factor: f64, raise: i64) -> Logistic<'b> {
    let [ln_2, rest] = a.format().ln_2;
    let n = nearest(a, -LOG2_E * factor, a.format().bias + raise);
    let r = n.float.fma(rest / factor, n.float.fma(ln_2 / factor, a));
    let coefficients: &[f64] = a.by_format(&EXP_F32, &EXP_F64);
    let mut scaled = vec![factor];
    let mut scale = factor;
    for coefficient in coefficients {
        scale *= factor;
        scaled.push(coefficient * scale);
    }
    Logistic {
        power: n.power_of_two(),
        r,
        factor: r.polynomial(&scaled),
    }
}
