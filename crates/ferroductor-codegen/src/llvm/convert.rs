//! Conversions between scalar types, bit for bit as the loop IR defines them.
//!
//! What must hold: no conversion is undefined for any operand, none needs a library function, and
//! half precision gives the same bits with and without hardware support.

use ferroductor_ir::kernel::Isa;
use ferroductor_ir::{DType, Scalar};
use inkwell::types::BasicTypeEnum;
use inkwell::values::{BasicValueEnum, InstructionOpcode as I};
use inkwell::{FloatPredicate, IntPredicate};

use super::build::{Build, Built, Value, lanes_of, vector_of};
use super::error::{CodegenError, unsupported};

/// Converts a value; half precision reaches and leaves every type but `f32` through `f32`.
pub(super) fn convert<'c>(
    b: &Build<'c, '_>,
    value: Value<'c>,
    to: Scalar,
) -> Result<Value<'c>, CodegenError> {
    let from = value.ty.scalar;
    if from == to {
        return Ok(value);
    }
    if from.is_half() && to != DType::F32 {
        return convert(b, convert(b, value, DType::F32)?, to);
    }
    if to.is_half() && from != DType::F32 {
        return convert(b, convert(b, value, DType::F32)?, to);
    }
    let ty = value.ty.with(to);
    let goal = b.llvm_type(ty)?;
    let x = value.llvm;
    let llvm = match (from, to) {
        (DType::Opaque(_), _) | (_, DType::Opaque(_)) => {
            return unsupported(format!("conversion from {from} to {to}"));
        }
        (DType::F16, _) => f16_to_f32(b, x)?,
        (DType::BF16, _) => bf16_to_f32(b, x)?,
        (_, DType::F16) => f32_to_f16(b, x)?,
        (_, DType::BF16) => f32_to_bf16(b, x)?,
        (_, DType::Bool) => is_not_zero(b, value)?,
        (DType::Bool, _) if to.is_float() => b.cast(I::UIToFP, x, goal)?,
        (DType::Bool, _) => b.cast(I::ZExt, x, goal)?,
        (DType::F32, DType::F64) => b.cast(I::FPExt, x, goal)?,
        (DType::F64, DType::F32) => b.cast(I::FPTrunc, x, goal)?,
        (DType::F32 | DType::F64, DType::I64) => float_to_int(b, value, 64)?,
        (DType::F32 | DType::F64, _) => {
            let wide = float_to_int(b, value, 32)?;
            b.cast(I::Trunc, wide, goal)?
        }
        (DType::U8, _) if to.is_float() => b.cast(I::UIToFP, x, goal)?,
        (_, DType::F32 | DType::F64) => b.cast(I::SIToFP, x, goal)?,
        _ if to.size() < from.size() => b.cast(I::Trunc, x, goal)?,
        (DType::U8, _) if to.size() > from.size() => b.cast(I::ZExt, x, goal)?,
        _ if to.size() > from.size() => b.cast(I::SExt, x, goal)?,
        // Between `u8` and `i8`.
        _ => x,
    };
    let mut result = Value::new(llvm, ty);
    // A small literal survives any conversion between integers that can hold it.
    if from.is_int() && to.is_int() {
        result.literal = value
            .literal
            .filter(|literal| (0..128).contains(&literal.as_i64()));
    }
    Ok(result)
}

/// Same bits, other type.
pub(super) fn bitcast<'c>(
    b: &Build<'c, '_>,
    value: Value<'c>,
    to: Scalar,
) -> Result<Value<'c>, CodegenError> {
    let from = value.ty.scalar;
    let fits = from.size() == to.size() && from != DType::Bool && to != DType::Bool;
    if !fits {
        return super::error::malformed(format!("bitcast from {from} to {to}"));
    }
    let ty = value.ty.with(to);
    let llvm = b.cast(I::BitCast, value.llvm, b.llvm_type(ty)?)?;
    Ok(Value::new(llvm, ty))
}

/// NaN is not zero.
fn is_not_zero<'c>(b: &Build<'c, '_>, value: Value<'c>) -> Built<'c> {
    let x = value.llvm;
    if value.ty.scalar.is_float() {
        let zero = b.float_of(x.get_type(), 0.0);
        b.compare_floats(FloatPredicate::UNE, x, zero)
    } else {
        b.compare_ints(IntPredicate::NE, x, b.int_like(x, 0))
    }
}

