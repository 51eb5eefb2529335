//! Division with a remainder: `fmod`, `remainder`, `floor_divide`, for floats and integers.
//!
//! There is no double-precision version: the quotient of two doubles has up to 2098 bits, which
//! straight-line code would take off in some forty divisions. ATen does these.

use super::builder::Value;
use ferroductor_ir::dtype::DType;

/// C's `fmod`, exact. The quotient of two `f32` has up to 277 bits; each round takes the leading
/// ones off in double precision, where every remainder is exact.
pub fn fmod_f32<'b>(x: Value<'b>, y: Value<'b>) -> Value<'b> {
    let dividend = x.abs().convert(DType::F64);
    // An infinite divisor behaves as any that is larger than all dividends.
    let divisor = y.abs().convert(DType::F64).at_most(f64::powi(2.0, 200));
    let reciprocal = 1.0 / divisor;
    let mut rest = dividend;
    // A round takes off 51 bits of the quotient, or 28 where the product must be short.
    for _ in 0..if x.builder().has_fma() { 6 } else { 10 } {
        let quotient = leading_quotient(rest * reciprocal);
        rest = quotient.fnma(divisor, rest);
    }
    // The last quotient may be wrong by one.
    let rest = rest.lt(0.0).select(rest + divisor, rest);
    let rest = rest.ge(divisor).select(rest - divisor, rest);
    rest.convert(DType::F32).copy_sign(x)
}

/// A whole number near the quotient whose product with an `f32` subtracts exactly: with a fused
/// multiply-add any, else one of 29 bits.
fn leading_quotient(quotient: Value<'_>) -> Value<'_> {
    let whole = quotient.trunc();
    if quotient.builder().has_fma() {
        return whole;
    }
    (whole.bits() & !((1 << 24) - 1)).float()
}

/// ATen's `remainder`: the sign of the divisor.
pub fn remainder_f32<'b>(x: Value<'b>, y: Value<'b>) -> Value<'b> {
    let rest = fmod_f32(x, y);
    has_wrong_sign(rest, y).select(rest + y, rest)
}

/// Is the remainder not zero, and of another sign than the divisor?
fn has_wrong_sign<'b>(rest: Value<'b>, divisor: Value<'b>) -> Value<'b> {
    rest.ne(0.0) & (rest.lt(0.0) ^ divisor.lt(0.0))
}

/// ATen's `div(rounding_mode="floor")`, which is Python's `//`: from the exact remainder, so that
/// the quotient is not rounded up to the next integer before it is rounded down.
pub fn floor_divide_f32<'b>(x: Value<'b>, y: Value<'b>) -> Value<'b> {
    let rest = fmod_f32(x, y);
    let whole = (x - rest) / y;
    let below = has_wrong_sign(rest, y).select(whole - 1.0, whole);
    let floor = below.floor();
    let nearest = (below - floor).gt(0.5).select(floor + 1.0, floor);
    let quotient = x / y;
    let signed_zero = x.number(0.0).copy_sign(quotient);
    let result = below.ne(0.0).select(nearest, signed_zero);
    y.eq(0.0).select(quotient, result)
}

/// The sign of the dividend; zero for a zero divisor.
pub fn fmod_int<'b>(x: Value<'b>, y: Value<'b>) -> Value<'b> {
    x % y
}

/// The sign of the divisor; zero for a zero divisor, which ATen refuses and the caller must test.
pub fn remainder_int<'b>(x: Value<'b>, y: Value<'b>) -> Value<'b> {
    let rest = x % y;
    if x.scalar() == DType::U8 {
        return rest;
    }
    let is_wrong = rest.ne(0) & (rest ^ y).lt(0);
    is_wrong.select(rest + y, rest)
}

/// Rounds towards minus infinity; zero for a zero divisor, which ATen refuses and the caller must
/// test.
pub fn floor_divide_int<'b>(x: Value<'b>, y: Value<'b>) -> Value<'b> {
    let quotient = x / y;
    if x.scalar() == DType::U8 {
        return quotient;
    }
    let rest = x % y;
    let is_above = rest.ne(0) & (rest ^ y).lt(0);
    is_above.select(quotient - 1, quotient)
}
