//! Softmax attention without the matrix of scores in memory.
//!
//! A tile of the kernel is a block of rows of one batch and head. The keys are walked in blocks:
//! a block's scores are computed with the rows side by side in vectors (so that neither keys nor
//! values need a transposition and maxima need no fold over lanes), exponentiated against the
//! greatest score so far, and multiplied with the values; what was summed before shrinks by the
//! exponential of how far the greatest score has risen.
//!
//! What must hold:
//! * a row's result does not depend on which tile or thread computes it;
//! * rows beyond the matrix are computed from its last row and never stored; nothing that they
//!   would read outside the operands is read;
//! * a row whose scores are all negative infinity gives zeros, and zero as its logarithm, or NaN,
//!   as the attention says; NaN in a score makes the row NaN.

mod gradients;
mod masks;
mod operands;
mod products;
mod single;
mod softmax;

use super::eval::Evaluator;
use super::loops::Tiling;
use super::prepare::{Action, Attend, Prepared};
use crate::error::CompileError;
use crate::graph::{Expr, Graph, TensorId, visit};
use ferroductor_ir::kernel::*;
use ferroductor_ir::{DType, IExpr, Literal};
use masks::Staged;
use operands::Rows;

type Result<T> = std::result::Result<T, CompileError>;

/// Keys whose scores are held at a time.
const KEYS_PER_BLOCK: i64 = 128;

/// Sizes of the register tiles.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// Vectors of rows in a tile of the kernel, and keys multiplied with them at a time.
    row_vectors: i64,
    keys: i64,
    /// Rows and vectors of columns in a register tile of the result.
    rows: i64,
    column_vectors: i64,
}

struct Attending<'a, 'b> {
    graph: &'b Graph,
    prepared: &'b Prepared,
    eval: &'a mut Evaluator<'b>,
    external: &'b dyn Fn(TensorId) -> bool,
    attend: &'b Attend,
    offset: &'b IExpr,
    tensor: TensorId,
    /// The type that everything is computed in.
    dtype: DType,
    lanes: i64,
    /// Elements multiplied at a time: 2 where the CPU has products of bf16 pairs, else 1.
    pair: i64,
    shape: Shape,
    /// Extents in the kernel's terms.
    rows: IExpr,
    keys: IExpr,
    depth: IExpr,
    columns: IExpr,
}

/// The arrays of a tile in scratch.
struct Scratch {
    /// The rows of the query: for each step of the depth all rows. A step is a pair's worth.
    query: Buf,
    /// Scores of a block: for each key all rows.
    scores: Buf,
    /// Weights of a block: for each step of the keys all rows; where they are single, in place of
    /// the scores.
    weights: Buf,
    /// The result so far: for each row all columns.
    sums: Buf,
    /// For each row: the greatest score, the sum of weights, and a factor for the result so far.
    greatest: Buf,
    total: Buf,
    factor: Buf,
}

pub fn emit<'b>(
    graph: &'b Graph,
    prepared: &'b Prepared,
    eval: &mut Evaluator<'b>,
    external: &'b dyn Fn(TensorId) -> bool,
) -> Result<Tiling> {
    let [piece] = prepared.pieces.as_slice() else {
        return Err(CompileError::internal("schedule", "attention in company"));
    };
    let Action::Attention(attend) = &piece.action else {
        return Err(CompileError::internal(
            "schedule",
            "no attention in its kernel",
        ));
    };
    let dtype = graph.tensor(piece.tensor).dtype.compute();
    let mut extent = |axis: Option<u32>| match axis {
        Some(axis) => eval.extent(axis),
        None => IExpr::one(),
    };
    let (rows, keys) = (extent(attend.m), extent(attend.n));
    let (depth, columns) = (extent(attend.d), extent(attend.c));
    let lanes = i64::from(eval.emitter.target.lanes(dtype));
    let hint = |axis: Option<u32>| axis.map_or(1, |a| graph.hint(&prepared.axes[a as usize]));
    let shape = choose_shape(
        eval.emitter.target.isa,
        lanes,
        hint(attend.m),
        hint(attend.c),
    );
    Attending {
        graph,
        prepared,
        eval,
        external,
        attend,
        offset: &piece.offset,
        tensor: piece.tensor,
        dtype,
        lanes,
        pair: 1,
        shape,
        rows,
        keys,
        depth,
        columns,
    }
    .emit()
}

