//! From products to weights, and from sums to results.

use super::super::eval::{Home, Vector};
use super::super::loops::store;
use super::masks::Staged;
use super::{Attending, Result, ScoreAccess, Scratch};
use crate::graph::Companion;
use ferroductor_ir::kernel::*;
use ferroductor_ir::{IExpr, Literal, Prim};

/// Keys whose weights are added up before they join the total: short sums keep rounding small.
const RUN: i64 = 8;

/// What is done with a run of keys, given the first step's number and the keys.
type RunBody<'f, This> = dyn FnMut(&mut This, &IExpr, &[IExpr]) -> Result<()> + 'f;

impl Attending<'_, '_> {
    pub(super) fn constant(&mut self, value: f64, lanes: u32) -> ValueId {
        let ty = Ty::new(self.dtype, lanes);
        self.eval.emitter.constant(Literal::Float(value), ty)
    }

    pub(super) fn read(&mut self, buf: Buf, index: &IExpr, lanes: u32) -> ValueId {
        self.eval.emitter.push_here(Op::Load {
            buf,
            index: index.clone(),
            lanes,
        })
    }

    /// Turns the block's scores into weights; the rows' greatest scores and totals follow, and the
    /// factor by which what came before shrinks.
    pub(super) fn weigh(&mut self, scratch: &Scratch, count: &IExpr) -> Result<()> {
        self.complete_pairs(scratch, count);
        let lanes = self.lanes as u32;
        let tile_rows = IExpr::constant(self.tile_rows());
        let at = self.eval.open_for(IExpr::zero(), tile_rows, self.lanes);
        let before = self.read(scratch.greatest, &at, lanes);
        let greatest = self.greatest(scratch, &at, count, before)?;
        self.eval
            .emitter
            .store(scratch.greatest, at.clone(), greatest);
        let base = self.finite_or_zero(greatest)?;
        let risen = self.eval.emitter.prim(Prim::Sub, &[before, base])?;
        let factor = self.eval.emitter.prim(Prim::Exp, &[risen])?;
        self.eval.emitter.store(scratch.factor, at.clone(), factor);
        let total = self.read(scratch.total, &at, lanes);
        let total = self.eval.emitter.prim(Prim::Mul, &[total, factor])?;
        let total = self.eval.emitter.register(total);
        self.exponentials(scratch, &at, count, base, total)?;
        let total = self.eval.emitter.get(total);
        self.eval.emitter.store(scratch.total, at, total);
        self.eval.close();
        Ok(())
    }

    /// The greatest score itself, or 0 where there is none yet.
    pub(super) fn finite_or_zero(&mut self, greatest: ValueId) -> Result<ValueId> {
        let lanes = self.eval.emitter.ty(greatest).lanes;
        let none = self.constant(f64::NEG_INFINITY, lanes);
        let zero = self.constant(0.0, lanes);
        let empty = self.eval.emitter.prim(Prim::Eq, &[greatest, none])?;
        self.eval
            .emitter
            .prim(Prim::Select, &[empty, zero, greatest])
    }

    /// The block's products become scores in place.
    pub(super) fn score(
        &mut self,
        scores: Buf,
        staged: &[Staged],
        (row, first, count): (&IExpr, &IExpr, &IExpr),
    ) -> Result<()> {
        let access = self.score_access(staged);
        let present = self.present_rows(row);
        let lanes = self.lanes;
        let whole = match access {
            ScoreAccess::Vectors => IExpr::constant(self.tile_rows()),
            ScoreAccess::Single => IExpr::zero(),
            ScoreAccess::VectorsThenSingle => {
                let whole = &present.floor_div(&IExpr::constant(lanes)) * &IExpr::constant(lanes);
                self.eval.emitter.index_value(&whole)
            }
        };
        let end = match access {
            ScoreAccess::Vectors => whole.clone(),
            _ => present,
        };
        let n = self.eval.open_for(IExpr::zero(), count.clone(), 1);
        let key = self.eval.emitter.index_value(&(first + &n));
        self.set_axis(self.attend.n, &key);
        let line = &n * &IExpr::constant(self.tile_rows());
        for (begin, end, step) in [(IExpr::zero(), whole.clone(), lanes), (whole, end, 1)] {
            if begin == end {
                continue;
            }
            let at = self.eval.open_for(begin, end, step);
            let position = self.eval.emitter.index_value(&(row + &at));
            self.set_axis(self.attend.m, &position);
            self.eval.vector = self.attend.m.filter(|_| step > 1).map(|axis| Vector {
                axis,
                lanes: step as u32,
            });
            let index = &line + &at;
            self.place_staged(staged, &index);
            let home = Home::Placed(scores, index.clone());
            self.eval.homes.insert(self.attend.product, home);
            let attend = self.attend;
            let score = self.eval.eval(&attend.score)?;
            let score = self.eval.emitter.widen(score, step as u32);
            self.eval.emitter.store(scores, index, score);
            self.eval.vector = None;
            self.eval.close();
        }
        self.eval.close();
        Ok(())
    }

