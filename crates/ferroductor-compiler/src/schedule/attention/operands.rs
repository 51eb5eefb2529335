//! Reading the operands: the query turned into scratch, keys and values where they are or, in a
//! narrower type or another layout, copied block by block.

use super::super::turn::turn;
use super::{Attending, Result};
use crate::error::CompileError;
use crate::graph::Load;
use ferroductor_ir::IExpr;
use ferroductor_ir::kernel::*;

/// A matrix of keys or values: `n` by `width`.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    pub(super) load: Load,
    /// The axis that numbers the rows.
    rows: Option<u32>,
    /// The axis along the width, and its extent.
    axis: Option<u32>,
    pub(super) width: IExpr,
    home: Home,
}

/// Rows of the tile that lie turned in `buf`.
#[derive(Clone, Debug)]
pub(super) struct Rows {
    pub(super) load: Load,
    /// The axis along a row, and its extent.
    pub(super) axis: Option<u32>,
    pub(super) depth: IExpr,
    pub(super) buf: Buf,
}

#[derive(Clone, Debug)]
enum Home {
    /// In its own memory, elements of a row this far apart.
    Raw { stride: IExpr },
    /// The present block is in scratch, rows this far apart.
    Copied { buf: Buf, row: IExpr },
}

impl Attending<'_, '_> {
    pub(super) fn buffer(&self, load: &Load) -> Result<Buf> {
        self.eval
            .buffers
            .get(&load.tensor)
            .copied()
            .ok_or_else(|| CompileError::internal("schedule", "an operand has no buffer"))
    }

    /// The distance of elements along an axis, if it is the same everywhere.
    pub(super) fn stride(&mut self, load: &Load, axis: Option<u32>) -> Option<IExpr> {
        let stride = match axis {
            Some(axis) => load.index[0].coefficient(axis)?,
            None => IExpr::one(),
        };
        let mut linear = true;
        stride.visit(&mut |a| linear &= !matches!(a, ferroductor_ir::Atom::Var(_)));
        linear.then(|| self.eval.sized(&stride))
    }

    /// Keys are read element by element, so any stride will do.
    pub(super) fn key_matrix(&mut self) -> Matrix {
        let attend = self.attend;
        let stride = self.stride(&attend.key, attend.d);
        let plain = self.graph.tensor(attend.key.tensor).dtype == self.packed();
        let home = match stride {
            Some(stride) if plain => Home::Raw { stride },
            _ => self.copied("keys", self.depth.clone()),
        };
        Matrix {
            load: attend.key.clone(),
            rows: attend.n,
            axis: attend.d,
            width: self.depth.clone(),
            home,
        }
    }

    /// Values are read in vectors along their rows.
    pub(super) fn value_matrix(&mut self) -> Matrix {
        let attend = self.attend;
        let along = (attend.c, self.columns.clone());
        self.matrix_of_vectors(&attend.value, attend.n, along, "values")
    }

    /// A matrix that is read in vectors along its rows, as long as `width`.
    pub(super) fn matrix_of_vectors(
        &mut self,
        load: &Load,
        rows: Option<u32>,
        (axis, width): (Option<u32>, IExpr),
        name: &str,
    ) -> Matrix {
        let stride = self.stride(load, axis);
        let plain = self.graph.tensor(load.tensor).dtype == self.dtype;
        let padded = self.padded(&width);
        let home = match stride {
            Some(stride) if plain && width == padded && stride.is_one() => Home::Raw { stride },
            _ => self.copied(name, &padded * &IExpr::constant(self.pair)),
        };
        Matrix {
            load: load.clone(),
            rows,
            axis,
            width,
            home,
        }
    }

    fn copied(&mut self, name: &str, row: IExpr) -> Home {
        let keys = self.block_lines().max(self.tile_rows());
        let elements = &row * &IExpr::constant(keys);
        let packed = self.packed();
        let buf = self.eval.emitter.local(packed, elements, name);
        Home::Copied { buf, row }
    }

    /// Copies `count` rows of the matrix from `first` on, if it is one that is copied; in pairs, a
    /// row and the next are interleaved, the last repeated where it is alone.
    pub(super) fn fill(&mut self, matrix: &Matrix, first: &IExpr, count: &IExpr) -> Result<()> {
        let Home::Copied { buf, row } = &matrix.home else {
            return Ok(());
        };
        let from = self.buffer(&matrix.load)?;
        let adjacent = self
            .stride(&matrix.load, matrix.axis)
            .is_some_and(|s| s.is_one());
        let lanes = if adjacent { self.lanes } else { 1 };
        let whole = &matrix.width.floor_div(&IExpr::constant(lanes)) * &IExpr::constant(lanes);
        let pair = IExpr::constant(self.pair);
        let n = self
            .eval
            .open_for(IExpr::zero(), count.ceil_div(self.pair), 1);
        for (begin, end, step) in [
            (IExpr::zero(), whole.clone(), lanes),
            (whole.clone(), matrix.width.clone(), 1),
        ] {
            if begin == end {
                continue;
            }
            let at = self.eval.open_for(begin, end, step);
            self.set_axis(matrix.axis, &at);
            let mut rows = Vec::new();
            for p in 0..self.pair {
                let row = &(&n * &pair) + &IExpr::constant(p);
                let row = match p {
                    0 => row,
                    _ => row.smaller(&(count - &IExpr::one())),
                };
                self.set_axis(matrix.rows, &(first + &row));
                let index = self.eval.place(&matrix.load.index[0]);
                rows.push(self.eval.emitter.push(Op::Load {
                    buf: from,
                    index,
                    lanes: step as u32,
                }));
            }
            let value = match rows.as_slice() {
                [a, b] => self.interleaved(*a, *b),
                _ => rows[0],
            };
            let index = &(&n * row) + &(&at * &pair);
            self.eval.emitter.store(*buf, index, value);
            self.eval.close();
        }
        self.eval.close();
        Ok(())
    }

