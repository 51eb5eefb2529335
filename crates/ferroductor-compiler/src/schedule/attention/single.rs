//! One row, as in decoding: bound by reading keys and values once, each in vectors along its rows.
//!
//! Scores lie side by side by key. A few keys' partial products are folded together, so that the
//! fold costs little; keys beyond the end have a score of negative infinity.

use super::super::eval::{Home, Vector};
use super::super::loops::{Tiling, store};
use super::{Attending, Result};
use crate::graph::{Companion, Load};
use ferroductor_ir::kernel::*;
use ferroductor_ir::{IExpr, Literal, Prim};

/// Vectors of the result held in registers.
const RESULT_VECTORS: i64 = 8;
/// Multiplications of a few keys that are written out one after the other.
const UNROLLED: i64 = 256;

/// The arrays of a tile in scratch.
struct Row {
    query: Buf,
    /// A block's scores, then weights.
    scores: Buf,
    result: Buf,
}

/// What the blocks so far came to.
struct State {
    greatest: RegId,
    /// A total for each lane.
    total: RegId,
}

impl Attending<'_, '_> {
    pub(super) fn emit_single(mut self) -> Result<Tiling> {
        let batches = self.place_batch(&IExpr::one());
        let elements = IExpr::constant(self.block_keys() + self.lanes);
        let emitter = &mut self.eval.emitter;
        let row = Row {
            query: emitter.local(self.dtype, self.depth.clone(), "query"),
            scores: emitter.local(self.dtype, elements, "scores"),
            result: emitter.local(self.dtype, self.columns.clone(), "result"),
        };
        self.copy_query(&row)?;
        self.clear_result(&row);
        let (one, lanes) = (Ty::scalar(self.dtype), self.lanes as u32);
        let lowest = self
            .eval
            .emitter
            .constant(Literal::Float(f64::NEG_INFINITY), one);
        let zero = self
            .eval
            .emitter
            .constant(Literal::Float(0.0), Ty::new(self.dtype, lanes));
        let state = State {
            greatest: self.eval.emitter.register(lowest),
            total: self.eval.emitter.register(zero),
        };
        let last = self.last_key(&IExpr::zero());
        let (first, count) = self.open_blocks(&last);
        self.score_row(&row, &first, &count)?;
        let factor = self.weigh_row(&row, &state, &count)?;
        self.add_values(&row, &first, &count, factor)?;
        self.eval.close();
        self.finish_row(&row, &state)?;
        let keys = self.hint(self.attend.n);
        let width = self.hint(self.attend.d) + self.hint(self.attend.c);
        Ok(Tiling {
            tiles: batches,
            elements: keys * width / 8,
        })
    }

    /// The longest vectors that divide a row of an operand.
    pub(super) fn dividing_lanes(&self, width: &IExpr) -> i64 {
        let width = width.as_const().unwrap_or(1).max(1);
        let power = 1i64 << width.trailing_zeros().min(6);
        power.min(self.lanes)
    }

    /// The part of an operand's row `lanes` wide at `at`, in the accumulation type.
    fn part(&mut self, load: &Load, axis: Option<u32>, at: &IExpr, lanes: i64) -> Result<ValueId> {
        let buf = self.buffer(load)?;
        self.set_axis(axis, at);
        let index = self.eval.place(&load.index[0]);
        let adjacent = self.stride(load, axis).is_some_and(|s| s.is_one());
        let lanes = lanes as u32;
        let value = if adjacent || lanes == 1 {
            self.eval.emitter.push(Op::Load { buf, index, lanes })
        } else {
            let stride = self.stride(load, axis).unwrap_or_else(IExpr::one);
            self.eval.emitter.push(Op::LoadStrided {
                buf,
                index,
                stride,
                lanes,
            })
        };
        Ok(self.eval.emitter.convert(value, self.dtype))
    }

    fn copy_query(&mut self, row: &Row) -> Result<()> {
        let lanes = self.dividing_lanes(&self.depth);
        let attend = self.attend;
        let at = self.eval.open_for(IExpr::zero(), self.depth.clone(), lanes);
        let value = self.part(&attend.query, attend.d, &at, lanes)?;
        self.eval.emitter.store(row.query, at, value);
        self.eval.close();
        Ok(())
    }

