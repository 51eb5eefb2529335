//! Where the register tile reads the rows of the first operand.
//!
//! Rows that lie contiguous along `k` in the type they are multiplied in are read where they are.
//! Others that are contiguous are copied for each register tile, row by row, in that type. All the
//! rest is copied for a block of register tiles at once, step by step with the rows side by side.
//!
//! Rows that are read where they are begin a fixed distance apart, which few address registers can
//! express, unless those beyond the matrix have to repeat its last one. So the register tiles of a
//! block are whole ones; what is left of the rows gets smaller tiles.

use super::{Product, ROWS_PER_TILE, Result};
use ferroductor_ir::IExpr;
use ferroductor_ir::kernel::*;

/// Where step `s` of row `i` starts.
pub(super) enum Rows {
    /// Each row has a base of its own.
    Raw { buf: Buf, bases: Vec<IExpr> },
    /// At `base + i*row + s*step`.
    Copied {
        buf: Buf,
        base: IExpr,
        row: IExpr,
        step: IExpr,
    },
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
                base,
                row,
                step: stride,
            } => {
                let own = &(&IExpr::constant(i) * row) + &(step * stride);
                (*buf, base + &own)
            }
        }
    }
}

/// The rows of a block of register tiles, copied: step `s` of row `i` of the tile at `row` is at
/// `((row - first) * steps + s * mr + i) * pair`.
#[derive(Clone)]
pub(super) struct Block {
    buf: Buf,
    first: IExpr,
    steps: IExpr,
}

/// Register tiles of one size, from a row to another.
pub(super) struct Tiles {
    begin: IExpr,
    end: IExpr,
    mr: i64,
    whole: bool,
}

/// Rows of the tiles that follow the whole ones where only a call tells how many are left.
const REST_ROWS: [i64; 2] = [4, 1];

impl Product<'_, '_> {
    /// The register tiles of the block of rows from `first` to `end`.
    pub(super) fn register_tiles(
        &mut self,
        first: &IExpr,
        end: &IExpr,
        rows: &IExpr,
    ) -> Vec<Tiles> {
        let mr = self.mr;
        let raw = self.is_contiguous()
            && self.graph.tensor(self.a.tensor).dtype == self.packed_type()
            && !self.direct
            && self.lines.is_none();
        let sizes = match rows.as_const() {
            _ if !raw => vec![mr],
            Some(r) if r % mr == 0 => vec![mr],
            Some(r) => vec![mr, r % mr],
            None => [&[mr], REST_ROWS.as_slice()].concat(),
        };
        let mut begin = first.clone();
        let last = sizes.len() - 1;
        let mut tiles = Vec::new();
        for (at, size) in sizes.into_iter().enumerate() {
            if size > mr || at > 0 && size == mr {
                continue;
            }
            let step = IExpr::constant(size);
            let until = match at == last {
                true => end.clone(),
                false => &(&(end - &begin).floor_div(&step) * &step) + &begin,
            };
            let until = self.eval.emitter.index_value(&until);
            tiles.push(Tiles {
                begin: std::mem::replace(&mut begin, until.clone()),
                end: until,
                mr: size,
                whole: raw,
            });
        }
        tiles
    }

    /// Opens the loop over register tiles and returns the first row of one.
    pub(super) fn open_register_tiles(&mut self, tiles: &Tiles) -> IExpr {
        self.is_rest = tiles.mr < self.mr;
        (self.mr, self.whole) = (tiles.mr, tiles.whole);
        let (begin, end) = (tiles.begin.clone(), tiles.end.clone());
        self.eval.open_for(begin, end, tiles.mr)
    }

