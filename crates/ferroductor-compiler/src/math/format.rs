//! What the functions need to know of the two float formats, and the steps they share: bounding an
//! operand, splitting off a multiple of `ln 2`, multiplying by a power of two.

use super::builder::Value;
use ferroductor_ir::dtype::DType;

/// Facts of a binary float format.
pub struct Format {
    /// Bits of the fraction field.
    pub fraction_bits: i64,
    /// Exponent field of 1.0.
    pub bias: i64,
    /// `1.5 * 2^fraction_bits`: floats beside it are the integers, so that adding it rounds to
    /// nearest and leaves the integer in the low bits.
    pub round_magic: f64,
    pub smallest_normal: f64,
    /// `ln 2` as a short number, whose products with small integers are exact, and the rest.
    pub ln_2: [f64; 2],
}

const F32: Format = Format {
    fraction_bits: 23,
    bias: 127,
    round_magic: 12582912.0,
    smallest_normal: 1.1754943508222875e-38,
    ln_2: [0.693359375, -0.00021219444],
};

const F64: Format = Format {
    fraction_bits: 52,
    bias: 1023,
    round_magic: 6755399441055744.0,
    smallest_normal: f64::MIN_POSITIVE,
    // 21 trailing zero bits.
    ln_2: [0.6931471803691238, 1.9082149292705877e-10],
};

/// The format of a float type; half precision never gets here.
pub fn format(scalar: DType) -> &'static Format {
    match scalar {
        DType::F64 => &F64,
        _ => &F32,
    }
}

impl<'b> Value<'b> {
    pub fn format(self) -> &'static Format {
        format(self.scalar())
    }

    /// One of two numbers or tables, by the float format of this value.
    pub fn by_format<T>(self, single: T, double: T) -> T {
        match self.scalar() {
            DType::F64 => double,
            _ => single,
        }
    }

    /// The lesser of both; NaN stays.
    pub fn at_most(self, bound: f64) -> Value<'b> {
        self.number(bound).min_num(self)
    }

    /// The greater of both; NaN stays.
    pub fn at_least(self, bound: f64) -> Value<'b> {
        self.number(bound).max_num(self)
    }

    /// The bits of `-0.0`: the place of the sign.
    pub fn sign_mask(self) -> i64 {
        self.by_format(i64::from(i32::MIN), i64::MIN)
    }
}

/// The integer nearest to a float: as a float, and in the low bits of an integer.
#[derive(Clone, Copy)]
pub struct Nearest<'b> {
    pub float: Value<'b>,
    /// The integer plus `offset` in the low bits; the high bits are of no use.
    pub bits: Value<'b>,
}

/// Rounds `x * factor`, which must stay below `2^(fraction_bits - 2)`, to an integer.
pub fn nearest<'b>(x: Value<'b>, factor: f64, offset: i64) -> Nearest<'b> {
    let magic = x.format().round_magic + offset as f64;
    let shifted = x.fma(factor, magic);
    Nearest {
        float: shifted - magic,
        bits: shifted.bits(),
    }
}

impl<'b> Nearest<'b> {
    /// `2^(integer + offset - bias)`, for results in the normal range.
    pub fn power_of_two(self) -> Value<'b> {
        let shift = self.float.format().fraction_bits;
        (self.bits << shift).float()
    }

    /// `x * 2^integer`, correctly rounded for subnormal results too, when the offset is twice the
    /// bias. Two factors, since one power of two does not reach over the whole range.
    pub fn scale(self, x: Value<'b>) -> Value<'b> {
        if x.builder().has_scale() {
            return x.scale_by(self.float);
        }
        let shift = self.float.format().fraction_bits;
        // The masked bits hold a small positive number, so that the shift right is a logical one.
        let sum = self.bits & (4 * x.format().bias + 3);
        let half = sum >> 1;
        let other = sum - half;
        x * (half << shift).float() * (other << shift).float()
    }
}
