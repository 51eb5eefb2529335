//! Running and finishing reductions: registers, lane trees, first-extreme positions.
//!
//! The order of combination is fixed by the shape alone: lane by lane, the elements that fill no
//! vector as one more vector, then a halving tree over the lanes (then those elements, where no mask
//! can be used). Sums of `f32` are taken in short runs;
//! runs and lanes come together in `f64`, so that the result is off by little more than its own
//! rounding.

use super::eval::Evaluator;
use super::loops::Tail;
use super::prepare::{Action, Piece};
use crate::error::CompileError;
use crate::graph::Combine;
use crate::lower::neutral;
use ferroductor_ir::kernel::*;
use ferroductor_ir::{DType, IExpr, Literal, Prim};

type Result<T> = std::result::Result<T, CompileError>;

/// A value and, for arg-reductions, its position (-1: none yet).
#[derive(Clone, Copy)]
struct Pair {
    value: ValueId,
    at: Option<ValueId>,
}

impl Pair {
    fn converted(self, eval: &mut Evaluator<'_>, to: DType) -> Pair {
        Pair {
            value: eval.emitter.convert(self.value, to),
            at: self.at,
        }
    }
}

/// Are partial sums of this type put together in `f64`?
fn folds_in_double(dtype: DType) -> bool {
    dtype == DType::F32
}

#[derive(Clone, Copy)]
struct Registers {
    lanes: u32,
    value: RegId,
    at: Option<RegId>,
}

/// The accumulation of one reduction or scan.
pub struct Accumulator {
    combine: Combine,
    /// Position of the element along the reduced dimensions.
    position: IExpr,
    wide: Registers,
    /// Sum of the finished runs, where long sums are taken in runs (see [`Accumulator::open_run`]).
    total: Option<Registers>,
    /// Lanes hold parts of one result.
    folds: bool,
    /// Elements after the last full vector, where they are taken in one by one.
    single: Option<Registers>,
    is_scan: bool,
}

fn is_arg(combine: Combine) -> bool {
    matches!(combine, Combine::ArgMax | Combine::ArgMin)
}

impl Accumulator {
    /// Declares the registers of a piece, if it is a reduction or scan. `folds`: lanes hold parts
    /// of one result, rather than results of their own, and this is how the last elements come.
    pub fn declare(
        piece: &Piece,
        eval: &mut Evaluator<'_>,
        lanes: u32,
        folds: Option<Tail>,
        in_runs: bool,
    ) -> Result<Option<Accumulator>> {
        let (combine, value, position, is_scan) = match &piece.action {
            Action::Reduce {
                combine,
                value,
                position,
            } => (*combine, value, position.clone(), false),
            Action::Scan { combine, value, .. } => (*combine, value, IExpr::zero(), true),
            _ => return Ok(None),
        };
        let dtype = value.dtype();
        let wide = Registers::declare(eval, combine, dtype, lanes);
        let rounds = combine == Combine::Sum && dtype.is_float() && !is_scan;
        let exact = if rounds && folds_in_double(dtype) {
            DType::F64
        } else {
            dtype
        };
        let total = (in_runs && rounds).then(|| Registers::declare(eval, combine, exact, lanes));
        let single = (folds == Some(Tail::Single) && lanes > 1)
            .then(|| Registers::declare(eval, combine, dtype, 1));
        Ok(Some(Accumulator {
            combine,
            position,
            wide,
            total,
            folds: folds.is_some() && lanes > 1,
            single,
            is_scan,
        }))
    }

    /// What [`Accumulator::finish`] gives for a combination of such values.
    pub fn result_type(combine: Combine, dtype: DType) -> DType {
        if is_arg(combine) { DType::I64 } else { dtype }
    }

    pub fn takes_runs(&self) -> bool {
        self.total.is_some()
    }

    /// Starts a run: rounding errors grow with the length of a chain of additions, so long sums are
    /// taken as sums of shorter ones.
    pub fn open_run(&self, eval: &mut Evaluator<'_>) {
        if self.total.is_some() {
            let ty = eval.emitter.register_type(self.wide.value);
            let zero = eval.emitter.constant(neutral(self.combine, ty.scalar), ty);
            eval.emitter.set(self.wide.value, zero);
        }
    }