/// Register tiles of the scores: vectors of rows, keys.
fn score_shapes(isa: Isa) -> &'static [(i64, i64)] {
    match isa {
        Isa::Avx512 | Isa::Neon => &[(4, 4), (3, 8), (2, 8), (1, 16)],
        Isa::Avx2 | Isa::Sse42 => &[(3, 4), (2, 6), (1, 8)],
    }
}

/// Results that fit the registers beside one row of operands.
fn accumulators(isa: Isa) -> i64 {
    match isa {
        Isa::Avx512 | Isa::Neon => 24,
        Isa::Avx2 | Isa::Sse42 => 12,
    }
}

/// The register tiles that waste least on ragged edges.
fn choose_shape(isa: Isa, lanes: i64, rows: i64, columns: i64) -> Shape {
    let rounded = |extent: i64, step: i64| (extent.max(1) + step - 1) / step * step;
    let cost = |(vectors, keys): (i64, i64)| {
        let padded = rounded(rows, vectors * lanes);
        padded * 16 + padded * 16 * (vectors + keys) / (vectors * keys) / 8
    };
    let (row_vectors, keys) = score_shapes(isa)
        .iter()
        .copied()
        .min_by_key(|s| cost(*s))
        .unwrap_or((1, 4));
    let tile_rows = row_vectors * lanes;
    let mut best = (i64::MAX, 1, 1);
    for vectors in 1..=4 {
        for own in (1..=8).filter(|own| tile_rows % own == 0) {
            if own * vectors > accumulators(isa) {
                continue;
            }
            let padded = rounded(columns, vectors * lanes);
            // Loads and multiplications overlap; too few results in flight wait for each other.
            let idle = (8 - own * vectors).max(0);
            let cost = padded * (64 + 16 * (own + vectors) / (own * vectors) + 8 * idle);
            if cost < best.0 {
                best = (cost, own, vectors);
            }
        }
    }
    Shape {
        row_vectors,
        keys,
        rows: best.1,
        column_vectors: best.2,
    }
}

impl Attending<'_, '_> {
    /// Rows of a tile of the kernel.
    fn tile_rows(&self) -> i64 {
        self.shape.row_vectors * self.lanes
    }

    /// Columns of the result as they lie in scratch: whole register tiles.
    fn padded_columns(&self) -> IExpr {
        self.padded(&self.columns)
    }

    fn padded(&self, width: &IExpr) -> IExpr {
        let step = self.shape.column_vectors * self.lanes;
        &width.ceil_div(step) * &IExpr::constant(step)
    }

    /// Keys of a block: all of them where that is less.
    fn block_keys(&self) -> i64 {
        match self.keys.as_const() {
            Some(keys) if keys < KEYS_PER_BLOCK => keys.max(1),
            _ => KEYS_PER_BLOCK,
        }
    }

    /// Lines of scores that a block is computed in: whole register tiles.
    fn block_lines(&self) -> i64 {
        (self.block_keys() + self.shape.keys - 1) / self.shape.keys * self.shape.keys
    }

    /// Pair products need bf16 throughout, the instruction, and pairs side by side in memory.
    fn choose_pair(&mut self) -> i64 {
        let attend = self.attend;
        let target = self.eval.emitter.target;
        let usable = target.has_bf16 && self.lanes == 16;
        let operands = [&attend.query, &attend.key, &attend.value];
        let narrow = operands
            .iter()
            .all(|l| self.graph.tensor(l.tensor).dtype == DType::BF16);
        let even = self.depth.as_const().is_some_and(|d| d % 2 == 0);
        let adjacent = [&attend.query, &attend.key]
            .into_iter()
            .all(|load| self.stride(load, attend.d).is_some_and(|s| s.is_one()));
        if usable && narrow && even && adjacent {
            2
        } else {
            1
        }
    }

    /// The type in which operands are multiplied.
    fn packed(&self) -> DType {
        if self.pair == 2 {
            DType::BF16
        } else {
            self.dtype
        }
    }

