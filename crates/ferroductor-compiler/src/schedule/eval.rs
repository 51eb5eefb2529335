//! Evaluating scalar expressions inside the loops: vectors where the vectorised axis is involved,
//! scalars elsewhere, each value computed once and as far out as possible.

use super::emitter::Emitter;
use super::prepare::{Action, Prepared};
use super::{reduce, strided};
use crate::error::CompileError;
use crate::graph::{E, Expr, Load, TensorId};
use ferroductor_ir::kernel::*;
use ferroductor_ir::{Atom, DType, Extents, IExpr, Literal, NoRanges, Prim};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

type Result<T> = std::result::Result<T, CompileError>;

/// Where a tensor computed in this kernel can be read.
#[derive(Clone, Debug)]
pub enum Home {
    /// Recomputed (or found already computed) at the same point.
    Inline(usize),
    /// A finished reduction's value.
    Value(ValueId),
    /// Elements in memory written by this kernel: buffer, and its offset as a function of the axes.
    Memory(Buf, IExpr),
    /// Consecutive lanes from an index in the kernel's own terms.
    Placed(Buf, IExpr),
}

/// The axis that lanes run along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vector {
    pub axis: u32,
    pub lanes: u32,
}

/// An expression, the lanes it was computed in, and which of them were active.
pub type Known = (*const Expr, Option<u32>, Option<ValueId>);
/// Values of each open block, outermost first.
pub type Memo = Vec<HashMap<Known, ValueId>>;

pub struct Evaluator<'a> {
    pub emitter: Emitter<'a>,
    pub prepared: &'a Prepared,
    /// Value of each axis (at lane 0 of the vectorised one).
    pub axis: Vec<IExpr>,
    pub vector: Option<Vector>,
    /// The lanes that may touch memory, where not all may: see [`super::masked`].
    pub mask: Option<ValueId>,
    /// Local arrays with room behind their last element, so that masks need not keep to them.
    pub roomy: HashSet<Buf>,
    pub homes: HashMap<TensorId, Home>,
    /// Parameter of each tensor that lies outside.
    pub buffers: HashMap<TensorId, Buf>,
    /// Values per expression, with the block they were computed in.
    memo: Memo,
    /// Kernel slot of each size symbol.
    pub sizes: Vec<u32>,
    /// Errors of checks: kernel code minus one is the position here.
    pub errors: Vec<u32>,
}

