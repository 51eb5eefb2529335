//! Columns: many sums side by side.

use super::eval::{Home, Vector};
use super::loops::{Loops, Tiling, store};
use super::prepare::Action;
use super::reduce::combine_values;
use super::tiles::{TileId, even_chunk};
use crate::error::CompileError;
use crate::fuse::GroupKind;
use crate::graph::Combine;
use crate::lower::neutral;
use ferroductor_ir::IExpr;
use ferroductor_ir::kernel::*;

type Result<T> = std::result::Result<T, CompileError>;

/// Columns summed side by side: their totals stay in the first-level cache.
const COLUMNS: i64 = 2048;
/// Rows taken in between a load of a total and its store.
const ROWS: i64 = 4;

impl Loops<'_, '_> {
    /// Sums over rows whose elements lie side by side: row after row is added to a row of totals in
    /// cache, so that memory is read as it lies.
    pub(super) fn emit_columns(&mut self, outer: Vec<u32>, axis: u32) -> Result<Tiling> {
        let all: Vec<usize> = (0..self.prepared.pieces.len()).collect();
        let lanes = self.lanes(&all, axis);
        let vector = Vector { axis, lanes };
        let tail = self.tail(&all, axis, false);
        let extent = self.prepared.axes[axis as usize].clone();
        let chunk = if self.hint(axis) <= COLUMNS + COLUMNS / 2 {
            None
        } else {
            Some(even_chunk(&extent, COLUMNS, i64::from(lanes)))
        };
        let mut id = TileId::new();
        let extent = self.eval.sized(&extent);
        let range = match chunk {
            None => (IExpr::zero(), extent.clone()),
            Some(chunk) => {
                let at = id.take(extent.ceil_div(chunk), self.eval);
                self.bounds(&at, chunk, &extent)
            }
        };
        for a in outer.iter().rev().filter(|a| **a != axis) {
            let extent = self.eval.extent(*a);
            self.eval.axis[*a as usize] = id.take(extent, self.eval);
        }
        let width = chunk.map_or(extent, IExpr::constant);
        let mut totals: Vec<(usize, Combine, Buf)> = Vec::new();
        for (at, piece) in self.prepared.pieces.iter().enumerate() {
            if let Action::Reduce { combine, value, .. } = &piece.action {
                let name = &self.graph.tensor(piece.tensor).name;
                let buf = self.eval.roomy_local(value.dtype(), &width, name);
                totals.push((at, *combine, buf));
            }
        }
        let begin = range.0.clone();
        let place = |this: &Self| &this.eval.axis[axis as usize] - &begin;
        self.emit_lanes((vector, tail), range.clone(), &[], &mut |this, lanes| {
            for (_, combine, buf) in &totals {
                let dtype = this.eval.emitter.buf_dtype(*buf);
                let ty = Ty::new(dtype, lanes);
                let first = this.eval.emitter.constant(neutral(*combine, dtype), ty);
                let index = place(this);
                this.eval.store_lanes(*buf, index, first);
            }
            Ok(())
        })?;
        let mut rows: Vec<u32> = self
            .all_inner_axes()
            .into_iter()
            .filter(|a| !self.prepared.axes[*a as usize].is_one())
            .collect();
        rows.sort_by_key(|a| std::cmp::Reverse(self.read_stride_hint(*a)));
        let last = rows.pop();
        for a in &rows {
            let extent = self.eval.extent(*a);
            self.eval.axis[*a as usize] = self.eval.open_for(IExpr::zero(), extent, 1);
        }
        let take_in = |this: &mut Self, begin: IExpr, end: IExpr, step: i64| {
            let first = last.map(|a| (a, this.eval.open_for(begin, end, step)));
            this.emit_lanes((vector, tail), range.clone(), &[], &mut |this, lanes| {
                this.take_in_rows(&totals, place(this), lanes, first.as_ref(), step)
            })?;
            if first.is_some() {
                this.eval.close();
            }
            Ok::<(), CompileError>(())
        };
        let extent = last.map_or(IExpr::one(), |a| self.eval.extent(a));
        let whole = &extent.floor_div(&IExpr::constant(ROWS)) * &IExpr::constant(ROWS);
        let whole = self.eval.emitter.index_value(&whole);
        if !whole.is_zero() {
            take_in(self, IExpr::zero(), whole.clone(), ROWS)?;
        }
        if whole != extent {
            take_in(self, whole, extent, 1)?;
        }
        for _ in &rows {
            self.eval.close();
        }
        rows.extend(last);
        self.emit_lanes((vector, tail), range, &[], &mut |this, _| {
            let index = place(this);
            this.finish_columns(&totals, &index)
        })?;
        let depth = rows.iter().map(|a| self.hint(*a)).product::<i64>();
        Ok(Tiling {
            tiles: id.tiles,
            elements: depth.saturating_mul(chunk.unwrap_or(self.hint(axis))),
        })
    }

