//! The gradients of an attention, without the matrix of scores in memory.
//!
//! A tile of the kernel is a batch and head. Its keys are walked in blocks, which take the place of
//! the rows of the forward pass: they lie side by side in vectors. Against each block of keys the
//! rows are walked in blocks too. A block's weights are computed again from the scores and the
//! logarithms of their sums; with the products of values and the result's gradient they give the
//! scores' gradients, and from these the block's share of every result:
//!
//! ```text
//! p  = exp(score - log_sum)         dv += pᵀ · dout
//! ds = p · (dout · vᵀ - share)      dk += dsᵀ · q       dq += ds · k
//! ```
//!
//! The gradients of keys and values are complete after one block of keys; that of the query grows
//! in scratch until all have been seen. Five products are computed, none twice.
//!
//! What must hold: a result does not depend on which thread computes it; keys and rows beyond the
//! matrices add nothing to what is stored.

use super::super::eval::Vector;
use super::super::loops::{Tiling, store};
use super::operands::{Matrix, Rows};
use super::{Attending, Result};
use crate::error::CompileError;
use crate::graph::{Companion, Gradient, Load, TensorId};
use ferroductor_ir::IExpr;
use ferroductor_ir::Prim;
use ferroductor_ir::kernel::*;

/// Rows of the query's gradient that are summed in registers together, at most.
const QUERY_ROWS: i64 = 8;

/// The arrays of a tile in scratch.
struct Scratch {
    /// The block's keys and values, turned.
    keys: Rows,
    values: Rows,
    /// For each row of a block of rows all keys of the block: scores, then weights.
    weights: Buf,
    /// Products of values and the result's gradient, then the gradients of the scores.
    slopes: Buf,
    /// The results so far.
    query_sums: Buf,
    key_sums: Buf,
    value_sums: Buf,
}

/// What is read in vectors along its rows.
struct Matrices {
    query: Matrix,
    result: Matrix,
    key: Matrix,
}

impl Attending<'_, '_> {
    pub(super) fn emit_gradients(mut self) -> Result<Tiling> {
        let attend = self.attend;
        let Some(gradient) = &attend.gradient else {
            return Err(CompileError::internal("schedule", "no gradient"));
        };
        let batches = self.place_batch(&IExpr::one());
        let scratch = self.gradient_scratch();
        let (depth, columns) = (self.depth.clone(), self.columns.clone());
        let matrices = Matrices {
            query: self.matrix_of_vectors(
                &attend.key,
                attend.n,
                (attend.d, depth.clone()),
                "query",
            ),
            result: self.matrix_of_vectors(
                &gradient.result,
                attend.n,
                (attend.c, columns),
                "slope",
            ),
            key: self.matrix_of_vectors(&attend.query, attend.m, (attend.d, depth), "keys"),
        };
        let row_blocks = self.keys.ceil_div(self.block_keys());
        let lines = &row_blocks * &IExpr::constant(self.block_keys());
        let width = self.padded(&self.depth);
        self.fill_with(scratch.query_sums, &(&lines * &width), 0.0);

        let (keys, step) = (self.rows.clone(), self.tile_rows());
        let first_key = self.eval.open_for(IExpr::zero(), keys, step);
        self.block_of_keys(&scratch, &matrices, gradient, &first_key)?;
        self.eval.close();
        self.store_query_gradient(&scratch)?;
        let width = self.hint(attend.d) + self.hint(attend.c);
        let elements = self.hint(attend.n).saturating_mul(self.hint(attend.m));
        Ok(Tiling {
            tiles: batches,
            elements: elements.saturating_mul(3 * width + 64) / 16,
        })
    }

    fn gradient_scratch(&mut self) -> Scratch {
        let attend = self.attend;
        let rows = IExpr::constant(self.tile_rows());
        // Whole register tiles of rows, whichever product they take part in.
        let lines = IExpr::constant(self.block_lines().max(self.block_keys() + QUERY_ROWS));
        let block = &rows * &lines;
        let (keys, values) = (&self.depth * &rows, &self.columns * &rows);
        let key_sums = &self.padded(&self.depth) * &rows;
        let value_sums = &self.padded_columns() * &rows;
        let row_blocks = self.keys.ceil_div(self.block_keys());
        let all = &row_blocks * &IExpr::constant(self.block_keys());
        let query_sums = &(&all + &IExpr::constant(QUERY_ROWS)) * &self.padded(&self.depth);
        let dtype = self.dtype;
        let mut local = |elements: IExpr, name: &str| {
            let emitter = &mut self.eval.emitter;
            emitter.local(dtype, elements, name)
        };
        let (keys, values) = (local(keys, "keys"), local(values, "values"));
        Scratch {
            weights: local(block.clone(), "weights"),
            slopes: local(block, "slopes"),
            query_sums: local(query_sums, "query_sums"),
            key_sums: local(key_sums, "key_sums"),
            value_sums: local(value_sums, "value_sums"),
            keys: Rows {
                load: attend.query.clone(),
                axis: attend.d,
                depth: self.depth.clone(),
                buf: keys,
            },
            values: Rows {
                load: attend.value.clone(),
                axis: attend.c,
                depth: self.columns.clone(),
                buf: values,
            },
        }
    }

