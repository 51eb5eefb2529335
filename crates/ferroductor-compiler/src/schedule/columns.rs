//! Columns: many sums side by side.

use super::eval::{Home, Vector};
use super::loops::{Loops, Tiling, store};
use super::prepare::Action;
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
        for a in &rows {
            let extent = self.eval.extent(*a);
            self.eval.axis[*a as usize] = self.eval.open_for(IExpr::zero(), extent, 1);
        }
        self.emit_lanes((vector, tail), range.clone(), &[], &mut |this, lanes| {
            for (at, combine, buf) in &totals {
                let Action::Reduce { value, .. } = &this.prepared.pieces[*at].action else {
                    continue;
                };
                let value = this.eval.eval(value)?;
                let value = this.eval.emitter.widen(value, lanes);
                let index = place(this);
                let total = this.eval.load_lanes(*buf, index.clone(), true);
                let total = super::reduce::combine_values(this.eval, *combine, total, value)?;
                this.eval.store_lanes(*buf, index, total);
            }
            Ok(())
        })?;
        for _ in &rows {
            self.eval.close();
        }
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
