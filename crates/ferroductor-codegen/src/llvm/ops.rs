//! Operations: from operands to one value.
//!
//! Functions are inlined where they are called: their bodies are straight-line code, and LLVM then
//! schedules and shares across calls without a pass to inline them.

use std::collections::HashMap;

use ferroductor_ir::kernel::{Op, Ty, ValueId};
use ferroductor_ir::prim::Prim;
use ferroductor_ir::{DType, IExpr};
use inkwell::types::VectorType;
use inkwell::values::{BasicValueEnum, InstructionOpcode as I, IntValue};

use super::build::{Build, Value, vector_of};
use super::convert::{bitcast, convert};
use super::error::{CodegenError, malformed};
use super::function::Emitter;
use super::memory;
use super::prims;

pub(super) type Emitted<'c> = Result<Value<'c>, CodegenError>;

impl<'c> Emitter<'c, '_> {
    /// An operation of `setup` or `body`.
    pub(super) fn op(&self, op: &Op) -> Emitted<'c> {
        let b = &self.b;
        match op {
            Op::Index { expr } => {
                let ty = Ty::scalar(DType::I64);
                Ok(Value::new(self.scope.emit(b, expr)?.into(), ty))
            }
            Op::Ramp {
                base,
                stride,
                lanes,
            } => self.ramp(base, stride, *lanes),
            Op::Get { id } => match self.registers.get(id) {
                Some(value) => Ok(*value),
                None => malformed(format!("register {} is not in scope", id.0)),
            },
            Op::Load { buf, index, lanes } => {
                memory::load(b, &self.scope, &self.places, (*buf, index), *lanes)
            }
            Op::LoadMasked { buf, index, mask } => {
                let mask = self.value(*mask)?;
                memory::load_masked(b, &self.scope, &self.places, (*buf, index), mask)
            }
            Op::LoadStrided {
                buf,
                index,
                stride,
                lanes,
            } => memory::load_strided(b, &self.scope, &self.places, (*buf, index), stride, *lanes),
            Op::Gather { buf, index } => memory::gather(b, &self.places, *buf, self.value(*index)?),
            Op::Prim { prim, args } if !prim.is_basic() => {
                let args: Vec<Value<'c>> = (args.iter())
                    .map(|a| self.value(*a))
                    .collect::<Result<_, _>>()?;
                self.call(*prim, &args)
            }
            _ => pure_op(b, op, &|id| self.value(id)),
        }
    }

    /// The body of a function, with its operands in place of its parameters.
    fn call(&self, prim: Prim, args: &[Value<'c>]) -> Emitted<'c> {
        let function = args
            .first()
            .and_then(|first| self.kernel.function(prim, first.ty));
        let Some(function) = function else {
            return malformed(format!("{prim} has no definition for its operands"));
        };
        let params = function.params.iter().copied();
        let mut values: HashMap<ValueId, Value<'c>> = params.zip(args.iter().copied()).collect();
        let find = |values: &HashMap<ValueId, Value<'c>>, id: ValueId| match values.get(&id) {
            Some(value) => Ok(*value),
            None => malformed(format!("value {} is not in scope of {prim}", id.0)),
        };
        for (id, op) in &function.body {
            let value = pure_op(&self.b, op, &|id| find(&values, id))?;
            values.insert(*id, value);
        }
        let ordinary = find(&values, function.result)?;
        let Some(rare) = &function.rare else {
            return Ok(ordinary);
        };
        let lanes = find(&values, rare.lanes)?;
        self.where_any(lanes.llvm, ordinary, || {
            for (id, op) in &rare.body {
                let value = pure_op(&self.b, op, &|id| find(&values, id))?;
                values.insert(*id, value);
            }
            let other = find(&values, rare.result)?;
            self.b.select(lanes.llvm, other.llvm, ordinary.llvm)
        })
    }

    fn ramp(&self, base: &IExpr, stride: &IExpr, lanes: u32) -> Emitted<'c> {
        let b = &self.b;
        let ty = Ty::new(DType::I64, lanes);
        let base = b.splat(self.scope.emit(b, base)?.into(), lanes)?;
        if lanes == 1 {
            return Ok(Value::new(base, ty));
        }
        let steps: Vec<IntValue<'c>> = (0..lanes).map(|l| b.i64(i64::from(l))).collect();
        let steps = VectorType::const_vector(&steps);
        let stride = b.splat(self.scope.emit(b, stride)?.into(), lanes)?;
        let offsets = b.binary(I::Mul, steps.into(), stride)?;
        Ok(Value::new(b.binary(I::Add, base, offsets)?, ty))
    }
}

