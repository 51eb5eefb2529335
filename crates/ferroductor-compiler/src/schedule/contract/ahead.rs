//! Fetching what is needed next while the present tile is multiplied.
//!
//! A weight is read once per call, from memory. Packing it would wait for every line; a product
//! leaves room for one prefetch in each step. The lines of the next panel are spread over all the
//! steps that are made with the present one: `rows / mr` register tiles of `depth` steps. Where the
//! roles are exchanged, the weight's next rows are spread over the steps of the present ones.

use super::{Product, Result};
use crate::graph::TensorId;
use ferroductor_ir::IExpr;
use ferroductor_ir::kernel::Stmt;

/// Operands below this size are in a cache anyway.
const COLD_BYTES: i64 = 1 << 20;
const LINE_BYTES: i64 = 64;
/// Lines of a panel's row that are asked for, no fewer than the widest panel has.
const LINES: i64 = 4;

/// How the lines of the next panel are walked.
#[derive(Clone, Copy)]
enum Walk {
    /// The panel is one run of memory: this many elements further with each step.
    Run { stride: i64 },
    /// The panel is a strip of rows: so many steps, a power of two, for the lines of each, of which
    /// there are at most [`LINES`]; with fewer steps, several lines in each.
    Strip { steps: i64 },
}

impl Product<'_, '_> {
    /// Prefetches for one step of the register tile at `row`, whose panel starts at column `n0`.
    pub(super) fn fetch_ahead(&mut self, row: &IExpr, n0: &IExpr, step: &IExpr) -> Result<()> {
        if self.is_rest {
            return Ok(());
        }
        if self.exchanged {
            return self.fetch_rows_ahead(row, step);
        }
        let Some(walk) = self.walk() else {
            return Ok(());
        };
        let tile = row.floor_div(&IExpr::constant(self.mr));
        let depth = self.eval.sized(&self.k.extent.clone());
        let position = &(&tile * &depth) + &(step * &IExpr::constant(self.pair));
        let next = n0 + &IExpr::constant(self.nr());
        let (n, k) = (self.n.clone(), self.k.clone());
        match walk {
            Walk::Run { stride } => {
                self.set(&n, &next);
                self.set(&k, &(&position * &IExpr::constant(stride)));
                self.fetch_present();
            }
            Walk::Strip { steps } => {
                let (each, apart) = ((LINES / steps).max(1), (steps / LINES).max(1));
                let first = position.floor_div(&IExpr::constant(apart));
                let first = self.eval.emitter.index_value(&first);
                for p in 0..each {
                    let line = &(&first * &IExpr::constant(each)) + &IExpr::constant(p);
                    let lines = IExpr::constant(LINES);
                    let column = &line.modulo(&lines) * &IExpr::constant(self.lanes);
                    self.set(&n, &(&next + &column));
                    self.set(&k, &line.floor_div(&lines));
                    self.fetch_present();
                }
            }
        }
        Ok(())
    }

    /// Prefetches the second operand's element at the present axes.
    fn fetch_present(&mut self) {
        let Some(buf) = self.eval.buffers.get(&self.b.tensor).copied() else {
            return;
        };
        let index = self.eval.place(&self.b.index[0].clone());
        let near = true;
        self.eval
            .emitter
            .statement(Stmt::Prefetch { buf, index, near });
    }

    /// Prefetches the rows of the next register tile, where they and the present ones are one run of
    /// memory: as many elements in each step as there are rows. Rows so long that a tile of them
    /// fills the first-level cache are left to the processor, which sees them coming.
    fn fetch_rows_ahead(&mut self, row: &IExpr, step: &IExpr) -> Result<()> {
        let offset = self.a.index[0].clone();
        let along_m = self.m.stride(self.prepared, &offset);
        let one_run = along_m.is_some_and(|s| s == self.k.extent) && self.k.axes.len() == 1;
        let item = self.graph.tensor(self.a.tensor).dtype.size() as i64;
        let tile_bytes = self.graph.hint(&self.k.extent) * self.mr * item;
        let stays = tile_bytes <= self.eval.emitter.target.l1_bytes as i64;
        if !one_run || !stays || self.bytes(self.a.tensor) < COLD_BYTES {
            return Ok(());
        }
        let (m, k) = (self.m.clone(), self.k.clone());
        self.set_linear(&m, &(row + &IExpr::constant(self.mr)));
        self.set(&k, &(step * &IExpr::constant(self.mr * self.pair)));
        let buf = self.buffer(&self.a.clone())?;
        let index = self.eval.place(&offset);
        let near = true;
        self.eval
            .emitter
            .statement(Stmt::Prefetch { buf, index, near });
        Ok(())
    }

    pub(super) fn bytes(&self, tensor: TensorId) -> i64 {
        let tensor = self.graph.tensor(tensor);
        let elements = self.graph.hint_numel(&tensor.sizes);
        elements.saturating_mul(tensor.dtype.size() as i64)
    }

    /// `None` where fetching would not pay, or the operand's layout has no simple walk.
    fn walk(&self) -> Option<Walk> {
        let tensor = self.graph.tensor(self.b.tensor);
        let item = tensor.dtype.size() as i64;
        let bytes = self.bytes(self.b.tensor);
        let simple = self.n.axes.len() == 1 && self.k.axes.len() == 1;
        if bytes < COLD_BYTES || !simple || self.panels > 1 {
            return None;
        }
        let offset = &self.b.index[0];
        let (along_n, along_k) = (
            self.n.stride(self.prepared, offset)?,
            self.k.stride(self.prepared, offset)?,
        );
        let tiles = self
            .graph
            .hint(&self.m.extent)
            .max(1)
            .div_euclid(self.mr)
            .max(1);
        if along_k.is_one() && along_n == self.k.extent {
            let stride = (self.nr() + tiles - 1) / tiles;
            return (stride * item <= LINE_BYTES).then_some(Walk::Run { stride });
        }
        if along_n.is_one() {
            let steps = 1 << tiles.ilog2();
            return Some(Walk::Strip { steps });
        }
        None
    }
}
