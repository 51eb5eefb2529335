//! Matrix products: packed panels, a register tile, and the work that follows it from cache.
//!
//! A tile of the kernel is a column panel of `nr`, or a few of them, by a block of rows. A panel of
//! the second operand is packed once per call and thread as long as consecutive tiles need the same
//! one; the raw operand is read each call, so no write to a weight can be missed. For each `mr` rows
//! the product is accumulated in registers over all of `k`, put into a small tile buffer, and the
//! fused pointwise pieces run over that buffer. Columns and rows beyond the matrix are computed
//! from repeated elements and never stored.
//!
//! In bf16, where the CPU multiplies pairs, `k` advances two at a time and both packed operands keep
//! pairs together: a *step* is one such advance.

mod ahead;
mod columns;
mod direct;
mod exchange;
mod few;
mod follow;
mod lines;
mod rows;
mod windows;

use super::eval::Evaluator;
use super::loops::Tiling;
use super::prepare::{Action, Prepared};
use crate::error::CompileError;
use crate::graph::{Graph, Load, TensorId};
use ferroductor_ir::kernel::*;
use ferroductor_ir::{DType, IExpr, Literal, Prim};
use std::collections::BTreeSet;
use windows::Table;

type Result<T> = std::result::Result<T, CompileError>;

/// Rows that one kernel tile covers; a multiple of every `mr`.
const ROWS_PER_TILE: i64 = 48;

/// Products summed up before they are added to the total.
const DEPTH_RUN: i64 = 256;

/// Axes that together form one dimension of the product, slowest first.
#[derive(Clone, Debug)]
struct Dimension {
    axes: Vec<u32>,
    extent: IExpr,
}

struct Product<'a, 'b> {
    graph: &'b Graph,
    prepared: &'b Prepared,
    eval: &'a mut Evaluator<'b>,
    external: &'b dyn Fn(TensorId) -> bool,
    a: Load,
    b: Load,
    /// Bounds outside of which `b` is zero.
    inside: Vec<(IExpr, IExpr)>,
    batch: Dimension,
    m: Dimension,
    n: Dimension,
    k: Dimension,
    /// Nothing is packed: see [`direct`].
    direct: bool,
    /// Rows and columns have changed places: see [`exchange`].
    exchanged: bool,
    /// How the rows are read where `k` is no run of memory in them: see [`lines`].
    lines: Option<lines::Lines>,
    mr: i64,
    /// Every row of the register tile lies in the matrix: see [`rows`].
    whole: bool,
    /// The register tile is a smaller one, behind the whole ones of a block.
    is_rest: bool,
    /// Vectors per row of the register tile, and (f32) lanes of one.
    vectors: i64,
    lanes: i64,
    /// Elements of `k` in a step: 2 with pair products, else 1.
    pair: i64,
    /// The first operand's rows, where they are copied for all register tiles of a kernel tile.
    block: Option<rows::Block>,
    /// Panels of a kernel tile, and where the present one starts among them.
    panels: i64,
    panel_start: IExpr,
    /// Where the register tile starts in the tile buffer.
    tile_start: IExpr,
}

/// A way of the first-level cache in bytes, and how many ways there are at least.
const CACHE_WAY: i64 = 4096;
const CACHE_WAYS: i64 = 8;

/// How many of `rows` lines, `stride` bytes apart, compete for one set of the cache.
fn rows_in_a_set(rows: i64, stride: i64) -> i64 {
    let (mut a, mut b) = (CACHE_WAY, stride.abs());
    while b != 0 {
        (a, b) = (b, a % b);
    }
    let sets = CACHE_WAY / a;
    (rows + sets - 1) / sets
}

/// Register tiles by instruction set: rows and vectors, all using nearly every register.
fn shapes(isa: Isa) -> &'static [(i64, i64)] {
    match isa {
        Isa::Avx512 => &[(8, 3), (12, 2), (6, 4), (24, 1)],
        Isa::Avx2 => &[(6, 2), (4, 3), (12, 1)],
        Isa::Sse42 => &[(4, 3), (6, 2), (12, 1)],
        Isa::Neon => &[(8, 3), (12, 2), (6, 4), (24, 1)],
    }
}

