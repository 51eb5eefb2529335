//! Basic prims as LLVM instructions, defined for every operand.
//!
//! What must hold: no flag that would make a result poison, no fast-math flag, no instruction that
//! traps, no library call.

use ferroductor_ir::kernel::Ty;
use ferroductor_ir::prim::Prim;
use ferroductor_ir::{DType, Literal};
use inkwell::values::{BasicValueEnum, InstructionOpcode as I};
use inkwell::{FloatPredicate, IntPredicate};

use super::build::{Build, Built, Value, vector_of};
use super::error::{CodegenError, malformed, unsupported};

/// What operands of a prim have in common.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Class {
    Float,
    Signed,
    Unsigned,
    Predicate,
}

fn class_of(ty: Ty) -> Result<Class, CodegenError> {
    Ok(match ty.scalar {
        DType::F32 | DType::F64 => Class::Float,
        DType::U8 => Class::Unsigned,
        DType::I8 | DType::I16 | DType::I32 | DType::I64 => Class::Signed,
        DType::Bool => Class::Predicate,
        DType::F16 | DType::BF16 | DType::Opaque(_) => {
            return malformed(format!("arithmetic on {}", ty.scalar));
        }
    })
}

/// Emits a basic prim.
pub(super) fn basic<'c>(
    b: &Build<'c, '_>,
    prim: Prim,
    args: &[Value<'c>],
) -> Result<Value<'c>, CodegenError> {
    if prim == Prim::Select {
        let llvm = b.select(args[0].llvm, args[1].llvm, args[2].llvm)?;
        return Ok(Value::new(llvm, args[1].ty));
    }
    let ty = args[0].ty;
    let class = class_of(ty)?;
    if prim.is_comparison() {
        let llvm = compare(b, prim, class, args[0].llvm, args[1].llvm)?;
        return Ok(Value::new(llvm, ty.with(DType::Bool)));
    }
    let llvm = match class {
        Class::Float => on_floats(b, prim, args)?,
        Class::Signed | Class::Unsigned => on_ints(b, prim, class == Class::Signed, args)?,
        Class::Predicate => on_predicates(b, prim, args)?,
    };
    Ok(Value::new(llvm, ty))
}

fn mismatch<'c>(prim: Prim, args: &[Value<'c>]) -> Built<'c> {
    unsupported(format!("{prim} on {:?}", args[0].ty))
}

fn compare<'c>(
    b: &Build<'c, '_>,
    prim: Prim,
    class: Class,
    x: BasicValueEnum<'c>,
    y: BasicValueEnum<'c>,
) -> Built<'c> {
    use {FloatPredicate as F, IntPredicate as P};
    let (float, signed, unsigned) = match prim {
        Prim::Eq => (F::OEQ, P::EQ, P::EQ),
        Prim::Ne => (F::UNE, P::NE, P::NE),
        Prim::Lt => (F::OLT, P::SLT, P::ULT),
        Prim::Le => (F::OLE, P::SLE, P::ULE),
        Prim::Gt => (F::OGT, P::SGT, P::UGT),
        _ => (F::OGE, P::SGE, P::UGE),
    };
    match class {
        Class::Float => b.compare_floats(float, x, y),
        Class::Signed => b.compare_ints(signed, x, y),
        Class::Unsigned | Class::Predicate => b.compare_ints(unsigned, x, y),
    }
}

fn on_floats<'c>(b: &Build<'c, '_>, prim: Prim, args: &[Value<'c>]) -> Built<'c> {
    let x = args[0].llvm;
    let ty = x.get_type();
    let binary = |op| b.binary(op, x, args[1].llvm);
    let unary = |name| b.intrinsic(name, &[ty], &[x]);
    match prim {
        Prim::Add => binary(I::FAdd),
        Prim::Sub => binary(I::FSub),
        Prim::Mul => binary(I::FMul),
        Prim::Div => binary(I::FDiv),
        Prim::Neg => negate_float(b, x),
        Prim::Abs => unary("llvm.fabs"),
        Prim::Sqrt => unary("llvm.sqrt"),
        Prim::Floor => unary("llvm.floor"),
        Prim::Ceil => unary("llvm.ceil"),
        Prim::Trunc => unary("llvm.trunc"),
        Prim::Round => unary("llvm.roundeven"),
        Prim::MinNum => extreme(b, false, args[0], args[1]),
        Prim::MaxNum => extreme(b, true, args[0], args[1]),
        Prim::Scale => scale(b, args[0], args[1]),
        Prim::CopySign => b.intrinsic("llvm.copysign", &[ty], &[x, args[1].llvm]),
        Prim::Fma => b.intrinsic("llvm.fma", &[ty], &[x, args[1].llvm, args[2].llvm]),
        _ => mismatch(prim, args),
    }
}