    /// Calls `body` with the keys of a run, in whole runs and then step by step; a step is a pair's
    /// worth. `body` gets the first step's number too.
    fn in_runs(&mut self, count: &IExpr, body: &mut RunBody<'_, Self>) -> Result<()> {
        let pair = IExpr::constant(self.pair);
        let run = RUN / self.pair;
        let steps = count.ceil_div(self.pair);
        let whole = &steps.floor_div(&IExpr::constant(run)) * &IExpr::constant(run);
        let whole = self.eval.emitter.index_value(&whole);
        for (begin, end, step) in [(IExpr::zero(), whole.clone(), run), (whole, steps, 1)] {
            if begin == end {
                continue;
            }
            let n = self.eval.open_for(begin, end, step);
            let keys: Vec<IExpr> = (0..step * self.pair)
                .map(|i| &(&n * &pair) + &IExpr::constant(i))
                .collect();
            body(self, &n, &keys)?;
            self.eval.close();
        }
        Ok(())
    }

    /// Where pairs are wanted, a last key without a partner gets one that does not count.
    fn complete_pairs(&mut self, scratch: &Scratch, count: &IExpr) {
        let pairs = &count.ceil_div(self.pair) * &IExpr::constant(self.pair);
        if pairs == *count {
            return;
        }
        let lowest = self.constant(f64::NEG_INFINITY, self.lanes as u32);
        let n = self.eval.open_for(count.clone(), pairs, 1);
        let tile_rows = IExpr::constant(self.tile_rows());
        let at = self.eval.open_for(IExpr::zero(), tile_rows, self.lanes);
        let index = self.score_index(&n, &at);
        self.eval.emitter.store(scratch.scores, index, lowest);
        self.eval.close();
        self.eval.close();
    }

    /// Combines values in a halving tree.
    fn tree(&mut self, prim: Prim, mut values: Vec<ValueId>) -> Result<ValueId> {
        while values.len() > 1 {
            let mut next = Vec::new();
            for pair in values.chunks(2) {
                next.push(match pair {
                    [a, b] => self.eval.emitter.prim(prim, &[*a, *b])?,
                    _ => pair[0],
                });
            }
            values = next;
        }
        Ok(values[0])
    }

    pub(super) fn score_index(&self, key: &IExpr, at: &IExpr) -> IExpr {
        &(key * &IExpr::constant(self.tile_rows())) + at
    }

    /// The greatest of `before` and the block's scores. NaN is passed over here; its exponential
    /// brings it into the total.
    fn greatest(
        &mut self,
        scratch: &Scratch,
        at: &IExpr,
        count: &IExpr,
        before: ValueId,
    ) -> Result<ValueId> {
        let lanes = self.lanes as u32;
        let register = self.eval.emitter.register(before);
        self.in_runs(count, &mut |this, _, keys| {
            let scores: Vec<ValueId> = keys
                .iter()
                .map(|key| this.read(scratch.scores, &this.score_index(key, at), lanes))
                .collect();
            let best = scores_best(this, scores)?;
            let known = this.eval.emitter.get(register);
            let best = this.eval.emitter.prim(Prim::MaxNum, &[best, known])?;
            this.eval.emitter.set(register, best);
            Ok(())
        })?;
        Ok(self.eval.emitter.get(register))
    }

    /// The weights are the exponentials of the scores over `base`; adds them to `total`.
    fn exponentials(
        &mut self,
        scratch: &Scratch,
        at: &IExpr,
        count: &IExpr,
        base: ValueId,
        total: RegId,
    ) -> Result<()> {
        let lanes = self.lanes as u32;
        self.in_runs(count, &mut |this, step, keys| {
            let mut weights = Vec::new();
            for key in keys {
                let index = this.score_index(key, at);
                let score = this.read(scratch.scores, &index, lanes);
                let below = this.eval.emitter.prim(Prim::Sub, &[score, base])?;
                weights.push(this.eval.emitter.prim(Prim::Exp, &[below])?);
            }
            this.store_weights(scratch, at, step, &weights);
            let sum = this.tree(Prim::Add, weights)?;
            let known = this.eval.emitter.get(total);
            let sum = this.eval.emitter.prim(Prim::Add, &[known, sum])?;
            this.eval.emitter.set(total, sum);
            Ok(())
        })
    }

