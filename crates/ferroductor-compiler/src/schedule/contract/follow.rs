//! The work behind a product: the fused pointwise pieces, over the tile buffer.
//!
//! Rows of the buffer are walked in vectors wherever everything that the pieces read and write is
//! linear along the columns, at least in runs: the columns of one image among several.

use super::super::eval::{Home, Vector};
use super::super::loops;
use super::super::prepare::Action;
use super::{Dimension, Product, ROWS_PER_TILE, Result};
use ferroductor_ir::IExpr;
use ferroductor_ir::kernel::*;

/// Runs shorter than this gain nothing from vectors.
const SHORT_RUN: i64 = 16;

/// How the columns are walked.
enum Walk {
    /// As one axis.
    Linear,
    /// In runs of the inner axes, for each position of the outer ones.
    Runs { outer: Dimension, inner: Dimension },
    /// Each at its own place.
    Apart,
}

impl Product<'_, '_> {
    /// Runs the pieces over `mr` rows and stores what leaves the kernel.
    pub(super) fn follow(
        &mut self,
        tile: Buf,
        row: &IExpr,
        end: &IExpr,
        n0: &IExpr,
        columns: &IExpr,
    ) -> Result<()> {
        let (mr, nr, m) = (self.mr, self.nr(), self.m.clone());
        let valid = (end - row).smaller(&IExpr::constant(mr));
        let valid = match self.m.extent.as_const() {
            _ if self.whole => IExpr::constant(mr),
            Some(e) if e % mr == 0 && ROWS_PER_TILE % mr == 0 => IExpr::constant(mr),
            _ => self.eval.emitter.index_value(&valid),
        };
        let i = self.eval.open_for(IExpr::zero(), valid, 1);
        let position = self.eval.emitter.index_value(&(row + &i));
        self.set(&m, &position);
        let width = match columns.as_const() {
            Some(c) if c % nr == 0 => IExpr::constant(nr),
            _ => {
                let left = (columns - n0).smaller(&IExpr::constant(nr));
                self.eval.emitter.index_value(&left)
            }
        };
        let at = &i * &IExpr::constant(nr);
        match self.walk_columns() {
            Walk::Linear => {
                let (n, lanes) = (self.n.clone(), self.follow_lanes());
                self.follow_run(tile, &at, (IExpr::zero(), width), lanes, &|this, j| {
                    this.set_linear(&n, &(n0 + j));
                })?;
            }
            Walk::Runs { outer, inner } => {
                self.follow_runs(tile, &at, n0, &width, (&outer, &inner))?;
            }
            Walk::Apart => {
                let (n, lanes) = (self.n.clone(), self.aligned_lanes());
                self.follow_run(tile, &at, (IExpr::zero(), width), lanes, &|this, j| {
                    this.set(&n, &(n0 + j));
                })?;
            }
        }
        self.eval.close();
        Ok(())
    }

    /// Columns `begin..end` of the buffer's row at `at`, in vectors and then in a masked one, or one
    /// by one.
    fn follow_run(
        &mut self,
        tile: Buf,
        at: &IExpr,
        (begin, end): (IExpr, IExpr),
        lanes: i64,
        set: &dyn Fn(&mut Self, &IExpr),
    ) -> Result<()> {
        let whole = &(&end - &begin).floor_div(&IExpr::constant(lanes)) * &IExpr::constant(lanes);
        let whole = self.eval.emitter.index_value(&(&begin + &whole));
        let masked = lanes > 1 && self.masks_tail();
        let single = if masked { lanes } else { 1 };
        for (is_tail, begin, finish, step) in [
            (false, begin, whole.clone(), lanes),
            (true, whole, end, single),
        ] {
            if begin == finish {
                continue;
            }
            let j = self.eval.open_for(begin, finish.clone(), step);
            if is_tail && masked {
                let left = &finish - &j;
                self.eval.mask = Some(self.eval.emitter.lanes_before(&left, lanes as u32)?);
            }
            set(self, &j);
            let axis = self.n.axes.last().copied();
            self.eval.vector = axis.filter(|_| step > 1).map(|axis| Vector {
                axis,
                lanes: step as u32,
            });
            self.store_pieces(tile, at + &j)?;
            self.eval.vector = None;
            self.eval.mask = None;
            self.eval.close();
        }
        Ok(())
    }

