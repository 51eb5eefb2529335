//! Inverse trigonometric functions, in double precision. Single precision goes through it.

use super::builder::Value;
use std::f64::consts::{FRAC_PI_2, FRAC_PI_4};

/// `(atan(t) / t - 1) / t^2` in powers of `t^2`, for `t` up to 1/2; error 2^-57.
const ATAN: [f64; 12] = [
    -0.3333333333333298,
    0.19999999999903162,
    -0.142857142763898,
    0.1111111065978639,
    -0.09090896248091122,
    0.07692073959969098,
    -0.06663811058324891,
    0.05858301660755193,
    -0.051220170860272536,
    0.041865338456470336,
    -0.02743539392626354,
    0.010117140614555617,
];
/// `(asin(s) / s - 1) / s^2` in powers of `s^2`, for `s` up to 1/2; error 2^-58.
const ASIN: [f64; 13] = [
    0.16666666666666763,
    0.07499999999970262,
    0.044642857175120274,
    0.030381942683651943,
    0.022372215659149156,
    0.017351600114310296,
    0.013980961173960919,
    0.011397778245200925,
    0.010786516782620494,
    0.0036830861141764083,
    0.02176339824146348,
    -0.021077159297296623,
    0.03267681290450197,
];

/// `pi / 4` as a double, which ends in three zero bits, so that small multiples are exact; and the
/// rest.
const QUARTER_PI: [f64; 2] = [FRAC_PI_4, 3.061616997868383e-17];
/// What `pi / 2` has beyond its double.
const HALF_PI_REST: f64 = 6.123233995736766e-17;

pub fn atan(x: Value<'_>) -> Value<'_> {
    let a = x.abs();
    let is_steep = a.gt(1.0);
    let one = a.number(1.0);
    let (minor, major) = (is_steep.select(one, a), is_steep.select(a, one));
    angle(minor, major, is_steep, None).copy_sign(x)
}

/// The angle of the point `(x, y)`.
pub fn atan2<'b>(y: Value<'b>, x: Value<'b>) -> Value<'b> {
    let (a, b) = (y.abs(), x.abs());
    let is_steep = a.gt(b);
    let (minor, major) = (is_steep.select(b, a), is_steep.select(a, b));
    // Keeps the sum of both finite. A minor that this rounds to zero is negligible.
    let scale = major
        .gt(f64::powi(2.0, 1000))
        .select(x.number(f64::powi(2.0, -100)), x.number(1.0));
    // Two zeros have the slope 0, two infinities 1.
    let is_diagonal = minor.eq(f64::INFINITY);
    let minor = is_diagonal.select(x.number(1.0), minor * scale);
    let finite = is_diagonal.select(x.number(1.0), major * scale);
    let major = major.eq(0.0).select(x.number(1.0), finite);
    let is_left = x.number(1.0).copy_sign(x).lt(0.0);
    let is_nan = x.is_nan() | y.is_nan();
    let result = angle(minor, major, is_steep, Some(is_left)).copy_sign(y);
    is_nan.select(x + y, result)
}

/// `atan(minor / major)` for `0 <= minor <= major`, mirrored at `pi / 4` where the point is steep
/// and at `pi / 2` where it is left. The multiple of `pi / 4` is added last, in two parts.
fn angle<'b>(
    minor: Value<'b>,
    major: Value<'b>,
    is_steep: Value<'b>,
    is_left: Option<Value<'b>>,
) -> Value<'b> {
    // From one half on the difference is exact.
    let is_middle = minor.gt(major * 0.5);
    let t = is_middle.select(minor - major, minor) / is_middle.select(minor + major, major);
    let z = t * t;
    let rest = (t * z).fma(z.polynomial(&ATAN), t);
    let (zero, one) = (t.number(0.0), t.number(1.0));
    let mut quarters = is_middle.select(one, zero);
    let mut sign = one;
    quarters = is_steep.select(2.0 - quarters, quarters);
    sign = is_steep.select(-sign, sign);
    if let Some(is_left) = is_left {
        quarters = is_left.select(4.0 - quarters, quarters);
        sign = is_left.select(-sign, sign);
    }
    quarters * QUARTER_PI[0] + quarters.fma(QUARTER_PI[1], rest * sign)
}

/// What arc sine and arc cosine share: `s` with `asin(s)`, where `|x|` is `s` itself up to one half,
/// and `sqrt(1 - s^2)` in the sense of `1 - 2 s^2` beyond.
struct Arc<'b> {
    is_large: Value<'b>,
    s: Value<'b>,
    /// `asin(s) - s`
    rest: Value<'b>,
}

fn arc(a: Value<'_>) -> Arc<'_> {
    let is_large = a.gt(0.5);
    let z = is_large.select(0.5 * (1.0 - a), a * a);
    let root = z.sqrt();
    let s = is_large.select(root, a);
    // The square root's rounding error, to first order, by the derivative 1.
    let (high, low) = root.exact_product(root);
    let root_error = ((z - high) - low) / (root + root);
    let correction = (is_large & root.gt(0.0)).select(root_error, a.number(0.0));
    let rest = (s * z).fma(z.polynomial(&ASIN), correction);
    Arc { is_large, s, rest }
}

pub fn asin(x: Value<'_>) -> Value<'_> {
    let Arc { is_large, s, rest } = arc(x.abs());
    let small = s + rest;
    // Half an angle, subtracted from a quarter turn: greatest parts first.
    let difference = QUARTER_PI[0] - s;
    let lost = (QUARTER_PI[0] - difference) - s;
    let half = difference + ((QUARTER_PI[1] - rest) + lost);
    is_large.select(half * 2.0, small).copy_sign(x)
}

pub fn acos(x: Value<'_>) -> Value<'_> {
    let Arc { is_large, s, rest } = arc(x.abs());
    let is_left = x.lt(0.0);
    // Beyond one half: 2 asin(s), or pi less that. Within: pi / 2 less asin(x).
    let near_right = 2.0 * (s + rest);
    let near_left = 2.0 * (FRAC_PI_2 - s + (HALF_PI_REST - rest));
    let signed = is_left.select(-s, s);
    let signed_rest = is_left.select(-rest, rest);
    let difference = FRAC_PI_2 - signed;
    let lost = (FRAC_PI_2 - difference) - signed;
    let middle = difference + ((HALF_PI_REST - signed_rest) + lost);
    is_large.select(is_left.select(near_left, near_right), middle)
}
