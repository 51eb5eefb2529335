//! Cutting the outer axes into tiles.

use super::eval::{Evaluator, Vector};
use super::loops::{Loops, Tiling, bounded};
use crate::error::CompileError;
use crate::fuse::GroupKind;
use ferroductor_ir::IExpr;
use ferroductor_ir::kernel::TILE;

type Result<T> = std::result::Result<T, CompileError>;

/// Elements a tile should hold: enough to make its start-up cost vanish, little enough to spread.
const TILE_ELEMENTS: i64 = 8192;
/// Side of the squares in which transpositions are walked.
const SQUARE: i64 = 64;

/// How a kernel's outer axes are cut into tiles.
struct TilePlan {
    /// Outer axes but the vector one, slowest first.
    order: Vec<u32>,
    vector: Option<u32>,
    lanes: u32,
    /// Reach of a tile along the vector axis, if not all of it.
    chunk: Option<i64>,
    /// Reach of a tile along the last axis of `order`, if more than one.
    block: Option<i64>,
    /// The last axis of `order` is walked inside the vectors.
    crossing: bool,
    elements: i64,
}

/// Takes the tile id apart, fastest digit first.
pub(super) struct TileId {
    rest: IExpr,
    pub(super) tiles: IExpr,
}

impl TileId {
    pub(super) fn new() -> TileId {
        TileId {
            rest: IExpr::var(TILE.0),
            tiles: IExpr::one(),
        }
    }

    /// The next digit, of `count` values.
    pub(super) fn take(&mut self, count: IExpr, eval: &mut Evaluator<'_>) -> IExpr {
        self.tiles = &self.tiles * &count;
        if count.is_one() {
            return IExpr::zero();
        }
        let digit = self.rest.modulo(&count);
        self.rest = self.rest.floor_div(&count);
        eval.emitter.index_value(&digit)
    }
}

impl Loops<'_, '_> {
    /// Decides how far one tile reaches.
    fn plan_tiles(&self, outer: Vec<u32>, vector: Option<u32>) -> TilePlan {
        let all: Vec<usize> = (0..self.prepared.pieces.len()).collect();
        let mut order: Vec<u32> = outer.into_iter().filter(|a| Some(*a) != vector).collect();
        order.sort_by_key(|a| std::cmp::Reverse(self.stride_hint(*a)));
        let per_point = self
            .all_inner_axes()
            .iter()
            .map(|a| self.hint(*a))
            .fold(1i64, i64::saturating_mul);
        let lanes = vector.map_or(1, |a| self.lanes(&all, a));
        let crossing = vector.and_then(|a| self.crossing_axis(a, &order));
        let wanted = match crossing {
            Some(_) => SQUARE,
            None => (TILE_ELEMENTS / per_point).max(i64::from(lanes) * 4),
        };
        let chunk = vector.and_then(|a| {
            let extent = &self.prepared.axes[a as usize];
            (self.hint(a) > wanted + wanted / 2)
                .then(|| even_chunk(extent, wanted, i64::from(lanes)))
        });
        let run = chunk.or(vector.map(|a| self.hint(a))).unwrap_or(1);
        let run = run.saturating_mul(per_point).max(1);
        if let Some(u) = crossing {
            order.retain(|a| *a != u);
            order.push(u);
        }
        let block = order.last().map(|a| {
            let wanted = match crossing {
                Some(_) => SQUARE,
                None if vector.is_none() && self.pipeline(*a).is_some() => {
                    let others = order.iter().filter(|o| *o != a);
                    let others = others.map(|o| self.hint(*o)).product();
                    self.pipelined_rows(*a, others).max(TILE_ELEMENTS / run)
                }
                None => TILE_ELEMENTS / run,
            };
            wanted.clamp(1, self.hint(*a))
        });
        TilePlan {
            order,
            vector,
            lanes,
            chunk,
            block: block.filter(|b| *b > 1),
            crossing: crossing.is_some(),
            elements: run.saturating_mul(block.unwrap_or(1)),
        }
    }