    /// Adds the run to the total.
    pub fn close_run(&self, eval: &mut Evaluator<'_>) -> Result<()> {
        if let Some(total) = self.total {
            let (sum, run) = (total.get(eval), self.wide.get(eval));
            let run = run.converted(eval, eval.emitter.ty(sum.value).scalar);
            let sum = combine(eval, self.combine, sum, run, false)?;
            total.set(eval, sum);
        }
        Ok(())
    }

    /// Takes in one element (per lane).
    pub fn add(&self, eval: &mut Evaluator<'_>, value: ValueId) -> Result<()> {
        let lanes = eval.vector.map_or(1, |v| v.lanes);
        let registers = match self.single {
            Some(single) if lanes == 1 => single,
            _ => self.wide,
        };
        let value = eval.emitter.widen(value, registers.lanes);
        let at = if is_arg(self.combine) {
            let at = eval.index(&self.position)?;
            Some(eval.emitter.widen(at, registers.lanes))
        } else {
            None
        };
        let old = registers.get(eval);
        let mut new = combine(eval, self.combine, old, Pair { value, at }, false)?;
        if let Some(mask) = eval.mask.filter(|_| self.folds) {
            new = chosen(eval, mask, new, old)?;
        }
        registers.set(eval, new);
        Ok(())
    }

    /// The running value: of a scan.
    pub fn current(&self, eval: &mut Evaluator<'_>) -> ValueId {
        self.wide.get(eval).value
    }

    /// The result, after the loops; nothing for a scan.
    pub fn finish(&self, eval: &mut Evaluator<'_>) -> Result<Option<ValueId>> {
        if self.is_scan {
            return Ok(None);
        }
        let mut pair = self.total.unwrap_or(self.wide).get(eval);
        let dtype = eval.emitter.register_type(self.wide.value).scalar;
        let sums = self.combine == Combine::Sum && folds_in_double(dtype);
        let exact = if sums { DType::F64 } else { dtype };
        if self.folds {
            pair = pair.converted(eval, exact);
            pair = fold_lanes(eval, self.combine, pair)?;
        }
        if let Some(single) = self.single {
            let rest = single.get(eval).converted(eval, exact);
            pair = combine(eval, self.combine, pair, rest, true)?;
        }
        pair = pair.converted(eval, dtype);
        Ok(Some(match pair.at {
            Some(at) => at,
            None => pair.value,
        }))
    }
}

impl Registers {
    fn declare(eval: &mut Evaluator<'_>, combine: Combine, dtype: DType, lanes: u32) -> Registers {
        let emitter = &mut eval.emitter;
        let init = emitter.constant(neutral(combine, dtype), Ty::new(dtype, lanes));
        let value = emitter.register(init);
        let at = is_arg(combine).then(|| {
            let none = emitter.constant(Literal::Int(-1), Ty::new(DType::I64, lanes));
            emitter.register(none)
        });
        Registers { lanes, value, at }
    }

    fn get(&self, eval: &mut Evaluator<'_>) -> Pair {
        Pair {
            value: eval.emitter.get(self.value),
            at: self.at.map(|r| eval.emitter.get(r)),
        }
    }

    fn set(&self, eval: &mut Evaluator<'_>, pair: Pair) {
        eval.emitter.set(self.value, pair.value);
        if let (Some(register), Some(at)) = (self.at, pair.at) {
            eval.emitter.set(register, at);
        }
    }
}

/// The lanes of `new` where the mask holds, of `old` elsewhere.
fn chosen(eval: &mut Evaluator<'_>, mask: ValueId, new: Pair, old: Pair) -> Result<Pair> {
    let mut pick = |a: ValueId, b: ValueId| eval.emitter.prim(Prim::Select, &[mask, a, b]);
    Ok(Pair {
        value: pick(new.value, old.value)?,
        at: match (new.at, old.at) {
            (Some(a), Some(b)) => Some(pick(a, b)?),
            _ => None,
        },
    })
}

/// Combines two values of a combination without positions.
pub fn combine_values(
    eval: &mut Evaluator<'_>,
    how: Combine,
    a: ValueId,
    b: ValueId,
) -> Result<ValueId> {
    let pair = |value: ValueId| Pair { value, at: None };
    Ok(combine(eval, how, pair(a), pair(b), false)?.value)
}

