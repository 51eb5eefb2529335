//! Fetching the next panel's columns while the present panel is multiplied.
//!
//! A weight is read once per call, from memory. Packing it would wait for every line; a product
//! leaves room for one prefetch in each step. The lines of the next panel are spread over all the
//! steps that are made with the present one: `rows / mr` register tiles of `depth` steps.

use super::{Product, Result};
use ferroductor_ir::IExpr;
use ferroductor_ir::kernel::Stmt;

/// Operands below this size are in a cache anyway.
const COLD_BYTES: i64 = 1 << 20;
const LINE_BYTES: i64 = 64;

/// How the lines of the next panel are walked.
#[derive(Clone, Copy)]
enum Walk {
    /// The panel is one run of memory: this many elements further with each step.
    Run { stride: i64 },
    /// The panel is a strip of rows of `vectors` lines each: one line in this many steps.
    Strip { steps: i64 },
}

impl Product<'_, '_> {
    /// Prefetches for one step of the register tile at `row`, whose panel starts at column `n0`.
    pub(super) fn fetch_ahead(&mut self, row: &IExpr, n0: &IExpr, step: &IExpr) -> Result<()> {
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
            }
            Walk::Strip { steps } => {
                let vectors = IExpr::constant(self.vectors);
                let line = position.floor_div(&IExpr::constant(steps));
                let line = self.eval.emitter.index_value(&line);
                let column = &line.modulo(&vectors) * &IExpr::constant(self.lanes);
                self.set(&n, &(&next + &column));
                self.set(&k, &line.floor_div(&vectors));
            }
        }
        let Some(buf) = self.eval.buffers.get(&self.b.tensor).copied() else {
            return Ok(());
        };
        let index = self.eval.place(&self.b.index[0].clone());
        self.eval.emitter.statement(Stmt::Prefetch { buf, index });
        Ok(())
    }

    /// `None` where fetching would not pay, or the operand's layout has no simple walk.
    fn walk(&self) -> Option<Walk> {
        let tensor = self.graph.tensor(self.b.tensor);
        let item = tensor.dtype.size() as i64;
        let bytes = self.graph.hint_numel(&tensor.sizes).saturating_mul(item);
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
            let steps = tiles * LINE_BYTES / (self.nr() * item);
            return (steps > 0).then_some(Walk::Strip { steps });
        }
        None
    }
}