/// An operation that depends on nothing but its operands, as a function's body may hold it too.
fn pure_op<'c>(b: &Build<'c, '_>, op: &Op, value: &dyn Fn(ValueId) -> Emitted<'c>) -> Emitted<'c> {
    match op {
        Op::Const { value, ty } => b.constant(*value, *ty),
        Op::Prim { prim, args } => {
            let args = args.iter().map(|a| value(*a));
            let args: Vec<Value<'c>> = args.collect::<Result<_, _>>()?;
            prims::basic(b, *prim, &args)
        }
        Op::Convert { value: x, to } => convert(b, value(*x)?, *to),
        Op::Bitcast { value: x, to } => bitcast(b, value(*x)?, *to),
        Op::Splat { value: x, lanes } => splat(b, value(*x)?, *lanes),
        Op::Extract { value: x, lane } => extract(b, value(*x)?, *lane),
        Op::Shuffle { a, b: other, lanes } => shuffle(b, value(*a)?, value(*other)?, lanes),
        Op::DotBf16 { acc, a, b: other } => dot_bf16(b, value(*acc)?, value(*a)?, value(*other)?),
        _ => malformed("a function's body reads memory, indices or registers"),
    }
}

fn splat<'c>(b: &Build<'c, '_>, value: Value<'c>, lanes: u32) -> Emitted<'c> {
    let ty = Ty::new(value.ty.scalar, lanes);
    if let Some(literal) = value.literal {
        return b.constant(literal, ty);
    }
    Ok(Value::new(b.splat(value.llvm, lanes)?, ty))
}

fn extract<'c>(b: &Build<'c, '_>, value: Value<'c>, lane: u32) -> Emitted<'c> {
    let mut one = Value::new(b.extract(value.llvm, lane)?, Ty::scalar(value.ty.scalar));
    one.literal = value.literal;
    Ok(one)
}

fn shuffle<'c>(b: &Build<'c, '_>, x: Value<'c>, y: Value<'c>, picks: &[u32]) -> Emitted<'c> {
    let ty = Ty::new(x.ty.scalar, picks.len() as u32);
    let llvm = match (x.llvm, y.llvm) {
        (BasicValueEnum::VectorValue(x), BasicValueEnum::VectorValue(y)) => {
            b.shuffle(x, y, picks)?
        }
        (x, y) => {
            let picked = picks.iter().map(|p| if *p == 0 { x } else { y });
            b.collect(&picked.collect::<Vec<_>>())?
        }
    };
    Ok(Value::new(llvm, ty))
}

/// The instruction on vectors of 4, 8 or 16; wider ones in halves, narrower ones filled up.
fn dot_bf16<'c>(b: &Build<'c, '_>, acc: Value<'c>, x: Value<'c>, y: Value<'c>) -> Emitted<'c> {
    let name = match acc.ty.lanes {
        1 | 2 => return dot_bf16_filled(b, acc, x, y),
        4 => "llvm.x86.avx512bf16.dpbf16ps.128",
        8 => "llvm.x86.avx512bf16.dpbf16ps.256",
        16 => "llvm.x86.avx512bf16.dpbf16ps.512",
        _ => return dot_bf16_in_halves(b, acc, x, y),
    };
    let native = vector_of(b.context.bf16_type().into(), x.ty.lanes);
    let a = b.cast(I::BitCast, x.llvm, native)?;
    let c = b.cast(I::BitCast, y.llvm, native)?;
    let sum = b.intrinsic(name, &[], &[acc.llvm, a, c])?;
    Ok(Value::new(sum, acc.ty))
}

fn dot_bf16_filled<'c>(
    b: &Build<'c, '_>,
    acc: Value<'c>,
    x: Value<'c>,
    y: Value<'c>,
) -> Emitted<'c> {
    // Repeating lanes fills a vector with numbers that mean nothing and harm nothing.
    let fill = |v: Value<'c>, lanes: u32| {
        let picks: Vec<u32> = (0..lanes).map(|l| l % v.ty.lanes).collect();
        shuffle(b, v, v, &picks)
    };
    let wide = dot_bf16(b, fill(acc, 4)?, fill(x, 8)?, fill(y, 8)?)?;
    let picks: Vec<u32> = (0..acc.ty.lanes).collect();
    shuffle(b, wide, wide, &picks)
}

fn dot_bf16_in_halves<'c>(
    b: &Build<'c, '_>,
    acc: Value<'c>,
    x: Value<'c>,
    y: Value<'c>,
) -> Emitted<'c> {
    let half = |v: Value<'c>, upper: bool| {
        let lanes = v.ty.lanes / 2;
        let first = if upper { lanes } else { 0 };
        let picks: Vec<u32> = (first..first + lanes).collect();
        shuffle(b, v, v, &picks)
    };
    let low = dot_bf16(b, half(acc, false)?, half(x, false)?, half(y, false)?)?;
    let high = dot_bf16(b, half(acc, true)?, half(x, true)?, half(y, true)?)?;
    let picks: Vec<u32> = (0..acc.ty.lanes).collect();
    shuffle(b, low, high, &picks)
}