    fn clear_result(&mut self, row: &Row) {
        let lanes = self.dividing_lanes(&self.columns);
        let zero = self.constant(0.0, lanes as u32);
        let at = self
            .eval
            .open_for(IExpr::zero(), self.columns.clone(), lanes);
        self.eval.emitter.store(row.result, at, zero);
        self.eval.close();
    }

    /// The scores of a block, negative infinity up to the next whole vector.
    fn score_row(&mut self, row: &Row, first: &IExpr, count: &IExpr) -> Result<()> {
        let lanes = self.lanes;
        let whole = &count.floor_div(&IExpr::constant(lanes)) * &IExpr::constant(lanes);
        let whole = self.eval.emitter.index_value(&whole);
        let in_vectors = self
            .attend
            .n
            .is_some_and(|n| self.eval.vectorizable(&self.prepared.pieces[0], n));
        for (begin, end, full) in [
            (IExpr::zero(), whole.clone(), true),
            (whole, count.clone(), false),
        ] {
            if begin == end {
                continue;
            }
            let n = self.eval.open_for(begin, end, lanes);
            self.multiply_row(row, first, count, &n, full)?;
            let width = match full {
                true => IExpr::constant(lanes),
                false => self.eval.emitter.index_value(&(count - &n)),
            };
            let step = if full && in_vectors { lanes } else { 1 };
            self.score_keys(row, first, &n, (width.clone(), step))?;
            if !full {
                let lowest = self.constant(f64::NEG_INFINITY, 1);
                let at = self.eval.open_for(width, IExpr::constant(lanes), 1);
                self.eval.emitter.store(row.scores, &n + &at, lowest);
                self.eval.close();
            }
            self.eval.close();
        }
        Ok(())
    }

    /// Products of the row with a vector's worth of keys from `n` on; missing keys repeat the last.
    fn multiply_row(
        &mut self,
        row: &Row,
        first: &IExpr,
        count: &IExpr,
        n: &IExpr,
        full: bool,
    ) -> Result<()> {
        let lanes = self.dividing_lanes(&self.depth);
        let mut positions = Vec::new();
        for i in 0..self.lanes {
            let at = n + &IExpr::constant(i);
            let at = match full {
                true => at,
                false => at.smaller(&(count - &IExpr::one())),
            };
            positions.push(self.eval.emitter.index_value(&(first + &at)));
        }
        let width = self.depth.as_const().unwrap_or(lanes);
        let sums = if width / lanes * self.lanes <= UNROLLED {
            self.dot_in_order(row, &positions, width)?
        } else {
            self.dot_together(row, &positions)?
        };
        for (at, value) in self.fold(sums)?.into_iter().enumerate() {
            let index = n + &IExpr::constant(at as i64 * lanes);
            self.eval.emitter.store(row.scores, index, value);
        }
        Ok(())
    }

    /// Key after key, so that memory is read in order.
    fn dot_in_order(&mut self, row: &Row, positions: &[IExpr], width: i64) -> Result<Vec<ValueId>> {
        let attend = self.attend;
        let lanes = self.dividing_lanes(&self.depth);
        let mut parts = Vec::new();
        for d in (0..width).step_by(lanes as usize) {
            let d = IExpr::constant(d);
            let query = self.read(row.query, &d, lanes as u32);
            parts.push((d, query));
        }
        let mut sums = Vec::new();
        for position in positions {
            let mut sum = self.constant(0.0, lanes as u32);
            for (d, query) in &parts {
                self.set_axis(attend.n, position);
                let key = self.part(&attend.key, attend.d, d, lanes)?;
                sum = self.eval.emitter.prim(Prim::Fma, &[key, *query, sum])?;
            }
            sums.push(sum);
        }
        Ok(sums)
    }

    /// All keys step by step through the depth, where that is too long to write out.
    fn dot_together(&mut self, row: &Row, positions: &[IExpr]) -> Result<Vec<ValueId>> {
        let attend = self.attend;
        let lanes = self.dividing_lanes(&self.depth);
        let zero = self.constant(0.0, lanes as u32);
        let sums: Vec<RegId> = positions
            .iter()
            .map(|_| self.eval.emitter.register(zero))
            .collect();
        let d = self.eval.open_for(IExpr::zero(), self.depth.clone(), lanes);
        let query = self.read(row.query, &d, lanes as u32);
        for (position, register) in positions.iter().zip(&sums) {
            self.set_axis(attend.n, position);
            let key = self.part(&attend.key, attend.d, &d, lanes)?;
            let sum = self.eval.emitter.get(*register);
            let sum = self.eval.emitter.prim(Prim::Fma, &[key, query, sum])?;
            self.eval.emitter.set(*register, sum);
        }
        self.eval.close();
        Ok(sums.into_iter().map(|r| self.eval.emitter.get(r)).collect())
    }

