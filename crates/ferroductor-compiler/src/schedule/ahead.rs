//! Asking for the next row while the present one is computed.
//!
//! A kernel that visits its rows several times reads memory in the first visit and computes in the
//! later ones, from cache. The second visit, if it computes much, therefore asks for the lines of the
//! next row, so that memory and arithmetic overlap. A quick visit would only wait for them, and rows
//! that the second-level cache holds anyway are left alone. In a pipeline of rows
//! ([`super::pipeline`]) all visits compute at once, and the first one asks.

use super::eval::Vector;
use super::loops::{Loops, is_costly};
use crate::graph::TensorId;
use ferroductor_ir::IExpr;
use ferroductor_ir::kernel::*;

/// Bytes that one request covers.
const LINE: usize = 64;

/// Where a row lies, as functions of the axes: an offset, and the distance to the next row.
pub(super) struct Row {
    buf: Buf,
    offset: IExpr,
    stride: IExpr,
}

impl Loops<'_, '_> {
    /// The rows that the first visit reads, if this is the second one and goes over the same axis
    /// by whole lines for a costly function.
    pub(super) fn rows_ahead(
        &self,
        level: usize,
        pieces: &[usize],
        Vector { axis, lanes }: Vector,
    ) -> Vec<Row> {
        let mut expressions = pieces
            .iter()
            .flat_map(|at| self.prepared.pieces[*at].expressions());
        let is_costly = expressions.any(is_costly);
        match self.row_axis.filter(|_| level == 1 && is_costly) {
            Some(row) => self.rows_read(row, Vector { axis, lanes }),
            None => Vec::new(),
        }
    }

    /// The rows that the first visit reads, contiguous along the axis.
    pub(super) fn rows_read(&self, row_axis: u32, Vector { axis, lanes }: Vector) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        let first = self.prepared.pieces.iter().zip(&self.levels);
        for (piece, _) in first.filter(|(_, level)| **level == 0) {
            for load in piece.loads().iter().filter(|l| l.values.is_empty()) {
                let offset = &load.index[0];
                let along = offset.coefficient(axis).is_some_and(|c| c.is_one());
                let (Some(buf), Some(stride), true) = (
                    self.eval.buffers.get(&load.tensor),
                    offset.coefficient(row_axis),
                    along && self.is_worth_asking(load.tensor, lanes),
                ) else {
                    continue;
                };
                if stride.is_zero() || rows.iter().any(|r| r.buf == *buf && r.offset == *offset) {
                    continue;
                }
                rows.push(Row {
                    buf: *buf,
                    offset: offset.clone(),
                    stride,
                });
            }
        }
        rows
    }

    /// Is the tensor larger than the cache it would be brought to, and a vector of it a line?
    fn is_worth_asking(&self, tensor: TensorId, lanes: u32) -> bool {
        let info = self.graph.tensor(tensor);
        let elements = usize::try_from(self.graph.hint_numel(&info.sizes)).unwrap_or(0);
        elements.saturating_mul(info.dtype.size()) > self.eval.emitter.target.l2_bytes
            && info.dtype.size() * lanes as usize == LINE
    }

    /// Asks for what corresponds in the next rows to the present vector.
    pub(super) fn ask_for(&mut self, rows: &[Row]) {
        if self.eval.vector.is_none() || self.eval.mask.is_some() {
            return;
        }
        for Row {
            buf,
            offset,
            stride,
        } in rows
        {
            let index = self.eval.place(&(offset + stride));
            let buf = *buf;
            let request = Stmt::Prefetch {
                buf,
                index,
                near: false,
            };
            self.eval.emitter.statement(request);
        }
    }
}
