//! Which elements of the second operand are read: tables of predicates for a panel's columns.
//!
//! A convolution's taps may lie in the padding, and the last panel may reach beyond the matrix.
//! For each bound there is a table over the taps it depends on and the columns of the panel, filled
//! when a panel is begun; the loads of the panel are masked by them. So rows of the input need no
//! padded copy, and no element outside a tensor is ever read.

use super::{Product, Result};
use crate::error::CompileError;
use ferroductor_ir::kernel::*;
use ferroductor_ir::{DType, IExpr, Literal, Prim};

/// Where a bound holds: at `(position along the axes) * nr + column`.
#[derive(Clone, Debug)]
pub(super) struct Table {
    buf: Buf,
    /// The axes of `k` that the bound depends on, slowest first.
    axes: Vec<u32>,
    /// What must hold besides the column lying in the matrix.
    bound: Option<(IExpr, IExpr)>,
}

impl Product<'_, '_> {
    /// The tables that masked loads of a panel need.
    pub(super) fn declare_tables(&mut self) -> Vec<Table> {
        let mut bounds: Vec<Option<(IExpr, IExpr)>> =
            self.inside.iter().cloned().map(Some).collect();
        if bounds.is_empty() {
            bounds.push(None);
        }
        let nr = IExpr::constant(self.nr());
        bounds
            .into_iter()
            .map(|bound| {
                let uses = |axis: &u32| bound.as_ref().is_some_and(|(e, _)| e.uses_var(*axis));
                let axes: Vec<u32> = self.k.axes.iter().copied().filter(uses).collect();
                let taps = IExpr::product(axes.iter().map(|a| &self.prepared.axes[*a as usize]));
                let elements = self.eval.sized(&(&taps * &nr));
                let buf = self.eval.emitter.local(DType::Bool, elements, "inside");
                Table { buf, axes, bound }
            })
            .collect()
    }

    /// Fills the tables for the panel from column `n0` on: first where each column lies along the
    /// axes, then, in vectors, where the bounds hold.
    pub(super) fn fill_tables(
        &mut self,
        tables: &[Table],
        n0: &IExpr,
        columns: &IExpr,
    ) -> Result<()> {
        let (n, nr) = (self.n.clone(), self.nr());
        let is_bounded = |axis: &u32| self.inside.iter().any(|(e, _)| e.uses_var(*axis));
        let bounded: Vec<u32> = n.axes.iter().copied().filter(is_bounded).collect();
        let places: Vec<(u32, Buf)> = (bounded.into_iter())
            .map(|axis| (axis, self.place_buffer()))
            .collect();
        if !places.is_empty() {
            let j = self.eval.open_for(IExpr::zero(), IExpr::constant(nr), 1);
            self.set(&n, &(n0 + &j));
            for (axis, buf) in &places {
                let at = self.eval.axis[*axis as usize].clone();
                let at = self.eval.emitter.push(Op::Index { expr: at });
                self.eval.emitter.store(*buf, j.clone(), at);
            }
            self.eval.close();
        }
        for table in tables {
            self.fill_table(table, &places, n0, columns)?;
        }
        Ok(())
    }

    fn place_buffer(&mut self) -> Buf {
        let nr = IExpr::constant(self.nr());
        self.eval.emitter.local(DType::I64, nr, "place")
    }

    fn fill_table(
        &mut self,
        table: &Table,
        places: &[(u32, Buf)],
        n0: &IExpr,
        columns: &IExpr,
    ) -> Result<()> {
        let (nr, lanes) = (self.nr(), self.lanes as u32);
        let position = self.open_axes(&table.axes);
        for v in 0..self.vectors {
            let j = IExpr::constant(v * self.lanes);
            let column = self.eval.emitter.push(Op::Ramp {
                base: n0 + &j,
                stride: IExpr::one(),
                lanes,
            });
            let mut holds = self.below(column, columns)?;
            if let Some((e, bound)) = &table.bound {
                let at = self.lanes_of(e, places, &j)?;
                let ty = Ty::new(DType::I64, lanes);
                let zero = self.eval.emitter.constant(Literal::Int(0), ty);
                let bound = self.eval.sized(bound);
                let tests = [
                    self.eval.emitter.prim(Prim::Ge, &[at, zero])?,
                    self.below(at, &bound)?,
                ];
                for test in tests {
                    holds = self.eval.emitter.prim(Prim::And, &[holds, test])?;
                }
            }
            let index = &(&position * &IExpr::constant(nr)) + &j;
            self.eval.emitter.store(table.buf, index, holds);
        }
        for _ in &table.axes {
            self.eval.close();
        }
        Ok(())
    }

