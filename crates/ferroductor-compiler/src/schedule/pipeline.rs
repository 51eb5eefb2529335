//! Rows in a pipeline: while one row is written, the next is computed and the one after is read.
//!
//! A kernel that visits each row several times, one visit after the other, reads memory in the first
//! visit, computes in the middle and writes in the last: each waits for what the others could do
//! meanwhile, and between visits for a sum to be folded. Here one loop goes through all visits at once,
//! each at its own row:
//!
//! ```text
//! for row:                          for i:
//!   for j: max(x[row, j])             for j: max(x[i, j])
//!   for j: e[j], sum += exp(…)   →           e[j], sum += exp(x[i - 1, j] - max)
//!   for j: y[row, j] = e[j] / sum            y[i - 2, j] = e[j] / sum
//! ```
//!
//! What must hold: a visit needs of earlier ones only finished reductions, which are handed on from one
//! row to the next, and rows kept in local memory, of which there are as many as are under way.
//!
//! A visit that has no row yet, or none any more, goes through some row of the tile all the same, so
//! that it reads no other memory, and writes nothing; what it hands on reaches only visits like itself.
//!
//! All stores of an iteration come after all its loads. Results, operands and local rows often lie a
//! multiple of 4096 bytes apart, and a load waits for an earlier store to an address that ends alike.

use super::eval::{Home, Vector};
use super::loops::{Loops, RUN, Tail, is_costly, store, store_at};
use super::prepare::{Action, Piece};
use super::reduce::Accumulator;
use crate::error::CompileError;
use crate::fuse::GroupKind;
use crate::graph::{Expr, Load, TensorId, visit};
use ferroductor_ir::kernel::*;
use ferroductor_ir::{DType, IExpr, Literal, Prim};
use std::collections::BTreeSet;

type Result<T> = std::result::Result<T, CompileError>;

/// A tile's rows: enough to make filling and emptying the pipeline cheap, where so many tiles remain.
const ROWS: i64 = 32;
const TILES: i64 = 64;
/// With fewer rows in a tile the pipeline is hardly ever full.
const LEAST_ROWS: i64 = 4;

/// The visits of a row.
pub(super) struct Pipeline {
    vector: Vector,
    tail: Tail,
    visits: Vec<Visit>,
}

/// Pieces of one level: those along the row, and those of which a row has one.
#[derive(Default)]
struct Visit {
    along: Vec<usize>,
    single: Vec<usize>,
}

/// Where a visit is.
struct Place {
    level: usize,
    /// Its row, or the nearest one of the tile.
    row: IExpr,
    /// Is it a row of the tile? `None`: always.
    active: Option<ValueId>,
    /// What earlier visits found out about the row.
    found: Vec<(TensorId, ValueId)>,
}

/// A reduction's results on their way to later visits, the latest first.
struct HandedOn {
    piece: usize,
    registers: Vec<RegId>,
}

impl Loops<'_, '_> {
    /// The visits, if the kernel can be a pipeline over the rows of an axis and moves so much memory
    /// that it gains by it.
    pub(super) fn pipeline(&self, row: u32) -> Option<Pipeline> {
        let pieces = &self.prepared.pieces;
        let suits = self.prepared.kind == GroupKind::Rows && pieces.iter().all(is_plain);
        let gains = self.exceeds_caches(row) && self.has_work_to_overlap();
        if !suits || self.hint(row) < LEAST_ROWS || !gains {
            return None;
        }
        let last = self.levels.iter().copied().max()?;
        let mut visits: Vec<Visit> = (0..=last).map(|_| Visit::default()).collect();
        let mut axes = BTreeSet::new();
        for (at, piece) in pieces.iter().enumerate() {
            let visit = &mut visits[self.levels[at]];
            let inner = self.inner_axes(piece);
            let mut long = inner
                .iter()
                .filter(|a| !self.prepared.axes[**a as usize].is_one());
            match (long.next(), long.next()) {
                (None, _) if matches!(piece.action, Action::Store { .. }) => visit.single.push(at),
                (Some(axis), None) => {
                    axes.insert(*axis);
                    visit.along.push(at);
                }
                _ => return None,
            }
        }
        let axis = axes.pop_first().filter(|_| axes.is_empty())?;
        let mut shapes = visits
            .iter()
            .filter(|v| !v.along.is_empty())
            .map(|v| (self.lanes(&v.along, axis), self.tail(&v.along, axis, true)));
        let (lanes, tail) = shapes.next()?;
        let mut others = shapes.peekable();
        let goes_along =
            |v: &Visit| v.along.is_empty() || self.best_axis(&[axis], &v.along) == Some(axis);
        let is_one_loop = others.peek().is_some() && others.all(|other| other == (lanes, tail));
        let vector = Vector { axis, lanes };
        (lanes > 1 && is_one_loop && visits.iter().all(goes_along)).then_some(Pipeline {
            vector,
            tail,
            visits,
        })
    }

