//! Sine, cosine and tangent in double precision.
//!
//! The operand is reduced to `|r| <= pi / 4` in two doubles. Below 2^30 a multiple of `pi / 2` in
//! three parts is subtracted; beyond, the operand's 53 bits are multiplied in integers by those 192
//! bits of `2 / pi` that decide the result. Both are computed, since the code has no branches.

use super::builder::Value;
use super::format::nearest;
use super::two::{Two, exact_product, exact_sum, ordered_sum};
use std::f64::consts::{FRAC_2_PI, FRAC_PI_2};

/// `(sin(r) / r - 1) / r^2` in powers of `r^2`; error 2^-56 of `sin(r)`.
const SIN_F64: [f64; 6] = [
    -0.1666666666666663,
    0.008333333333322108,
    -0.00019841269829580518,
    2.75573136181268e-06,
    -2.5050747233933373e-08,
    1.5896198484730594e-10,
];
/// `(cos(r) - 1 + r^2 / 2) / r^4` in powers of `r^2`; error 2^-59 of `cos(r)`.
const COS_F64: [f64; 6] = [
    0.041666666666666595,
    -0.001388888888887304,
    2.4801587288841367e-05,
    -2.7557314176233885e-07,
    2.087570041558388e-09,
    -1.1358513938598842e-11,
];

/// `pi / 2` in three doubles.
const HALF_PI: [f64; 3] = [FRAC_PI_2, 6.123233995736766e-17, -1.4973849048591698e-33];

/// Operands from here on are reduced in integers.
const LARGE_FROM: f64 = 1073741824.0; // 2^30

/// The bits of `2 / pi` behind the binary point, preceded by 24 zeros, 32 at a time.
const TWO_OVER_PI: [i64; 38] = [
    0x0000_00a2,
    0xf983_6e4e,
    0x4415_29fc,
    0x2757_d1f5,
    0x34dd_c0db,
    0x6295_993c,
    0x4390_41fe,
    0x5163_abde,
    0xbbc5_61b7,
    0x246e_3a42,
    0x4dd2_e006,
    0x492e_ea09,
    0xd192_1cfe,
    0x1deb_1cb1,
    0x29a7_3ee8,
    0x8235_f52e,
    0xbb44_84e9,
    0x9c70_26b4,
    0x5f7e_4139,
    0x91d6_3983,
    0x5339_f49c,
    0x845f_8bbd,
    0xf928_3b1f,
    0xf897_ffde,
    0x0598_0fef,
    0x2f11_8b5a,
    0x0a6d_1f6d,
    0x367e_cf27,
    0xcb09_b74f,
    0x463f_669e,
    0x5fea_2d75,
    0x27ba_c7eb,
    0xe5f1_7b3d,
    0x0739_f78a,
    0x5292_ea6b,
    0xfb5f_b11f,
    0x8d5d_0856,
    0x0330_46fc,
];
const LIMB_MASK: i64 = 0xffff_ffff;
/// Limbs of the product that are computed: two bits of quadrant and 190 of the fraction.
const LIMBS: usize = 6;

/// `x = quadrant pi / 2 + rest`, up to whole turns.
struct Reduced<'b> {
    rest: Two<'b>,
    /// An integer of which the two low bits count.
    quadrant: Value<'b>,
}

