//! Products whose `k` is made of lines: in the rows that are read in place it is no run of memory.
//!
//! The gradients of convolutions are of this kind. For that of the weight, `k` are the output
//! positions; for each tap and channel they lie in the input line by line, with a gap behind each.
//! The roles are exchanged, so that these windows are rows. For that of the input, `k` are the taps
//! of all output channels, and a row of the weight has a few of them together. Either way the rows
//! are read where they lie, one number at a time, and the other operand is packed, its lines one
//! after the other.

use super::{DEPTH_RUN, Dimension, Product, Result};
use crate::graph::Load;
use ferroductor_ir::kernel::*;
use ferroductor_ir::{DType, IExpr, Literal, Prim};

/// Elements of a line that are written out one by one where they are not evenly spaced.
const UNROLLED: i64 = 8;
/// Lines that are asked for before they are read.
const AHEAD: i64 = 2;
/// Operands below this size are in a cache anyway.
const COLD_BYTES: i64 = 1 << 20;
/// Elements of a line of memory.
const LINE: i64 = 16;

/// `k` as lines of elements.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    /// It is the second operand whose rows are read so: the roles have to be exchanged.
    pub(super) is_second: bool,
    /// Numbers the lines.
    outer: Dimension,
    /// The elements of a line, and their distance where it is the same for all.
    inner: Dimension,
    stride: Option<IExpr>,
}

/// What a register tile reads.
struct Place<'p> {
    panel: Buf,
    rows: Buf,
    bases: &'p [IExpr],
}

impl Product<'_, '_> {
    /// The lines of an operand that is to be read so: its `k` is no run of memory, nor are its rows
    /// or columns, while the other operand can be packed by vectors.
    pub(super) fn find_lines(&self) -> Option<Lines> {
        let along = |d: &Dimension, load: &Load| d.stride(self.prepared, &load.index[0]);
        let is_run = |stride: Option<IExpr>| stride.is_some_and(|s| s.is_one());
        let by_columns = is_run(along(&self.n, &self.b));
        let in_lines = |load: &Load, own: &Dimension| {
            let plain = self.graph.tensor(load.tensor).dtype == DType::F32;
            plain && along(&self.k, load).is_none() && !is_run(along(own, load))
        };
        if in_lines(&self.b, &self.n) && is_run(along(&self.k, &self.a)) && self.inside.is_empty() {
            return self.lines_of(&self.b, true);
        }
        if in_lines(&self.a, &self.m) && by_columns {
            return self.lines_of(&self.a, false);
        }
        None
    }

    /// The longest part of `k` that is evenly spaced, or else a few elements.
    fn lines_of(&self, load: &Load, is_second: bool) -> Option<Lines> {
        let offset = &load.index[0];
        if self.k.axes.iter().any(|a| offset.coefficient(*a).is_none()) {
            return None;
        }
        let split = |at: usize| {
            let (outer, inner) = self.k.axes.split_at(at);
            (self.dimension_of(outer), self.dimension_of(inner))
        };
        let mut best = None;
        for at in (0..self.k.axes.len()).rev() {
            let (outer, inner) = split(at);
            let stride = inner.stride(self.prepared, offset);
            let few = inner.extent.as_const().is_some_and(|e| e <= UNROLLED);
            if stride.is_none() && !few {
                break;
            }
            best = Some(Lines {
                is_second,
                outer,
                inner,
                stride,
            });
        }
        best
    }

    fn dimension_of(&self, axes: &[u32]) -> Dimension {
        Dimension {
            axes: axes.to_vec(),
            extent: IExpr::product(axes.iter().map(|a| &self.prepared.axes[*a as usize])),
        }
    }

    /// The register tile from row `row` on, all of `k`, into the tile buffer. Sums are taken in
    /// runs: of several short lines, or within a long one.
    pub(super) fn multiply_lines(
        &mut self,
        lines: &Lines,
        (panel, tile): (Buf, Buf),
        row: &IExpr,
        rows: &IExpr,
    ) -> Result<()> {
        let (a, k) = (self.a.clone(), self.k.clone());
        self.set(&k, &IExpr::zero());
        let place = Place {
            panel,
            rows: self.buffer(&a)?,
            bases: &self.row_bases(row, rows),
        };
        let count = self.eval.sized(&lines.outer.extent);
        let length = self.eval.sized(&lines.inner.extent);
        self.clear_tile(tile)?;
        let hint = self.graph.hint(&lines.inner.extent).max(1);
        let group = (DEPTH_RUN / hint).max(1);
        let first = self.eval.open_for(IExpr::zero(), count.clone(), group);
        if hint <= DEPTH_RUN {
            let end = (&first + &IExpr::constant(group)).smaller(&count);
            let end = self.eval.emitter.index_value(&end);
            let sums = self.cleared_sums();
            let line = self.eval.open_for(first, end, 1);
            self.fetch_line_ahead(lines, &place, &line)?;
            self.multiply_line(lines, &place, &sums, &line, (IExpr::zero(), length))?;
            self.eval.close();
            self.add_to_tile(tile, &sums)?;
        } else {
            let at = (self.eval).open_for(IExpr::zero(), length.clone(), DEPTH_RUN);
            let end = (&at + &IExpr::constant(DEPTH_RUN)).smaller(&length);
            let end = self.eval.emitter.index_value(&end);
            let sums = self.cleared_sums();
            self.multiply_line(lines, &place, &sums, &first, (at, end))?;
            self.add_to_tile(tile, &sums)?;
            self.eval.close();
        }
        self.eval.close();
        Ok(())
    }