fn negate_float<'c>(b: &Build<'c, '_>, x: BasicValueEnum<'c>) -> Built<'c> {
    match x {
        BasicValueEnum::FloatValue(v) => Ok(b.builder.build_float_neg(v, "")?.into()),
        BasicValueEnum::VectorValue(v) => Ok(b.builder.build_float_neg(v, "")?.into()),
        _ => Err(CodegenError::Llvm("fneg of an integer".into())),
    }
}

/// `x` where the comparison holds, else `y`.
fn choose<'c>(
    b: &Build<'c, '_>,
    predicate: FloatPredicate,
    x: BasicValueEnum<'c>,
    y: BasicValueEnum<'c>,
) -> Built<'c> {
    let holds = b.compare_floats(predicate, x, y)?;
    b.select(holds, x, y)
}

/// The greater or lesser operand, the second where neither is: what x86's instructions do. They
/// are called by name, since a comparison and selection beside a test for NaN would be merged with
/// it into something slower.
fn extreme<'c>(b: &Build<'c, '_>, greatest: bool, x: Value<'c>, y: Value<'c>) -> Built<'c> {
    let bits = 8 * x.ty.scalar.size() as u32 * x.ty.lanes;
    if b.is_x86() && bits <= 8 * b.target.isa.vector_bytes() as u32 {
        let name = match (bits, x.ty.scalar, greatest) {
            (128, DType::F32, true) => "llvm.x86.sse.max.ps",
            (128, DType::F32, false) => "llvm.x86.sse.min.ps",
            (128, DType::F64, true) => "llvm.x86.sse2.max.pd",
            (128, DType::F64, false) => "llvm.x86.sse2.min.pd",
            (256, DType::F32, true) => "llvm.x86.avx.max.ps.256",
            (256, DType::F32, false) => "llvm.x86.avx.min.ps.256",
            (256, DType::F64, true) => "llvm.x86.avx.max.pd.256",
            (256, DType::F64, false) => "llvm.x86.avx.min.pd.256",
            (512, DType::F32, true) => "llvm.x86.avx512.max.ps.512",
            (512, DType::F32, false) => "llvm.x86.avx512.min.ps.512",
            (512, DType::F64, true) => "llvm.x86.avx512.max.pd.512",
            (512, DType::F64, false) => "llvm.x86.avx512.min.pd.512",
            _ => "",
        };
        match bits {
            512 => return b.intrinsic(name, &[], &[x.llvm, y.llvm, present_rounding(b)]),
            128 | 256 if !name.is_empty() => return b.intrinsic(name, &[], &[x.llvm, y.llvm]),
            _ => {}
        }
    }
    let predicate = if greatest {
        FloatPredicate::OGT
    } else {
        FloatPredicate::OLT
    };
    choose(b, predicate, x.llvm, y.llvm)
}

/// "As the control register says", in the 512-bit instructions' own operand.
fn present_rounding<'c>(b: &Build<'c, '_>) -> BasicValueEnum<'c> {
    b.context.i32_type().const_int(4, false).into()
}

/// `x * 2^floor(y)` by AVX-512's instruction; wider vectors in halves, narrower ones filled up.
fn scale<'c>(b: &Build<'c, '_>, x: Value<'c>, y: Value<'c>) -> Built<'c> {
    let lanes = x.ty.lanes;
    let name = match (8 * x.ty.scalar.size() as u32 * lanes, x.ty.scalar) {
        (0..128, _) => {
            let filled = 16 / x.ty.scalar.size() as u32;
            let wide = scale(
                b,
                with_lanes(b, x, 0, filled)?,
                with_lanes(b, y, 0, filled)?,
            )?;
            let wide = Value::new(wide, Ty::new(x.ty.scalar, filled));
            return Ok(with_lanes(b, wide, 0, lanes)?.llvm);
        }
        (128, DType::F32) => "llvm.x86.avx512.mask.scalef.ps.128",
        (128, _) => "llvm.x86.avx512.mask.scalef.pd.128",
        (256, DType::F32) => "llvm.x86.avx512.mask.scalef.ps.256",
        (256, _) => "llvm.x86.avx512.mask.scalef.pd.256",
        (512, DType::F32) => "llvm.x86.avx512.mask.scalef.ps.512",
        (512, _) => "llvm.x86.avx512.mask.scalef.pd.512",
        _ => {
            let half = lanes / 2;
            let low = scale(b, with_lanes(b, x, 0, half)?, with_lanes(b, y, 0, half)?)?;
            let high = scale(
                b,
                with_lanes(b, x, half, half)?,
                with_lanes(b, y, half, half)?,
            )?;
            return match (low, high) {
                (BasicValueEnum::VectorValue(low), BasicValueEnum::VectorValue(high)) => {
                    b.shuffle(low, high, &(0..lanes).collect::<Vec<_>>())
                }
                _ => malformed("half a vector is no vector"),
            };
        }
    };
    // A mask of as many bits as lanes, eight at least: all lanes are wanted.
    let mask = b.bits_type(lanes.max(8))?.const_all_ones();
    let mut operands = vec![x.llvm, y.llvm, x.llvm, mask.into()];
    if x.ty.scalar.size() as u32 * lanes == 64 {
        operands.push(present_rounding(b));
    }
    b.intrinsic(name, &[], &operands)
}

