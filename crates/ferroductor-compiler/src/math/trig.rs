//! Sine, cosine and tangent in single precision.
//!
//! The operand is reduced to `|r| <= pi / 4`, correctly for every `f32`: in single precision up to a
//! bound where the target fuses multiply and add, else in double precision, and beyond the bound
//! with more effort still, which lanes below it do not pay for.

use super::builder::Value;
use super::format::{Nearest, nearest};
use ferroductor_ir::dtype::DType;
use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

/// `pi / 2` in two doubles.
const HALF_PI: [f64; 2] = [FRAC_PI_2, 6.123233995736766e-17];

/// `(sin(r) / r - 1) / r^2` in powers of `r^2`; error 2^-27 of `sin(r)`.
const SIN: [f64; 3] = [-0.16666655, 0.008332189, -0.00019518286];
/// `(cos(r) - 1) / r^2` in powers of `r^2`; error 2^-32 of `cos(r)`.
const COS: [f64; 4] = [-0.5, 0.041666646, -0.001388731, 2.4432327e-05];

/// `pi / 2` in three short numbers. A product with an integer below 2^22 is exact before it is
/// subtracted from an operand near it.
const HALF_PI_F32: [f64; 3] = [
    1.5707963705062866,
    -4.371138828673793e-08,
    -1.7151245100058819e-15,
];
/// Up to here the multiple of `pi / 2` is known well enough by the three.
const SHORT_BELOW: f64 = 262144.0; // 2^18

/// Operands from here on are folded first: their multiple of `pi / 2` has too many bits.
const FOLD_FROM: f64 = 281474976710656.0; // 2^48

/// One way to fold a large operand, which is an integer times `2^power`: that integer times
/// `2^power mod 2 pi` differs from it by a multiple of `2 pi`.
struct Fold {
    /// Operands below this, as an exponent of two.
    below: i32,
    power: i32,
    /// `2^power mod 2 pi`, in two doubles.
    residue: [f64; 2],
}

/// Each integer is below 2^50, since an `f32` at `2^k` is a multiple of `2^(k - 23)`.
const FOLDS: [Fold; 3] = [
    Fold {
        below: 75,
        power: 25,
        residue: [-1.7879377333603939, -7.976019722750976e-18],
    },
    Fold {
        below: 102,
        power: 52,
        residue: [2.07777121530127, 5.5389626504895754e-17],
    },
    Fold {
        below: 128,
        power: 79,
        residue: [-0.5159693243550164, 1.6137747064895307e-17],
    },
];

/// `x = quadrant pi / 2 + rest`, up to whole turns.
struct Reduced<'b> {
    /// Good to 2^-24 of itself in `f32`, to 2^-26 in `f64`.
    rest: Value<'b>,
    /// An integer in `i32`, of which the two low bits count.
    quadrant: Value<'b>,
}