    /// How far an element of a dimension lies behind its first.
    fn distance(&mut self, dimension: &Dimension, at: &IExpr) -> IExpr {
        let offset = self.a.index[0].clone();
        self.set(dimension, at);
        let mut sum = IExpr::zero();
        for axis in &dimension.axes {
            let factor = offset.coefficient(*axis).unwrap_or_else(IExpr::zero);
            let factor = self.eval.sized(&factor);
            sum = &sum + &(&factor * &self.eval.axis[*axis as usize]);
        }
        sum
    }

    fn cleared_sums(&mut self) -> Vec<RegId> {
        let ty = Ty::new(DType::F32, self.lanes as u32);
        let zero = self.eval.emitter.constant(Literal::Float(0.0), ty);
        (0..self.mr * self.vectors)
            .map(|_| self.eval.emitter.register(zero))
            .collect()
    }

    /// A stretch of a line.
    fn multiply_line(
        &mut self,
        lines: &Lines,
        place: &Place<'_>,
        sums: &[RegId],
        line: &IExpr,
        (begin, end): (IExpr, IExpr),
    ) -> Result<()> {
        let start = self.distance(&lines.outer, line);
        let start = self.eval.emitter.index_value(&start);
        let step = line * &self.eval.sized(&lines.inner.extent);
        let Some(stride) = &lines.stride else {
            for at in 0..lines.inner.extent.as_const().unwrap_or(0) {
                let at = IExpr::constant(at);
                let own = &start + &self.distance(&lines.inner, &at);
                self.multiply_step(place, sums, &own, &(&step + &at))?;
            }
            return Ok(());
        };
        let stride = self.eval.sized(stride);
        let at = self.eval.open_for(begin, end, 1);
        let own = &start + &(&at * &stride);
        self.multiply_step(place, sums, &own, &(&step + &at))?;
        self.eval.close();
        Ok(())
    }

    /// One step: the elements that lie `distance` behind the rows' bases.
    fn multiply_step(
        &mut self,
        place: &Place<'_>,
        sums: &[RegId],
        distance: &IExpr,
        step: &IExpr,
    ) -> Result<()> {
        let start = &self.panel_start + &(step * &IExpr::constant(self.nr()));
        let columns: Vec<ValueId> = (0..self.vectors)
            .map(|v| {
                self.eval.emitter.push_here(Op::Load {
                    buf: place.panel,
                    index: &start + &IExpr::constant(v * self.lanes),
                    lanes: self.lanes as u32,
                })
            })
            .collect();
        for (i, base) in place.bases.iter().enumerate() {
            let factor = self.eval.emitter.push_here(Op::Load {
                buf: place.rows,
                index: base + distance,
                lanes: 1,
            });
            for (v, column) in columns.iter().enumerate() {
                let register = sums[i * columns.len() + v];
                let sum = self.eval.emitter.get(register);
                let sum = (self.eval.emitter).prim(Prim::Fma, &[factor, *column, sum])?;
                self.eval.emitter.set(register, sum);
            }
        }
        Ok(())
    }

    /// Asks for a line of all the rows of a large operand, where those follow each other in memory.
    fn fetch_line_ahead(&mut self, lines: &Lines, place: &Place<'_>, line: &IExpr) -> Result<()> {
        let along_m = self.m.stride(self.prepared, &self.a.index[0]);
        let (Some(apart), Some(base)) = (along_m.and_then(|s| s.as_const()), place.bases.first())
        else {
            return Ok(());
        };
        let elements = self
            .graph
            .hint_numel(&self.graph.tensor(self.a.tensor).sizes);
        if lines.is_second || elements * 4 < COLD_BYTES || apart > LINE {
            return Ok(());
        }
        let next = self.distance(&lines.outer, &(line + &IExpr::constant(AHEAD)));
        let next = self.eval.emitter.index_value(&(base + &next));
        for part in 0..(self.mr * apart + LINE - 1) / LINE {
            self.eval.emitter.statement(Stmt::Prefetch {
                buf: place.rows,
                index: &next + &IExpr::constant(part * LINE),
                near: true,
            });
        }
        Ok(())
    }

    fn add_to_tile(&mut self, tile: Buf, sums: &[RegId]) -> Result<()> {
        for (n, register) in sums.iter().enumerate() {
            let index = &self.tile_start + &IExpr::constant(n as i64 * self.lanes);
            let sum = self.eval.emitter.get(*register);
            let before = self.eval.emitter.push_here(Op::Load {
                buf: tile,
                index: index.clone(),
                lanes: self.lanes as u32,
            });
            let sum = self.eval.emitter.prim(Prim::Add, &[before, sum])?;
            self.eval.emitter.store(tile, index, sum);
        }
        Ok(())
    }
}