    /// Everything that the keys from `first_key` on take part in.
    fn block_of_keys(
        &mut self,
        scratch: &Scratch,
        matrices: &Matrices,
        gradient: &Gradient,
        first_key: &IExpr,
    ) -> Result<()> {
        let attend = self.attend;
        self.pack_rows(&scratch.keys, first_key)?;
        self.pack_rows(&scratch.values, first_key)?;
        let present = self.present_rows(first_key);
        self.fill(&matrices.key, first_key, &present)?;
        let tile = IExpr::constant(self.tile_rows());
        for (sums, width) in [
            (scratch.key_sums, self.padded(&self.depth)),
            (scratch.value_sums, self.padded_columns()),
        ] {
            self.fill_with(sums, &(&width * &tile), 0.0);
        }

        let (first, count) = self.open_row_blocks(first_key);
        let block = (&first, &count);
        self.fill(&matrices.query, &first, &count)?;
        self.fill(&matrices.result, &first, &count)?;
        self.multiply_keys(&scratch.keys, scratch.weights, &matrices.query, block)?;
        self.multiply_keys(&scratch.values, scratch.slopes, &matrices.result, block)?;
        self.score(scratch.weights, &[], (first_key, &first, &count))?;
        self.slopes(scratch, gradient, &first, &count)?;
        let place = (first_key, &first, &count);
        let weights = (scratch.weights, None);
        self.multiply_values(weights, scratch.value_sums, &matrices.result, place)?;
        let slopes = (scratch.slopes, None);
        self.multiply_values(slopes, scratch.key_sums, &matrices.query, place)?;
        self.add_to_query(scratch, &matrices.key, place)?;
        self.eval.close();

        let depth = (attend.d, self.depth.clone());
        let columns = (attend.c, self.columns.clone());
        for (role, sums, along) in [
            (Companion::KeyGradient, scratch.key_sums, depth),
            (Companion::ValueGradient, scratch.value_sums, columns),
        ] {
            let Some((tensor, offset)) = attend.companion(role) else {
                continue;
            };
            if (self.external)(tensor) {
                let rows = (attend.m, first_key, &present);
                self.store_rows((tensor, &offset), (sums, &IExpr::zero()), rows, along)?;
            }
        }
        Ok(())
    }

    /// Opens the loop over blocks of the rows that see a key from `first_key` on: a block's first
    /// row and its length.
    fn open_row_blocks(&mut self, first_key: &IExpr) -> (IExpr, IExpr) {
        let step = self.block_keys();
        let begin = match self.attend.causal {
            true => {
                let block = IExpr::constant(step);
                let begin = &first_key.floor_div(&block) * &block;
                self.eval.emitter.index_value(&begin)
            }
            false => IExpr::zero(),
        };
        let rows = self.keys.clone();
        let first = self.eval.open_for(begin, rows.clone(), step);
        let count = match rows.as_const() {
            Some(rows) if rows % step == 0 => IExpr::constant(step),
            _ => {
                let left = (&rows - &first).smaller(&IExpr::constant(step));
                self.eval.emitter.index_value(&left)
            }
        };
        (first, count)
    }

    /// From scores and products to weights and the gradients of the scores, in place.
    fn slopes(
        &mut self,
        scratch: &Scratch,
        gradient: &Gradient,
        first: &IExpr,
        count: &IExpr,
    ) -> Result<()> {
        let lanes = self.lanes as u32;
        let n = self.eval.open_for(IExpr::zero(), count.clone(), 1);
        let row = self.eval.emitter.index_value(&(first + &n));
        self.set_axis(self.attend.n, &row);
        let log_sum = self.number(&gradient.log_sum)?;
        let share = self.number(&gradient.share)?;
        let scale = self.eval.eval(&gradient.scale)?;
        let [log_sum, share, scale] =
            [log_sum, share, scale].map(|value| self.eval.emitter.widen(value, lanes));
        let tile = IExpr::constant(self.tile_rows());
        let at = self.eval.open_for(IExpr::zero(), tile, self.lanes);
        let index = self.score_index(&n, &at);
        let score = self.read(scratch.weights, &index, lanes);
        let product = self.read(scratch.slopes, &index, lanes);
        let emitter = &mut self.eval.emitter;
        let below = emitter.prim(Prim::Sub, &[score, log_sum])?;
        let weight = emitter.prim(Prim::Exp, &[below])?;
        let slope = emitter.prim(Prim::Sub, &[product, share])?;
        let slope = emitter.prim(Prim::Mul, &[weight, slope])?;
        let slope = emitter.prim(Prim::Mul, &[slope, scale])?;
        emitter.store(scratch.weights, index.clone(), weight);
        emitter.store(scratch.slopes, index, slope);
        self.eval.close();
        self.eval.close();
        Ok(())
    }

