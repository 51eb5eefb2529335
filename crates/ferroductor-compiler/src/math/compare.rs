//! Functions that choose: `minimum`, `maximum`, `sign`.

use super::builder::Value;

/// ATen's `minimum`: NaN if either operand is; the second operand where both are equal, which
/// decides between the zeros.
pub fn minimum<'b>(a: Value<'b>, b: Value<'b>) -> Value<'b> {
    let lesser = a.min_num(b);
    if a.scalar().is_float() {
        a.is_nan().select(a, lesser)
    } else {
        lesser
    }
}

/// ATen's `maximum`: NaN if either operand is; the first operand where both are equal.
pub fn maximum<'b>(a: Value<'b>, b: Value<'b>) -> Value<'b> {
    let greater = b.max_num(a);
    if a.scalar().is_float() {
        b.is_nan().select(b, greater)
    } else {
        greater
    }
}

/// -1, 0 or 1; zero (never -0) for zeros and NaN, as ATen has it.
pub fn sign(x: Value<'_>) -> Value<'_> {
    if x.scalar().is_float() {
        let (zero, one) = (x.number(0.0), x.number(1.0));
        return x.gt(0.0).select(one, x.lt(0.0).select(-one, zero));
    }
    let (zero, one) = (x.number(0), x.number(1));
    x.gt(0).select(one, x.lt(0).select(-one, zero))
}
