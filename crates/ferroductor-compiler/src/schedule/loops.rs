//! Loops for pointwise, row, column and serial kernels.
//!
//! The outer axes are cut into tiles. Inside a point of the outer axes the pieces run in *levels*:
//! a piece that needs a finished reduction comes one level later. Pieces of a level with the same
//! inner axes share their loops. Lanes run either along an inner axis (each row on its own) or
//! along an outer one (as many rows at once as there are lanes).

use super::eval::{Evaluator, Home, Vector};
use super::masked::has_guard_along;
use super::prepare::{Action, Piece, Prepared};
use super::reduce::Accumulator;
use crate::error::CompileError;
use crate::fuse::GroupKind;
use crate::graph::{E, Expr, Graph, TensorId, visit};
use ferroductor_ir::kernel::*;
use ferroductor_ir::{DType, IExpr};
use std::collections::{BTreeMap, BTreeSet, HashMap};

type Result<T> = std::result::Result<T, CompileError>;

/// Iterations whose sum is taken on its own before it joins the total.
pub(super) const RUN: i64 = 8;
/// Vectors of an axis that are written one after the other rather than as a loop.
const MAX_UNROLLED: usize = 8;
/// Rows buffered between levels may take this many elements.
const MAX_ROW_BUFFER: i64 = 1 << 20;

pub struct Loops<'a, 'b> {
    pub graph: &'b Graph,
    pub prepared: &'b Prepared,
    pub eval: &'a mut Evaluator<'b>,
    /// Does the tensor need memory outside the kernel?
    pub external: &'b dyn Fn(TensorId) -> bool,
    pub(super) levels: Vec<usize>,
    /// Memory of pieces that are read at later levels.
    pub(super) memory: HashMap<usize, (Buf, IExpr)>,
    /// Extra stores into local row buffers.
    pub(super) rows: HashMap<usize, (Buf, IExpr)>,
    /// The outer axis that a tile walks, one point after the other.
    pub(super) row_axis: Option<u32>,
}

/// How the elements of a loop are done that fill no vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// As one vector with a mask.
    Masked,
    /// Lane by lane.
    Single,
}

/// The result of writing the loops: how many tiles, and elements in one.
pub struct Tiling {
    pub tiles: IExpr,
    pub elements: i64,
}

impl<'a, 'b> Loops<'a, 'b> {
    pub fn new(
        graph: &'b Graph,
        prepared: &'b Prepared,
        eval: &'a mut Evaluator<'b>,
        external: &'b dyn Fn(TensorId) -> bool,
    ) -> Loops<'a, 'b> {
        let levels = levels(prepared);
        Loops {
            graph,
            prepared,
            eval,
            external,
            levels,
            memory: HashMap::new(),
            rows: HashMap::new(),
            row_axis: None,
        }
    }

    pub fn emit(mut self) -> Result<Tiling> {
        self.assign_memory();
        let outer: Vec<u32> = self.prepared.outer.iter().copied().collect();
        let outer: Vec<u32> = outer
            .into_iter()
            .filter(|a| !self.prepared.axes[*a as usize].is_one())
            .collect();
        let lanes_outside = self.outer_vector(&outer);
        match lanes_outside {
            Some(axis) if self.is_plain_columns() => self.emit_columns(outer, axis),
            _ => self.emit_tiles(outer, lanes_outside),
        }
    }

    pub(super) fn hint(&self, axis: u32) -> i64 {
        self.graph.hint(&self.prepared.axes[axis as usize]).max(1)
    }

    pub(super) fn inner_axes(&self, piece: &Piece) -> Vec<u32> {
        piece
            .axes()
            .into_iter()
            .filter(|a| !self.prepared.outer.contains(a))
            .collect()
    }

