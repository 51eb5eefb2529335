//! The functions to some 190 bits, to measure double-precision errors against.

use astro_float::{BigFloat, Consts, RoundingMode, Sign};
use ferroductor_ir::prim::Prim;

const PRECISION: usize = 192;
const ROUNDING: RoundingMode = RoundingMode::ToEven;

/// Computes exact values; keeps the constants (pi, e) between calls.
pub struct Exact {
    constants: Consts,
}

impl Default for Exact {
    fn default() -> Exact {
        Exact {
            constants: Consts::new().expect("memory for constants"),
        }
    }
}

fn big(x: f64) -> BigFloat {
    with_precision(x, PRECISION)
}

/// The number exactly. Subnormal ones go by way of a normal one, which the library converts right.
fn with_precision(x: f64, precision: usize) -> BigFloat {
    if x.is_normal() || x == 0.0 {
        return BigFloat::from_f64(x, precision);
    }
    let mut raised = BigFloat::from_f64(x * f64::powi(2.0, 200), precision);
    let exponent = raised.exponent().expect("a finite number");
    raised.set_exponent(exponent - 200);
    raised
}

impl Exact {
    /// The function's value at finite operands inside its domain.
    pub fn value(&mut self, prim: Prim, x: f64, y: f64) -> BigFloat {
        let (p, r) = (PRECISION, ROUNDING);
        let (a, one) = (big(x), big(1.0));
        let c = &mut self.constants;
        match prim {
            Prim::Exp => a.exp(p, r, c),
            Prim::Exp2 => big(2.0).pow(&a, p, r, c),
            Prim::Expm1 => self.expm1(x),
            Prim::Log => a.ln(p, r, c),
            Prim::Log2 => a.log2(p, r, c),
            Prim::Log10 => a.log10(p, r, c),
            // Enough bits that nothing of the sum is lost.
            Prim::Log1p => a.add(&one, 1200, r).ln(p, r, c),
            Prim::Sin => a.sin(p, r, c),
            Prim::Cos => a.cos(p, r, c),
            Prim::Tan => a.tan(p, r, c),
            Prim::Asin => a.asin(p, r, c),
            Prim::Acos => a.acos(p, r, c),
            Prim::Atan => a.atan(p, r, c),
            Prim::Sinh => a.sinh(p, r, c),
            Prim::Cosh => a.cosh(p, r, c),
            Prim::Tanh => a.tanh(p, r, c),
            Prim::Asinh => a.asinh(p, r, c),
            Prim::Acosh => a.acosh(p, r, c),
            Prim::Atanh => a.atanh(p, r, c),
            Prim::Sigmoid => one.div(&one.add(&a.neg().exp(p, r, c), p, r), p, r),
            Prim::Erf => self.erf(x, p),
            Prim::Erfc => {
                // The subtraction cancels about x^2 / ln 2 bits.
                let bits = p + if x > 0.0 { (x * x * 1.5) as usize } else { 0 };
                one.sub(&self.erf(x, bits), p, r)
            }
            Prim::Pow => a.pow(&big(y), p, r, c),
            Prim::Atan2 => self.atan2(x, y),
            other => panic!("no exact {other}"),
        }
    }

    /// With enough bits that the subtraction loses none that count.
    fn expm1(&mut self, x: f64) -> BigFloat {
        let power = big(x).exp(1300, ROUNDING, &mut self.constants);
        power.sub(&big(1.0), PRECISION, ROUNDING)
    }

    /// `2 x e^(-x^2) / sqrt(pi)` times the sum of `(2 x^2)^n / (1 3 5 … (2 n + 1))`, whose terms
    /// are all positive.
    fn erf(&mut self, x: f64, precision: usize) -> BigFloat {
        let (p, r) = (precision + 32, ROUNDING);
        let a = with_precision(x, p);
        let square = a.mul(&a, p, r);
        let twice = square.mul(&BigFloat::from_f64(2.0, p), p, r);
        let mut term = BigFloat::from_f64(1.0, p);
        let mut sum = term.clone();
        let mut divisor = 3.0;
        while term
            .exponent()
            .is_some_and(|e| e > sum.exponent().unwrap_or(0) - p as i32)
        {
            term = term
                .mul(&twice, p, r)
                .div(&BigFloat::from_f64(divisor, p), p, r);
            sum = sum.add(&term, p, r);
            divisor += 2.0;
        }
        let scale = square.neg().exp(p, r, &mut self.constants);
        let root = self.constants.pi(p, r).sqrt(p, r);
        let leading = a.mul(&BigFloat::from_f64(2.0, p), p, r).div(&root, p, r);
        sum.mul(&scale, p, r).mul(&leading, p, r)
    }

    fn atan2(&mut self, y: f64, x: f64) -> BigFloat {
        let (p, r) = (PRECISION, ROUNDING);
        let slope = big(y).div(&big(x), p, r).atan(p, r, &mut self.constants);
        if x > 0.0 {
            return slope;
        }
        let pi = self.constants.pi(p, r);
        if y < 0.0 {
            slope.sub(&pi, p, r)
        } else {
            slope.add(&pi, p, r)
        }
    }
}

/// Error of a result in units of the last place of the exact value. Infinite where a result that
/// should be finite is not.
pub fn ulp_error(got: f64, exact: &BigFloat) -> f64 {
    if exact.is_zero() {
        return if got == 0.0 { 0.0 } else { f64::INFINITY };
    }
    let exponent = exact.exponent().expect("a finite exact value");
    if exponent > 1024 {
        return if got.is_infinite() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    if !got.is_finite() {
        return f64::INFINITY;
    }
    // The exact value is a fraction from 1/2 to 1 times 2^exponent.
    let last_place = exponent.max(-1021) - 53;
    let mut difference = big(got).sub(exact, PRECISION, ROUNDING);
    if difference.is_zero() {
        return 0.0;
    }
    let exponent = difference.exponent().expect("a finite difference") - last_place;
    difference.set_exponent(exponent.clamp(-900, 900));
    magnitude(&difference)
}

/// The absolute value, to double precision, of a number well inside the range of doubles.
fn magnitude(x: &BigFloat) -> f64 {
    let (words, _, sign, exponent, _) = x.as_raw_parts().expect("a finite number");
    assert!(matches!(sign, Sign::Pos | Sign::Neg));
    let top = *words.last().expect("a mantissa");
    top as f64 * f64::powi(2.0, -64) * f64::powi(2.0, exponent)
}
