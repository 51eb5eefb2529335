//! Logarithms.
//!
//! All write the operand as `2^e (1 + f)` with `1 + f` between `sqrt(1/2)` and `sqrt(2)`, and
//! `log(1 + f)` as `f + t` with `t` small, so that most of the result carries no error.

use super::builder::Value;
use ferroductor_ir::dtype::DType;

/// `(log(1 + f) - f + f^2 / 2) / f^3` for the range of `f`; error 2^-27 of `log(1 + f)`.
const LOG_F32: [f64; 8] = [
    0.3333333,
    -0.2500082,
    0.2000124,
    -0.16623402,
    0.1420161,
    -0.13159752,
    0.12762114,
    -0.07635904,
];
/// `(2 atanh(s) / s - 2) / s^2` in powers of `s^2`, `s = f / (2 + f)`; error 2^-57.
const LOG_F64: [f64; 7] = [
    0.6666666666666734,
    0.3999999999941397,
    0.2857142874256337,
    0.22222198553541525,
    0.18183565423371895,
    0.15314020653437413,
    0.14796266160418664,
];

/// A positive number in parts: `2^exponent * (1 + f)`.
pub(super) struct Parts<'b> {
    /// As a float.
    pub exponent: Value<'b>,
    /// `1 + f`
    pub significand: Value<'b>,
}

/// The bits of `sqrt(1/2)`: subtracting them carries into the exponent field exactly where the
/// significand passes `sqrt(2)`.
fn half_root_bits(x: Value<'_>) -> i64 {
    x.by_format(0x3f35_04f3, 0x3fe6_a09e_667f_3bcd)
}

/// Splits a positive normal number. `bits` may be those of `x * 2^raise`; nothing is promised for
/// other operands but that no instruction traps.
fn split<'b>(x: Value<'b>, bits: Value<'b>, bits_of_origin: Value<'b>) -> Parts<'b> {
    let format = x.format();
    let fraction_mask = (1i64 << format.fraction_bits) - 1;
    let distance = bits - bits_of_origin;
    let significand = ((distance & fraction_mask) + half_root_bits(x)).float();
    let exponent = match x.scalar() {
        DType::F64 => {
            // No target but AVX-512 converts 64-bit integers: the exponent, biased to be positive
            // in 12 bits, becomes the low bits of 2^52 + exponent.
            let bias = 2 * format.bias;
            let biased = distance + (bias << format.fraction_bits);
            let field = (biased >> format.fraction_bits) & 0xfff;
            let two_52 = f64::powi(2.0, 52);
            (field | two_52.to_bits() as i64).float() - (two_52 + bias as f64)
        }
        scalar => (distance >> format.fraction_bits).convert(scalar),
    };
    Parts {
        exponent,
        significand,
    }
}

/// Splits any positive finite number; a subnormal one is multiplied into the normal range first.
pub(super) fn split_positive(x: Value<'_>) -> Parts<'_> {
    let format = x.format();
    let tiny = x.lt(format.smallest_normal);
    let raise = format.fraction_bits;
    let raised = tiny.select(x * f64::powi(2.0, raise as i32), x);
    let origin = x.bits().number(half_root_bits(x));
    let raised_origin = origin + (raise << format.fraction_bits);
    split(x, raised.bits(), tiny.select(raised_origin, origin))
}

/// `t` in `log(1 + f) = f + t`.
fn log1p_rest(f: Value<'_>) -> Value<'_> {
    let square = f * f;
    if f.scalar() == DType::F64 {
        let s = f / (f + 2.0);
        let z = s * s;
        let half_square = square * 0.5;
        return s * z.fma(z.polynomial(&LOG_F64), half_square) - half_square;
    }
    square * f.fma(f.polynomial(&LOG_F32), -0.5)
}

/// Puts in the results that the formulas miss: zero, negative numbers, infinity and NaN.
fn with_limits<'b>(x: Value<'b>, result: Value<'b>) -> Value<'b> {
    let outside = x
        .eq(0.0)
        .select(x.number(f64::NEG_INFINITY), x.number(f64::NAN));
    let above_zero = x.gt(0.0).select(result, outside);
    // What is not below infinity is infinity or NaN, and stays.
    x.lt(f64::INFINITY).select(above_zero, x)
}

/// `exponent * ln 2 + f + t`, smallest parts first.
fn sum_in_e<'b>(exponent: Value<'b>, f: Value<'b>, t: Value<'b>) -> Value<'b> {
    if f.builder().has_fma() && f.scalar() == DType::F32 {
        // The product is exact before the sum, and `ln 2` in 24 bits is good to 2^-29.
        return exponent.fma(std::f64::consts::LN_2, f + t);
    }
    let [ln_2, rest] = f.format().ln_2;
    exponent.fma(ln_2, f + exponent.fma(rest, t))
}

/// Natural logarithm.
pub fn log(x: Value<'_>) -> Value<'_> {
    let parts = split_positive(x);
    let f = parts.significand - 1.0;
    with_limits(x, sum_in_e(parts.exponent, f, log1p_rest(f)))
}

/// Logarithm to base 2. The factor `1 / ln 2` is `1 + 0.44…`, so that `f` itself stays exact.
pub fn log2(x: Value<'_>) -> Value<'_> {
    let parts = split_positive(x);
    let f = parts.significand - 1.0;
    let t = log1p_rest(f);
    let rest = (f + t).fma(std::f64::consts::LOG2_E - 1.0, t);
    with_limits(x, parts.exponent + (f + rest))
}

/// Logarithm to base 10. The factor `1 / ln 10` is `1/2 - 0.065…`, a short number and a small one.
pub fn log10(x: Value<'_>) -> Value<'_> {
    let parts = split_positive(x);
    let f = parts.significand - 1.0;
    let t = log1p_rest(f);
    let [log10_2, log10_2_rest] = x.by_format(
        [0.301025390625, 4.605038981195214e-06],
        [0.30102999566395283, 2.8363394551044964e-14],
    );
    let small = (f + t).fma(std::f64::consts::LOG10_E - 0.5, t * 0.5);
    let rest = f.fma(0.5, parts.exponent.fma(log10_2_rest, small));
    with_limits(x, parts.exponent.fma(log10_2, rest))
}

/// `log(1 + x)`.
pub fn log1p(x: Value<'_>) -> Value<'_> {
    let sum = x + 1.0;
    let lost = x - (sum - 1.0);
    with_limits(sum, log_of_sum(sum, lost)).copy_sign(x)
}

/// `log(sum + lost)` for a normal positive `sum` and a `lost` below its last bit.
pub(super) fn log_of_sum<'b>(sum: Value<'b>, lost: Value<'b>) -> Value<'b> {
    let format = sum.format();
    let bits = sum.bits();
    let parts = split(sum, bits, bits.number(half_root_bits(sum)));
    // 2^-exponent, from the difference of both bit patterns; beyond 2^100 nothing was lost, and
    // the bound keeps the power finite.
    let power_bits = (parts.significand.bits() - bits) + (format.bias << format.fraction_bits);
    let floor = (format.bias - 100) << format.fraction_bits;
    let inverse_power = power_bits.max_num(floor).float();
    let f = lost.fma(inverse_power, parts.significand - 1.0);
    sum_in_e(parts.exponent, f, log1p_rest(f))
}