pub fn emit<'b>(
    graph: &'b Graph,
    prepared: &'b Prepared,
    eval: &mut Evaluator<'b>,
    external: &'b dyn Fn(TensorId) -> bool,
) -> Result<Tiling> {
    let Some(Action::Contract { a, b, inside }) = prepared.pieces.first().map(|p| &p.action) else {
        return Err(CompileError::internal(
            "schedule",
            "no product in a product kernel",
        ));
    };
    let piece = &prepared.pieces[0];
    let uses = |load: &Load, axis: u32| load.index[0].uses_var(axis);
    let bounded = |axis: u32| inside.iter().any(|(e, _)| e.uses_var(axis));
    let dimension = |axes: Vec<u32>| Dimension::new(graph, prepared, axes, &piece.offset);
    let (mut batch, mut m, mut n) = (Vec::new(), Vec::new(), Vec::new());
    for axis in real_axes(prepared, &piece.parallel) {
        match (uses(a, axis), uses(b, axis) || bounded(axis)) {
            (true, false) => m.push(axis),
            (false, true) => n.push(axis),
            // Broadcast along both operands: as good a batch axis as any.
            _ => batch.push(axis),
        }
    }
    let k = real_axes(prepared, &piece.reduced);
    let mut product = Product {
        graph,
        prepared,
        external,
        batch: dimension(batch),
        m: dimension(m),
        n: dimension(n),
        k: Dimension::new(graph, prepared, k, &a.index[0]),
        a: a.clone(),
        b: b.clone(),
        inside: inside.clone(),
        direct: false,
        exchanged: false,
        lines: None,
        mr: 1,
        whole: false,
        is_rest: false,
        vectors: 1,
        lanes: i64::from(eval.emitter.target.lanes(DType::F32)),
        pair: 1,
        block: None,
        panels: 1,
        panel_start: IExpr::zero(),
        tile_start: IExpr::zero(),
        eval,
    };
    product.lines = product.find_lines();
    if product.lines.is_none() {
        product.separate_columns();
        product.direct = product.is_direct();
    }
    if !product.direct
        && let Some(form) = product.few_rows()
    {
        return product.emit_few_rows(form);
    }
    if product.direct {
        product.choose_direct_shape();
    } else {
        product.pair = product.choose_pair();
        product.choose_shape();
    }
    product.emit()
}

fn real_axes(prepared: &Prepared, axes: &BTreeSet<u32>) -> Vec<u32> {
    axes.iter()
        .copied()
        .filter(|a| !prepared.axes[*a as usize].is_one())
        .collect()
}

impl Dimension {
    /// Orders the axes by how far apart their elements lie in `offset`.
    fn new(graph: &Graph, prepared: &Prepared, mut axes: Vec<u32>, offset: &IExpr) -> Dimension {
        axes.sort_by_key(|a| {
            let stride = offset.coefficient(*a).map_or(0, |c| graph.hint(&c).abs());
            std::cmp::Reverse(stride)
        });
        let extent = IExpr::product(axes.iter().map(|a| &prepared.axes[*a as usize]));
        Dimension { axes, extent }
    }

    /// Is `offset` linear in the dimension's position, and by which factor?
    fn stride(&self, prepared: &Prepared, offset: &IExpr) -> Option<IExpr> {
        let mut expected: Option<IExpr> = None;
        for axis in self.axes.iter().rev() {
            let own = offset.coefficient(*axis)?;
            if let Some(e) = &expected
                && *e != own
            {
                return None;
            }
            expected = Some(&own * &prepared.axes[*axis as usize]);
        }
        match self.axes.last() {
            Some(last) => offset.coefficient(*last),
            None => Some(IExpr::zero()),
        }
    }
}

impl Product<'_, '_> {
    fn nr(&self) -> i64 {
        self.lanes * self.vectors
    }

    /// Columns that lie apart in memory, such as those of different images, join the batch, if what
    /// is left fills a vector.
    fn separate_columns(&mut self) {
        let offset = self.b.index[0].clone();
        let is_row = |n: &Dimension| n.stride(self.prepared, &offset).is_some_and(|s| s.is_one());
        let mut n = self.n.clone();
        let mut apart = Vec::new();
        while !is_row(&n) && n.axes.len() > 1 {
            apart.push(n.axes.remove(0));
            n.extent = IExpr::product(n.axes.iter().map(|a| &self.prepared.axes[*a as usize]));
        }
        if !is_row(&n) || self.graph.hint(&n.extent) * 2 < self.lanes {
            return;
        }
        let axes = [apart, self.batch.axes.clone()].concat();
        let offset = &self.prepared.pieces[0].offset;
        self.batch = Dimension::new(self.graph, self.prepared, axes, offset);
        self.n = n;
    }