    /// Vectors of partial sums, one for each key, become vectors with one sum in a lane. Neighbours
    /// are folded together, halving the number of vectors and the partial sums of a key.
    fn fold(&mut self, mut sums: Vec<ValueId>) -> Result<Vec<ValueId>> {
        let lanes = self.eval.emitter.ty(sums[0]).lanes;
        let mut left = lanes;
        while left > 1 {
            let half = left / 2;
            let mut next = Vec::new();
            for pair in sums.chunks(2) {
                let [a, b] = *pair else {
                    return Err(crate::error::CompileError::internal(
                        "schedule",
                        "an odd number of keys",
                    ));
                };
                // Each vector holds the sums of `lanes / left` keys, `left` partial ones a key.
                let pick = |offset: u32| -> Vec<u32> {
                    (0..2 * lanes / left)
                        .flat_map(|key| (0..half).map(move |p| key * left + offset + p))
                        .collect()
                };
                let low = self.eval.emitter.push(Op::Shuffle {
                    a,
                    b,
                    lanes: pick(0),
                });
                let high = self.eval.emitter.push(Op::Shuffle {
                    a,
                    b,
                    lanes: pick(half),
                });
                next.push(self.eval.emitter.prim(Prim::Add, &[low, high])?);
            }
            sums = next;
            left = half;
        }
        Ok(sums)
    }

    /// The products of the keys `n..n + width` become scores in place, `step` at a time.
    fn score_keys(
        &mut self,
        row: &Row,
        first: &IExpr,
        n: &IExpr,
        (width, step): (IExpr, i64),
    ) -> Result<()> {
        let attend = self.attend;
        let at = self.eval.open_for(IExpr::zero(), width, step);
        let index = n + &at;
        let key = self.eval.emitter.index_value(&(first + &index));
        self.set_axis(attend.n, &key);
        self.eval.vector = attend.n.filter(|_| step > 1).map(|axis| Vector {
            axis,
            lanes: step as u32,
        });
        let home = Home::Placed(row.scores, index.clone());
        self.eval.homes.insert(attend.product, home);
        let score = self.eval.eval(&attend.score)?;
        let score = self.eval.emitter.widen(score, step as u32);
        self.eval.emitter.store(row.scores, index, score);
        self.eval.vector = None;
        self.eval.close();
        Ok(())
    }

    /// Scores become weights; how the result so far shrinks.
    fn weigh_row(&mut self, row: &Row, state: &State, count: &IExpr) -> Result<ValueId> {
        let lanes = self.lanes;
        let rounded = &count.ceil_div(lanes) * &IExpr::constant(lanes);
        let rounded = self.eval.emitter.index_value(&rounded);
        let lowest = self.constant(f64::NEG_INFINITY, lanes as u32);
        let best = self.eval.emitter.register(lowest);
        let at = self.eval.open_for(IExpr::zero(), rounded.clone(), lanes);
        let score = self.read(row.scores, &at, lanes as u32);
        let known = self.eval.emitter.get(best);
        let best_now = self.eval.emitter.prim(Prim::MaxNum, &[score, known])?;
        self.eval.emitter.set(best, best_now);
        self.eval.close();

        let best = self.eval.emitter.get(best);
        let best = self.fold_one(Prim::MaxNum, best)?;
        let before = self.eval.emitter.get(state.greatest);
        let greatest = self.eval.emitter.prim(Prim::MaxNum, &[best, before])?;
        self.eval.emitter.set(state.greatest, greatest);
        let base = self.finite_or_zero(greatest)?;
        let risen = self.eval.emitter.prim(Prim::Sub, &[before, base])?;
        let factor = self.eval.emitter.prim(Prim::Exp, &[risen])?;
        let total = self.eval.emitter.get(state.total);
        let total = self.eval.emitter.prim(Prim::Mul, &[total, factor])?;
        self.eval.emitter.set(state.total, total);

        let at = self.eval.open_for(IExpr::zero(), rounded, lanes);
        let score = self.read(row.scores, &at, lanes as u32);
        let below = self.eval.emitter.prim(Prim::Sub, &[score, base])?;
        let weight = self.eval.emitter.prim(Prim::Exp, &[below])?;
        self.eval.emitter.store(row.scores, at, weight);
        let total = self.eval.emitter.get(state.total);
        let total = self.eval.emitter.prim(Prim::Add, &[total, weight])?;
        self.eval.emitter.set(state.total, total);
        self.eval.close();
        Ok(factor)
    }