    /// Is there a costly function to be computed while memory works? Visits of half precision without
    /// one are widening above all, and go faster one after the other, each from the nearest cache.
    fn has_work_to_overlap(&self) -> bool {
        let pieces = &self.prepared.pieces;
        let is_half = |l: &Load| self.graph.tensor(l.tensor).dtype.is_half();
        let mut expressions = pieces.iter().flat_map(|p| p.expressions());
        expressions.any(is_costly) || !pieces.iter().any(|p| p.loads().iter().any(is_half))
    }

    /// Does the kernel move more than the last cache holds, and do the rows under way fit the
    /// second-level one?
    fn exceeds_caches(&self, row: u32) -> bool {
        let mut tensors: BTreeSet<TensorId> = BTreeSet::new();
        let mut in_row = 0usize;
        for piece in &self.prepared.pieces {
            let loads = piece.loads();
            let read = loads.iter().map(|l| (l.tensor, &l.index[0]));
            for (tensor, offset) in read.chain([(piece.tensor, &piece.offset)]) {
                let is_outside = self.eval.buffers.contains_key(&tensor);
                if is_outside && tensors.insert(tensor) {
                    let moves = offset.coefficient(row).is_none_or(|c| !c.is_zero());
                    let stride = offset
                        .coefficient(row)
                        .map_or(0, |c| self.graph.hint(&c).abs());
                    let size = self.graph.tensor(tensor).dtype.size();
                    in_row += usize::from(moves) * stride.unsigned_abs() as usize * size;
                }
            }
        }
        let bytes = |tensor: &TensorId| {
            let info = self.graph.tensor(*tensor);
            let elements = usize::try_from(self.graph.hint_numel(&info.sizes)).unwrap_or(0);
            elements.saturating_mul(info.dtype.size())
        };
        let traffic: usize = tensors.iter().map(bytes).sum();
        let target = self.eval.emitter.target;
        let under_way = in_row.saturating_mul(self.levels.iter().max().map_or(1, |l| l + 1));
        traffic > target.last_cache_bytes && under_way <= target.l2_bytes
    }

    /// Rows of a tile, where `others` is the number of points of the other outer axes.
    pub(super) fn pipelined_rows(&self, row: u32, others: i64) -> i64 {
        (self.hint(row).saturating_mul(others) / TILES).clamp(1, ROWS)
    }

    /// Writes the loops over the rows from `begin` up to `end`.
    pub(super) fn emit_pipeline(
        &mut self,
        row: u32,
        (begin, end): (IExpr, IExpr),
        pipeline: &Pipeline,
    ) -> Result<()> {
        self.keep_rows_under_way(row);
        let last = pipeline.visits.len() - 1;
        let handed_on = self.declare_handed_on(last);
        let stop = &end + &IExpr::constant(last as i64);
        let i = self.eval.open_for(begin.clone(), stop, 1);
        let places: Vec<Place> = (0..=last)
            .map(|level| self.place_of(level, last, &i, (&begin, &end), &handed_on))
            .collect::<Result<_>>()?;
        let mut results = Vec::new();
        for (visit, place) in pipeline.visits.iter().zip(&places) {
            self.evaluate(row, place, &visit.single, &[], &mut results)?;
        }
        self.write(row, &places, results)?;
        let accumulators = self.declare_accumulators(pipeline)?;
        let extent = self.eval.extent(pipeline.vector.axis);
        let range = (IExpr::zero(), extent);
        let shape = (pipeline.vector, pipeline.tail);
        let ahead = self.rows_read(row, pipeline.vector);
        self.emit_lanes(shape, range, &accumulators, &mut |this, _| {
            let mut results = Vec::new();
            this.eval.axis[row as usize] = places[0].row.clone();
            this.ask_for(&ahead);
            for (visit, place) in pipeline.visits.iter().zip(&places).rev() {
                this.evaluate(row, place, &visit.along, &accumulators, &mut results)?;
            }
            this.write(row, &places, results)
        })?;
        for (at, accumulator) in accumulators {
            let Some(value) = accumulator.finish(self.eval)? else {
                continue;
            };
            let piece = &self.prepared.pieces[at];
            if (self.external)(piece.tensor) {
                self.write(row, &places, vec![(at, value)])?;
            }
            if let Some(handed) = handed_on.iter().find(|h| h.piece == at) {
                self.hand_on(&handed.registers, value);
            }
        }
        self.eval.close();
        Ok(())
    }

