//! Powers.

use super::builder::Value;
use super::exp::exp_times;
use super::log::split_positive;
use super::two::{Two, exact_product, ordered_sum};
use ferroductor_ir::dtype::DType;

/// `log2((1 + s) / (1 - s)) / s` in powers of `s^2`, for numbers between `sqrt(1/2)` and
/// `sqrt(2)`; error 2^-45.
const LOG2: [f64; 6] = [
    2.88539008177785,
    0.9617966941134769,
    0.5770779423201858,
    0.41220925733356745,
    0.3199054775997918,
    0.28290350393603736,
];

/// `2^r` for `|r| <= 1/2`; error 2^-34.
const EXP2: [f64; 8] = [
    0.9999999999616798,
    0.6931471807283714,
    0.24022651198186645,
    0.05550410353575055,
    0.009618027250537103,
    0.0013333922487653383,
    0.00015469291967717266,
    1.5201936617021e-05,
];

/// `x^y` in single precision, by `2^(y log2 |x|)` in double precision: the product needs some
/// 33 bits, and every `f32` and every result is a normal `f64`.
pub fn pow_f32<'b>(x: Value<'b>, y: Value<'b>) -> Value<'b> {
    let a = x.abs();
    let logarithm = log2_of_magnitude(a.convert(DType::F64));
    let exponent = y.convert(DType::F64) * logarithm;
    let magnitude = exp2_short(exponent.at_least(-160.0).at_most(130.0)).convert(DType::F32);
    with_power_rules(x, y, magnitude)
}