/// Does a predicate hold in any lane?
pub fn any_lane(eval: &mut Evaluator<'_>, value: ValueId) -> Result<ValueId> {
    Ok(fold_lanes(eval, Combine::Any, Pair { value, at: None })?.value)
}

/// Combines `b` into `a`. `unordered`: `b` need not come after `a`.
fn combine(
    eval: &mut Evaluator<'_>,
    how: Combine,
    a: Pair,
    b: Pair,
    unordered: bool,
) -> Result<Pair> {
    let prim = match how {
        Combine::Sum => Prim::Add,
        Combine::Prod => Prim::Mul,
        Combine::Max => Prim::Maximum,
        Combine::Min => Prim::Minimum,
        Combine::Any => Prim::Or,
        Combine::All => Prim::And,
        Combine::ArgMax | Combine::ArgMin => return combine_positions(eval, how, a, b, unordered),
    };
    Ok(Pair {
        value: eval.emitter.prim(prim, &[a.value, b.value])?,
        at: None,
    })
}

/// The better of two candidates; the earlier one where neither is. NaN is better than any number.
fn combine_positions(
    eval: &mut Evaluator<'_>,
    how: Combine,
    a: Pair,
    b: Pair,
    unordered: bool,
) -> Result<Pair> {
    let (Some(a_at), Some(b_at)) = (a.at, b.at) else {
        return Err(CompileError::internal("schedule", "a position is missing"));
    };
    let e = &mut eval.emitter;
    let not_better = if how == Combine::ArgMax {
        Prim::Le
    } else {
        Prim::Ge
    };
    let lanes = e.ty(a.value).lanes;
    let zero = e.constant(Literal::Int(0), Ty::new(DType::I64, lanes));
    let worse = e.prim(not_better, &[b.value, a.value])?;
    let better = e.prim(Prim::Not, &[worse])?;
    let a_is_number = e.prim(Prim::Eq, &[a.value, a.value])?;
    let better = e.prim(Prim::And, &[better, a_is_number])?;
    let a_is_none = e.prim(Prim::Lt, &[a_at, zero])?;
    let mut take = e.prim(Prim::Or, &[better, a_is_none])?;
    if unordered {
        let equal = e.prim(Prim::Eq, &[a.value, b.value])?;
        let a_nan = e.prim(Prim::Ne, &[a.value, a.value])?;
        let b_nan = e.prim(Prim::Ne, &[b.value, b.value])?;
        let both_nan = e.prim(Prim::And, &[a_nan, b_nan])?;
        let equal = e.prim(Prim::Or, &[equal, both_nan])?;
        let earlier = e.prim(Prim::Lt, &[b_at, a_at])?;
        let tie = e.prim(Prim::And, &[equal, earlier])?;
        take = e.prim(Prim::Or, &[take, tie])?;
        let b_exists = e.prim(Prim::Ge, &[b_at, zero])?;
        take = e.prim(Prim::And, &[take, b_exists])?;
    }
    Ok(Pair {
        value: e.prim(Prim::Select, &[take, b.value, a.value])?,
        at: Some(e.prim(Prim::Select, &[take, b_at, a_at])?),
    })
}

/// Folds the lanes of one result in a halving tree.
fn fold_lanes(eval: &mut Evaluator<'_>, how: Combine, mut pair: Pair) -> Result<Pair> {
    let mut lanes = eval.emitter.ty(pair.value).lanes;
    while lanes > 1 {
        let half = lanes / 2;
        let low = part(eval, pair, 0, half);
        let high = part(eval, pair, half, half);
        pair = combine(eval, how, low, high, true)?;
        lanes = half;
    }
    Ok(pair)
}

/// `count` lanes from `first` on.
fn part(eval: &mut Evaluator<'_>, pair: Pair, first: u32, count: u32) -> Pair {
    let mut pick = |value: ValueId| {
        eval.emitter.push(if count == 1 {
            Op::Extract { value, lane: first }
        } else {
            Op::Shuffle {
                a: value,
                b: value,
                lanes: (first..first + count).collect(),
            }
        })
    };
    Pair {
        value: pick(pair.value),
        at: pair.at.map(&mut pick),
    }
}