    fn below(&mut self, value: ValueId, limit: &IExpr) -> Result<ValueId> {
        let expr = limit.clone();
        let limit = self.eval.emitter.push(Op::Index { expr });
        self.eval.emitter.prim(Prim::Lt, &[value, limit])
    }

    /// The values of an expression, linear in the axes of the columns, for the columns from `j` on.
    fn lanes_of(&mut self, e: &IExpr, places: &[(u32, Buf)], j: &IExpr) -> Result<ValueId> {
        let lanes = self.lanes as u32;
        let mut rest = e.clone();
        let mut terms = Vec::new();
        for (axis, buf) in places {
            let factor = e.coefficient(*axis).ok_or_else(|| {
                CompileError::internal("schedule", "a bound that is not linear in the columns")
            })?;
            if factor.is_zero() {
                continue;
            }
            rest = &rest - &(&factor * &IExpr::var(*axis));
            let at = self.eval.emitter.push_here(Op::Load {
                buf: *buf,
                index: j.clone(),
                lanes,
            });
            let expr = self.eval.place(&factor);
            let factor = self.eval.emitter.push(Op::Index { expr });
            terms.push(self.eval.emitter.prim(Prim::Mul, &[at, factor])?);
        }
        let expr = self.eval.place(&rest);
        let mut sum = self.eval.emitter.push(Op::Index { expr });
        sum = self.eval.emitter.widen(sum, lanes);
        for term in terms {
            sum = self.eval.emitter.prim(Prim::Add, &[sum, term])?;
        }
        Ok(sum)
    }

    /// Opens a loop for each axis and returns their row-major position.
    pub(super) fn open_axes(&mut self, axes: &[u32]) -> IExpr {
        let mut position = IExpr::zero();
        for axis in axes {
            let extent = self.eval.extent(*axis);
            let at = self.eval.open_for(IExpr::zero(), extent.clone(), 1);
            position = &(&position * &extent) + &at;
            self.eval.axis[*axis as usize] = at;
        }
        position
    }

    /// The predicate of `lanes` columns from column `j` of the panel on, at the present axes.
    fn mask(&mut self, tables: &[Table], j: i64, lanes: u32) -> Result<Option<ValueId>> {
        let mut all: Option<ValueId> = None;
        for table in tables {
            let mut position = IExpr::zero();
            for axis in &table.axes {
                let extent = self.eval.extent(*axis);
                position = &(&position * &extent) + &self.eval.axis[*axis as usize];
            }
            let index = &(&position * &IExpr::constant(self.nr())) + &IExpr::constant(j);
            let mask = self.eval.emitter.push_here(Op::Load {
                buf: table.buf,
                index,
                lanes,
            });
            all = Some(match all {
                None => mask,
                Some(other) => self.eval.emitter.prim(Prim::And, &[other, mask])?,
            });
        }
        Ok(all)
    }

    /// Elements of the second operand for `lanes` columns from column `j` of the panel on, in the
    /// type they are packed in; zero where a table says so.
    pub(super) fn masked_operand(
        &mut self,
        tables: &[Table],
        n0: &IExpr,
        j: i64,
        lanes: u32,
    ) -> Result<ValueId> {
        let (n, load) = (self.n.clone(), self.b.clone());
        self.set_linear(&n, &(n0 + &IExpr::constant(j)));
        let Some(mask) = self.mask(tables, j, lanes)? else {
            return self.operand(&load, lanes);
        };
        let buf = self.buffer(&load)?;
        let index = self.eval.place(&load.index[0]);
        let value = self
            .eval
            .emitter
            .push_here(Op::LoadMasked { buf, index, mask });
        Ok(self.eval.emitter.convert(value, self.packed_type()))
    }

    /// One element of the second operand at the present axes; zero where a bound fails.
    pub(super) fn single_operand(&mut self) -> Result<ValueId> {
        let (load, inside) = (self.b.clone(), self.inside.clone());
        if inside.is_empty() {
            return self.operand(&load, 1);
        }
        let ty = Ty::scalar(DType::F32);
        let zero = self.eval.emitter.constant(Literal::Float(0.0), ty);
        let zero = self.eval.emitter.convert(zero, self.packed_type());
        let register = self.eval.emitter.register(zero);
        let holds = self.eval.inside(&inside)?;
        self.eval.open_if(holds);
        let value = self.operand(&load, 1)?;
        self.eval.emitter.set(register, value);
        self.eval.close();
        Ok(self.eval.emitter.get(register))
    }
}
