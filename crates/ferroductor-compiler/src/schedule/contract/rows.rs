//! Where the register tile reads the rows of the first operand.
//!
//! Rows that lie contiguous along `k` in the type they are multiplied in are read where they are.
//! All others are copied for each register tile: row by row if `k` is contiguous, else step by
//! step with the rows side by side.

use super::{Product, Result};
use ferroductor_ir::IExpr;
use ferroductor_ir::Prim;
use ferroductor_ir::kernel::*;

/// Where step `s` of row `i` starts.
pub(super) enum Rows {
    /// Each row has a base of its own.
    Raw { buf: Buf, bases: Vec<IExpr> },
    /// At `i*row + s*step`.
    Copied { buf: Buf, row: IExpr, step: IExpr },
}

impl Rows {
    /// Buffer and index of row `i` at a step of `pair` elements.
    pub(super) fn element(&self, i: i64, step: &IExpr, pair: i64) -> (Buf, IExpr) {
        match self {
            Rows::Raw { buf, bases } => {
                (*buf, &bases[i as usize] + &(step * &IExpr::constant(pair)))
            }
            Rows::Copied {
                buf,
                row,
                step: stride,
            } => (*buf, &(&IExpr::constant(i) * row) + &(step * stride)),
        }
    }
}

impl Product<'_, '_> {
    pub(super) fn first_operand(
        &mut self,
        row: &IExpr,
        rows: &IExpr,
        depth: &IExpr,
    ) -> Result<Rows> {
        let (k, load) = (self.k.clone(), self.a.clone());
        let buf = self.buffer(&load)?;
        let plain = self.eval.emitter.buf_dtype(buf) == self.packed_type();
        let contiguous = k
            .stride(self.prepared, &load.index[0])
            .is_some_and(|s| s.is_one());
        if !contiguous {
            return self.copy_steps(row, rows, depth);
        }
        self.set(&k, &IExpr::zero());
        let bases = self.row_bases(row, rows);
        if plain {
            return Ok(Rows::Raw { buf, bases });
        }
        let elements = depth * &IExpr::constant(self.mr);
        let packed_type = self.packed_type();
        let copy = self.eval.emitter.local(packed_type, elements, "rows");
        for (i, base) in bases.iter().enumerate() {
            let begin = depth * &IExpr::constant(i as i64);
            self.copy_row(buf, base, copy, &begin, depth)?;
        }
        Ok(Rows::Copied {
            buf: copy,
            row: depth.clone(),
            step: IExpr::constant(self.pair),
        })
    }

    /// Offset of the first element of each row, rows beyond the matrix repeating its last one.
    fn row_bases(&mut self, row: &IExpr, rows: &IExpr) -> Vec<IExpr> {
        let (m, offset) = (self.m.clone(), self.a.index[0].clone());
        (0..self.mr)
            .map(|i| {
                let position = self.clamped(row + &IExpr::constant(i), rows, self.mr);
                let position = self.eval.emitter.index_value(&position);
                self.set(&m, &position);
                let base = self.eval.place(&offset);
                self.eval.emitter.index_value(&base)
            })
            .collect()
    }

    fn copy_row(
        &mut self,
        from: Buf,
        base: &IExpr,
        to: Buf,
        begin: &IExpr,
        depth: &IExpr,
    ) -> Result<()> {
        let whole = &depth.floor_div(&IExpr::constant(self.lanes)) * &IExpr::constant(self.lanes);
        for (start, end, step) in [
            (IExpr::zero(), whole.clone(), self.lanes),
            (whole.clone(), depth.clone(), 1),
        ] {
            if start == end {
                continue;
            }
            let at = self.eval.open_for(start, end, step);
            let value = self.eval.emitter.push(Op::Load {
                buf: from,
                index: base + &at,
                lanes: step as u32,
            });
            self.eval.emitter.store(to, begin + &at, value);
            self.eval.close();
        }
        Ok(())
    }