impl<'a> Evaluator<'a> {
    pub fn new(emitter: Emitter<'a>, prepared: &'a Prepared) -> Evaluator<'a> {
        Evaluator {
            axis: vec![IExpr::zero(); prepared.axes.len()],
            emitter,
            prepared,
            vector: None,
            mask: None,
            roomy: HashSet::new(),
            homes: HashMap::new(),
            buffers: HashMap::new(),
            memo: vec![HashMap::new(), HashMap::new()],
            sizes: Vec::new(),
            errors: Vec::new(),
        }
    }

    // Index expressions.

    /// An expression over size symbols and axes in the kernel's own terms.
    pub fn place(&mut self, e: &IExpr) -> IExpr {
        let axis = self.axis.clone();
        let sized = self.sized(e);
        sized.substitute(
            &|a| match a {
                Atom::Var(v) => axis.get(*v as usize).cloned(),
                _ => None,
            },
            &NoRanges,
        )
    }

    /// Renumbers size symbols to the kernel's size table.
    pub fn sized(&mut self, e: &IExpr) -> IExpr {
        let mut wanted = Vec::new();
        e.visit(&mut |a| {
            if let Atom::Size(s) = a {
                wanted.push(*s);
            }
        });
        if wanted.is_empty() {
            return e.clone();
        }
        for s in wanted {
            if !self.sizes.contains(&s) {
                self.sizes.push(s);
            }
        }
        let slots = self.sizes.clone();
        e.substitute(
            &|a| match a {
                Atom::Size(s) => slots
                    .iter()
                    .position(|x| x == s)
                    .map(|at| IExpr::size(at as u32)),
                _ => None,
            },
            &NoRanges,
        )
    }

    pub fn extent(&mut self, axis: u32) -> IExpr {
        let e = self.prepared.axes[axis as usize].clone();
        self.sized(&e)
    }

    // Blocks: the memo follows them.

    pub fn open_for(&mut self, begin: IExpr, end: IExpr, step: i64) -> IExpr {
        self.memo.push(HashMap::new());
        self.emitter.open_for(begin, end, step)
    }

    pub fn open_if(&mut self, cond: ValueId) {
        self.memo.push(HashMap::new());
        self.emitter.open_if(cond);
    }

    pub fn close(&mut self) {
        self.memo.pop();
        self.emitter.close();
    }

    /// Sets the memo aside. With an axis at a literal position, values land in blocks further out
    /// than the axis belongs to: they must not be taken for those of other positions.
    pub fn set_memo_aside(&mut self) -> Memo {
        let empty = vec![HashMap::new(); self.memo.len()];
        std::mem::replace(&mut self.memo, empty)
    }

    pub fn restore_memo(&mut self, memo: Memo) {
        self.memo = memo;
    }

    // Expressions.

    /// The value of an expression of the kernel. It is remembered by address, so the expression must
    /// live as long as the evaluator: never a temporary one.
    pub fn eval(&mut self, e: &E) -> Result<ValueId> {
        let key = (Arc::as_ptr(e), self.vector.map(|v| v.lanes), self.mask);
        if let Some(known) = self.memo.iter().rev().find_map(|m| m.get(&key)) {
            return Ok(*known);
        }
        let value = self.compute(e)?;
        let depth = self
            .emitter
            .value_depth_of(value)
            .min(self.memo.len().saturating_sub(1));
        self.memo[depth].insert(key, value);
        Ok(value)
    }

    fn compute(&mut self, e: &E) -> Result<ValueId> {
        match &**e {
            Expr::Const(literal, dtype) => Ok(self.emitter.constant(*literal, Ty::scalar(*dtype))),
            Expr::Index(i) => self.index(i),
            Expr::Load(load) => self.load(load),
            Expr::Prim { prim, args, .. } => {
                let args = args
                    .iter()
                    .map(|a| self.eval(a))
                    .collect::<Result<Vec<_>>>()?;
                self.emitter.prim(*prim, &args)
            }
            Expr::Convert(value, to) => {
                let value = self.eval(value)?;
                Ok(self.emitter.convert(value, *to))
            }
            Expr::Round(value, to) => {
                let value = self.eval(value)?;
                let narrow = self.emitter.convert(value, *to);
                Ok(self.emitter.convert(narrow, DType::F32))
            }
            Expr::Guard {
                bounds,
                value,
                other,
            } => self.guard(bounds, value, other),
            Expr::Check {
                value,
                bound,
                error,
            } => self.check(value, bound, *error),
        }
    }

    /// The factor of the vectorised axis in an index, if lanes matter to it at all.
    fn lane_stride(&self, e: &IExpr) -> Lane {
        let Some(vector) = self.vector else {
            return Lane::Uniform;
        };
        match e.coefficient(vector.axis) {
            Some(c) if c.is_zero() => Lane::Uniform,
            Some(c) => Lane::Linear(c),
            None => Lane::General,
        }
    }

    /// The `i64` value of an index expression, in lanes where it depends on the vectorised axis.
    pub fn index(&mut self, e: &IExpr) -> Result<ValueId> {
        match self.lane_stride(e) {
            Lane::Uniform => {
                let expr = self.place(e);
                Ok(self.emitter.push(Op::Index { expr }))
            }
            Lane::Linear(stride) => {
                let (base, stride) = (self.place(e), self.place(&stride));
                let lanes = self.vector.map_or(1, |v| v.lanes);
                Ok(self.emitter.push(Op::Ramp {
                    base,
                    stride,
                    lanes,
                }))
            }
            Lane::General => self.index_arithmetic(e, &[]),
        }
    }

    /// An index expression in `i64` arithmetic, lane by lane. `values[k]` is `Atom::Value(k)`.
    fn index_arithmetic(&mut self, e: &IExpr, values: &[ValueId]) -> Result<ValueId> {
        let mut sum: Option<ValueId> = None;
        let i64_ty = Ty::scalar(DType::I64);
        // The part without lanes or loaded values is one scalar expression.
        let mut uniform = IExpr::zero();
        for (monomial, coefficient) in e.terms() {
            let mut term = IExpr::constant(*coefficient);
            for a in monomial {
                term = &term * &IExpr::atom(a.clone());
            }
            let mut has_value = false;
            term.visit(&mut |a| has_value |= matches!(a, Atom::Value(_)));
            if !has_value && self.lane_stride(&term) == Lane::Uniform {
                uniform = &uniform + &term;
                continue;
            }
            let mut product = self.emitter.constant(Literal::Int(*coefficient), i64_ty);
            for a in monomial {
                let factor = self.atom_arithmetic(a, values)?;
                product = self.emitter.prim(Prim::Mul, &[product, factor])?;
            }
            sum = Some(match sum {
                None => product,
                Some(s) => self.emitter.prim(Prim::Add, &[s, product])?,
            });
        }
        let expr = self.place(&uniform);
        let base = self.emitter.push(Op::Index { expr });
        match sum {
            None => Ok(base),
            Some(s) => self.emitter.prim(Prim::Add, &[s, base]),
        }
    }

    fn atom_arithmetic(&mut self, a: &Atom, values: &[ValueId]) -> Result<ValueId> {
        let binary = |prim: Prim, x: &IExpr, y: &IExpr, this: &mut Self| {
            let x = this.index_arithmetic(x, values)?;
            let y = this.index_arithmetic(y, values)?;
            this.emitter.prim(prim, &[x, y])
        };
        match a {
            Atom::Value(k) => values.get(*k as usize).copied().ok_or_else(|| {
                CompileError::internal("schedule", "an index refers to a missing value")
            }),
            Atom::FloorDiv(x, y) => binary(Prim::FloorDivide, x, y, self),
            Atom::Mod(x, y) => binary(Prim::Remainder, x, y, self),
            Atom::Min(x, y) => binary(Prim::Minimum, x, y, self),
            Atom::Max(x, y) => binary(Prim::Maximum, x, y, self),
            Atom::Var(_) | Atom::Size(_) => self.index(&IExpr::atom(a.clone())),
        }
    }

    fn load(&mut self, load: &Load) -> Result<ValueId> {
        match self.homes.get(&load.tensor).cloned() {
            Some(Home::Value(value)) => return Ok(value),
            Some(Home::Inline(piece)) => return self.inline(piece, load),
            Some(Home::Placed(buf, index)) => {
                let raw = self.load_lanes(buf, index, true);
                return Ok(self.emitter.convert(raw, load.dtype));
            }
            Some(Home::Memory(buf, offset)) => {
                // Members read what members computed only at the same point.
                let here = Load {
                    index: vec![offset],
                    ..load.clone()
                };
                let raw = self.read(buf, &here, true)?;
                return Ok(self.emitter.convert(raw, load.dtype));
            }
            None => {}
        }
        let buf = self.buffers.get(&load.tensor).copied().ok_or_else(|| {
            CompileError::internal("schedule", "a tensor is read that has no buffer")
        })?;
        let raw = self.read(buf, load, false)?;
        Ok(self.emitter.convert(raw, load.dtype))
    }

    fn inline(&mut self, piece: usize, load: &Load) -> Result<ValueId> {
        let prepared = self.prepared;
        match &prepared.pieces[piece].action {
            Action::Store { offset, value } if load.index[0] == *offset => self.eval(value),
            _ => Err(CompileError::internal(
                "schedule",
                "an element without memory is read at another point",
            )),
        }
    }

    /// Reads elements of a buffer. `written`: the kernel itself writes it, so the load stays here.
    fn read(&mut self, buf: Buf, load: &Load, written: bool) -> Result<ValueId> {
        let values = load
            .values
            .iter()
            .map(|v| self.eval(v))
            .collect::<Result<Vec<_>>>()?;
        let offset = &load.index[0];
        let scalar_values = values.iter().all(|v| self.emitter.ty(*v).lanes == 1);
        let lane = self.lane_stride(offset);
        let op = if scalar_values && lane != Lane::General {
            let index = self.place_with(offset, &values);
            let lanes = self.vector.map_or(1, |v| v.lanes);
            match lane {
                Lane::Linear(stride) if stride.is_one() => {
                    return Ok(self.load_lanes(buf, index, written));
                }
                Lane::Linear(stride) if stride.as_const() == Some(-1) => {
                    return Ok(self.load_backwards(buf, &index, written));
                }
                Lane::Linear(stride) => {
                    let stride = self.place_with(&stride, &values);
                    // These read what lies between the elements too, which a mask does not say.
                    let short = strided::is_short(&stride, lanes).filter(|_| self.mask.is_none());
                    if let Some(stride) = short {
                        let from = strided::Elements {
                            buf,
                            index,
                            stride,
                            lanes,
                        };
                        return Ok(from.load(&mut self.emitter, written));
                    }
                    Op::LoadStrided {
                        buf,
                        index,
                        stride,
                        lanes,
                    }
                }
                _ => Op::Load {
                    buf,
                    index,
                    lanes: 1,
                },
            }
        } else {
            let index = self.index_arithmetic(offset, &values)?;
            Op::Gather { buf, index }
        };
        if let (Some(mask), Op::LoadStrided { .. } | Op::Gather { .. }) = (self.mask, &op) {
            return self.load_apart(&op, mask);
        }
        Ok(if written {
            self.emitter.push_here(op)
        } else {
            self.emitter.push(op)
        })
    }

    /// Like [`Evaluator::place`], with scalar values for `Atom::Value(k)`.
    pub fn place_with(&mut self, e: &IExpr, values: &[ValueId]) -> IExpr {
        let axis = self.axis.clone();
        let sized = self.sized(e);
        sized.substitute(
            &|a| match a {
                Atom::Var(v) => axis.get(*v as usize).cloned(),
                Atom::Value(k) => values.get(*k as usize).map(|v| IExpr::value(v.0)),
                _ => None,
            },
            &NoRanges,
        )
    }

    /// Where bounds are concerned, may `index` be negative, and may it reach `bound`?
    pub fn may_leave(&self, index: &IExpr, bound: &IExpr) -> (bool, bool) {
        let ranges = Extents(&self.prepared.axes);
        let Some((low, high)) = index.bounds(&ranges) else {
            return (true, true);
        };
        let stays_below = (&(bound - &high) - &IExpr::one()).is_nonnegative(&ranges);
        (!low.is_nonnegative(&ranges), !stays_below)
    }

    /// The tests of `0 <= index < bound` that are wanted.
    pub fn plain_tests(
        &mut self,
        index: &IExpr,
        bound: &IExpr,
        (below, beyond): (bool, bool),
    ) -> Result<Vec<ValueId>> {
        let mut tests = Vec::new();
        if !below && !beyond {
            return Ok(tests);
        }
        let value = self.index(index)?;
        if below {
            let zero = Op::Const {
                value: Literal::Int(0),
                ty: Ty::scalar(DType::I64),
            };
            let zero = self.emitter.push(zero);
            tests.push(self.emitter.prim(Prim::Ge, &[value, zero])?);
        }
        if beyond {
            let limit = self.index(bound)?;
            tests.push(self.emitter.prim(Prim::Lt, &[value, limit])?);
        }
        Ok(tests)
    }

    /// The predicate that all bounds hold.
    pub(super) fn inside(&mut self, bounds: &[(IExpr, IExpr)]) -> Result<ValueId> {
        let test = self.inside_if_tested(bounds)?;
        let always = Ty::scalar(DType::Bool);
        Ok(test.unwrap_or_else(|| self.emitter.constant(Literal::Bool(true), always)))
    }

    /// The same; `None` where they always do.
    fn inside_if_tested(&mut self, bounds: &[(IExpr, IExpr)]) -> Result<Option<ValueId>> {
        let mut all: Option<ValueId> = None;
        for (index, bound) in bounds {
            let may_leave = self.may_leave(index, bound);
            for test in self.plain_tests(index, bound, may_leave)? {
                all = Some(match all {
                    None => test,
                    Some(a) => self.emitter.prim(Prim::And, &[a, test])?,
                });
            }
        }
        Ok(all)
    }

    /// `value` where inside, else `other`: a branch for the bounds that the lanes share, a mask for
    /// those that differ.
    fn guard(&mut self, bounds: &[(IExpr, IExpr)], value: &E, other: &E) -> Result<ValueId> {
        let axis = self.vector.map(|v| v.axis);
        let (differing, shared): (Vec<_>, Vec<_>) = bounds
            .iter()
            .cloned()
            .partition(|b| axis.is_some_and(|a| super::masked::differs(b, a)));
        let cond = self.inside_if_tested(&shared)?;
        let lanes = self.vector.map_or(1, |v| v.lanes);
        let other = self.eval(other)?;
        let other = self.emitter.widen(other, lanes);
        let Some(cond) = cond else {
            return self.guard_lanes(&differing, value, other);
        };
        let register = self.emitter.register(other);
        self.open_if(cond);
        let inner = self.guard_lanes(&differing, value, other)?;
        self.emitter.set(register, inner);
        self.close();
        Ok(self.emitter.get(register))
    }

    fn check(&mut self, value: &E, bound: &IExpr, error: u32) -> Result<ValueId> {
        let value = self.eval(value)?;
        let i64_ty = Ty::scalar(DType::I64);
        let zero = self.emitter.constant(Literal::Int(0), i64_ty);
        let expr = self.place(bound);
        let limit = self.emitter.push(Op::Index { expr });
        let below = self.emitter.prim(Prim::Lt, &[value, zero])?;
        let beyond = self.emitter.prim(Prim::Ge, &[value, limit])?;
        let mut bad = self.emitter.prim(Prim::Or, &[below, beyond])?;
        if let Some(mask) = self.mask {
            bad = self.emitter.prim(Prim::And, &[bad, mask])?;
        }
        bad = reduce::any_lane(self, bad)?;
        let code = match self.errors.iter().position(|e| *e == error) {
            Some(at) => at as u32 + 1,
            None => {
                self.errors.push(error);
                self.errors.len() as u32
            }
        };
        // The failing test must come before any load at the index, so it stands where the value
        // does.
        self.emitter.fail(bad, code);
        Ok(value)
    }
}

/// How lanes matter to an index.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Lane {
    Uniform,
    Linear(IExpr),
    General,
}