    /// Buffer and index of a row's first element, for row `first + n`, clamped into the matrix.
    pub(super) fn row_start(
        &mut self,
        matrix: &Matrix,
        first: &IExpr,
        n: &IExpr,
    ) -> Result<(Buf, IExpr)> {
        match &matrix.home {
            Home::Copied { buf, row } => Ok((*buf, n * row)),
            Home::Raw { .. } => {
                let buf = self.buffer(&matrix.load)?;
                let position = self.eval.emitter.index_value(&(first + n));
                self.set_axis(matrix.rows, &position);
                self.set_axis(matrix.axis, &IExpr::zero());
                let start = self.eval.place(&matrix.load.index[0]);
                Ok((buf, self.eval.emitter.index_value(&start)))
            }
        }
    }

    /// How far apart elements of a row are.
    pub(super) fn element_stride(&self, matrix: &Matrix) -> IExpr {
        match &matrix.home {
            Home::Raw { stride } => stride.clone(),
            Home::Copied { .. } => IExpr::one(),
        }
    }

    /// Is the block in scratch, where rows beyond its end may be read?
    pub(super) fn is_copied(&self, matrix: &Matrix) -> bool {
        matches!(matrix.home, Home::Copied { .. })
    }

    /// Turns the tile's rows: for each step of the depth all rows side by side; rows
    /// beyond the matrix repeat its last one.
    pub(super) fn pack_rows(&mut self, rows: &Rows, row: &IExpr) -> Result<()> {
        let lanes = self.lanes;
        let adjacent = self
            .stride(&rows.load, rows.axis)
            .is_some_and(|s| s.is_one());
        // A step is a pair's worth; a square is as many steps as there are lanes.
        let pair = IExpr::constant(self.pair);
        let steps = rows.depth.floor_div(&pair);
        let whole = match adjacent {
            true => &steps.floor_div(&IExpr::constant(lanes)) * &IExpr::constant(lanes),
            false => IExpr::zero(),
        };
        let tile_rows = IExpr::constant(self.tile_rows());
        for v in 0..self.shape.row_vectors {
            let base = IExpr::constant(v * lanes);
            if !whole.is_zero() {
                let step = self.eval.open_for(IExpr::zero(), whole.clone(), lanes);
                let mut square = Vec::new();
                for r in 0..lanes {
                    let at = &base + &IExpr::constant(r);
                    let element = &step * &pair;
                    let lanes = (lanes * self.pair) as u32;
                    square.push(self.row_element(rows, row, (&at, &element), lanes)?);
                }
                turn(&mut self.eval.emitter, &mut square, self.pair as usize);
                for (c, turned) in square.into_iter().enumerate() {
                    let at = &step + &IExpr::constant(c as i64);
                    let index = &(&(&at * &tile_rows) + &base) * &pair;
                    self.eval.emitter.store(rows.buf, index, turned);
                }
                self.eval.close();
            }
            if whole == steps {
                continue;
            }
            let step = self.eval.open_for(whole.clone(), steps.clone(), 1);
            let r = self
                .eval
                .open_for(base.clone(), &base + &IExpr::constant(lanes), 1);
            for p in 0..self.pair {
                let element = &(&step * &pair) + &IExpr::constant(p);
                let value = self.row_element(rows, row, (&r, &element), 1)?;
                let index = &(&(&step * &tile_rows) + &r) * &pair;
                let index = &index + &IExpr::constant(p);
                self.eval.emitter.store(rows.buf, index, value);
            }
            self.eval.close();
            self.eval.close();
        }
        Ok(())
    }

    /// Row `at` of the tile, or the matrix's last.
    pub(super) fn clamped_row(&mut self, row: &IExpr, at: &IExpr) -> IExpr {
        let position = match self.rows.as_const() {
            Some(rows) if rows % self.tile_rows() == 0 => row + at,
            _ => (row + at).smaller(&(&self.rows - &IExpr::one())),
        };
        self.eval.emitter.index_value(&position)
    }

    fn row_element(
        &mut self,
        rows: &Rows,
        row: &IExpr,
        (at, step): (&IExpr, &IExpr),
        lanes: u32,
    ) -> Result<ValueId> {
        let buf = self.buffer(&rows.load)?;
        let position = self.clamped_row(row, at);
        self.set_axis(self.attend.m, &position);
        self.set_axis(rows.axis, step);
        let index = self.eval.place(&rows.load.index[0]);
        let value = self.eval.emitter.push(Op::Load { buf, index, lanes });
        let packed = self.packed();
        Ok(self.eval.emitter.convert(value, packed))
    }
}