    /// What sums are divided by: the total, or 1 where nothing was seen and zeros are wanted.
    pub(super) fn divisor(&mut self, total: ValueId) -> Result<ValueId> {
        if !self.attend.zeros_if_unseen {
            return Ok(total);
        }
        let lanes = self.eval.emitter.ty(total).lanes;
        let (zero, one) = (self.constant(0.0, lanes), self.constant(1.0, lanes));
        let nothing = self.eval.emitter.prim(Prim::Eq, &[total, zero])?;
        self.eval.emitter.prim(Prim::Select, &[nothing, one, total])
    }

    /// Weights of consecutive keys, from a step on.
    fn store_weights(&mut self, scratch: &Scratch, at: &IExpr, step: &IExpr, weights: &[ValueId]) {
        let packed = self.packed();
        for (s, own) in weights.chunks(self.pair as usize).enumerate() {
            let narrow: Vec<ValueId> = own
                .iter()
                .map(|w| self.eval.emitter.convert(*w, packed))
                .collect();
            let value = match narrow.as_slice() {
                [a, b] => self.interleaved(*a, *b),
                _ => narrow[0],
            };
            let index = self.score_index(&(step + &IExpr::constant(s as i64)), at);
            let index = &index * &IExpr::constant(self.pair);
            self.eval.emitter.store(scratch.weights, index, value);
        }
    }

    /// Divides by the totals and stores the rows that exist.
    pub(super) fn finish(&mut self, scratch: &Scratch, row: &IExpr) -> Result<()> {
        let lanes = self.lanes as u32;
        let log_sum = self.attend.companion(Companion::LogSumExp);
        let log_sum = log_sum.filter(|(tensor, _)| (self.external)(*tensor));
        let tile_rows = IExpr::constant(self.tile_rows());
        let at = self.eval.open_for(IExpr::zero(), tile_rows, self.lanes);
        let total = self.read(scratch.total, &at, lanes);
        let total = self.divisor(total)?;
        let one = self.constant(1.0, lanes);
        let factor = self.eval.emitter.prim(Prim::Div, &[one, total])?;
        self.eval.emitter.store(scratch.factor, at.clone(), factor);
        if log_sum.is_some() {
            let greatest = self.read(scratch.greatest, &at, lanes);
            let greatest = self.finite_or_zero(greatest)?;
            let log = self.eval.emitter.prim(Prim::Log, &[total])?;
            let log = self.eval.emitter.prim(Prim::Add, &[greatest, log])?;
            self.eval.emitter.store(scratch.greatest, at, log);
        }
        self.eval.close();

        let present = self.present_rows(row);
        let i = self.eval.open_for(IExpr::zero(), present, 1);
        let position = self.eval.emitter.index_value(&(row + &i));
        self.set_axis(self.attend.m, &position);
        if let Some((tensor, offset)) = log_sum {
            let value = self.read(scratch.greatest, &i, 1);
            store(self.eval, tensor, &offset, value)?;
        }
        if (self.external)(self.tensor) {
            self.store_row(scratch, &i)?;
        }
        self.eval.close();
        Ok(())
    }

    fn store_row(&mut self, scratch: &Scratch, i: &IExpr) -> Result<()> {
        let factor = self.read(scratch.factor, i, 1);
        let line = i * &self.padded_columns();
        let lanes = self.lanes;
        let whole = &self.columns.floor_div(&IExpr::constant(lanes)) * &IExpr::constant(lanes);
        for (begin, end, step) in [
            (IExpr::zero(), whole.clone(), lanes),
            (whole.clone(), self.columns.clone(), 1),
        ] {
            if begin == end {
                continue;
            }
            let c = self.eval.open_for(begin, end, step);
            self.set_axis(self.attend.c, &c);
            self.eval.vector = self.attend.c.filter(|_| step > 1).map(|axis| Vector {
                axis,
                lanes: step as u32,
            });
            let sum = self.read(scratch.sums, &(&line + &c), step as u32);
            let value = self.eval.emitter.prim(Prim::Mul, &[sum, factor])?;
            store(self.eval, self.tensor, self.offset, value)?;
            self.eval.vector = None;
            self.eval.close();
        }
        Ok(())
    }
}

/// The greatest of a run, NaN passed over where there is a number.
fn scores_best(this: &mut Attending<'_, '_>, scores: Vec<ValueId>) -> Result<ValueId> {
    this.tree(Prim::MaxNum, scores)
}
