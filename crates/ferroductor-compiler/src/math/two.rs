//! Numbers as unevaluated sums of two doubles: some 106 bits, where one rounding is too many.

use super::builder::Value;

/// `high + low`, with `low` at most about half a unit of the last place of `high`.
#[derive(Clone, Copy)]
pub struct Two<'b> {
    pub high: Value<'b>,
    pub low: Value<'b>,
}

/// The exact sum of `a` and a `b` that is not greater, or of any `b` where `a` is zero.
pub fn ordered_sum<'b>(a: Value<'b>, b: Value<'b>) -> Two<'b> {
    let high = a + b;
    Two {
        high,
        low: b - (high - a),
    }
}

/// The exact sum, whatever the order of magnitudes.
pub fn exact_sum<'b>(a: Value<'b>, b: Value<'b>) -> Two<'b> {
    let high = a + b;
    let b_part = high - a;
    let a_part = high - b_part;
    Two {
        high,
        low: (a - a_part) + (b - b_part),
    }
}

pub fn exact_product<'b>(a: Value<'b>, b: Value<'b>) -> Two<'b> {
    let (high, low) = a.exact_product(b);
    Two { high, low }
}

impl<'b> Two<'b> {
    /// The product with one double.
    pub fn scaled(self, factor: Value<'b>) -> Two<'b> {
        let product = exact_product(self.high, factor);
        ordered_sum(product.high, self.low.fma(factor, product.low))
    }

    pub fn times(self, other: Two<'b>) -> Two<'b> {
        let product = exact_product(self.high, other.high);
        let cross = self
            .high
            .fma(other.low, self.low.fma(other.high, product.low));
        ordered_sum(product.high, cross)
    }

    /// The quotient rounded to one double.
    pub fn divided_by(self, divisor: Two<'b>) -> Value<'b> {
        let quotient = self.high / divisor.high;
        let product = exact_product(quotient, divisor.high);
        let rest = (self.high - product.high) - product.low;
        let remainder = quotient.fnma(divisor.low, rest + self.low);
        quotient + remainder / divisor.high
    }

    /// One of two numbers.
    pub fn choose(predicate: Value<'b>, then: Two<'b>, otherwise: Two<'b>) -> Two<'b> {
        Two {
            high: predicate.select(then.high, otherwise.high),
            low: predicate.select(then.low, otherwise.low),
        }
    }
}