    /// An axis along which something is read contiguously that is read with a stride along the
    /// vector axis: a transposition, to be walked in squares so that cache lines are used up.
    fn crossing_axis(&self, vector: u32, order: &[u32]) -> Option<u32> {
        if self.prepared.kind != GroupKind::Pointwise {
            return None;
        }
        let mut found = None;
        for piece in &self.prepared.pieces {
            piece.visit_indices(&mut |index, is_offset| {
                let strided = index
                    .coefficient(vector)
                    .is_some_and(|c| !c.is_zero() && !c.is_one());
                if !is_offset || !strided {
                    return;
                }
                let along = order.iter().find(|a| {
                    self.hint(**a) >= 4 && index.coefficient(**a).is_some_and(|c| c.is_one())
                });
                found = found.or(along.copied());
            });
        }
        found
    }

    pub(super) fn emit_tiles(&mut self, outer: Vec<u32>, vector: Option<u32>) -> Result<Tiling> {
        let plan = self.plan_tiles(outer, vector);
        let mut id = TileId::new();
        let chunk_at = match (plan.vector, plan.chunk) {
            (Some(a), Some(chunk)) => {
                let extent = self.eval.extent(a);
                Some((id.take(extent.ceil_div(chunk), self.eval), chunk))
            }
            _ => None,
        };
        let mut blocked = None;
        for (n, a) in plan.order.iter().enumerate().rev() {
            let extent = self.eval.extent(*a);
            match plan.block {
                Some(block) if n == plan.order.len() - 1 => {
                    let at = id.take(extent.ceil_div(block), self.eval);
                    blocked = Some((*a, self.bounds(&at, block, &extent)));
                }
                _ => self.eval.axis[*a as usize] = id.take(extent, self.eval),
            }
        }
        let row = blocked.clone().filter(|_| plan.vector.is_none());
        if let Some((axis, rows)) = row
            && let Some(pipeline) = self.pipeline(axis)
        {
            self.emit_pipeline(axis, rows, &pipeline)?;
            return Ok(Tiling {
                tiles: id.tiles,
                elements: plan.elements,
            });
        }
        if let Some((a, (begin, end))) = &blocked
            && !plan.crossing
        {
            self.eval.axis[*a as usize] = self.eval.open_for(begin.clone(), end.clone(), 1);
            self.row_axis = Some(*a);
        }
        match plan.vector {
            None => self.emit_levels(None)?,
            Some(axis) => {
                let extent = self.eval.extent(axis);
                let range = match chunk_at.clone() {
                    None => (IExpr::zero(), extent),
                    Some((at, chunk)) => self.bounds(&at, chunk, &extent),
                };
                let inside = blocked.clone().filter(|_| plan.crossing);
                let vector = Vector {
                    axis,
                    lanes: plan.lanes,
                };
                let all: Vec<usize> = (0..self.prepared.pieces.len()).collect();
                let tail = self.tail(&all, axis, chunk_at.is_none());
                self.emit_lanes((vector, tail), range, &[], &mut |this, lanes| {
                    if let Some((a, (begin, end))) = &inside {
                        this.eval.axis[*a as usize] =
                            this.eval.open_for(begin.clone(), end.clone(), 1);
                    }
                    this.emit_levels(Some(Vector { axis, lanes }))?;
                    if inside.is_some() {
                        this.eval.close();
                    }
                    Ok(())
                })?;
            }
        }
        if blocked.is_some() && !plan.crossing {
            self.eval.close();
        }
        Ok(Tiling {
            tiles: id.tiles,
            elements: plan.elements,
        })
    }

    /// First and last-but-one position of chunk `at`.
    pub(super) fn bounds(&mut self, at: &IExpr, chunk: i64, extent: &IExpr) -> (IExpr, IExpr) {
        let begin = at * &IExpr::constant(chunk);
        let end = bounded(&begin, chunk, extent);
        let end = self.eval.emitter.index_value(&end);
        (self.eval.emitter.index_value(&begin), end)
    }
}

/// A chunk length near `wanted`: a divisor of a static extent where there is a good one.
pub(super) fn even_chunk(extent: &IExpr, wanted: i64, lanes: i64) -> i64 {
    let rounded = (wanted + lanes - 1) / lanes * lanes;
    if let Some(e) = extent.as_const() {
        let mut candidate = rounded;
        while candidate >= (rounded / 2).max(lanes) {
            if e % candidate == 0 {
                return candidate;
            }
            candidate -= lanes;
        }
    }
    rounded
}