    /// Decides where later levels find what earlier ones computed.
    fn assign_memory(&mut self) {
        for (at, piece) in self.prepared.pieces.iter().enumerate() {
            let Action::Store { offset, value } = &piece.action else {
                continue;
            };
            let read_later = self.prepared.pieces.iter().enumerate().any(|(b, other)| {
                self.levels[b] > self.levels[at]
                    && other.loads().iter().any(|l| l.tensor == piece.tensor)
            });
            if !read_later || !is_costly(value) {
                continue;
            }
            if let Some(buf) = self.eval.buffers.get(&piece.tensor)
                && (self.external)(piece.tensor)
            {
                self.memory.insert(at, (*buf, offset.clone()));
                continue;
            }
            let inner = self.inner_axes(piece);
            let elements = IExpr::product(inner.iter().map(|a| &self.prepared.axes[*a as usize]));
            if inner.is_empty() || self.graph.hint(&elements) > MAX_ROW_BUFFER {
                continue;
            }
            let mut compact = IExpr::zero();
            for a in &inner {
                compact = &(&compact * &self.prepared.axes[*a as usize]) + &IExpr::var(*a);
            }
            let dtype = value.dtype();
            let dtype = if dtype == ferroductor_ir::DType::Bool {
                ferroductor_ir::DType::Bool
            } else {
                dtype
            };
            // With lanes along an outer axis each lane has a row of its own.
            if self.lanes_need_own_rows() {
                continue;
            }
            let elements = self.eval.sized(&elements);
            let name = &self.graph.tensor(piece.tensor).name;
            let is_row = |a: &&u32| !self.prepared.axes[**a as usize].is_one();
            let buf = match inner.iter().filter(is_row).count() {
                1 => self.eval.roomy_local(dtype, &elements, name),
                _ => self.eval.emitter.local(dtype, elements, name),
            };
            self.memory.insert(at, (buf, compact.clone()));
            self.rows.insert(at, (buf, compact));
        }
    }

    fn lanes_need_own_rows(&self) -> bool {
        let outer: Vec<u32> = self.prepared.outer.iter().copied().collect();
        self.outer_vector(&outer).is_some()
    }

    // Choosing lanes.

    /// Should lanes run along an outer axis, and which?
    fn outer_vector(&self, outer: &[u32]) -> Option<u32> {
        let all: Vec<usize> = (0..self.prepared.pieces.len()).collect();
        let inner = self.all_inner_axes();
        if self.prepared.kind == GroupKind::Rows && self.best_axis(&inner, &all).is_some() {
            return None;
        }
        self.best_axis(outer, &all)
    }

    /// The axis along which most accesses are contiguous, if lanes pay at all.
    pub(super) fn best_axis(&self, candidates: &[u32], pieces: &[usize]) -> Option<u32> {
        candidates
            .iter()
            .filter(|a| self.hint(**a) >= 4)
            .filter_map(|a| Some((self.score(*a, pieces)?, *a)))
            .filter(|(score, _)| *score > 0)
            .max_by_key(|(score, a)| (*score, self.hint(*a)))
            .map(|(_, a)| a)
    }

    /// Contiguous accesses count for an axis, strided ones against it; `None`: lanes impossible.
    fn score(&self, axis: u32, pieces: &[usize]) -> Option<i64> {
        let mut score = 0i64;
        for at in pieces {
            let piece = &self.prepared.pieces[*at];
            if !self.eval.vectorizable(piece, axis) {
                return None;
            }
            piece.visit_indices(&mut |index, is_offset| {
                score += match index.coefficient(axis) {
                    Some(c) if c.is_zero() => 0,
                    Some(_) if !is_offset => 0,
                    Some(c) if c.is_one() => 3,
                    // Read as it lies and turned round.
                    Some(c) if c.as_const() == Some(-1) => 1,
                    Some(_) => -3,
                    None => -9,
                };
            });
            if let Some(offset) = piece.stores() {
                score += match offset.coefficient(axis) {
                    Some(c) if c.is_one() => 4,
                    Some(c) if c.is_zero() => 0,
                    _ => -5,
                };
            }
        }
        Some(score)
    }

    /// Lanes for a set of pieces: full vectors of the widest data among them.
    pub(super) fn lanes(&self, pieces: &[usize], axis: u32) -> u32 {
        let mut widest = 4usize;
        for at in pieces {
            let piece = &self.prepared.pieces[*at];
            let own = self.graph.tensor(piece.tensor).dtype;
            if own.size() == 8 && piece.stores().is_some() {
                widest = 8;
            }
            for load in piece.loads() {
                let dtype = self.graph.tensor(load.tensor).dtype;
                let wide = dtype.size() == 8 && dtype.is_float();
                if wide {
                    widest = 8;
                }
            }
        }
        let full = (self.eval.emitter.target.isa.vector_bytes() / widest) as u32;
        // A short axis takes shorter vectors rather than none; with masks, one that holds all of it.
        let extent = self.hint(axis).min(1 << 20) as u32;
        let fitting = extent.next_power_of_two();
        let halved = fitting > extent && self.tail(pieces, axis, true) == Tail::Single;
        full.min((fitting >> u32::from(halved)).max(1))
    }