    /// Two vectors lane by lane, as pairs.
    fn interleaved(&mut self, a: ValueId, b: ValueId) -> ValueId {
        let lanes = self.eval.emitter.ty(a).lanes;
        self.eval.emitter.push(Op::Shuffle {
            a,
            b,
            lanes: (0..lanes).flat_map(|l| [l, lanes + l]).collect(),
        })
    }

    fn set_axis(&mut self, axis: Option<u32>, at: &IExpr) {
        if let Some(axis) = axis {
            self.eval.axis[axis as usize] = at.clone();
        }
    }

    fn scratch(&mut self) -> Scratch {
        let (dtype, packed) = (self.dtype, self.packed());
        let rows = IExpr::constant(self.tile_rows());
        let keys = self.block_lines();
        let query = &self.depth * &rows;
        let sums = &self.padded_columns() * &rows;
        let emitter = &mut self.eval.emitter;
        let elements = &rows * &IExpr::constant(keys);
        let query = emitter.local(packed, query, "query");
        let scores = emitter.local(dtype, elements.clone(), "scores");
        let weights = match packed == dtype {
            true => scores,
            false => emitter.local(packed, elements, "weights"),
        };
        Scratch {
            query,
            scores,
            weights,
            sums: emitter.local(dtype, sums, "sums"),
            greatest: emitter.local(dtype, rows.clone(), "greatest"),
            total: emitter.local(dtype, rows.clone(), "total"),
            factor: emitter.local(dtype, rows, "factor"),
        }
    }

    fn emit(self) -> Result<Tiling> {
        match self.attend.m {
            _ if self.attend.gradient.is_some() => self.emit_gradients(),
            Some(_) => self.emit_blocks(),
            None => self.emit_single(),
        }
    }

    fn emit_blocks(mut self) -> Result<Tiling> {
        self.pair = self.choose_pair();
        let tile_rows = self.tile_rows();
        let blocks = self.rows.ceil_div(tile_rows);
        let batches = self.place_batch(&blocks);
        let block = IExpr::var(TILE.0).modulo(&blocks);
        let row = &block * &IExpr::constant(tile_rows);
        let row = self.eval.emitter.index_value(&row);
        let scratch = self.scratch();
        let key_matrix = self.key_matrix();
        let value_matrix = self.value_matrix();
        let staged = self.staged();

        let query = Rows {
            load: self.attend.query.clone(),
            axis: self.attend.d,
            depth: self.depth.clone(),
            buf: scratch.query,
        };
        self.pack_rows(&query, &row)?;
        self.clear(&scratch)?;
        let last = self.last_key(&row);
        let (first, count) = self.open_blocks(&last);
        self.fill(&key_matrix, &first, &count)?;
        self.fill(&value_matrix, &first, &count)?;
        self.multiply_keys(&query, scratch.scores, &key_matrix, (&first, &count))?;
        for each in &staged {
            self.stage(each, &row, &first, &count)?;
        }
        self.score(scratch.scores, &staged, (&row, &first, &count))?;
        self.weigh(&scratch, &count)?;
        let (weights, sums) = (scratch.weights, scratch.sums);
        let place = (&row, &first, &count);
        self.multiply_values((weights, Some(scratch.factor)), sums, &value_matrix, place)?;
        self.eval.close();
        self.finish(&scratch, &row)?;
        let attend = self.attend;
        let width = self.hint(attend.d) + self.hint(attend.c);
        Ok(Tiling {
            tiles: &batches * &blocks,
            elements: self.hint(attend.n) * tile_rows * (width + 32) / 16,
        })
    }

    fn hint(&self, axis: Option<u32>) -> i64 {
        axis.map_or(1, |a| self.graph.hint(&self.prepared.axes[a as usize]))
            .max(1)
    }

    /// Opens the loop over blocks of the keys before `last`: a block's first key and its length.
    fn open_blocks(&mut self, last: &IExpr) -> (IExpr, IExpr) {
        let step = self.block_keys();
        let first = self.eval.open_for(IExpr::zero(), last.clone(), step);
        let count = match last.as_const() {
            Some(keys) if keys % step == 0 => IExpr::constant(step),
            _ => {
                let left = (last - &first).smaller(&IExpr::constant(step));
                self.eval.emitter.index_value(&left)
            }
        };
        (first, count)
    }