/// Towards zero, to 32 or 64 bits; NaN and values out of range give the minimum.
fn float_to_int<'c>(b: &Build<'c, '_>, value: Value<'c>, bits: u32) -> Built<'c> {
    if b.is_x86() {
        if let Some(result) = x86_float_to_int(b, value, bits)? {
            return Ok(result);
        }
        return ranged_float_to_int(b, value, bits);
    }
    // AArch64 saturates; what differs from the rule is above the maximum, and NaN.
    let x = value.llvm;
    let goal = b.int_type(bits, x);
    let saturated = b.intrinsic("llvm.fptosi.sat", &[goal, x.get_type()], &[x])?;
    let limit = b.float_of(x.get_type(), 2f64.powi(bits as i32 - 1));
    let below = b.compare_floats(FloatPredicate::OLT, x, limit)?;
    b.select(below, saturated, minimum(b, goal, bits))
}

/// x86's own instructions follow the rule exactly, so one of them does where it has this shape.
fn x86_float_to_int<'c>(
    b: &Build<'c, '_>,
    value: Value<'c>,
    bits: u32,
) -> Result<Option<BasicValueEnum<'c>>, CodegenError> {
    let x = value.llvm;
    let lanes = value.ty.lanes;
    let single = value.ty.scalar == DType::F32;
    if lanes == 1 {
        return x86_scalar_float_to_int(b, x, single, bits).map(Some);
    }
    let Some((name, form)) = x86_conversion(single, bits, lanes, b.target.isa) else {
        return Ok(None);
    };
    let mut args = vec![x];
    if form != Form::Plain {
        args.push(b.int_of(b.int_type(bits, x), 0));
        let mask_bits = lanes.max(8);
        args.push(b.int_of(mask_type(b, mask_bits), -1));
    }
    if form == Form::MaskedRounding {
        // "Current direction": the mode is not read by a truncating conversion.
        args.push(b.int_of(b.context.i32_type().into(), 4));
    }
    b.intrinsic(name, &[], &args).map(Some)
}

fn mask_type<'c>(b: &Build<'c, '_>, bits: u32) -> BasicTypeEnum<'c> {
    if bits == 16 {
        b.context.i16_type().into()
    } else {
        b.context.i8_type().into()
    }
}

/// The operands that an x86 conversion intrinsic takes besides the value.
#[derive(Clone, Copy, PartialEq)]
enum Form {
    Plain,
    /// Also the value of lanes masked off, and the mask.
    Masked,
    /// Also the rounding mode.
    MaskedRounding,
}

fn x86_conversion(single: bool, bits: u32, lanes: u32, isa: Isa) -> Option<(&'static str, Form)> {
    Some(match (single, bits, lanes) {
        (true, 32, 4) => ("llvm.x86.sse2.cvttps2dq", Form::Plain),
        (true, 32, 8) if isa >= Isa::Avx2 => ("llvm.x86.avx.cvtt.ps2dq.256", Form::Plain),
        (false, 32, 4) if isa >= Isa::Avx2 => ("llvm.x86.avx.cvtt.pd2dq.256", Form::Plain),
        _ if isa != Isa::Avx512 => return None,
        (true, 32, 16) => ("llvm.x86.avx512.mask.cvttps2dq.512", Form::MaskedRounding),
        (false, 32, 8) => ("llvm.x86.avx512.mask.cvttpd2dq.512", Form::MaskedRounding),
        (true, 64, 4) => ("llvm.x86.avx512.mask.cvttps2qq.256", Form::Masked),
        (true, 64, 8) => ("llvm.x86.avx512.mask.cvttps2qq.512", Form::MaskedRounding),
        (false, 64, 2) => ("llvm.x86.avx512.mask.cvttpd2qq.128", Form::Masked),
        (false, 64, 4) => ("llvm.x86.avx512.mask.cvttpd2qq.256", Form::Masked),
        (false, 64, 8) => ("llvm.x86.avx512.mask.cvttpd2qq.512", Form::MaskedRounding),
        _ => return None,
    })
}