/// `count` lanes from `first` on; those beyond the last repeat.
fn with_lanes<'c>(
    b: &Build<'c, '_>,
    x: Value<'c>,
    first: u32,
    count: u32,
) -> Result<Value<'c>, CodegenError> {
    let ty = Ty::new(x.ty.scalar, count);
    let llvm = match x.llvm {
        BasicValueEnum::VectorValue(v) => {
            let picks: Vec<u32> = (first..first + count).map(|l| l % x.ty.lanes).collect();
            b.shuffle(v, v, &picks)?
        }
        scalar => b.splat(scalar, count)?,
    };
    Ok(Value::new(llvm, ty))
}

fn on_ints<'c>(b: &Build<'c, '_>, prim: Prim, signed: bool, args: &[Value<'c>]) -> Built<'c> {
    let x = args[0].llvm;
    let binary = |op| b.binary(op, x, args[1].llvm);
    let smaller = |predicate| {
        let holds = b.compare_ints(predicate, x, args[1].llvm)?;
        b.select(holds, x, args[1].llvm)
    };
    match prim {
        Prim::Add => binary(I::Add),
        Prim::Sub => binary(I::Sub),
        Prim::Mul => binary(I::Mul),
        Prim::Div => divide(b, signed, args[0], args[1]),
        Prim::Rem => remainder(b, signed, args[0], args[1]),
        Prim::Neg => b.binary(I::Sub, b.int_like(x, 0), x),
        Prim::Abs if !signed => Ok(x),
        Prim::Abs => {
            let minimum_is_poison = b.context.bool_type().const_zero();
            b.intrinsic("llvm.abs", &[x.get_type()], &[x, minimum_is_poison.into()])
        }
        Prim::MinNum if signed => smaller(IntPredicate::SLT),
        Prim::MinNum => smaller(IntPredicate::ULT),
        Prim::MaxNum if signed => smaller(IntPredicate::SGT),
        Prim::MaxNum => smaller(IntPredicate::UGT),
        Prim::And => binary(I::And),
        Prim::Or => binary(I::Or),
        Prim::Xor => binary(I::Xor),
        Prim::Not => b.binary(I::Xor, x, b.int_like(x, -1)),
        Prim::Shl => shift(b, I::Shl, args[0], args[1]),
        Prim::Shr if signed => shift_arithmetic(b, args[0], args[1]),
        Prim::Shr => shift(b, I::LShr, args[0], args[1]),
        _ => mismatch(prim, args),
    }
}

fn on_predicates<'c>(b: &Build<'c, '_>, prim: Prim, args: &[Value<'c>]) -> Built<'c> {
    let x = args[0].llvm;
    match prim {
        Prim::And => b.binary(I::And, x, args[1].llvm),
        Prim::Or => b.binary(I::Or, x, args[1].llvm),
        Prim::Xor => b.binary(I::Xor, x, args[1].llvm),
        Prim::Not => b.binary(I::Xor, x, b.int_like(x, -1)),
        _ => mismatch(prim, args),
    }
}

/// A shift that gives 0 for counts out of range: LLVM's result is poison there, and not selected.
fn shift<'c>(b: &Build<'c, '_>, op: I, x: Value<'c>, count: Value<'c>) -> Built<'c> {
    let bits = 8 * x.ty.scalar.size() as i64;
    let shifted = b.binary(op, x.llvm, count.llvm)?;
    let limit = b.int_like(count.llvm, bits);
    let in_range = b.compare_ints(IntPredicate::ULT, count.llvm, limit)?;
    b.select(in_range, shifted, b.int_like(x.llvm, 0))
}