    /// How the elements that fill no vector are done. `whole`: loops run over all of the axis, so that
    /// their number is known where the extent is.
    pub(super) fn tail(&self, pieces: &[usize], axis: u32, whole: bool) -> Tail {
        let full = i64::from(self.eval.emitter.target.lanes(DType::F32));
        let extent = self.prepared.axes[axis as usize]
            .as_const()
            .filter(|_| whole);
        // One or two elements beside many vectors are done sooner one by one.
        if extent.is_some_and(|e| e > full && e % full <= full / 8) {
            return Tail::Single;
        }
        let known = extent.is_some();
        let masked = pieces.iter().all(|at| {
            let piece = &self.prepared.pieces[*at];
            let row = self.memory.get(at).map_or(&piece.offset, |m| &m.1);
            let beside = row
                .coefficient(axis)
                .is_some_and(|c| c.is_zero() || c.is_one());
            beside && self.eval.masks_tail(piece, axis, known)
        });
        if masked { Tail::Masked } else { Tail::Single }
    }

    // Tiles.

    /// Runs `body` over `begin..end` of an axis, in full vectors and then as `tail` says. The vectors
    /// come in runs for the accumulators that want it.
    pub(super) fn emit_lanes(
        &mut self,
        (Vector { axis, lanes }, tail): (Vector, Tail),
        (begin, end): (IExpr, IExpr),
        accumulators: &[(usize, Accumulator)],
        body: &mut dyn FnMut(&mut Self, u32) -> Result<()>,
    ) -> Result<()> {
        let begin = self.eval.emitter.index_value(&begin);
        let end = self.eval.emitter.index_value(&end);
        let wide = i64::from(lanes);
        let span = &end - &begin;
        let main = &(&span.floor_div(&IExpr::constant(wide)) * &IExpr::constant(wide)) + &begin;
        let main = self.eval.emitter.index_value(&main);
        if lanes > 1 && main != begin {
            let vector = Vector { axis, lanes };
            let mut vectors = |this: &mut Self| {
                this.eval.vector = Some(vector);
                body(this, lanes)?;
                this.eval.vector = None;
                Ok(())
            };
            match self.unrolled(vector, (&begin, &main), accumulators) {
                Some(starts) => {
                    for start in starts {
                        let memo = self.eval.set_memo_aside();
                        self.eval.axis[axis as usize] = IExpr::constant(start);
                        vectors(self)?;
                        self.eval.restore_memo(memo);
                    }
                }
                None => {
                    let range = (begin.clone(), main.clone());
                    self.emit_runs(axis, range, wide, accumulators, &mut vectors)?;
                }
            }
        }
        let rest = if lanes > 1 { main } else { begin };
        if lanes > 1 && tail == Tail::Masked {
            return self.emit_masked(Vector { axis, lanes }, (rest, end), accumulators, body);
        }
        if rest != end {
            self.eval.axis[axis as usize] = self.eval.open_for(rest, end, 1);
            body(self, 1)?;
            self.eval.close();
        }
        Ok(())
    }

    /// Where each vector of a short axis starts, if guards differ along it: known positions decide
    /// them, as in the two halves of a rotary embedding.
    fn unrolled(
        &self,
        Vector { axis, lanes }: Vector,
        (begin, end): (&IExpr, &IExpr),
        accumulators: &[(usize, Accumulator)],
    ) -> Option<Vec<i64>> {
        let (begin, end) = (begin.as_const()?, end.as_const()?);
        let starts: Vec<i64> = (begin..end).step_by(lanes as usize).collect();
        let in_runs = accumulators.iter().any(|a| a.1.takes_runs());
        let mut pieces = self.prepared.pieces.iter();
        let guarded = pieces.any(|piece| has_guard_along(piece, axis));
        (guarded && !in_runs && starts.len() <= MAX_UNROLLED).then_some(starts)
    }

