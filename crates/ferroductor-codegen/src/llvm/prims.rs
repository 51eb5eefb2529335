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
        Prim::MinNum => choose(b, FloatPredicate::OLT, x, args[1].llvm),
        Prim::MaxNum => choose(b, FloatPredicate::OGT, x, args[1].llvm),
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
