//! Exchanged roles: the columns of the second operand take the place of the rows.
//!
//! A weight as `nn.Linear` keeps it is contiguous along `k`: to be packed it has to be turned, all of
//! it, in each call. Where the first operand is the smaller one it is packed instead, and the weight
//! is read where it lies. The product comes out transposed; the tiles of a block of rows are turned
//! in registers before the work that follows them, which never notices.

use super::super::turn::turn;
use super::{Product, ROWS_PER_TILE, Result};
use crate::graph::TensorId;
use ferroductor_ir::kernel::*;
use ferroductor_ir::{DType, IExpr};

/// Turning an element takes as long as so many multiplications.
const TURNING: i64 = 9;

/// Register tiles for exchanged roles. The rows, which are many, are read in few streams; the
/// columns, which are few, are divided into panels as narrow as wastes least.
pub(super) fn shapes(isa: Isa) -> &'static [(i64, i64)] {
    match isa {
        Isa::Avx512 => &[(8, 3), (8, 2), (6, 4), (8, 1)],
        Isa::Avx2 => &[(6, 2), (4, 3), (6, 1)],
        Isa::Sse42 => &[(4, 3), (6, 2), (6, 1)],
        Isa::Neon => &[(8, 3), (8, 2), (6, 4), (8, 1)],
    }
}

impl Product<'_, '_> {
    /// Is the second operand fit to be read raw, row by row?
    pub(super) fn may_be_exchanged(&self) -> bool {
        let weight = self.graph.tensor(self.b.tensor);
        let along_k = self.k.stride(self.prepared, &self.b.index[0]);
        let widest = shapes(self.eval.emitter.target.isa).iter().map(|s| s.1);
        let single = self.graph.hint(&self.m.extent) <= widest.max().unwrap_or(1) * self.lanes;
        // Every panel reads all the rows: they stay in a cache, or the panels do, all of them, or
        // there is but one.
        (self.weight_stays(self.b.tensor) || self.panels_stay() || single)
            && self.inside.is_empty()
            && weight.dtype == self.packed_type()
            && along_k.is_some_and(|s| s.is_one())
            && !self.k.axes.is_empty()
    }

    /// Does a weight stay in half of the last cache?
    pub(super) fn weight_stays(&self, weight: TensorId) -> bool {
        self.bytes(weight) <= self.eval.emitter.target.last_cache_bytes as i64 / 2
    }

    /// Would the first operand, packed, stay in half of a core's own cache?
    fn panels_stay(&self) -> bool {
        let hint = |e: &IExpr| self.graph.hint(e).max(1);
        let elements = hint(&self.m.extent).saturating_mul(hint(&self.k.extent));
        let bytes = elements.saturating_mul(self.packed_type().size() as i64);
        bytes <= self.eval.emitter.target.l2_bytes as i64 / 2
    }

    /// Exchanges the operands, their rows and columns; a second time, back again.
    pub(super) fn exchange(&mut self) {
        std::mem::swap(&mut self.a, &mut self.b);
        std::mem::swap(&mut self.m, &mut self.n);
        self.exchanged = !self.exchanged;
    }

    /// What turning costs, in multiplications for each step through `k`: the packed operand where
    /// it is contiguous along `k`, and the result where the roles are exchanged.
    pub(super) fn turning_cost(&self) -> i64 {
        let hint = |e: &IExpr| self.graph.hint(e).max(1);
        let (rows, columns, depth) = (
            hint(&self.m.extent),
            hint(&self.n.extent),
            hint(&self.k.extent),
        );
        let along_k = self.k.stride(self.prepared, &self.b.index[0]);
        let packed = if along_k.is_some_and(|s| s.is_one()) {
            columns
        } else {
            0
        };
        let result = if self.exchanged {
            rows * columns / depth
        } else {
            0
        };
        (packed + result).saturating_mul(TURNING)
    }

    /// Where the tiles of a block lie turned: rows as wide as a block.
    pub(super) fn turned_block(&mut self) -> Buf {
        let elements = IExpr::constant(self.nr() * ROWS_PER_TILE);
        self.eval.emitter.local(DType::F32, elements, "turned")
    }

    /// Turns the tiles of the block from row `first` on and lets the following work run over them,
    /// with the roles as they were.
    pub(super) fn follow_turned(
        &mut self,
        (block, turned): (Buf, Buf),
        (n0, columns): (&IExpr, &IExpr),
        (first, rows): (&IExpr, &IExpr),
    ) -> Result<()> {
        self.turn_block(block, turned);
        let (mr, vectors) = (self.mr, self.vectors);
        (self.mr, self.vectors) = (self.nr(), ROWS_PER_TILE / self.lanes);
        self.exchange();
        self.follow(turned, n0, columns, first, rows)?;
        self.exchange();
        (self.mr, self.vectors) = (mr, vectors);
        Ok(())
    }

    /// Squares of the block, turned in registers. Rows beyond the matrix are turned too; nobody
    /// looks at them.
    fn turn_block(&mut self, block: Buf, turned: Buf) {
        let (nr, lanes) = (self.nr(), self.lanes);
        let from = (self.eval).open_for(IExpr::zero(), IExpr::constant(nr), lanes);
        let row = (self.eval).open_for(IExpr::zero(), IExpr::constant(ROWS_PER_TILE), lanes);
        let mut square: Vec<ValueId> = (0..lanes)
            .map(|i| {
                let own = &(&row + &IExpr::constant(i)) * &IExpr::constant(nr);
                self.eval.emitter.push_here(Op::Load {
                    buf: block,
                    index: &own + &from,
                    lanes: lanes as u32,
                })
            })
            .collect();
        turn(&mut self.eval.emitter, &mut square, 1);
        for (c, column) in square.into_iter().enumerate() {
            let own = &(&from + &IExpr::constant(c as i64)) * &IExpr::constant(ROWS_PER_TILE);
            self.eval.emitter.store(turned, &own + &row, column);
        }
        self.eval.close();
        self.eval.close();
    }
}