fn x86_scalar_float_to_int<'c>(
    b: &Build<'c, '_>,
    x: BasicValueEnum<'c>,
    single: bool,
    bits: u32,
) -> Built<'c> {
    let (name, lanes) = match (single, bits) {
        (true, 32) => ("llvm.x86.sse.cvttss2si", 4),
        (true, _) => ("llvm.x86.sse.cvttss2si64", 4),
        (false, 32) => ("llvm.x86.sse2.cvttsd2si", 2),
        (false, _) => ("llvm.x86.sse2.cvttsd2si64", 2),
    };
    let BasicTypeEnum::VectorType(ty) = vector_of(x.get_type(), lanes) else {
        return Err(CodegenError::Llvm(
            "conversion of a vector as a scalar".into(),
        ));
    };
    let first = b.context.i32_type().const_zero();
    let vector = b
        .builder
        .build_insert_element(ty.get_poison(), x, first, "")?;
    b.intrinsic(name, &[], &[vector.into()])
}

/// Converts zero in place of what is out of range, then puts the minimum there.
fn ranged_float_to_int<'c>(b: &Build<'c, '_>, value: Value<'c>, bits: u32) -> Built<'c> {
    let x = value.llvm;
    let ty = x.get_type();
    let limit = 2f64.powi(bits as i32 - 1);
    // What truncates to the minimum gives the minimum either way.
    let above = b.compare_floats(FloatPredicate::OGE, x, b.float_of(ty, -limit))?;
    let below = b.compare_floats(FloatPredicate::OLT, x, b.float_of(ty, limit))?;
    let inside = b.binary(I::And, above, below)?;
    let safe = b.select(inside, x, b.float_of(ty, 0.0))?;
    let goal = b.int_type(bits, x);
    let converted = b.cast(I::FPToSI, safe, goal)?;
    b.select(inside, converted, minimum(b, goal, bits))
}

fn minimum<'c>(b: &Build<'c, '_>, ty: BasicTypeEnum<'c>, bits: u32) -> BasicValueEnum<'c> {
    b.int_of(
        ty,
        if bits == 32 {
            i64::from(i32::MIN)
        } else {
            i64::MIN
        },
    )
}

// Half precision. The operand or result is `i16`; the integer code works on `i32` lanes.

fn bf16_to_f32<'c>(b: &Build<'c, '_>, x: BasicValueEnum<'c>) -> Built<'c> {
    let wide = b.cast(I::ZExt, x, b.int_type(32, x))?;
    let bits = b.binary(I::Shl, wide, b.int_like(wide, 16))?;
    b.cast(I::BitCast, bits, b.f32_type(x))
}

/// To nearest even; a NaN keeps its sign and upper payload and becomes quiet.
fn f32_to_bf16<'c>(b: &Build<'c, '_>, x: BasicValueEnum<'c>) -> Built<'c> {
    let bits = b.cast(I::BitCast, x, b.int_type(32, x))?;
    let upper = b.binary(I::LShr, bits, b.int_like(bits, 16))?;
    let odd = b.binary(I::And, upper, b.int_like(bits, 1))?;
    let bias = b.binary(I::Add, odd, b.int_like(bits, 0x7fff))?;
    let rounded = b.binary(I::Add, bits, bias)?;
    let rounded = b.binary(I::LShr, rounded, b.int_like(bits, 16))?;
    let quiet = b.binary(I::Or, upper, b.int_like(bits, 0x40))?;
    let is_nan = b.compare_floats(FloatPredicate::UNO, x, x)?;
    let result = b.select(is_nan, quiet, rounded)?;
    b.cast(I::Trunc, result, b.int_type(16, x))
}