/// `log2(a)` to 2^-44 for `a >= 0`; minus infinity, infinity and NaN where the limit is.
fn log2_of_magnitude(a: Value<'_>) -> Value<'_> {
    let half_root = 0x3fe6_a09e_667f_3bcd_i64;
    let shifted = a.bits() + (0x3ff0_0000_0000_0000 - half_root);
    let two_52 = f64::powi(2.0, 52);
    // The exponent field is positive here, and becomes the low bits of 2^52 + exponent.
    let field = ((shifted & (0x7ff << 52)) >> 52) | two_52.to_bits() as i64;
    let exponent = field.float() - (two_52 + 1023.0);
    let significand = ((shifted & ((1 << 52) - 1)) + half_root).float();
    let s = (significand - 1.0) / (significand + 1.0);
    let logarithm = s.fma((s * s).polynomial(&LOG2), exponent);
    let not_zero = a.eq(0.0).select(a.number(f64::NEG_INFINITY), logarithm);
    a.lt(f64::INFINITY).select(not_zero, a)
}

/// `2^x` to 2^-33 for `x` well inside the exponents of `f64`; NaN stays.
fn exp2_short(x: Value<'_>) -> Value<'_> {
    let n = super::format::nearest(x, 1.0, 1023);
    (x - n.float).polynomial(&EXP2) * n.power_of_two()
}

/// `x^y` in double precision: `e^(y log |x|)` with the logarithm in two doubles, since its relative
/// error is multiplied by up to 745.
pub fn pow_f64<'b>(x: Value<'b>, y: Value<'b>) -> Value<'b> {
    let a = x.abs();
    let logarithm = log_in_two(a);
    // Beyond the bound the result is 0, 1 or infinite, and the products stay finite.
    let bounded = y.at_least(-EXPONENT_BOUND).at_most(EXPONENT_BOUND);
    let product = logarithm.scaled(bounded);
    let in_range = product.high.at_least(-760.0).at_most(760.0);
    let is_in_range = in_range.eq(product.high);
    let rest = is_in_range.select(product.low, x.number(0.0));
    let magnitude = exp_times(in_range, rest, x.number(1.0));
    let is_edge = a.eq(0.0) | a.eq(f64::INFINITY);
    let grows = a.gt(1.0) ^ y.lt(0.0);
    let edge = grows.select(x.number(f64::INFINITY), x.number(0.0));
    let is_nan = x.is_nan() | y.is_nan();
    let magnitude = is_nan.select(x + y, is_edge.select(edge, magnitude));
    with_power_rules(x, y, magnitude)
}

/// 2^66: no double but 1 stays finite and non-zero at this power.
const EXPONENT_BOUND: f64 = 73786976294838206464.0;

/// `(atanh(s) / s - 1 - s^2 / 3) / s^4` in powers of `s^2`, for `s` up to 0.172; error 2^-65 of
/// `atanh(s) / s`.
const ATANH_REST: [f64; 7] = [
    0.20000000000001128,
    0.1428571428504923,
    0.11111111260062688,
    0.09090892174508317,
    0.07693379091687766,
    0.06628398743671755,
    0.06598260258360247,
];
/// What the double 1/3 lacks.
const THIRD_REST: f64 = 1.850371707708594e-17;
/// `ln 2` in three parts; the first two have few enough bits for exact multiples.
const LN_2: [f64; 3] = [
    0.6931471805592082,
    7.371002565161996e-13,
    5.8029889835956905e-25,
];

/// `log(a)` to some 2^-66 of itself, for positive finite `a`: with `s = f / (2 + f)`, twice
/// `s + s^3 / 3 + …`, of which only the terms from the third on are small enough for one double.
fn log_in_two(a: Value<'_>) -> Two<'_> {
    let parts = split_positive(a);
    let f = parts.significand - 1.0;
    let divisor = ordered_sum(a.number(2.0), f);
    let reciprocal = 1.0 / divisor.high;
    let s = quotient(f, divisor, reciprocal);
    let z = s.times(s);
    let third = ordered_sum(a.number(1.0 / 3.0), z.high * z.high.polynomial(&ATANH_REST));
    let third = Two {
        low: third.low + THIRD_REST,
        ..third
    };
    let cubic = s.times(z.times(third));
    let sum = ordered_sum(s.high, cubic.high);
    let half = ordered_sum(sum.high, sum.low + (s.low + cubic.low));
    let e = parts.exponent;
    let leading = ordered_sum(e * LN_2[0], half.high * 2.0);
    // Where the exponent is zero the first summand is not the greater, but it is zero.
    let is_zero = e.eq(0.0);
    let high = is_zero.select(half.high * 2.0, leading.high);
    let lost = is_zero.select(a.number(0.0), leading.low);
    let low = e.fma(LN_2[1], lost) + e.fma(LN_2[2], half.low * 2.0);
    ordered_sum(high, low)
}

/// `f / divisor`, given `1 / divisor` in one double.
fn quotient<'b>(f: Value<'b>, divisor: Two<'b>, reciprocal: Value<'b>) -> Two<'b> {
    let high = f * reciprocal;
    let product = exact_product(high, divisor.high);
    let remainder = high.fnma(divisor.low, (f - product.high) - product.low);
    ordered_sum(high, remainder * reciprocal)
}

/// C's rules for `pow`, given `|x|^y` with NaN where infinity meets zero.
fn with_power_rules<'b>(x: Value<'b>, y: Value<'b>, magnitude: Value<'b>) -> Value<'b> {
    let is_whole = y.floor().eq(y);
    let half = y * 0.5;
    let is_odd = is_whole & half.floor().ne(half);
    let signed = is_odd.select(magnitude.copy_sign(x), magnitude);
    // A negative number has no power that is not whole. Minus infinity has.
    let has_none = x.lt(0.0) & x.gt(f64::NEG_INFINITY) & !is_whole;
    let result = has_none.select(x.number(f64::NAN), signed);
    let minus_one_to_infinity = x.eq(-1.0) & y.abs().eq(f64::INFINITY);
    let is_one = x.eq(1.0) | y.eq(0.0) | minus_one_to_infinity;
    is_one.select(x.number(1.0), result)
}

/// Integer power by squaring, wrapping. A negative exponent gives what ATen gives: the reciprocal
/// where it is an integer, else 0 (for the base 0 too).
pub fn pow_int<'b>(base: Value<'b>, exponent: Value<'b>) -> Value<'b> {
    let scalar = base.scalar();
    let is_signed = scalar != DType::U8;
    let bits = 8 * scalar.size() as i64 - i64::from(is_signed);
    let mut power = base.number(1);
    let mut square = base;
    for bit in 0..bits {
        let is_set = (exponent & (1i64 << bit)).ne(0);
        power = is_set.select(power * square, power);
        square = square * square;
    }
    if !is_signed {
        return power;
    }
    let (zero, one) = (base.number(0), base.number(1));
    let is_odd = (exponent & 1).ne(0);
    let of_minus_one = is_odd.select(-one, one);
    let others = base.eq(-1).select(of_minus_one, zero);
    let reciprocal = base.eq(1).select(one, others);
    exponent.lt(0).select(reciprocal, power)
}