/// Counts out of range shift all but the sign away.
fn shift_arithmetic<'c>(b: &Build<'c, '_>, x: Value<'c>, count: Value<'c>) -> Built<'c> {
    let bits = 8 * x.ty.scalar.size() as i64;
    let limit = b.int_like(count.llvm, bits - 1);
    let in_range = b.compare_ints(IntPredicate::ULT, count.llvm, limit)?;
    let count = b.select(in_range, count.llvm, limit)?;
    b.binary(I::AShr, x.llvm, count)
}

/// The quotient towards zero; by zero 0, and the minimum by -1 is the minimum.
fn divide<'c>(b: &Build<'c, '_>, signed: bool, x: Value<'c>, y: Value<'c>) -> Built<'c> {
    if is_plain_divisor(y) {
        return b.binary(division(signed), x.llvm, y.llvm);
    }
    let (divisor, is_zero) = safe_divisor(b, signed, x, y)?;
    let quotient = if x.ty.lanes > 1 && x.ty.scalar != DType::I64 {
        divide_as_floats(b, signed, x, divisor)?
    } else {
        b.binary(division(signed), x.llvm, divisor)?
    };
    b.select(is_zero, b.int_like(quotient, 0), quotient)
}

/// The rest of [`divide`], except that it is 0 by zero.
fn remainder<'c>(b: &Build<'c, '_>, signed: bool, x: Value<'c>, y: Value<'c>) -> Built<'c> {
    let op = if signed { I::SRem } else { I::URem };
    if is_plain_divisor(y) {
        return b.binary(op, x.llvm, y.llvm);
    }
    // The stand-in for zero and for -1 is 1, whose remainder is 0, as it is by both.
    let (divisor, _) = safe_divisor(b, signed, x, y)?;
    if x.ty.lanes > 1 && x.ty.scalar != DType::I64 {
        let quotient = divide_as_floats(b, signed, x, divisor)?;
        let product = b.binary(I::Mul, quotient, divisor)?;
        return b.binary(I::Sub, x.llvm, product);
    }
    b.binary(op, x.llvm, divisor)
}

fn division(signed: bool) -> I {
    if signed { I::SDiv } else { I::UDiv }
}

/// A constant for which LLVM's division is defined whatever the dividend.
fn is_plain_divisor(y: Value<'_>) -> bool {
    matches!(y.literal, Some(Literal::Int(n)) if n != 0 && n != -1)
}

/// The divisor with 1 where the machine would trap, and where it was zero.
fn safe_divisor<'c>(
    b: &Build<'c, '_>,
    signed: bool,
    x: Value<'c>,
    y: Value<'c>,
) -> Result<(BasicValueEnum<'c>, BasicValueEnum<'c>), CodegenError> {
    let zero = b.int_like(y.llvm, 0);
    let is_zero = b.compare_ints(IntPredicate::EQ, y.llvm, zero)?;
    let mut unsafe_lane = is_zero;
    if signed {
        let bits = 8 * x.ty.scalar.size() as u32;
        let minimum = b.int_like(x.llvm, i64::MIN >> (64 - bits));
        let at_minimum = b.compare_ints(IntPredicate::EQ, x.llvm, minimum)?;
        let by_minus_one = b.compare_ints(IntPredicate::EQ, y.llvm, b.int_like(y.llvm, -1))?;
        let overflows = b.binary(I::And, at_minimum, by_minus_one)?;
        unsafe_lane = b.binary(I::Or, is_zero, overflows)?;
    }
    let divisor = b.select(unsafe_lane, b.int_like(y.llvm, 1), y.llvm)?;
    Ok((divisor, is_zero))
}

/// Vector units do not divide integers. The float quotient of integers of at most half the
/// fraction's width, truncated, is the integer quotient.
fn divide_as_floats<'c>(
    b: &Build<'c, '_>,
    signed: bool,
    x: Value<'c>,
    divisor: BasicValueEnum<'c>,
) -> Built<'c> {
    let wide = x.ty.scalar == DType::I32;
    let lane = if wide {
        b.context.f64_type()
    } else {
        b.context.f32_type()
    };
    let float = vector_of(lane.into(), x.ty.lanes);
    let (to_float, to_int) = if signed {
        (I::SIToFP, I::FPToSI)
    } else {
        (I::UIToFP, I::FPToUI)
    };
    let numerator = b.cast(to_float, x.llvm, float)?;
    let denominator = b.cast(to_float, divisor, float)?;
    let quotient = b.binary(I::FDiv, numerator, denominator)?;
    b.cast(to_int, quotient, x.llvm.get_type())
}