fn f16_to_f32<'c>(b: &Build<'c, '_>, x: BasicValueEnum<'c>) -> Built<'c> {
    if b.target.has_f16c {
        let half = b.cast(I::BitCast, x, native_half(b, x))?;
        return b.cast(I::FPExt, half, b.f32_type(x));
    }
    let wide = b.cast(I::ZExt, x, b.int_type(32, x))?;
    let magnitude = b.binary(I::And, wide, b.int_like(wide, 0x7fff))?;
    let sign = b.binary(I::Xor, wide, magnitude)?;
    let sign = b.binary(I::Shl, sign, b.int_like(wide, 16))?;
    let shifted = b.binary(I::Shl, magnitude, b.int_like(wide, 13))?;
    let normal = b.binary(I::Add, shifted, b.int_like(wide, 112 << 23))?;

    // A subnormal is the fraction of a number whose exponent is one up; subtracting that
    // number's leading one is exact.
    let f32_type = b.f32_type(x);
    let raised = b.binary(I::Add, shifted, b.int_like(wide, 113 << 23))?;
    let raised = b.cast(I::BitCast, raised, f32_type)?;
    let leading_one = b.float_of(f32_type, 2f64.powi(-14));
    let subnormal = b.binary(I::FSub, raised, leading_one)?;
    let subnormal = b.cast(I::BitCast, subnormal, wide.get_type())?;

    let special = b.binary(I::Add, shifted, b.int_like(wide, 224 << 23))?;
    let quiet = b.binary(I::Or, special, b.int_like(wide, 1 << 22))?;

    let infinity = b.int_like(wide, 0x7c00);
    let is_nan = b.compare_ints(IntPredicate::UGT, magnitude, infinity)?;
    let is_infinite = b.compare_ints(IntPredicate::EQ, magnitude, infinity)?;
    let is_small = b.compare_ints(IntPredicate::ULT, magnitude, b.int_like(wide, 0x400))?;
    let result = b.select(is_small, subnormal, normal)?;
    let result = b.select(is_infinite, special, result)?;
    let result = b.select(is_nan, quiet, result)?;
    let result = b.binary(I::Or, result, sign)?;
    b.cast(I::BitCast, result, f32_type)
}

/// To nearest even; a NaN keeps its sign and upper payload and becomes quiet.
fn f32_to_f16<'c>(b: &Build<'c, '_>, x: BasicValueEnum<'c>) -> Built<'c> {
    if b.target.has_f16c {
        let half = b.cast(I::FPTrunc, x, native_half(b, x))?;
        return b.cast(I::BitCast, half, b.int_type(16, x));
    }
    let bits = b.cast(I::BitCast, x, b.int_type(32, x))?;
    let magnitude = b.binary(I::And, bits, b.int_like(bits, 0x7fff_ffff))?;
    let sign = b.binary(I::LShr, bits, b.int_like(bits, 16))?;
    let sign = b.binary(I::And, sign, b.int_like(bits, 0x8000))?;

    let shifted = b.binary(I::LShr, magnitude, b.int_like(bits, 13))?;
    let odd = b.binary(I::And, shifted, b.int_like(bits, 1))?;
    let rebias = b.int_like(bits, i64::from(((15 - 127) << 23) + 0xfff));
    let normal = b.binary(I::Add, magnitude, rebias)?;
    let normal = b.binary(I::Add, normal, odd)?;
    let normal = b.binary(I::LShr, normal, b.int_like(bits, 13))?;

    // Adding one half leaves the subnormal's bits, rounded to nearest even, in the fraction.
    let f32_type = b.f32_type(x);
    let as_float = b.cast(I::BitCast, magnitude, f32_type)?;
    let aligned = b.binary(I::FAdd, as_float, b.float_of(f32_type, 0.5))?;
    let aligned = b.cast(I::BitCast, aligned, bits.get_type())?;
    let subnormal = b.binary(I::Sub, aligned, b.int_like(bits, 126 << 23))?;

    let payload = b.binary(I::And, shifted, b.int_like(bits, 0x3ff))?;
    let quiet = b.binary(I::Or, payload, b.int_like(bits, 0x7e00))?;

    let is_nan = b.compare_ints(IntPredicate::UGT, magnitude, b.int_like(bits, 0x7f80_0000))?;
    let is_large = b.compare_ints(IntPredicate::UGE, magnitude, b.int_like(bits, 0x4780_0000))?;
    let is_small = b.compare_ints(IntPredicate::ULT, magnitude, b.int_like(bits, 0x3880_0000))?;
    let result = b.select(is_small, subnormal, normal)?;
    let result = b.select(is_large, b.int_like(bits, 0x7c00), result)?;
    let result = b.select(is_nan, quiet, result)?;
    let result = b.binary(I::Or, result, sign)?;
    b.cast(I::Trunc, result, b.int_type(16, x))
}

fn native_half<'c>(b: &Build<'c, '_>, like: BasicValueEnum<'c>) -> BasicTypeEnum<'c> {
    vector_of(b.context.f16_type().into(), lanes_of(like))
}