    /// At most one vector, of whose lanes those before `end` are active: a loop, so that nothing runs
    /// where nothing is left. For accumulators it is a run of its own.
    fn emit_masked(
        &mut self,
        Vector { axis, lanes }: Vector,
        (begin, end): (IExpr, IExpr),
        accumulators: &[(usize, Accumulator)],
        body: &mut dyn FnMut(&mut Self, u32) -> Result<()>,
    ) -> Result<()> {
        if begin == end {
            return Ok(());
        }
        let known = (&end - &begin).as_const();
        let at = self.eval.open_for(begin, end.clone(), i64::from(lanes));
        let left = known.map_or_else(|| &end - &at, IExpr::constant);
        self.eval.axis[axis as usize] = at;
        self.eval.vector = Some(Vector { axis, lanes });
        self.eval.mask = Some(self.eval.emitter.lanes_before(&left, lanes)?);
        for (_, accumulator) in accumulators {
            accumulator.open_run(self.eval);
        }
        body(self, lanes)?;
        for (_, accumulator) in accumulators {
            accumulator.close_run(self.eval)?;
        }
        self.eval.mask = None;
        self.eval.vector = None;
        self.eval.close();
        Ok(())
    }

    /// A loop, cut into runs if accumulators want them.
    fn emit_runs(
        &mut self,
        axis: u32,
        (begin, end): (IExpr, IExpr),
        step: i64,
        accumulators: &[(usize, Accumulator)],
        body: &mut dyn FnMut(&mut Self) -> Result<()>,
    ) -> Result<()> {
        if !accumulators.iter().any(|a| a.1.takes_runs()) {
            self.eval.axis[axis as usize] = self.eval.open_for(begin, end, step);
            body(self)?;
            self.eval.close();
            return Ok(());
        }
        let run = self.eval.open_for(begin, end.clone(), step * RUN);
        for (_, accumulator) in accumulators {
            accumulator.open_run(self.eval);
        }
        let stop = bounded(&run, step * RUN, &end);
        let stop = self.eval.emitter.index_value(&stop);
        self.eval.axis[axis as usize] = self.eval.open_for(run, stop, step);
        body(self)?;
        self.eval.close();
        for (_, accumulator) in accumulators {
            accumulator.close_run(self.eval)?;
        }
        self.eval.close();
        Ok(())
    }

    pub(super) fn all_inner_axes(&self) -> Vec<u32> {
        let inner: BTreeSet<u32> = self
            .prepared
            .pieces
            .iter()
            .flat_map(|p| self.inner_axes(p))
            .collect();
        inner.into_iter().collect()
    }

    pub(super) fn stride_hint(&self, axis: u32) -> i64 {
        self.prepared
            .pieces
            .iter()
            .filter_map(|p| p.offset.coefficient(axis))
            .map(|c| self.graph.hint(&c).abs())
            .max()
            .unwrap_or(0)
    }

    // Levels at one outer point (or one vector of them).

    pub(super) fn emit_levels(&mut self, vector: Option<Vector>) -> Result<()> {
        let last = self.levels.iter().copied().max().unwrap_or(0);
        for level in 0..=last {
            for (at, piece) in self.prepared.pieces.iter().enumerate() {
                let home = match &piece.action {
                    Action::Store { .. } if self.levels[at] < level => match self.memory.get(&at) {
                        Some((buf, offset)) => Home::Memory(*buf, offset.clone()),
                        None => Home::Inline(at),
                    },
                    Action::Store { .. } => Home::Inline(at),
                    _ => continue,
                };
                self.eval.homes.insert(piece.tensor, home);
            }
            let mut stages: BTreeMap<Vec<u32>, Vec<usize>> = BTreeMap::new();
            for (at, piece) in self.prepared.pieces.iter().enumerate() {
                if self.levels[at] == level {
                    stages.entry(self.inner_axes(piece)).or_default().push(at);
                }
            }
            for (axes, pieces) in stages {
                self.emit_stage(level, &axes, &pieces, vector)?;
            }
        }
        Ok(())
    }