    /// As many rows of each local row as visits may have between its writing and its last reading.
    fn keep_rows_under_way(&mut self, row: u32) {
        let last = self.levels.iter().copied().max().unwrap_or(0);
        let rows: Vec<usize> = self.rows.keys().copied().collect();
        for at in rows {
            let count = (last - self.levels[at]).max(1) as i64;
            let (Some((Buf::Local(local), offset)), true) =
                (self.rows.get(&at).cloned(), count > 1)
            else {
                continue;
            };
            let local_size = &mut self.eval.emitter.locals[local as usize].elements;
            *local_size = &*local_size * &IExpr::constant(count);
            let piece = &self.prepared.pieces[at];
            let inner = self.inner_axes(piece);
            let elements = IExpr::product(inner.iter().map(|a| &self.prepared.axes[*a as usize]));
            let apart = &elements + &IExpr::constant(self.eval.room());
            let slot = IExpr::var(row).modulo(&IExpr::constant(count));
            let place = (Buf::Local(local), &offset + &(&slot * &apart));
            self.rows.insert(at, place.clone());
            self.memory.insert(at, place);
        }
    }

    fn declare_handed_on(&mut self, last: usize) -> Vec<HandedOn> {
        let mut handed_on = Vec::new();
        for (piece, p) in self.prepared.pieces.iter().enumerate() {
            let Action::Reduce { combine, value, .. } = &p.action else {
                continue;
            };
            let ty = Ty::scalar(Accumulator::result_type(*combine, value.dtype()));
            // Never read before it is set: a visit without a row takes nothing over.
            let none = self.eval.emitter.constant(zero(ty.scalar), ty);
            let registers = (self.levels[piece]..last)
                .map(|_| self.eval.emitter.register(none))
                .collect();
            handed_on.push(HandedOn { piece, registers });
        }
        handed_on
    }

    /// Where the visit of a level is when the first one is at row `i`.
    fn place_of(
        &mut self,
        level: usize,
        last: usize,
        i: &IExpr,
        (begin, end): (&IExpr, &IExpr),
        handed_on: &[HandedOn],
    ) -> Result<Place> {
        let at = i - &IExpr::constant(level as i64);
        let final_row = end - &IExpr::one();
        // Rows before the first and after the last: each visit but one meets them.
        let mut row = at.clone();
        let mut active = None;
        let mut test = |this: &mut Self, prim, bound: &IExpr| -> Result<()> {
            let place = this.eval.emitter.push(Op::Index { expr: at.clone() });
            let bound = this.eval.emitter.push(Op::Index {
                expr: bound.clone(),
            });
            let holds = this.eval.emitter.prim(prim, &[place, bound])?;
            active = Some(match active {
                Some(before) => {
                    let both = [before, holds];
                    this.eval.emitter.prim(Prim::And, &both)?
                }
                None => holds,
            });
            Ok(())
        };
        if level > 0 {
            row = row.larger(begin);
            test(self, Prim::Ge, begin)?;
        }
        if level < last {
            row = row.smaller(&final_row);
            test(self, Prim::Lt, end)?;
        }
        let row = self.eval.emitter.index_value(&row);
        let mut found = Vec::new();
        for handed in handed_on {
            let from = self.levels[handed.piece];
            if from < level {
                let value = self.eval.emitter.get(handed.registers[level - from - 1]);
                found.push((self.prepared.pieces[handed.piece].tensor, value));
            }
        }
        Ok(Place {
            level,
            row,
            active,
            found,
        })
    }

