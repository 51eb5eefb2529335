//! The two products of a block of keys, each by register tiles.

use super::operands::{Matrix, Rows};
use super::{Attending, Result};
use ferroductor_ir::kernel::*;
use ferroductor_ir::{IExpr, Literal, Prim};

impl Attending<'_, '_> {
    fn vector(&self) -> Ty {
        Ty::new(self.dtype, self.lanes as u32)
    }

    pub(super) fn registers(&mut self, count: i64) -> Vec<RegId> {
        let ty = self.vector();
        let zero = self.eval.emitter.constant(Literal::Float(0.0), ty);
        (0..count)
            .map(|_| self.eval.emitter.register(zero))
            .collect()
    }

    /// `sums[i][v] += scalars[i] * vectors[v]`.
    pub(super) fn accumulate(
        &mut self,
        sums: &[RegId],
        scalars: &[ValueId],
        vectors: &[ValueId],
    ) -> Result<()> {
        for (i, scalar) in scalars.iter().enumerate() {
            for (v, vector) in vectors.iter().enumerate() {
                let register = sums[i * vectors.len() + v];
                let sum = self.eval.emitter.get(register);
                let sum = if self.pair == 2 {
                    self.eval.emitter.push(Op::DotBf16 {
                        acc: sum,
                        a: *scalar,
                        b: *vector,
                    })
                } else {
                    self.eval
                        .emitter
                        .prim(Prim::Fma, &[*scalar, *vector, sum])?
                };
                self.eval.emitter.set(register, sum);
            }
        }
        Ok(())
    }

    fn load_here(&mut self, buf: Buf, index: IExpr, lanes: u32) -> ValueId {
        self.eval.emitter.push_here(Op::Load { buf, index, lanes })
    }

    /// An element, or a pair of them in every lane.
    fn load_scalar(&mut self, buf: Buf, index: IExpr) -> ValueId {
        let value = self.load_here(buf, index, self.pair as u32);
        if self.pair == 1 {
            return value;
        }
        let lanes = (0..2 * self.lanes as u32).map(|l| l % 2).collect();
        self.eval.emitter.push(Op::Shuffle {
            a: value,
            b: value,
            lanes,
        })
    }

    /// `scores[n][m]`: a few keys at a time against all rows of the tile.
    pub(super) fn multiply_keys(
        &mut self,
        query: &Rows,
        scores: Buf,
        matrix: &Matrix,
        (first, count): (&IExpr, &IExpr),
    ) -> Result<()> {
        let (keys, vectors, lanes) = (self.shape.keys, self.shape.row_vectors, self.lanes);
        let tile_rows = IExpr::constant(self.tile_rows());
        let stride = self.element_stride(matrix);
        let ragged = count.as_const().is_none_or(|c| c % keys != 0);
        let n = self.eval.open_for(IExpr::zero(), count.clone(), keys);
        let mut starts = Vec::new();
        for i in 0..keys {
            let at = &n + &IExpr::constant(i);
            // Keys beyond the block repeat its last one; their scores are never used.
            let at = match ragged && !self.is_copied(matrix) {
                true => at.smaller(&(count - &IExpr::one())),
                false => at,
            };
            starts.push(self.row_start(matrix, first, &at)?);
        }
        let sums = self.registers(keys * vectors);
        let pair = IExpr::constant(self.pair);
        let steps = query.depth.floor_div(&pair);
        let step = self.eval.open_for(IExpr::zero(), steps, 1);
        let mut columns = Vec::new();
        for v in 0..vectors {
            let index = &(&step * &tile_rows) + &IExpr::constant(v * lanes);
            let index = &index * &pair;
            columns.push(self.load_here(query.buf, index, (lanes * self.pair) as u32));
        }
        let mut scalars = Vec::new();
        for (buf, start) in starts {
            let at = &(&step * &pair) * &stride;
            scalars.push(self.load_scalar(buf, &start + &at));
        }
        self.accumulate(&sums, &scalars, &columns)?;
        self.eval.close();
        for (at, register) in sums.into_iter().enumerate() {
            let (i, v) = (at as i64 / vectors, at as i64 % vectors);
            let key = &n + &IExpr::constant(i);
            let index = &(&key * &tile_rows) + &IExpr::constant(v * lanes);
            let value = self.eval.emitter.get(register);
            self.eval.emitter.store(scores, index, value);
        }
        self.eval.close();
        Ok(())
    }

    /// `sums[m][c] = sums[m][c] * factor[m] + sum_n weights[n][m] * values[n][c]`, or with a factor of
    /// one.
    pub(super) fn multiply_values(
        &mut self,
        (weights, factor): (Buf, Option<Buf>),
        sums_of: Buf,
        matrix: &Matrix,
        (row, first, count): (&IExpr, &IExpr, &IExpr),
    ) -> Result<()> {
        let (rows, vectors, lanes) = (self.shape.rows, self.shape.column_vectors, self.lanes);
        let tile_rows = IExpr::constant(self.tile_rows());
        let width = self.padded(&matrix.width);
        let present = self.present_rows(row);
        let i = self.eval.open_for(IExpr::zero(), present, rows);
        let c = self
            .eval
            .open_for(IExpr::zero(), width.clone(), vectors * lanes);
        let sums = self.registers(rows * vectors);
        let pair = IExpr::constant(self.pair);
        let steps = count.ceil_div(self.pair);
        let n = self.eval.open_for(IExpr::zero(), steps, 1);
        let (buf, start) = self.row_start(matrix, first, &n)?;
        let mut columns = Vec::new();
        for v in 0..vectors {
            let index = &(&c + &IExpr::constant(v * lanes)) * &pair;
            columns.push(self.load_here(buf, &start + &index, (lanes * self.pair) as u32));
        }
        let mut scalars = Vec::new();
        for r in 0..rows {
            let index = &(&n * &tile_rows) + &(&i + &IExpr::constant(r));
            scalars.push(self.load_scalar(weights, &index * &pair));
        }
        self.accumulate(&sums, &scalars, &columns)?;
        self.eval.close();
        for r in 0..rows {
            let own = &i + &IExpr::constant(r);
            let factor = factor.map(|buf| self.load_here(buf, own.clone(), 1));
            for v in 0..vectors {
                let index = &(&(&own * &width) + &c) + &IExpr::constant(v * lanes);
                let before = self.load_here(sums_of, index.clone(), lanes as u32);
                let added = self.eval.emitter.get(sums[(r * vectors + v) as usize]);
                let emitter = &mut self.eval.emitter;
                let sum = match factor {
                    Some(factor) => emitter.prim(Prim::Fma, &[factor, before, added])?,
                    None => emitter.prim(Prim::Add, &[before, added])?,
                };
                emitter.store(sums_of, index, sum);
            }
        }
        self.eval.close();
        self.eval.close();
        Ok(())
    }
}