    /// The lanes of a vector combined in a halving tree.
    fn fold_one(&mut self, prim: Prim, mut value: ValueId) -> Result<ValueId> {
        let mut lanes = self.eval.emitter.ty(value).lanes;
        while lanes > 1 {
            lanes /= 2;
            let mut half = |first: u32| {
                self.eval.emitter.push(match lanes {
                    1 => Op::Extract { value, lane: first },
                    _ => Op::Shuffle {
                        a: value,
                        b: value,
                        lanes: (first..first + lanes).collect(),
                    },
                })
            };
            let (low, high) = (half(0), half(lanes));
            value = self.eval.emitter.prim(prim, &[low, high])?;
        }
        Ok(value)
    }

    /// `result = result * factor + weights * values`.
    fn add_values(
        &mut self,
        row: &Row,
        first: &IExpr,
        count: &IExpr,
        factor: ValueId,
    ) -> Result<()> {
        let attend = self.attend;
        let lanes = self.dividing_lanes(&self.columns);
        let width = self.columns.as_const().unwrap_or(1).max(1);
        let mut done = 0;
        while done < width {
            let vectors = ((width - done) / lanes).min(RESULT_VECTORS);
            let zero = self.constant(0.0, lanes as u32);
            let sums: Vec<RegId> = (0..vectors)
                .map(|_| self.eval.emitter.register(zero))
                .collect();
            let n = self.eval.open_for(IExpr::zero(), count.clone(), 1);
            let position = self.eval.emitter.index_value(&(first + &n));
            self.set_axis(attend.n, &position);
            let weight = self.read(row.scores, &n, 1);
            for (v, register) in sums.iter().enumerate() {
                let c = IExpr::constant(done + v as i64 * lanes);
                let value = self.part(&attend.value, attend.c, &c, lanes)?;
                let sum = self.eval.emitter.get(*register);
                let sum = self.eval.emitter.prim(Prim::Fma, &[weight, value, sum])?;
                self.eval.emitter.set(*register, sum);
            }
            self.eval.close();
            for (v, register) in sums.into_iter().enumerate() {
                let c = IExpr::constant(done + v as i64 * lanes);
                let before = self.read(row.result, &c, lanes as u32);
                let added = self.eval.emitter.get(register);
                let sum = self
                    .eval
                    .emitter
                    .prim(Prim::Fma, &[factor, before, added])?;
                self.eval.emitter.store(row.result, c, sum);
            }
            done += vectors * lanes;
        }
        Ok(())
    }

    fn finish_row(&mut self, row: &Row, state: &State) -> Result<()> {
        let total = self.eval.emitter.get(state.total);
        let total = self.fold_one(Prim::Add, total)?;
        let total = self.divisor(total)?;
        let one = self.constant(1.0, 1);
        let log_sum = self.attend.companion(Companion::LogSumExp);
        if let Some((tensor, offset)) = log_sum.filter(|(t, _)| (self.external)(*t)) {
            let greatest = self.eval.emitter.get(state.greatest);
            let greatest = self.finite_or_zero(greatest)?;
            let log = self.eval.emitter.prim(Prim::Log, &[total])?;
            let log = self.eval.emitter.prim(Prim::Add, &[greatest, log])?;
            store(self.eval, tensor, &offset, log)?;
        }
        if !(self.external)(self.tensor) {
            return Ok(());
        }
        let factor = self.eval.emitter.prim(Prim::Div, &[one, total])?;
        let lanes = self.dividing_lanes(&self.columns);
        let c = self
            .eval
            .open_for(IExpr::zero(), self.columns.clone(), lanes);
        self.set_axis(self.attend.c, &c);
        self.eval.vector = self.attend.c.filter(|_| lanes > 1).map(|axis| Vector {
            axis,
            lanes: lanes as u32,
        });
        let sum = self.read(row.result, &c, lanes as u32);
        let value = self.eval.emitter.prim(Prim::Mul, &[sum, factor])?;
        store(self.eval, self.tensor, self.offset, value)?;
        self.eval.vector = None;
        self.eval.close();
        Ok(())
    }
}
