//! Products of a single row: every element of the second operand is used once, so nothing is
//! packed. Depthwise convolutions are of this kind; image and channel, the batch of the product,
//! take the place of its rows.

use super::windows::Table;
use super::{Product, Result};
use ferroductor_ir::kernel::*;
use ferroductor_ir::{DType, IExpr, Literal, Prim};

/// Products summed up in one register; longer sums are left to the blocked kernel.
const MAX_DEPTH: i64 = 256;
/// Vectors of columns that one row computes at a time.
const VECTORS: i64 = 4;

impl Product<'_, '_> {
    /// Is the product one row, with columns contiguous in memory?
    pub(super) fn is_direct(&self) -> bool {
        let offset = &self.b.index[0];
        let along_n = self.n.stride(self.prepared, offset);
        self.m.extent.is_one()
            && !self.n.axes.is_empty()
            && along_n.is_some_and(|s| s.is_one())
            && (self.k.extent.as_const()).is_some_and(|k| k <= MAX_DEPTH)
    }

    /// Lets the batch be the rows, one at a time.
    pub(super) fn choose_direct_shape(&mut self) {
        std::mem::swap(&mut self.m, &mut self.batch);
        let columns = self.graph.hint(&self.n.extent).max(1);
        self.mr = 1;
        self.vectors = ((columns + self.lanes - 1) / self.lanes).min(VECTORS);
    }

    /// One row of the panel from column `n0` on, into the tile buffer.
    pub(super) fn multiply_directly(
        &mut self,
        tables: &[Table],
        tile: Buf,
        row: &IExpr,
        n0: &IExpr,
    ) -> Result<()> {
        let (m, k, a, lanes) = (
            self.m.clone(),
            self.k.clone(),
            self.a.clone(),
            self.lanes as u32,
        );
        self.set(&m, row);
        let ty = Ty::new(DType::F32, lanes);
        let zero = self.eval.emitter.constant(Literal::Float(0.0), ty);
        let sums: Vec<RegId> = (0..self.vectors)
            .map(|_| self.eval.emitter.register(zero))
            .collect();
        self.open_axes(&k.axes);
        let factor = self.operand(&a, 1)?;
        for (v, register) in sums.iter().enumerate() {
            let value = self.masked_operand(tables, n0, v as i64 * self.lanes, lanes)?;
            let sum = self.eval.emitter.get(*register);
            let sum = self.eval.emitter.prim(Prim::Fma, &[factor, value, sum])?;
            self.eval.emitter.set(*register, sum);
        }
        for _ in &k.axes {
            self.eval.close();
        }
        for (v, register) in sums.into_iter().enumerate() {
            let value = self.eval.emitter.get(register);
            let index = IExpr::constant(v as i64 * self.lanes);
            self.eval.emitter.store(tile, index, value);
        }
        Ok(())
    }
}