    fn declare_accumulators(&mut self, pipeline: &Pipeline) -> Result<Vec<(usize, Accumulator)>> {
        let Vector { axis, lanes } = pipeline.vector;
        let in_runs = self.hint(axis) > RUN * i64::from(lanes);
        let mut accumulators = Vec::new();
        for at in pipeline.visits.iter().flat_map(|v| &v.along) {
            let piece = &self.prepared.pieces[*at];
            let folds = Some(pipeline.tail);
            if let Some(acc) = Accumulator::declare(piece, self.eval, lanes, folds, in_runs)? {
                accumulators.push((*at, acc));
            }
        }
        Ok(accumulators)
    }

    /// Computes what a visit does, in its place. What is to be stored is added to `results`.
    fn evaluate(
        &mut self,
        row: u32,
        place: &Place,
        pieces: &[usize],
        accumulators: &[(usize, Accumulator)],
        results: &mut Vec<(usize, ValueId)>,
    ) -> Result<()> {
        // What other visits computed belongs to other rows.
        let memo = self.eval.set_memo_aside();
        self.eval.axis[row as usize] = place.row.clone();
        for (at, piece) in self.prepared.pieces.iter().enumerate() {
            if matches!(piece.action, Action::Store { .. }) {
                let is_earlier = self.levels[at] < place.level;
                let home = match self.memory.get(&at).filter(|_| is_earlier) {
                    Some((buf, offset)) => Home::Memory(*buf, offset.clone()),
                    None => Home::Inline(at),
                };
                self.eval.homes.insert(piece.tensor, home);
            }
        }
        for (tensor, value) in &place.found {
            self.eval.homes.insert(*tensor, Home::Value(*value));
        }
        for at in pieces {
            let piece = &self.prepared.pieces[*at];
            let is_kept = (self.external)(piece.tensor) || self.rows.contains_key(at);
            match &piece.action {
                Action::Store { value, .. } if is_kept => {
                    results.push((*at, self.eval.eval(value)?));
                }
                Action::Reduce { value, .. } => {
                    let value = self.eval.eval(value)?;
                    if let Some((_, accumulator)) = accumulators.iter().find(|a| a.0 == *at) {
                        accumulator.add(self.eval, value)?;
                    }
                }
                _ => {}
            }
        }
        self.eval.restore_memo(memo);
        Ok(())
    }

    /// Stores results, where their visits have a row.
    fn write(&mut self, row: u32, places: &[Place], results: Vec<(usize, ValueId)>) -> Result<()> {
        for (at, value) in results {
            let piece = &self.prepared.pieces[at];
            let place = &places[self.levels[at]];
            self.eval.axis[row as usize] = place.row.clone();
            if let Some(active) = place.active {
                self.eval.open_if(active);
            }
            if let Some((buf, offset)) = self.rows.get(&at).cloned() {
                store_at(self.eval, buf, &offset, value)?;
            }
            if (self.external)(piece.tensor) {
                store(self.eval, piece.tensor, &piece.offset, value)?;
            }
            if place.active.is_some() {
                self.eval.close();
            }
        }
        Ok(())
    }

    /// Moves every result on by one and puts the new one first.
    fn hand_on(&mut self, registers: &[RegId], value: ValueId) {
        for pair in registers.windows(2).rev() {
            let earlier = self.eval.emitter.get(pair[0]);
            self.eval.emitter.set(pair[1], earlier);
        }
        if let Some(first) = registers.first() {
            self.eval.emitter.set(*first, value);
        }
    }
}

fn zero(dtype: DType) -> Literal {
    match dtype {
        DType::Bool => Literal::Bool(false),
        _ if dtype.is_float() => Literal::Float(0.0),
        _ => Literal::Int(0),
    }
}

/// A piece that touches nothing but its own point, and cannot fail.
fn is_plain(piece: &Piece) -> bool {
    let mut checks = false;
    for e in piece.expressions() {
        visit(e, &mut |e| checks |= matches!(&**e, Expr::Check { .. }));
    }
    let at_known_offsets = piece.loads().iter().all(|l| l.values.is_empty());
    let is_simple = matches!(piece.action, Action::Store { .. } | Action::Reduce { .. });
    is_simple && at_known_offsets && !checks
}