    /// One loop nest over the inner axes for pieces that share them.
    fn emit_stage(
        &mut self,
        level: usize,
        axes: &[u32],
        pieces: &[usize],
        outer: Option<Vector>,
    ) -> Result<()> {
        let axes: Vec<u32> = axes
            .iter()
            .copied()
            .filter(|a| !self.prepared.axes[*a as usize].is_one())
            .collect();
        let along = match outer {
            Some(_) => None,
            None => self.best_axis(&axes, pieces),
        };
        let lanes = match (outer, along) {
            (Some(v), _) => v.lanes,
            (None, Some(a)) => self.lanes(pieces, a),
            (None, None) => 1,
        };
        let mut order: Vec<u32> = axes.iter().copied().filter(|a| Some(*a) != along).collect();
        order.sort_by_key(|a| std::cmp::Reverse(self.stride_hint(*a)));
        let innermost = along.or(order.last().copied());
        let step = if along.is_some() { i64::from(lanes) } else { 1 };
        let by_lane = along.is_some() && lanes == 1;
        let in_runs = !by_lane && innermost.is_some_and(|a| self.hint(a) > RUN * step);
        let mut accumulators: Vec<(usize, Accumulator)> = Vec::new();
        let tail = along.map_or(Tail::Masked, |a| self.tail(pieces, a, true));
        let lanes_fold = along.map(|_| tail);
        for at in pieces {
            let piece = &self.prepared.pieces[*at];
            if let Some(acc) = Accumulator::declare(piece, self.eval, lanes, lanes_fold, in_runs)? {
                accumulators.push((*at, acc));
            }
        }
        if along.is_none() {
            order.pop();
        }
        for a in &order {
            let extent = self.eval.extent(*a);
            self.eval.axis[*a as usize] = self.eval.open_for(IExpr::zero(), extent, 1);
        }
        match (along, innermost) {
            (Some(axis), _) => {
                let range = (IExpr::zero(), self.eval.extent(axis));
                let sums = &accumulators;
                let vector = Vector { axis, lanes };
                let rows_ahead = self.rows_ahead(level, pieces, vector);
                self.emit_lanes((vector, tail), range, sums, &mut |this, _| {
                    this.ask_for(&rows_ahead);
                    this.emit_bodies(pieces, sums)
                })?;
            }
            (None, Some(axis)) => {
                let range = (IExpr::zero(), self.eval.extent(axis));
                self.eval.vector = outer.filter(|v| v.lanes > 1);
                let sums = &accumulators;
                self.emit_runs(axis, range, 1, sums, &mut |this| {
                    this.emit_bodies(pieces, sums)
                })?;
            }
            (None, None) => {
                self.eval.vector = outer.filter(|v| v.lanes > 1);
                self.emit_bodies(pieces, &accumulators)?;
            }
        }
        for _ in &order {
            self.eval.close();
        }
        for (at, accumulator) in accumulators {
            let piece = &self.prepared.pieces[at];
            self.eval.vector = outer.filter(|v| v.lanes > 1);
            let Some(value) = accumulator.finish(self.eval)? else {
                continue;
            };
            if (self.external)(piece.tensor) {
                store(self.eval, piece.tensor, &piece.offset, value)?;
            }
            self.eval.homes.insert(piece.tensor, Home::Value(value));
        }
        Ok(())
    }

    fn buffer(&self, tensor: TensorId) -> Result<Buf> {
        self.eval.buffers.get(&tensor).copied().ok_or_else(|| {
            CompileError::internal("schedule", "a tensor is written that has no buffer")
        })
    }

    pub(super) fn emit_bodies(
        &mut self,
        pieces: &[usize],
        accumulators: &[(usize, Accumulator)],
    ) -> Result<()> {
        for at in pieces {
            let piece = &self.prepared.pieces[*at];
            match &piece.action {
                Action::Store { offset, value } => {
                    let wanted = (self.external)(piece.tensor);
                    let row = self.rows.get(at).cloned();
                    if !wanted && row.is_none() {
                        continue;
                    }
                    let value = self.eval.eval(value)?;
                    if let Some((buf, compact)) = row {
                        store_at(self.eval, buf, &compact, value)?;
                    }
                    if wanted {
                        store(self.eval, piece.tensor, offset, value)?;
                    }
                }
                Action::Scan { offset, value, .. } => {
                    let value = self.eval.eval(value)?;
                    if let Some((_, acc)) = accumulators.iter().find(|a| a.0 == *at) {
                        acc.add(self.eval, value)?;
                        let running = acc.current(self.eval);
                        store(self.eval, piece.tensor, offset, running)?;
                    }
                }
                Action::Reduce { value, .. } => {
                    let value = self.eval.eval(value)?;
                    if let Some((_, acc)) = accumulators.iter().find(|a| a.0 == *at) {
                        acc.add(self.eval, value)?;
                    }
                }
                Action::Scatter {
                    offset,
                    values,
                    value,
                    accumulate,
                } => self.emit_scatter(piece.tensor, offset, values, value, *accumulate)?,
                Action::Contract { .. } | Action::Attention(_) => {
                    return Err(CompileError::internal("schedule", "a product among loops"));
                }
            }
        }
        Ok(())
    }