    /// Sets the axes of batch and heads from the tile id; how many there are together.
    fn place_batch(&mut self, blocks: &IExpr) -> IExpr {
        let attend = self.attend;
        let inner = [attend.m, attend.n, attend.d, attend.c];
        let axes: Vec<u32> = self.prepared.pieces[0]
            .parallel
            .iter()
            .copied()
            .filter(|a| !inner.contains(&Some(*a)))
            .collect();
        let mut rest = IExpr::var(TILE.0).floor_div(blocks);
        rest = self.eval.emitter.index_value(&rest);
        let mut batches = IExpr::one();
        for axis in axes.into_iter().rev() {
            let extent = self.eval.extent(axis);
            let own = rest.modulo(&extent);
            self.eval.axis[axis as usize] = self.eval.emitter.index_value(&own);
            rest = rest.floor_div(&extent);
            rest = self.eval.emitter.index_value(&rest);
            batches = &batches * &extent;
        }
        batches
    }

    /// The end of the keys that rows from `row` on attend to.
    fn last_key(&mut self, row: &IExpr) -> IExpr {
        if !self.attend.causal {
            return self.keys.clone();
        }
        let end = (row + &IExpr::constant(self.tile_rows())).smaller(&self.keys);
        self.eval.emitter.index_value(&end)
    }

    /// Nothing has been seen yet.
    fn clear(&mut self, scratch: &Scratch) -> Result<()> {
        let rows = IExpr::constant(self.tile_rows());
        self.fill_with(scratch.greatest, &rows, f64::NEG_INFINITY);
        self.fill_with(scratch.total, &rows, 0.0);
        let sums = &self.padded_columns() * &rows;
        self.fill_with(scratch.sums, &sums, 0.0);
        Ok(())
    }

    /// `elements` is a multiple of the lanes.
    fn fill_with(&mut self, buf: Buf, elements: &IExpr, value: f64) {
        let ty = Ty::new(self.dtype, self.lanes as u32);
        let value = self.eval.emitter.constant(Literal::Float(value), ty);
        let at = self
            .eval
            .open_for(IExpr::zero(), elements.clone(), self.lanes);
        self.eval.emitter.store(buf, at, value);
        self.eval.close();
    }

    /// How many of the tile's rows exist.
    fn present_rows(&mut self, row: &IExpr) -> IExpr {
        let tile_rows = self.tile_rows();
        match self.rows.as_const() {
            Some(rows) if rows % tile_rows == 0 => IExpr::constant(tile_rows),
            _ => {
                let left = (&self.rows - row).smaller(&IExpr::constant(tile_rows));
                self.eval.emitter.index_value(&left)
            }
        }
    }

    /// Must scores be computed row by row at all, or where rows are missing? See
    /// [`Attending::score`].
    fn score_access(&self, staged: &[Staged]) -> ScoreAccess {
        let Some(m) = self.attend.m else {
            return ScoreAccess::Single;
        };
        if !self.eval.vectorizable(&self.prepared.pieces[0], m) {
            return ScoreAccess::Single;
        }
        let mut reads_rows = false;
        visit(&self.attend.score, &mut |e| match &**e {
            Expr::Load(load) if load.tensor == self.attend.product => {}
            Expr::Load(load) if staged.iter().any(|s| s.load == *load) => {}
            Expr::Load(load) => reads_rows |= load.index[0].uses_var(m) || !load.values.is_empty(),
            Expr::Check { .. } => reads_rows = true,
            _ => {}
        });
        match self.rows.as_const() {
            Some(rows) if rows % self.lanes == 0 => ScoreAccess::Vectors,
            _ if !reads_rows => ScoreAccess::Vectors,
            _ => ScoreAccess::VectorsThenSingle,
        }
    }
}

/// How scores may read what they are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ScoreAccess {
    /// In whole vectors of rows, missing ones included.
    Vectors,
    /// In vectors as long as all their rows exist.
    VectorsThenSingle,
    Single,
}