    /// Adds `count` rows from the first on to the totals at an index, one after the other.
    fn take_in_rows(
        &mut self,
        totals: &[(usize, Combine, Buf)],
        index: IExpr,
        lanes: u32,
        first: Option<&(u32, IExpr)>,
        count: i64,
    ) -> Result<()> {
        let mut sums: Vec<ValueId> = totals
            .iter()
            .map(|(_, _, buf)| self.eval.load_lanes(*buf, index.clone(), true))
            .collect();
        for row in 0..count {
            let memo = self.eval.set_memo_aside();
            if let Some((axis, first)) = first {
                self.eval.axis[*axis as usize] = first + &IExpr::constant(row);
            }
            for (sum, (at, combine, _)) in sums.iter_mut().zip(totals) {
                if let Action::Reduce { value, .. } = &self.prepared.pieces[*at].action {
                    let value = self.eval.eval(value)?;
                    let value = self.eval.emitter.widen(value, lanes);
                    *sum = combine_values(self.eval, *combine, *sum, value)?;
                }
            }
            self.eval.restore_memo(memo);
        }
        for (sum, (_, _, buf)) in sums.into_iter().zip(totals) {
            self.eval.store_lanes(*buf, index.clone(), sum);
        }
        Ok(())
    }

    /// Stores the totals and whatever is computed of them.
    fn finish_columns(&mut self, totals: &[(usize, Combine, Buf)], index: &IExpr) -> Result<()> {
        for (at, _, buf) in totals {
            let piece = &self.prepared.pieces[*at];
            let home = Home::Placed(*buf, index.clone());
            self.eval.homes.insert(piece.tensor, home);
            if (self.external)(piece.tensor) {
                let value = self.eval.load_lanes(*buf, index.clone(), true);
                store(self.eval, piece.tensor, &piece.offset, value)?;
            }
        }
        for (at, piece) in self.prepared.pieces.iter().enumerate() {
            if matches!(piece.action, Action::Store { .. }) {
                self.eval.homes.insert(piece.tensor, Home::Inline(at));
            }
        }
        let stores: Vec<usize> = (0..self.prepared.pieces.len())
            .filter(|at| matches!(self.prepared.pieces[*at].action, Action::Store { .. }))
            .collect();
        self.emit_bodies(&stores, &[])
    }

    /// Can the kernel be written by [`Loops::emit_columns`]?
    pub(super) fn is_plain_columns(&self) -> bool {
        self.prepared.kind == GroupKind::Columns
            && self.prepared.pieces.iter().all(|p| match &p.action {
                Action::Reduce { combine, .. } => {
                    !matches!(combine, Combine::ArgMax | Combine::ArgMin)
                }
                Action::Store { .. } => self.inner_axes(p).is_empty(),
                _ => false,
            })
            && self
                .levels
                .iter()
                .zip(&self.prepared.pieces)
                .all(|(level, p)| *level == 0 || matches!(p.action, Action::Store { .. }))
    }

    fn read_stride_hint(&self, axis: u32) -> i64 {
        let mut most = 0;
        for piece in &self.prepared.pieces {
            piece.visit_indices(&mut |index, is_offset| {
                if let Some(c) = index.coefficient(axis).filter(|_| is_offset) {
                    most = most.max(self.graph.hint(&c).abs());
                }
            });
        }
        most
    }
}