    pub(super) fn first_operand(
        &mut self,
        row: &IExpr,
        rows: &IExpr,
        depth: &IExpr,
    ) -> Result<Rows> {
        let (k, load) = (self.k.clone(), self.a.clone());
        let buf = self.buffer(&load)?;
        if let Some(block) = self.block.clone() {
            let base = self.block_index(&block, row, &IExpr::zero());
            return Ok(Rows::Copied {
                buf: block.buf,
                base: self.eval.emitter.index_value(&base),
                row: IExpr::constant(self.pair),
                step: IExpr::constant(self.mr * self.pair),
            });
        }
        let plain = self.eval.emitter.buf_dtype(buf) == self.packed_type();
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
            base: IExpr::zero(),
            row: depth.clone(),
            step: IExpr::constant(self.pair),
        })
    }

    /// Offset of the first element of each row, rows beyond the matrix repeating its last one.
    pub(super) fn row_bases(&mut self, row: &IExpr, rows: &IExpr) -> Vec<IExpr> {
        let (m, offset) = (self.m.clone(), self.a.index[0].clone());
        (0..self.mr)
            .map(|i| {
                let position = row + &IExpr::constant(i);
                let position = match self.whole {
                    true => position,
                    false => self.clamped(position, rows, self.mr),
                };
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

    /// Copies the rows from `first` to `end` if `k` is not contiguous in them: register tile by
    /// register tile, step by step, the rows of a step side by side.
    pub(super) fn copy_block(
        &mut self,
        first: &IExpr,
        end: &IExpr,
        rows: &IExpr,
        depth: &IExpr,
    ) -> Result<()> {
        if self.is_contiguous() {
            return Ok(());
        }
        let most = rows
            .as_const()
            .map_or(ROWS_PER_TILE, |r| r.min(ROWS_PER_TILE));
        let most = (most + self.mr - 1) / self.mr * self.mr;
        let elements = depth * &IExpr::constant(most);
        let packed_type = self.packed_type();
        let copy = self.eval.emitter.local(packed_type, elements, "rows");
        let block = Block {
            buf: copy,
            first: first.clone(),
            steps: self.steps(depth),
        };
        let mr = IExpr::constant(self.mr);
        let adjacent = self
            .m
            .stride(self.prepared, &self.a.index[0])
            .is_some_and(|s| s.is_one());
        let whole = rows.as_const().is_some_and(|r| r % self.mr == 0);
        let full = match (adjacent, whole) {
            (false, _) => first.clone(),
            (true, true) => end.clone(),
            (true, false) => &(&(end - first).floor_div(&mr) * &mr) + first,
        };
        let full = self.eval.emitter.index_value(&full);
        if adjacent {
            // Neighbouring tiles in turn, so that a line of memory is read once.
            let step = self.eval.open_for(IExpr::zero(), block.steps.clone(), 1);
            let row = self.eval.open_for(first.clone(), full.clone(), self.mr);
            self.copy_side_by_side(&block, &row, &step)?;
            self.eval.close();
            self.eval.close();
        }
        if full != *end {
            let row = self.eval.open_for(full, end.clone(), self.mr);
            let step = self.eval.open_for(IExpr::zero(), block.steps.clone(), 1);
            self.copy_singly(&block, &row, &step, rows)?;
            self.eval.close();
            self.eval.close();
        }
        self.block = Some(block);
        Ok(())
    }

    /// Is `k` contiguous in the first operand, or read where it lies?
    pub(super) fn is_contiguous(&self) -> bool {
        if self.lines.is_some() {
            return true;
        }
        let along_k = self.k.stride(self.prepared, &self.a.index[0]);
        along_k.is_some_and(|s| s.is_one())
    }

    /// A step of one register tile, whose rows lie next to each other in memory: vectors of rows,
    /// in powers of two.
    fn copy_side_by_side(&mut self, block: &Block, row: &IExpr, step: &IExpr) -> Result<()> {
        let (m, k, load) = (self.m.clone(), self.k.clone(), self.a.clone());
        let mut done = 0;
        while done < self.mr {
            let left = self.mr - done;
            let lanes = (1i64 << left.ilog2()).min(self.lanes);
            self.set(&m, &(row + &IExpr::constant(done)));
            let mut parts = Vec::new();
            for p in 0..self.pair {
                let at = &(step * &IExpr::constant(self.pair)) + &IExpr::constant(p);
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
            let index = &self.block_index(block, row, step) + &IExpr::constant(done * self.pair);
            self.eval.emitter.store(block.buf, index, value);
            done += lanes;
        }
        Ok(())
    }

    /// The same for rows anywhere, those beyond the matrix repeating its last one.
    fn copy_singly(
        &mut self,
        block: &Block,
        row: &IExpr,
        step: &IExpr,
        rows: &IExpr,
    ) -> Result<()> {
        let (m, k, load) = (self.m.clone(), self.k.clone(), self.a.clone());
        for i in 0..self.mr {
            let position = self.clamped(row + &IExpr::constant(i), rows, self.mr);
            let position = self.eval.emitter.index_value(&position);
            self.set(&m, &position);
            for p in 0..self.pair {
                let at = &(step * &IExpr::constant(self.pair)) + &IExpr::constant(p);
                self.set(&k, &at);
                let value = self.operand(&load, 1)?;
                let index =
                    &self.block_index(block, row, step) + &IExpr::constant(i * self.pair + p);
                self.eval.emitter.store(block.buf, index, value);
            }
        }
        Ok(())
    }

    /// Where a step of the register tile at `row` starts in the copy.
    fn block_index(&self, block: &Block, row: &IExpr, step: &IExpr) -> IExpr {
        let before = &(row - &block.first) * &block.steps;
        let index = &before + &(step * &IExpr::constant(self.mr));
        &index * &IExpr::constant(self.pair)
    }
}