    /// May the columns that fill no vector be followed up under a mask?
    fn masks_tail(&self) -> bool {
        let mut pieces = self.prepared.pieces.iter();
        let axis = self.n.axes.last();
        axis.is_some_and(|a| pieces.all(|p| self.eval.masks_tail(p, *a, false)))
    }

    /// The runs that the panel's `width` columns from `n0` on lie in, one after the other.
    fn follow_runs(
        &mut self,
        tile: Buf,
        at: &IExpr,
        n0: &IExpr,
        width: &IExpr,
        (outer, inner): (&Dimension, &Dimension),
    ) -> Result<()> {
        let length = self.eval.sized(&inner.extent);
        let end = n0 + width;
        let first = self.eval.emitter.index_value(&n0.floor_div(&length));
        let last = (&end - &IExpr::one()).floor_div(&length);
        let last = self.eval.emitter.index_value(&(&last + &IExpr::one()));
        let run = self.eval.open_for(first, last, 1);
        self.set(outer, &run);
        let start = self.eval.emitter.index_value(&(&run * &length));
        let begin = &n0.larger(&start) - n0;
        let finish = &end.smaller(&(&start + &length)) - n0;
        let begin = self.eval.emitter.index_value(&begin);
        let finish = self.eval.emitter.index_value(&finish);
        let (offset, lanes) = (n0 - &start, self.follow_lanes());
        self.follow_run(tile, at, (begin, finish), lanes, &|this, j| {
            this.set_linear(inner, &(&offset + j));
        })?;
        self.eval.close();
        Ok(())
    }

    fn walk_columns(&self) -> Walk {
        if self.follows_linearly(&self.n) {
            return Walk::Linear;
        }
        for cut in 1..self.n.axes.len() {
            let (outer, inner) = (
                self.part(&self.n.axes[..cut]),
                self.part(&self.n.axes[cut..]),
            );
            let long = self.graph.hint(&inner.extent) >= SHORT_RUN;
            if long && self.aligned_lanes() == 1 && self.follows_linearly(&inner) {
                return Walk::Runs { outer, inner };
            }
        }
        Walk::Apart
    }

    fn part(&self, axes: &[u32]) -> Dimension {
        let extent = IExpr::product(axes.iter().map(|a| &self.prepared.axes[*a as usize]));
        Dimension {
            axes: axes.to_vec(),
            extent,
        }
    }

    /// Does the following work walk these columns as one axis?
    fn follows_linearly(&self, columns: &Dimension) -> bool {
        let mut linear = !columns.axes.is_empty();
        for piece in &self.prepared.pieces {
            let mut check = |index: &IExpr, is_offset: bool| {
                linear &= match is_offset {
                    true => columns.stride(self.prepared, index).is_some(),
                    false => !columns.axes.iter().any(|a| index.uses_var(*a)),
                };
            };
            match piece.action {
                Action::Contract { .. } => check(&piece.offset, true),
                _ => piece.visit_indices(&mut check),
            }
        }
        linear
    }

    /// Lanes of work that is linear along the columns.
    fn follow_lanes(&self) -> i64 {
        let axis = self.n.axes.last();
        let pieces = &self.prepared.pieces;
        let possible = axis.is_some_and(|a| pieces.iter().all(|p| self.eval.vectorizable(p, *a)));
        if possible { self.lanes } else { 1 }
    }

    /// Lanes of other work: none where a vector could straddle two rows of a split axis.
    fn aligned_lanes(&self) -> i64 {
        let aligned = match self.n.axes.as_slice() {
            [] => false,
            [_] => true,
            [.., last] => self.prepared.axes[*last as usize]
                .as_const()
                .is_some_and(|e| e % self.lanes == 0),
        };
        if aligned { self.follow_lanes() } else { 1 }
    }

    fn store_pieces(&mut self, tile: Buf, index: IExpr) -> Result<()> {
        let prepared = self.prepared;
        for (at, piece) in prepared.pieces.iter().enumerate() {
            let home = match &piece.action {
                Action::Contract { .. } => Home::Placed(tile, index.clone()),
                _ => Home::Inline(at),
            };
            self.eval.homes.insert(piece.tensor, home);
        }
        for piece in &prepared.pieces {
            if !(self.external)(piece.tensor) {
                continue;
            }
            let value = match &piece.action {
                Action::Store { value, .. } => self.eval.eval(value)?,
                _ => self.eval.load_lanes(tile, index.clone(), true),
            };
            loops::store(self.eval, piece.tensor, &piece.offset, value)?;
        }
        Ok(())
    }
}