/// Reduces a non-negative `f32` below [`short_bound`] in its own precision, if the target has the
/// means, else in `f64`.
fn reduce_short(a: Value<'_>) -> Reduced<'_> {
    if !a.builder().has_fma() {
        return reduce_wide(a.convert(DType::F64));
    }
    let n = nearest(a, FRAC_2_PI, 0);
    let rest = HALF_PI_F32
        .iter()
        .fold(a, |rest, &part| n.float.fnma(part, rest));
    Reduced {
        rest,
        quadrant: n.bits,
    }
}

/// From here on an operand is a rare one.
fn short_bound(a: Value<'_>) -> f64 {
    if a.builder().has_fma() {
        SHORT_BELOW
    } else {
        FOLD_FROM
    }
}

/// Reduces a non-negative `f64` below [`FOLD_FROM`].
fn reduce_wide(y: Value<'_>) -> Reduced<'_> {
    let n = nearest(y, FRAC_2_PI, 0);
    Reduced {
        rest: n.float.fnma(HALF_PI[1], less_multiple(y, n)),
        quadrant: n.bits.convert(DType::I32),
    }
}

/// `y - n pi / 2` by the leading part of `pi / 2`. Exact: the difference is below one and a multiple
/// of that part's last bit.
fn less_multiple<'b>(y: Value<'b>, n: Nearest<'b>) -> Value<'b> {
    if y.builder().has_fma() {
        return n.float.fnma(HALF_PI[0], y);
    }
    let (high, low) = n.float.exact_product(y.number(HALF_PI[0]));
    (y - high) - low
}

/// Reduces any non-negative `f32`, in `f64`; infinity and NaN give NaN.
fn reduce_any(a: Value<'_>) -> Reduced<'_> {
    let wide = a.convert(DType::F64);
    let (folded, folded_rest) = fold(wide);
    let is_small = wide.lt(FOLD_FROM);
    let y = is_small.select(wide, folded);
    let y_rest = is_small.select(wide.number(0.0), folded_rest);
    let n = nearest(y, FRAC_2_PI, 0);
    let rest = n.float.fnma(HALF_PI[1], less_multiple(y, n) + y_rest);
    // The rest of a folded operand was not yet in the sum when `n` was chosen.
    let last = nearest(rest, FRAC_2_PI, 0);
    Reduced {
        rest: last.float.fnma(HALF_PI[0], rest),
        quadrant: (n.bits + last.bits).convert(DType::I32),
    }
}

/// A number equal to `x` up to whole turns, below 2^52, as an unevaluated sum.
fn fold(x: Value<'_>) -> (Value<'_>, Value<'_>) {
    let pick = |field: fn(&Fold) -> f64| {
        let [first, second, third] = &FOLDS;
        let is_first = x.lt(f64::powi(2.0, first.below));
        let is_second = x.lt(f64::powi(2.0, second.below));
        let later = is_second.select(x.number(field(second)), x.number(field(third)));
        is_first.select(x.number(field(first)), later)
    };
    let integer = x * pick(|fold| f64::powi(2.0, -fold.power));
    let (high, low) = integer.exact_product(pick(|fold| fold.residue[0]));
    (high, integer.fma(pick(|fold| fold.residue[1]), low))
}

/// `sin(r)` for `|r| <= pi / 4`.
fn sin_near_zero(r: Value<'_>) -> Value<'_> {
    let z = r * r;
    (r * z).fma(z.polynomial(&SIN), r)
}

/// `cos(r)` for `|r| <= pi / 4`.
fn cos_near_zero(r: Value<'_>) -> Value<'_> {
    let z = r * r;
    z.fma(z.polynomial(&COS), 1.0)
}

/// `sin(quadrant pi / 2 + r)`, with the sign bit of `sign` on top.
fn sin_of<'b>(r: Value<'b>, quadrant: Value<'b>, sign: Value<'b>) -> Value<'b> {
    let is_odd = (quadrant & 1).ne(0);
    let magnitude = is_odd.select(cos_near_zero(r), sin_near_zero(r));
    let flip = ((quadrant << 30) ^ sign) & i64::from(i32::MIN);
    (magnitude.bits() ^ flip).float()
}

/// Sine. The sign of the operand is put on last, so that zero keeps it.
pub fn sin_f32<'b>(x: Value<'b>) -> Value<'b> {
    let a = x.abs();
    let of = |reduced: Reduced<'b>| {
        let rest = reduced.rest.convert(DType::F32);
        sin_of(rest, reduced.quadrant, x.bits())
    };
    of(reduce_short(a)).unless(a.ge(short_bound(a)), of(reduce_any(a)))
}

/// Cosine.
pub fn cos_f32<'b>(x: Value<'b>) -> Value<'b> {
    let a = x.abs();
    let of = |reduced: Reduced<'b>| {
        let quadrant = reduced.quadrant + 1;
        let rest = reduced.rest.convert(DType::F32);
        sin_of(rest, quadrant, quadrant.number(0))
    };
    of(reduce_short(a)).unless(a.ge(short_bound(a)), of(reduce_any(a)))
}

/// `(sin(r) / r - 1) / r^2` in powers of `r^2`; error 2^-37 of `sin(r)`.
const SIN_WIDE: [f64; 4] = [
    -0.16666666640776256,
    0.008333329302424882,
    -0.00019839311487856198,
    2.7181141371685606e-06,
];
/// `(cos(r) - 1) / r^2` in powers of `r^2`; error 2^-43 of `cos(r)`.
const COS_WIDE: [f64; 5] = [
    -0.49999999999488903,
    0.04166666655334033,
    -0.0013888880654657142,
    2.4798959718357786e-05,
    -2.717471599599186e-07,
];

/// Tangent: sine over cosine in double precision, since both errors would meet in the quotient.
pub fn tan_f32<'b>(x: Value<'b>) -> Value<'b> {
    let a = x.abs();
    let sign = x.bits() & x.sign_mask();
    let of = |reduced: Reduced<'b>| {
        let quotient = tan_of(reduced).convert(DType::F32);
        (quotient.bits() ^ sign).float()
    };
    of(reduce_wide(a.convert(DType::F64))).unless(a.ge(FOLD_FROM), of(reduce_any(a)))
}

/// `tan(quadrant pi / 2 + rest)` in double precision.
fn tan_of(Reduced { rest, quadrant }: Reduced<'_>) -> Value<'_> {
    let z = rest * rest;
    let sine = (rest * z).fma(z.polynomial(&SIN_WIDE), rest);
    let cosine = z.fma(z.polynomial(&COS_WIDE), 1.0);
    let is_odd = (quadrant & 1).ne(0);
    is_odd.select(-cosine, sine) / is_odd.select(sine, cosine)
}