/// Reduces a non-negative operand; infinity and NaN give NaN.
fn reduce(a: Value<'_>) -> Reduced<'_> {
    let small = reduce_small(a);
    let large = reduce_large(a);
    let is_small = a.lt(LARGE_FROM);
    // NaN for infinity and NaN, zero for numbers.
    #[expect(clippy::eq_op, reason = "not zero for all floats")]
    let defect = a - a;
    let mut rest = Two::choose(is_small, small.rest, large.rest);
    rest.high = rest.high + defect;
    Reduced {
        rest,
        quadrant: is_small.select(small.quadrant, large.quadrant),
    }
}

fn reduce_small(a: Value<'_>) -> Reduced<'_> {
    let n = nearest(a, FRAC_2_PI, 0);
    // Exact: the difference is about one at most, and a multiple of the last bit of `pi / 2`.
    let leading = if a.builder().has_fma() {
        n.float.fnma(HALF_PI[0], a)
    } else {
        let product = exact_product(n.float, a.number(HALF_PI[0]));
        (a - product.high) - product.low
    };
    let second = exact_product(n.float, a.number(HALF_PI[1]));
    let sum = exact_sum(leading, -second.high);
    let low = sum.low - n.float.fma(HALF_PI[2], second.low);
    Reduced {
        rest: ordered_sum(sum.high, low),
        quadrant: n.bits,
    }
}

/// For `a >= 2^30`: with `a = m 2^e`, the product of `m` and the bits of `2 / pi` from weight
/// `2^(1 - e)` on. Higher bits only contribute whole turns.
fn reduce_large(a: Value<'_>) -> Reduced<'_> {
    let bits = a.bits();
    // The exponent of 2^30 gives zero here.
    let shift = (bits >> 52) - (1023 + 30);
    let product = product_mod_turns(bits, window(shift));
    let quadrant = (product[LIMBS - 1] + (1 << 29)) >> 30;
    let fraction = product[LIMBS - 1] - (quadrant << 30);
    fn places<'b>(limb: Value<'b>, exponent: i32) -> Value<'b> {
        f64::powi(2.0, exponent) * small_integer(limb)
    }
    let leading = ordered_sum(places(fraction, -30), places(product[LIMBS - 2], -62));
    let trailing = places(product[LIMBS - 3], -94) + places(product[LIMBS - 4], -126);
    let turns = ordered_sum(leading.high, leading.low + trailing);
    let half_pi = Two {
        high: a.number(HALF_PI[0]),
        low: a.number(HALF_PI[1]),
    };
    Reduced {
        rest: turns.times(half_pi),
        quadrant,
    }
}

/// A float from an integer between -2^31 and 2^32: the low bits of 2^52 + 2^31 + integer.
fn small_integer(integer: Value<'_>) -> Value<'_> {
    let offset = f64::powi(2.0, 52) + f64::powi(2.0, 31);
    (integer + offset.to_bits() as i64).float() - offset
}

/// Limbs `shift / 32 ..` of [`TWO_OVER_PI`], moved by `shift % 32` bits, the highest first.
fn window(shift: Value<'_>) -> Vec<Value<'_>> {
    let mut limbs: Vec<Value<'_>> = TWO_OVER_PI.iter().map(|&limb| shift.number(limb)).collect();
    for bit in (0..5).rev() {
        let is_set = (shift & (32 << bit)).ne(0);
        let step = 1 << bit;
        let kept = LIMBS + step;
        limbs = (0..kept)
            .map(|at| is_set.select(limbs[at + step], limbs[at]))
            .collect();
    }
    let from_right = 32 - (shift & 31);
    let pairs = limbs.windows(2).map(|pair| (pair[0] << 32) | pair[1]);
    pairs.map(|pair| (pair >> from_right) & LIMB_MASK).collect()
}

/// The significand of a number times a window of limbs (highest first), modulo 2^192, lowest limb
/// first.
fn product_mod_turns<'b>(bits: Value<'b>, window: Vec<Value<'b>>) -> Vec<Value<'b>> {
    let significand = (bits & ((1 << 52) - 1)) | (1 << 52);
    let (low, high) = (significand & LIMB_MASK, significand >> 32);
    let mut limbs = Vec::new();
    let mut carry = bits.number(0);
    for limb in window.into_iter().rev() {
        let product = low * limb;
        let column = (product & LIMB_MASK) + carry;
        limbs.push(column & LIMB_MASK);
        // At most 2^32 + 2^53 + 1.
        carry = ((product >> 32) & LIMB_MASK) + high * limb + (column >> 32);
    }
    limbs
}

/// `sin(r)` for `|r| <= pi / 4`.
fn sin_near_zero(r: Two<'_>) -> Two<'_> {
    let z = r.high * r.high;
    let slope = z.fnma(0.5, 1.0);
    let rest = (r.high * z).fma(z.polynomial(&SIN_F64), r.low * slope);
    ordered_sum(r.high, rest)
}

/// `cos(r)` for `|r| <= pi / 4`.
fn cos_near_zero(r: Two<'_>) -> Two<'_> {
    let z = r.high * r.high;
    let half = z * 0.5;
    let leading = ordered_sum(z.number(1.0), -half);
    let rest = (z * z).fma(z.polynomial(&COS_F64), r.high.fnma(r.low, leading.low));
    ordered_sum(leading.high, rest)
}

/// `sin(quadrant pi / 2 + r)`, with the sign bit of `sign` on top.
fn sin_of<'b>(r: Two<'b>, quadrant: Value<'b>, sign: Value<'b>) -> Value<'b> {
    let is_odd = (quadrant & 1).ne(0);
    let magnitude = is_odd.select(cos_near_zero(r).high, sin_near_zero(r).high);
    let flip = ((quadrant << 62) ^ sign) & i64::MIN;
    (magnitude.bits() ^ flip).float()
}

/// Sine. The sign of the operand is put on last, so that zero keeps it.
pub fn sin_f64(x: Value<'_>) -> Value<'_> {
    let Reduced { rest, quadrant } = reduce(x.abs());
    sin_of(rest, quadrant, x.bits())
}

/// Cosine.
pub fn cos_f64(x: Value<'_>) -> Value<'_> {
    let Reduced { rest, quadrant } = reduce(x.abs());
    let quadrant = quadrant + 1;
    sin_of(rest, quadrant, quadrant.number(0))
}

/// Tangent: sine over cosine, both in two doubles, since their errors would meet in the quotient.
pub fn tan_f64(x: Value<'_>) -> Value<'_> {
    let Reduced { rest, quadrant } = reduce(x.abs());
    let (sine, cosine) = (sin_near_zero(rest), cos_near_zero(rest));
    let negative = Two {
        high: -cosine.high,
        low: -cosine.low,
    };
    let is_odd = (quadrant & 1).ne(0);
    let numerator = Two::choose(is_odd, negative, sine);
    let quotient = numerator.divided_by(Two::choose(is_odd, sine, cosine));
    (quotient.bits() ^ (x.bits() & i64::MIN)).float()
}