    /// The register tile that wastes least on the ragged edges, with the roles as they are or
    /// exchanged.
    fn choose_shape(&mut self) {
        let isa = self.eval.emitter.target.isa;
        let (mut shape, mut cost) = self.best_shape(shapes(isa));
        if let Some(lines) = &self.lines {
            if lines.is_second {
                self.exchange();
                shape = self.best_shape(exchange::shapes(isa)).0;
            }
        } else if self.may_be_exchanged() {
            cost = cost.saturating_add(self.turning_cost());
            self.exchange();
            let (other, other_cost) = self.best_shape(exchange::shapes(isa));
            if other_cost.saturating_add(self.turning_cost()) < cost {
                shape = other;
            } else {
                self.exchange();
            }
        }
        let m = self.graph.hint(&self.m.extent).max(1);
        let symbolic = self.m.extent.as_const().is_none();
        self.mr = if symbolic { shape.0 } else { shape.0.min(m) };
        self.vectors = shape.1;
    }

    /// The shape of least cost, and its cost in multiplications for each step through `k`.
    fn best_shape(&self, shapes: &[(i64, i64)]) -> ((i64, i64), i64) {
        let (m, n) = (
            self.graph.hint(&self.m.extent).max(1),
            self.graph.hint(&self.n.extent).max(1),
        );
        let row_bytes = (self.m.stride(self.prepared, &self.a.index[0]))
            .map_or(0, |s| self.graph.hint(&s).saturating_mul(4));
        let cost = |(mr, vectors): (i64, i64)| {
            let mr = mr.min(m);
            let nr = vectors * self.lanes;
            let padded = (m + mr - 1) / mr * mr * ((n + nr - 1) / nr * nr);
            // Loads per multiplication, as a small surcharge.
            let surcharge = padded * (mr + vectors) / (mr * vectors) / 8;
            let crowded = rows_in_a_set(mr, row_bytes) > CACHE_WAYS;
            padded + surcharge + if crowded { padded } else { 0 }
        };
        shapes
            .iter()
            .map(|shape| (*shape, cost(*shape)))
            .min_by_key(|(_, cost)| *cost)
            .unwrap_or(((4, 1), i64::MAX))
    }

    /// Pair products need bf16 on both sides, the instruction, and an even `k`.
    fn choose_pair(&self) -> i64 {
        let bf16 = |load: &Load| self.graph.tensor(load.tensor).dtype == DType::BF16;
        let even = self
            .k
            .extent
            .as_const()
            .is_some_and(|k| k > 0 && k % 2 == 0);
        let usable = self.eval.emitter.target.has_bf16 && self.lanes == 16;
        if usable && even && bf16(&self.a) && bf16(&self.b) {
            2
        } else {
            1
        }
    }

    /// The type operands are packed in.
    fn packed_type(&self) -> DType {
        if self.pair == 2 {
            DType::BF16
        } else {
            DType::F32
        }
    }

    /// Number of steps through `k`.
    fn steps(&self, depth: &IExpr) -> IExpr {
        depth.floor_div(&IExpr::constant(self.pair))
    }

    /// Sets the axes of a dimension to a linear position in kernel terms.
    fn set(&mut self, which: &Dimension, at: &IExpr) {
        let mut rest = at.clone();
        for (n, axis) in which.axes.iter().enumerate().rev() {
            let extent = self.eval.extent(*axis);
            self.eval.axis[*axis as usize] = if n == 0 {
                rest.clone()
            } else {
                let own = rest.modulo(&extent);
                rest = rest.floor_div(&extent);
                self.eval.emitter.index_value(&own)
            };
            if n > 0 {
                rest = self.eval.emitter.index_value(&rest);
            }
        }
    }

    /// Sets the axes of a dimension along which everything read or written is linear.
    fn set_linear(&mut self, which: &Dimension, at: &IExpr) {
        for axis in &which.axes {
            self.eval.axis[*axis as usize] = IExpr::zero();
        }
        if let Some(last) = which.axes.last() {
            self.eval.axis[*last as usize] = at.clone();
        }
    }

