//! Powers.

use super::builder::Value;
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
    let field = (shifted & (0x7ff << 52)).shr(52) | two_52.to_bits() as i64;
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
