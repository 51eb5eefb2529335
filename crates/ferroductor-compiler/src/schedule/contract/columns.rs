//! Packing a panel of the second operand: `nr` columns, step by step through `k`.
//!
//! What must hold: element `(k, j)` of the panel is column `n0 + j`, at
//! `panel_start + ((k / pair) * nr + j) * pair + k % pair`; columns beyond the matrix repeat its last one.

use super::super::turn::turn;
use super::windows::Table;
use super::{Product, Result};
use ferroductor_ir::kernel::*;
use ferroductor_ir::{IExpr, Prim};

impl Product<'_, '_> {
    /// Fills the panel from column `n0` on, the way the operand lies in memory asks for.
    pub(super) fn pack_panel(
        &mut self,
        pack: Buf,
        tables: &[Table],
        n0: &IExpr,
        columns: &IExpr,
        depth: &IExpr,
    ) -> Result<()> {
        let offset = self.b.index[0].clone();
        let along_n = self.n.stride(self.prepared, &offset);
        let along_k = self.k.stride(self.prepared, &offset);
        let steps = self.steps(depth);
        let nr = self.nr();
        let bounded = !self.inside.is_empty();
        if along_k.is_some_and(|s| s.is_one()) && !self.k.axes.is_empty() && !bounded {
            return self.pack_transposed(pack, n0, columns, &steps);
        }
        if along_n.is_none_or(|s| !s.is_one()) {
            return self.pack_singly(pack, n0, columns, (IExpr::zero(), steps));
        }
        if bounded {
            self.fill_tables(tables, n0, columns)?;
            return self.pack_rows(pack, tables, n0, &steps);
        }
        if tables.is_empty() {
            return self.pack_rows(pack, tables, n0, &steps);
        }
        let beyond = self.eval.emitter.push(Op::Index {
            expr: n0 + &IExpr::constant(nr),
        });
        let limit = self.eval.emitter.push(Op::Index {
            expr: columns.clone(),
        });
        let full = self.eval.emitter.prim(Prim::Le, &[beyond, limit])?;
        let partial = self.eval.emitter.prim(Prim::Not, &[full])?;
        self.eval.open_if(full);
        self.pack_rows(pack, &[], n0, &steps)?;
        self.eval.close();
        self.eval.open_if(partial);
        self.fill_tables(tables, n0, columns)?;
        self.pack_rows(pack, tables, n0, &steps)?;
        self.eval.close();
        Ok(())
    }

    /// Position in the panel of column `j` at a step.
    fn panel_index(&self, step: &IExpr, j: &IExpr) -> IExpr {
        let position = &(step * &IExpr::constant(self.nr())) + j;
        &self.panel_start + &(&position * &IExpr::constant(self.pair))
    }

    /// The operand is contiguous along `n`: whole vectors are copied (pairs: interleaved), masked
    /// by the tables if there are any.
    fn pack_rows(&mut self, pack: Buf, tables: &[Table], n0: &IExpr, steps: &IExpr) -> Result<()> {
        let k = self.k.clone();
        let lanes = self.lanes as u32;
        let axes: &[u32] = if self.pair == 1 { &k.axes } else { &[] };
        let step = match axes {
            [] => self.eval.open_for(IExpr::zero(), steps.clone(), 1),
            _ => self.open_axes(axes),
        };
        for v in 0..self.vectors {
            let j = IExpr::constant(v * self.lanes);
            let mut rows = Vec::new();
            for p in 0..self.pair {
                if axes.is_empty() {
                    let at = &(&step * &IExpr::constant(self.pair)) + &IExpr::constant(p);
                    self.set(&k, &at);
                }
                rows.push(self.masked_operand(tables, n0, v * self.lanes, lanes)?);
            }
            let value = match rows.as_slice() {
                [a, b] => self.eval.emitter.push(Op::Shuffle {
                    a: *a,
                    b: *b,
                    lanes: (0..lanes).flat_map(|l| [l, lanes + l]).collect(),
                }),
                _ => rows[0],
            };
            let index = self.panel_index(&step, &j);
            self.eval.emitter.store(pack, index, value);
        }
        for _ in 0..axes.len().max(1) {
            self.eval.close();
        }
        Ok(())
    }

    /// Element by element, over a range of steps.
    fn pack_singly(
        &mut self,
        pack: Buf,
        n0: &IExpr,
        columns: &IExpr,
        (first, end): (IExpr, IExpr),
    ) -> Result<()> {
        let (n, k) = (self.n.clone(), self.k.clone());
        let nr = self.nr();
        let step = self.eval.open_for(first, end, 1);
        let j = self.eval.open_for(IExpr::zero(), IExpr::constant(nr), 1);
        let position = self.clamped(n0 + &j, columns, nr);
        let position = self.eval.emitter.index_value(&position);
        self.set(&n, &position);
        for p in 0..self.pair {
            let at = &(&step * &IExpr::constant(self.pair)) + &IExpr::constant(p);
            self.set(&k, &at);
            let value = self.single_operand()?;
            let index = &self.panel_index(&step, &j) + &IExpr::constant(p);
            self.eval.emitter.store(pack, index, value);
        }
        self.eval.close();
        self.eval.close();
        Ok(())
    }

    /// The operand is contiguous along `k`: squares of steps by columns are turned in registers.
    fn pack_transposed(
        &mut self,
        pack: Buf,
        n0: &IExpr,
        columns: &IExpr,
        steps: &IExpr,
    ) -> Result<()> {
        let (n, k, load) = (self.n.clone(), self.k.clone(), self.b.clone());
        let (lanes, nr) = (self.lanes, self.nr());
        let whole = &steps.floor_div(&IExpr::constant(lanes)) * &IExpr::constant(lanes);
        // A loop over the panel's vectors, not a copy of the square for each: LLVM takes long over
        // shuffles, and they were three quarters of a product's compile time.
        let column = self
            .eval
            .open_for(IExpr::zero(), IExpr::constant(nr), lanes);
        let base = n0 + &column;
        let step = self.eval.open_for(IExpr::zero(), whole.clone(), lanes);
        self.set_linear(&k, &(&step * &IExpr::constant(self.pair)));
        let mut rows = Vec::new();
        for r in 0..lanes {
            let position = self.clamped(&base + &IExpr::constant(r), columns, nr);
            let position = self.eval.emitter.index_value(&position);
            self.set(&n, &position);
            rows.push(self.operand(&load, (lanes * self.pair) as u32)?);
        }
        turn(&mut self.eval.emitter, &mut rows, self.pair as usize);
        for (c, row) in rows.into_iter().enumerate() {
            let at = &step + &IExpr::constant(c as i64);
            let index = self.panel_index(&at, &column);
            self.eval.emitter.store(pack, index, row);
        }
        self.eval.close();
        self.eval.close();
        if whole == *steps {
            return Ok(());
        }
        self.pack_singly(pack, n0, columns, (whole, steps.clone()))
    }
}