    fn emit(&mut self) -> Result<Tiling> {
        let (mr, nr) = (self.mr, self.nr());
        let (m, n, k) = (self.m.clone(), self.n.clone(), self.k.clone());
        let rows = self.eval.sized(&m.extent);
        let columns = self.eval.sized(&n.extent);
        let depth = self.eval.sized(&k.extent);
        let batches = self.eval.sized(&self.batch.extent.clone());
        let row_blocks = rows.ceil_div(ROWS_PER_TILE);
        let panels = columns.ceil_div(nr);
        self.panels = self.choose_panels();
        let groups = panels.ceil_div(self.panels);

        let packed = self.eval.emitter.kept_number("packed");
        let panel_elements = match self.direct {
            true => IExpr::zero(),
            false => &depth * &IExpr::constant(nr * self.panels),
        };
        let packed_type = self.packed_type();
        let pack = self
            .eval
            .emitter
            .local(packed_type, panel_elements, "panel");
        let tables = self.tables(&columns);
        let tile_rows = if self.exchanged { ROWS_PER_TILE } else { mr };
        let tile = self
            .eval
            .emitter
            .local(DType::F32, IExpr::constant(tile_rows * nr), "tile");
        let turned = self.exchanged.then(|| self.turned_block());

        // Tile id: row blocks fastest, so that neighbours share a panel.
        let id = IExpr::var(TILE.0);
        let block = id.modulo(&row_blocks);
        let block = self.eval.emitter.index_value(&block);
        let key = id.floor_div(&row_blocks);
        let key = self.eval.emitter.index_value(&key);
        let group = key.modulo(&groups);
        let group = self.eval.emitter.index_value(&group);
        let batch = key.floor_div(&groups);
        let batch = self.eval.emitter.index_value(&batch);
        let dimension = self.batch.clone();
        self.set(&dimension, &batch);
        let first_panel = &group * &IExpr::constant(self.panels);

        self.open_if_stale(packed, &key)?;
        self.each_panel(&first_panel, &panels, &depth, &mut |this, n0| {
            if this.direct {
                this.fill_tables(&tables, n0, &columns)
            } else {
                this.pack_panel(pack, &tables, n0, &columns, &depth)
            }
        })?;
        self.close_filled(packed, &key);

        let first = &block * &IExpr::constant(ROWS_PER_TILE);
        let end = (&first + &IExpr::constant(ROWS_PER_TILE)).smaller(&rows);
        let end = match rows.as_const() {
            Some(r) if r % ROWS_PER_TILE == 0 => &first + &IExpr::constant(ROWS_PER_TILE),
            _ => end,
        };
        let end = self.eval.emitter.index_value(&end);
        let first = self.eval.emitter.index_value(&first);
        if !self.direct {
            self.copy_block(&first, &end, &rows, &depth)?;
        }
        self.each_panel(&first_panel, &panels, &depth, &mut |this, n0| {
            for tiles in this.register_tiles(&first, &end, &rows) {
                let row = this.open_register_tiles(&tiles);
                if this.direct {
                    this.multiply_directly(&tables, tile, &row, n0)?;
                } else {
                    if this.exchanged {
                        this.tile_start = &(&row - &first) * &IExpr::constant(nr);
                    }
                    match this.lines.clone() {
                        Some(lines) => this.multiply_lines(&lines, (pack, tile), &row, &rows)?,
                        None => this.multiply(pack, tile, &row, &rows, &depth, n0)?,
                    }
                }
                if !this.exchanged {
                    this.follow(tile, &row, &end, n0, &columns)?;
                }
                this.eval.close();
            }
            (this.mr, this.whole, this.is_rest) = (mr, false, false);
            match turned {
                Some(turned) => this.follow_turned((tile, turned), (n0, &columns), (&first, &rows)),
                None => Ok(()),
            }
        })?;
        Ok(Tiling {
            tiles: &(&batches * &groups) * &row_blocks,
            elements: self.tile_cost(),
        })
    }