    /// `out[offset] = value`, or `+= value`; lanes, if any, touch different elements.
    fn emit_scatter(
        &mut self,
        tensor: TensorId,
        offset: &IExpr,
        values: &[E],
        value: &E,
        accumulate: bool,
    ) -> Result<()> {
        let buf = self.buffer(tensor)?;
        let positions = values
            .iter()
            .map(|v| self.eval.eval(v))
            .collect::<Result<Vec<_>>>()?;
        let mut value = self.eval.eval(value)?;
        let index = self.eval.place_with(offset, &positions);
        let lanes = self.eval.vector.map_or(1, |v| v.lanes);
        value = self.eval.emitter.widen(value, lanes);
        if accumulate {
            let old = self.eval.load_lanes(buf, index.clone(), true);
            value = self
                .eval
                .emitter
                .prim(ferroductor_ir::Prim::Add, &[old, value])?;
        }
        self.eval.store_lanes(buf, index, value);
        Ok(())
    }
}

/// Stores a value (the same in all lanes if it does not depend on them) at a flat offset of a
/// tensor's buffer.
pub fn store(
    eval: &mut Evaluator<'_>,
    tensor: TensorId,
    offset: &IExpr,
    value: ValueId,
) -> Result<()> {
    let buf = eval.buffers.get(&tensor).copied().ok_or_else(|| {
        CompileError::internal("schedule", "a tensor is written that has no buffer")
    })?;
    store_at(eval, buf, offset, value)
}

pub(super) fn store_at(
    eval: &mut Evaluator<'_>,
    buf: Buf,
    offset: &IExpr,
    value: ValueId,
) -> Result<()> {
    let index = eval.place(offset);
    let Some(vector) = eval.vector else {
        eval.emitter.store(buf, index, value);
        return Ok(());
    };
    let stride = offset.coefficient(vector.axis);
    if stride.as_ref().is_some_and(IExpr::is_zero) {
        eval.emitter.store(buf, index, value);
        return Ok(());
    }
    let value = eval.emitter.widen(value, vector.lanes);
    if stride.as_ref().is_some_and(IExpr::is_one) {
        eval.store_lanes(buf, index, value);
        return Ok(());
    }
    let at = eval.index(offset)?;
    let dtype = eval.emitter.buf_dtype(buf);
    let value = eval.emitter.convert(value, dtype);
    if let Some(mask) = eval.mask {
        eval.store_apart(buf, at, value, mask);
        return Ok(());
    }
    eval.emitter.statement(Stmt::Scatter {
        buf,
        index: at,
        value,
    });
    Ok(())
}

/// The level of each piece: one more than that of any finished reduction it needs.
fn levels(prepared: &Prepared) -> Vec<usize> {
    let mut levels: Vec<usize> = Vec::with_capacity(prepared.pieces.len());
    for piece in &prepared.pieces {
        let mut level = 0;
        for load in piece.loads() {
            for (at, earlier) in prepared.pieces[..levels.len()].iter().enumerate() {
                if earlier.tensor == load.tensor {
                    let after = !matches!(earlier.action, Action::Store { .. });
                    level = level.max(levels[at] + usize::from(after));
                }
            }
        }
        levels.push(level);
    }
    levels
}

/// Would computing the value again cost more than storing and loading it?
pub(super) fn is_costly(value: &E) -> bool {
    let (mut functions, mut operators) = (0, 0);
    visit(value, &mut |e| {
        if let Expr::Prim { prim, .. } = &**e {
            operators += 1;
            functions += usize::from(prim.is_costly());
        }
    });
    functions > 0 || operators > 6
}

/// `min(begin + length, extent)`, without the minimum where the length divides the extent.
pub(super) fn bounded(begin: &IExpr, length: i64, extent: &IExpr) -> IExpr {
    let end = begin + &IExpr::constant(length);
    match extent.as_const() {
        Some(e) if e % length == 0 => end,
        _ => end.smaller(extent),
    }
}