    /// Copies `mr` rows step by step: `copy[(s * mr + i) * pair + p]`.
    fn copy_steps(&mut self, row: &IExpr, rows: &IExpr, depth: &IExpr) -> Result<Rows> {
        let elements = depth * &IExpr::constant(self.mr);
        let packed_type = self.packed_type();
        let copy = self.eval.emitter.local(packed_type, elements, "rows");
        let adjacent = self
            .m
            .stride(self.prepared, &self.a.index[0])
            .is_some_and(|s| s.is_one());
        let whole = rows.as_const().is_some_and(|r| r % self.mr == 0);
        if adjacent && whole {
            self.copy_side_by_side(copy, row, depth)?;
        } else if adjacent {
            let beyond = self.eval.emitter.push(Op::Index {
                expr: row + &IExpr::constant(self.mr),
            });
            let limit = self.eval.emitter.push(Op::Index { expr: rows.clone() });
            let full = self.eval.emitter.prim(Prim::Le, &[beyond, limit])?;
            let partial = self.eval.emitter.prim(Prim::Not, &[full])?;
            self.eval.open_if(full);
            self.copy_side_by_side(copy, row, depth)?;
            self.eval.close();
            self.eval.open_if(partial);
            self.copy_singly(copy, row, rows, depth)?;
            self.eval.close();
        } else {
            self.copy_singly(copy, row, rows, depth)?;
        }
        Ok(Rows::Copied {
            buf: copy,
            row: IExpr::constant(self.pair),
            step: IExpr::constant(self.mr * self.pair),
        })
    }

    /// The rows lie next to each other in memory: vectors of rows, in powers of two.
    fn copy_side_by_side(&mut self, copy: Buf, row: &IExpr, depth: &IExpr) -> Result<()> {
        let (m, k, load) = (self.m.clone(), self.k.clone(), self.a.clone());
        let steps = self.steps(depth);
        let step = self.eval.open_for(IExpr::zero(), steps, 1);
        let mut done = 0;
        while done < self.mr {
            let left = self.mr - done;
            let lanes = (1i64 << left.ilog2()).min(self.lanes);
            self.set(&m, &(row + &IExpr::constant(done)));
            let mut parts = Vec::new();
            for p in 0..self.pair {
                let at = &(&step * &IExpr::constant(self.pair)) + &IExpr::constant(p);
                self.set(&k, &at);
                parts.push(self.operand(&load, lanes as u32)?);
            }
            let value = match parts.as_slice() {
                [a, b] => self.eval.emitter.push(Op::Shuffle {
                    a: *a,
                    b: *b,
                    lanes: (0..lanes as u32)
                        .flat_map(|l| [l, lanes as u32 + l])
                        .collect(),
                }),
                _ => parts[0],
            };
            let index = &(&step * &IExpr::constant(self.mr)) + &IExpr::constant(done);
            let index = &index * &IExpr::constant(self.pair);
            self.eval.emitter.store(copy, index, value);
            done += lanes;
        }
        self.eval.close();
        Ok(())
    }

    fn copy_singly(&mut self, copy: Buf, row: &IExpr, rows: &IExpr, depth: &IExpr) -> Result<()> {
        let (m, k, load) = (self.m.clone(), self.k.clone(), self.a.clone());
        let steps = self.steps(depth);
        let step = self.eval.open_for(IExpr::zero(), steps, 1);
        for i in 0..self.mr {
            let position = self.clamped(row + &IExpr::constant(i), rows, self.mr);
            let position = self.eval.emitter.index_value(&position);
            self.set(&m, &position);
            for p in 0..self.pair {
                let at = &(&step * &IExpr::constant(self.pair)) + &IExpr::constant(p);
                self.set(&k, &at);
                let value = self.operand(&load, 1)?;
                let index = &(&step * &IExpr::constant(self.mr)) + &IExpr::constant(i);
                let index = &(&index * &IExpr::constant(self.pair)) + &IExpr::constant(p);
                self.eval.emitter.store(copy, index, value);
            }
        }
        self.eval.close();
        Ok(())
    }
}