    /// Opens a block that runs where the arrays were not filled for `key` last.
    fn open_if_stale(&mut self, filled: Buf, key: &IExpr) -> Result<()> {
        let expr = key + &IExpr::one();
        let wanted = self.eval.emitter.push(Op::Index { expr });
        let present = self.eval.emitter.push_here(Op::Load {
            buf: filled,
            index: IExpr::zero(),
            lanes: 1,
        });
        let stale = self.eval.emitter.prim(Prim::Ne, &[wanted, present])?;
        self.eval.open_if(stale);
        Ok(())
    }

    /// Closes that block and notes that the arrays are filled for `key`.
    fn close_filled(&mut self, filled: Buf, key: &IExpr) {
        let expr = key + &IExpr::one();
        let key = self.eval.emitter.push(Op::Index { expr });
        self.eval.emitter.store(filled, IExpr::zero(), key);
        self.eval.close();
    }

    /// A block of rows that has to be copied serves several panels, as long as they stay in a cache,
    /// the last one's part of a thread if need be, and there are tiles enough for many threads. A
    /// weight read in place that exceeds the last cache is read once for all panels.
    fn choose_panels(&self) -> i64 {
        const MOST: i64 = 8;
        const TILES: i64 = 64;
        let hint = |e: &IExpr| self.graph.hint(e).max(1);
        let ceil = |a: i64, b: i64| (a + b - 1) / b;
        if self.exchanged && self.lines.is_none() && !self.weight_stays(self.a.tensor) {
            return ceil(hint(&self.n.extent), self.nr());
        }
        if self.direct || self.is_contiguous() {
            return 1;
        }
        let panel_bytes = hint(&self.k.extent) * self.nr() * 4;
        let target = self.eval.emitter.target;
        let cache = (target.l2_bytes / 2).max(target.last_cache_bytes / 8) as i64;
        let blocks = hint(&self.batch.extent) * ceil(hint(&self.m.extent), ROWS_PER_TILE);
        let panels = ceil(hint(&self.n.extent), self.nr());
        (2..=MOST)
            .rev()
            .find(|p| p * panel_bytes <= cache && blocks * ceil(panels, *p) >= TILES)
            .unwrap_or(1)
    }

    /// Runs `body` with the first column of each panel of the kernel tile.
    fn each_panel(
        &mut self,
        first: &IExpr,
        panels: &IExpr,
        depth: &IExpr,
        body: &mut dyn FnMut(&mut Self, &IExpr) -> Result<()>,
    ) -> Result<()> {
        let nr = IExpr::constant(self.nr());
        if self.panels == 1 {
            return body(self, &(first * &nr));
        }
        let end = (first + &IExpr::constant(self.panels)).smaller(panels);
        let end = self.eval.emitter.index_value(&end);
        let panel = self.eval.open_for(first.clone(), end, 1);
        let start = &(&(&panel - first) * depth) * &nr;
        self.panel_start = self.eval.emitter.index_value(&start);
        body(self, &(&panel * &nr))?;
        self.eval.close();
        Ok(())
    }

    /// The work of a tile, measured in elements of pointwise work: four multiplications take as
    /// long as one, without packed operands two.
    fn tile_cost(&self) -> i64 {
        let rows = self.graph.hint(&self.m.extent).clamp(1, ROWS_PER_TILE);
        let products = self.graph.hint(&self.k.extent) * self.nr() * self.panels * rows;
        products / if self.direct { 2 } else { 4 * self.pair }
    }

    /// `position`, kept inside the matrix.
    fn clamped(&mut self, position: IExpr, extent: &IExpr, step: i64) -> IExpr {
        match extent.as_const() {
            Some(e) if e % step == 0 => position,
            _ => position.smaller(&(extent - &IExpr::one())),
        }
    }

    /// The tables that tell which elements of a panel exist, where not all do.
    fn tables(&mut self, columns: &IExpr) -> Vec<Table> {
        let offset = self.b.index[0].clone();
        let along_n = self.n.stride(self.prepared, &offset);
        let whole = columns.as_const().is_some_and(|c| c % self.nr() == 0);
        if along_n.is_none_or(|s| !s.is_one()) || self.inside.is_empty() && whole {
            return Vec::new();
        }
        self.declare_tables()
    }

    /// Elements of an operand at the present axes, in the type they are packed in.
    fn operand(&mut self, load: &Load, lanes: u32) -> Result<ValueId> {
        let buf = self.buffer(load)?;
        let index = self.eval.place(&load.index[0]);
        let value = self.eval.emitter.push(Op::Load { buf, index, lanes });
        Ok(self.eval.emitter.convert(value, self.packed_type()))
    }