    /// An element at the present axes, in the type that everything is computed in.
    fn number(&mut self, load: &Load) -> Result<ValueId> {
        let buf = self.buffer(load)?;
        let index = self.eval.place(&load.index[0]);
        let lanes = 1;
        let value = self.eval.emitter.push(Op::Load { buf, index, lanes });
        Ok(self.eval.emitter.convert(value, self.dtype))
    }

    /// `query_sums[n][d] += sum_m slopes[n][m] * keys[m][d]` over the keys that exist.
    fn add_to_query(
        &mut self,
        scratch: &Scratch,
        keys: &Matrix,
        (first_key, first, count): (&IExpr, &IExpr, &IExpr),
    ) -> Result<()> {
        let (own, vectors, lanes) = (self.shape.rows, self.shape.column_vectors, self.lanes);
        let tile = IExpr::constant(self.tile_rows());
        let width = self.padded(&self.depth);
        let present = self.present_rows(first_key);
        let n = self.eval.open_for(IExpr::zero(), count.clone(), own);
        let c = (self.eval).open_for(IExpr::zero(), width.clone(), vectors * lanes);
        let sums = self.registers(own * vectors);
        let m = self.eval.open_for(IExpr::zero(), present, 1);
        let (buf, start) = self.row_start(keys, first_key, &m)?;
        let columns: Vec<ValueId> = (0..vectors)
            .map(|v| {
                self.read(
                    buf,
                    &(&(&start + &c) + &IExpr::constant(v * lanes)),
                    lanes as u32,
                )
            })
            .collect();
        let scalars: Vec<ValueId> = (0..own)
            .map(|r| {
                let line = &(&n + &IExpr::constant(r)) * &tile;
                self.read(scratch.slopes, &(&line + &m), 1)
            })
            .collect();
        self.accumulate(&sums, &scalars, &columns)?;
        self.eval.close();
        for (at, register) in sums.into_iter().enumerate() {
            let (r, v) = (at as i64 / vectors, at as i64 % vectors);
            let line = &(&(first + &n) + &IExpr::constant(r)) * &width;
            let index = &(&line + &c) + &IExpr::constant(v * lanes);
            let before = self.read(scratch.query_sums, &index, lanes as u32);
            let added = self.eval.emitter.get(register);
            let sum = self.eval.emitter.prim(Prim::Add, &[before, added])?;
            self.eval.emitter.store(scratch.query_sums, index, sum);
        }
        self.eval.close();
        self.eval.close();
        Ok(())
    }

    fn store_query_gradient(&mut self, scratch: &Scratch) -> Result<()> {
        if !(self.external)(self.tensor) {
            return Ok(());
        }
        let (attend, rows) = (self.attend, self.keys.clone());
        let place = (self.tensor, self.offset);
        let zero = IExpr::zero();
        let along = (attend.d, self.depth.clone());
        self.store_rows(
            place,
            (scratch.query_sums, &zero),
            (attend.n, &zero, &rows),
            along,
        )
    }

    /// Stores rows of sums: `count` of them, the first of which has the number `first`.
    fn store_rows(
        &mut self,
        (tensor, offset): (TensorId, &IExpr),
        (sums, start): (Buf, &IExpr),
        (axis, first, count): (Option<u32>, &IExpr, &IExpr),
        (along, width): (Option<u32>, IExpr),
    ) -> Result<()> {
        let lanes = self.lanes;
        let line = self.padded(&width);
        let i = self.eval.open_for(IExpr::zero(), count.clone(), 1);
        let position = self.eval.emitter.index_value(&(first + &i));
        self.set_axis(axis, &position);
        let base = start + &(&i * &line);
        let whole = &width.floor_div(&IExpr::constant(lanes)) * &IExpr::constant(lanes);
        for (begin, end, step) in [
            (IExpr::zero(), whole.clone(), lanes),
            (whole.clone(), width.clone(), 1),
        ] {
            if begin == end {
                continue;
            }
            let c = self.eval.open_for(begin, end, step);
            self.set_axis(along, &c);
            self.eval.vector = along.filter(|_| step > 1).map(|axis| Vector {
                axis,
                lanes: step as u32,
            });
            let value = self.read(sums, &(&base + &c), step as u32);
            store(self.eval, tensor, offset, value)?;
            self.eval.vector = None;
            self.eval.close();
        }
        self.eval.close();
        Ok(())
    }
}