    fn buffer(&self, load: &Load) -> Result<Buf> {
        let buf = self.eval.buffers.get(&load.tensor).copied();
        buf.ok_or_else(|| CompileError::internal("schedule", "an operand has no buffer"))
    }

    /// The register tile: `mr` rows from `row` on, all of `k`, into the tile buffer.
    fn multiply(
        &mut self,
        pack: Buf,
        tile: Buf,
        row: &IExpr,
        rows: &IExpr,
        depth: &IExpr,
        n0: &IExpr,
    ) -> Result<()> {
        let (mr, nr, lanes) = (self.mr, self.nr(), self.lanes as u32);
        let source = self.first_operand(row, rows, depth)?;
        let depth = &self.steps(depth);
        // Partial sums over runs of `k` keep the rounding error near that of blocked libraries.
        let run = IExpr::constant(DEPTH_RUN);
        let single = depth.as_const().is_some_and(|d| d <= DEPTH_RUN);
        let start = if single {
            IExpr::zero()
        } else {
            self.clear_tile(tile)?;
            self.eval.open_for(IExpr::zero(), depth.clone(), DEPTH_RUN)
        };
        let end = match depth.as_const() {
            Some(_) if single => depth.clone(),
            Some(d) if d % DEPTH_RUN == 0 => &start + &run,
            _ => {
                let end = (&start + &run).smaller(depth);
                self.eval.emitter.index_value(&end)
            }
        };
        let ty = Ty::new(DType::F32, lanes);
        let zero = self.eval.emitter.constant(Literal::Float(0.0), ty);
        let sums: Vec<RegId> = (0..mr * self.vectors)
            .map(|_| self.eval.emitter.register(zero))
            .collect();
        let at = self.eval.open_for(start, end, 1);
        self.fetch_ahead(row, n0, &at)?;
        let mut columns = Vec::new();
        for v in 0..self.vectors {
            let column = &(&at * &IExpr::constant(nr)) + &IExpr::constant(v * self.lanes);
            columns.push(self.eval.emitter.push_here(Op::Load {
                buf: pack,
                index: &self.panel_start + &(&column * &IExpr::constant(self.pair)),
                lanes: lanes * self.pair as u32,
            }));
        }
        for i in 0..mr {
            let (buf, index) = source.element(i, &at, self.pair);
            let mut a = self.eval.emitter.push_here(Op::Load {
                buf,
                index,
                lanes: self.pair as u32,
            });
            if self.pair == 2 {
                let lanes = (0..2 * lanes).map(|l| l % 2).collect();
                a = self.eval.emitter.push(Op::Shuffle { a, b: a, lanes });
            }
            for (v, column) in columns.iter().enumerate() {
                let register = sums[(i * self.vectors) as usize + v];
                let sum = self.eval.emitter.get(register);
                let sum = if self.pair == 2 {
                    self.eval.emitter.push(Op::DotBf16 {
                        acc: sum,
                        a,
                        b: *column,
                    })
                } else {
                    self.eval.emitter.prim(Prim::Fma, &[a, *column, sum])?
                };
                self.eval.emitter.set(register, sum);
            }
        }
        self.eval.close();
        for (n, register) in sums.into_iter().enumerate() {
            let index = &self.tile_start + &IExpr::constant(n as i64 * self.lanes);
            let mut value = self.eval.emitter.get(register);
            if !single {
                let before = self.eval.emitter.push_here(Op::Load {
                    buf: tile,
                    index: index.clone(),
                    lanes,
                });
                value = self.eval.emitter.prim(Prim::Add, &[before, value])?;
            }
            self.eval.emitter.store(tile, index, value);
        }
        if !single {
            self.eval.close();
        }
        Ok(())
    }

    fn clear_tile(&mut self, tile: Buf) -> Result<()> {
        let ty = Ty::new(DType::F32, self.lanes as u32);
        let zero = self.eval.emitter.constant(Literal::Float(0.0), ty);
        let size = IExpr::constant(self.mr * self.nr());
        let at = self.eval.open_for(IExpr::zero(), size, self.lanes);
        let index = &self.tile_start + &at;
        self.eval.emitter.store(tile, index, zero);
        self.eval.close();
        Ok(())
    }
}
