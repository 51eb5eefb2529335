//! Products of a few rows: each element of the second operand is used as often as there are rows, so
//! reading it from memory takes longer than all the arithmetic, and packing it would double that.
//!
//! Where the second operand is contiguous along `k`, vectors run along `k`: some of its columns are
//! read side by side, each as one stream, against the packed rows of the first ([`Form::Dots`]). Where
//! it is contiguous along the columns, a few steps of `k` at a time are added to a strip of totals
//! ([`Form::Strips`]). Either way what comes next is asked for while the present is used, and sums
//! are taken in runs, whose order the shape alone decides.

use super::super::loops::Tiling;
use super::{DEPTH_RUN, Product, Result};
use ferroductor_ir::kernel::*;
use ferroductor_ir::{DType, IExpr, Literal, Prim};

/// Rows that are a few.
const MOST_ROWS: i64 = 8;
/// Columns read side by side at most.
const MOST_COLUMNS: i64 = 8;
/// Steps of `k` added to a strip at a time.
const STEPS: i64 = 8;
/// Columns of a strip, at most: a page of memory.
const STRIP: i64 = 1024;
/// Strips that a product of fewer columns is divided into, for several threads.
const STRIPS: i64 = 4;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    Dots { columns: i64 },
    Strips,
}

impl Product<'_, '_> {
    /// The form for a product of a few rows; `None` where it has more, or no simple layout.
    pub(super) fn few_rows(&self) -> Option<Form> {
        let rows = self.m.extent.as_const()?;
        let simple = self.inside.is_empty() && self.k.axes.len() == 1 && self.n.axes.len() == 1;
        if !simple || !(1..=MOST_ROWS).contains(&rows) {
            return None;
        }
        let offset = &self.b.index[0];
        if self.k.stride(self.prepared, offset)?.is_one() {
            let registers = self.eval.emitter.target.isa.vector_registers() as i64;
            let columns = (1..=MOST_COLUMNS)
                .rev()
                .find(|c| rows * c + rows.min(*c) < registers)?;
            return Some(Form::Dots { columns });
        }
        let along_n = self.n.stride(self.prepared, offset)?;
        along_n.is_one().then_some(Form::Strips)
    }

    pub(super) fn emit_few_rows(&mut self, form: Form) -> Result<Tiling> {
        self.mr = self.m.extent.as_const().unwrap_or(1);
        self.vectors = match form {
            // Vectors that can be divided into the columns read side by side.
            Form::Dots { columns } => (3..)
                .find(|v| v * self.lanes % columns == 0)
                .unwrap_or(columns),
            Form::Strips => {
                let columns = self.graph.hint(&self.n.extent).max(1);
                let strip = (columns / STRIPS).clamp(4 * self.lanes, STRIP);
                strip / self.lanes
            }
        };
        let (m, n, k) = (self.m.clone(), self.n.clone(), self.k.clone());
        let rows = self.eval.sized(&m.extent);
        let columns = self.eval.sized(&n.extent);
        let depth = self.eval.sized(&k.extent);
        let batches = self.eval.sized(&self.batch.extent.clone());
        let panels = columns.ceil_div(self.nr());
        let filled = self.eval.emitter.kept_number("packed");
        let elements = IExpr::constant(self.mr * self.nr());
        let tile = self.eval.emitter.local(DType::F32, elements, "tile");

        let id = IExpr::var(TILE.0);
        let panel = self.eval.emitter.index_value(&id.modulo(&panels));
        let batch = self.eval.emitter.index_value(&id.floor_div(&panels));
        let dimension = self.batch.clone();
        self.set(&dimension, &batch);
        let n0 = &panel * &IExpr::constant(self.nr());
        self.clear_tile(tile)?;
        match form {
            Form::Dots { columns: group } => {
                let packed = self.pack_few_rows(filled, &batch, &depth)?;
                self.multiply_dots((tile, packed), group, (&n0, &columns), &depth)?;
            }
            Form::Strips => self.multiply_strip(tile, (&n0, &columns), &depth)?,
        }
        self.follow(tile, &IExpr::zero(), &rows, &n0, &columns)?;
        let depth = self.graph.hint(&k.extent);
        Ok(Tiling {
            tiles: &batches * &panels,
            // Bound by memory: reading an element takes about as long as pointwise work on it.
            elements: depth.saturating_mul(self.nr()),
        })
    }

    /// Packs the rows, once for a batch: element `k` of row `i` is at
    /// `(k / lanes * mr + i) * lanes + k % lanes`. What fills no vector stays where it is.
    fn pack_few_rows(&mut self, filled: Buf, batch: &IExpr, depth: &IExpr) -> Result<Buf> {
        let (m, k, load, lanes) = (self.m.clone(), self.k.clone(), self.a.clone(), self.lanes);
        let whole = self.whole_vectors(depth);
        let elements = &whole * &IExpr::constant(self.mr);
        let packed = self.eval.emitter.local(DType::F32, elements, "rows");
        self.open_if_stale(filled, batch)?;
        let contiguous = self.is_contiguous();
        let at = self.eval.open_for(IExpr::zero(), whole, lanes);
        for i in 0..self.mr {
            self.set(&m, &IExpr::constant(i));
            let to = &(&at * &IExpr::constant(self.mr)) + &IExpr::constant(i * lanes);
            if contiguous {
                self.set(&k, &at);
                let value = self.operand(&load, lanes as u32)?;
                self.eval.emitter.store(packed, to, value);
                continue;
            }
            let l = self.eval.open_for(IExpr::zero(), IExpr::constant(lanes), 1);
            self.set(&k, &(&at + &l));
            let value = self.operand(&load, 1)?;
            self.eval.emitter.store(packed, &to + &l, value);
            self.eval.close();
        }
        self.eval.close();
        self.close_filled(filled, batch);
        Ok(packed)
    }

    fn whole_vectors(&self, depth: &IExpr) -> IExpr {
        let lanes = IExpr::constant(self.lanes);
        &depth.floor_div(&lanes) * &lanes
    }

    /// All columns of the panel, `group` at a time, into the tile.
    fn multiply_dots(
        &mut self,
        (tile, packed): (Buf, Buf),
        group: i64,
        (n0, columns): (&IExpr, &IExpr),
        depth: &IExpr,
    ) -> Result<()> {
        let (n, k, nr) = (self.n.clone(), self.k.clone(), self.nr());
        let first = self
            .eval
            .open_for(IExpr::zero(), IExpr::constant(nr), group);
        self.set(&k, &IExpr::zero());
        let offset = self.b.index[0].clone();
        let mut bases = Vec::new();
        for j in 0..2 * group {
            let position = &(n0 + &first) + &IExpr::constant(j);
            // Columns beyond the matrix repeat its last one; those asked for need not exist.
            let position = if j < group {
                let position = self.clamped(position, columns, nr);
                self.eval.emitter.index_value(&position)
            } else {
                position
            };
            self.set(&n, &position);
            let base = self.eval.place(&offset);
            bases.push(self.eval.emitter.index_value(&base));
        }
        let whole = self.whole_vectors(depth);
        let run = DEPTH_RUN * self.lanes;
        let start = self.eval.open_for(IExpr::zero(), whole.clone(), run);
        let end = (&start + &IExpr::constant(run)).smaller(&whole);
        let end = self.eval.emitter.index_value(&end);
        let sums = self.zero_registers(self.mr * group);
        let at = self.eval.open_for(start, end, self.lanes);
        self.multiply_vectors(packed, &bases, &sums, &at)?;
        self.eval.close();
        for (s, register) in sums.into_iter().enumerate() {
            let (i, j) = (s as i64 / group, s as i64 % group);
            let sum = self.eval.emitter.get(register);
            let sum = self.fold(sum)?;
            self.add_to(tile, &(&first + &IExpr::constant(i * nr + j)), sum)?;
        }
        self.eval.close();
        if whole != *depth {
            self.multiply_rest(tile, &bases[..group as usize], &first, (&whole, depth))?;
        }
        self.eval.close();
        Ok(())
    }

    /// A vector of `k` from position `at` on, of all rows and the columns at `bases`, of which the
    /// second half is only asked for.
    fn multiply_vectors(
        &mut self,
        packed: Buf,
        bases: &[IExpr],
        sums: &[RegId],
        at: &IExpr,
    ) -> Result<()> {
        let buf = self.buffer(&self.b.clone())?;
        let lanes = self.lanes as u32;
        let rows: Vec<ValueId> = (0..self.mr)
            .map(|i| {
                let own = &(at * &IExpr::constant(self.mr)) + &IExpr::constant(i * self.lanes);
                self.eval.emitter.push_here(Op::Load {
                    buf: packed,
                    index: own,
                    lanes,
                })
            })
            .collect();
        let (present, next) = bases.split_at(bases.len() / 2);
        for (j, (base, next)) in present.iter().zip(next).enumerate() {
            let index = base + at;
            let column = self.eval.emitter.push_here(Op::Load { buf, index, lanes });
            let column = self.eval.emitter.convert(column, DType::F32);
            let index = next + at;
            let near = false;
            self.eval
                .emitter
                .statement(Stmt::Prefetch { buf, index, near });
            for (i, row) in rows.iter().enumerate() {
                let register = sums[i * present.len() + j];
                let sum = self.eval.emitter.get(register);
                let sum = self.eval.emitter.prim(Prim::Fma, &[*row, column, sum])?;
                self.eval.emitter.set(register, sum);
            }
        }
        Ok(())
    }

    /// The elements of `k` that fill no vector.
    fn multiply_rest(
        &mut self,
        tile: Buf,
        bases: &[IExpr],
        first: &IExpr,
        (begin, end): (&IExpr, &IExpr),
    ) -> Result<()> {
        let (m, k, load) = (self.m.clone(), self.k.clone(), self.a.clone());
        let buf = self.buffer(&self.b.clone())?;
        let at = self.eval.open_for(begin.clone(), end.clone(), 1);
        self.set(&k, &at);
        for (j, base) in bases.iter().enumerate() {
            let column = self.eval.emitter.push_here(Op::Load {
                buf,
                index: base + &at,
                lanes: 1,
            });
            let column = self.eval.emitter.convert(column, DType::F32);
            for i in 0..self.mr {
                self.set(&m, &IExpr::constant(i));
                let row = self.operand(&load, 1)?;
                let product = self.eval.emitter.prim(Prim::Mul, &[row, column])?;
                let index = first + &IExpr::constant(i * self.nr() + j as i64);
                self.add_to(tile, &index, product)?;
            }
        }
        self.eval.close();
        Ok(())
    }

    /// The strip of columns from `n0` on, into the tile: in vectors, then one by one.
    fn multiply_strip(
        &mut self,
        tile: Buf,
        (n0, columns): (&IExpr, &IExpr),
        depth: &IExpr,
    ) -> Result<()> {
        let nr = self.nr();
        let left = (columns - n0).smaller(&IExpr::constant(nr));
        let width = match columns.as_const() {
            Some(c) if c % nr == 0 => IExpr::constant(nr),
            _ => self.eval.emitter.index_value(&left),
        };
        let elements = IExpr::constant(self.mr * nr);
        let totals = self.eval.emitter.local(DType::F32, elements, "totals");
        let whole = self.whole_vectors(&width);
        let whole = self.eval.emitter.index_value(&whole);
        let start = self.eval.open_for(IExpr::zero(), depth.clone(), DEPTH_RUN);
        let end = (&start + &IExpr::constant(DEPTH_RUN)).smaller(depth);
        let end = self.eval.emitter.index_value(&end);
        let steps = (&end - &start).floor_div(&IExpr::constant(STEPS));
        let middle = &start + &(&steps * &IExpr::constant(STEPS));
        let middle = self.eval.emitter.index_value(&middle);
        for (begin, finish, lanes) in [
            (IExpr::zero(), whole.clone(), self.lanes),
            (whole, width, 1),
        ] {
            if begin == finish {
                continue;
            }
            let strip = Strip {
                totals,
                n0: n0.clone(),
                begin,
                end: finish,
                lanes,
            };
            self.clear_strip(&strip);
            self.add_steps(&strip, (&start, &middle), STEPS)?;
            if depth.as_const().is_none_or(|d| d % STEPS != 0) {
                self.add_steps(&strip, (&middle, &end), 1)?;
            }
            self.add_strip(tile, &strip)?;
        }
        self.eval.close();
        Ok(())
    }

    fn clear_strip(&mut self, strip: &Strip) {
        let ty = Ty::new(DType::F32, strip.lanes as u32);
        let zero = self.eval.emitter.constant(Literal::Float(0.0), ty);
        let column = strip.open(self);
        for i in 0..self.mr {
            let index = strip.index(self, &column, i);
            self.eval.emitter.store(strip.totals, index, zero);
        }
        self.eval.close();
    }

    /// Adds the products of the steps in a range, `together` at a time.
    fn add_steps(
        &mut self,
        strip: &Strip,
        (begin, end): (&IExpr, &IExpr),
        together: i64,
    ) -> Result<()> {
        let (m, n, k) = (self.m.clone(), self.n.clone(), self.k.clone());
        let (a, b) = (self.a.clone(), self.b.clone());
        let buffer = self.buffer(&b)?;
        let step = self.eval.open_for(begin.clone(), end.clone(), together);
        let column = strip.open(self);
        let position = &strip.n0 + &column;
        let mut sums: Vec<ValueId> = (0..self.mr).map(|i| strip.load(self, &column, i)).collect();
        for p in 0..together {
            self.set_linear(&n, &position);
            self.set_linear(&k, &(&step + &IExpr::constant(p + together)));
            let ahead = self.eval.place(&b.index[0]);
            self.eval.emitter.statement(Stmt::Prefetch {
                buf: buffer,
                index: ahead,
                near: false,
            });
            self.set_linear(&k, &(&step + &IExpr::constant(p)));
            let value = self.operand(&b, strip.lanes as u32)?;
            for (i, sum) in sums.iter_mut().enumerate() {
                self.set(&m, &IExpr::constant(i as i64));
                let factor = self.operand(&a, 1)?;
                *sum = self.eval.emitter.prim(Prim::Fma, &[factor, value, *sum])?;
            }
        }
        for (i, sum) in sums.into_iter().enumerate() {
            let index = strip.index(self, &column, i as i64);
            self.eval.emitter.store(strip.totals, index, sum);
        }
        self.eval.close();
        self.eval.close();
        Ok(())
    }

    fn add_strip(&mut self, tile: Buf, strip: &Strip) -> Result<()> {
        let nr = self.nr();
        let column = strip.open(self);
        for i in 0..self.mr {
            let value = strip.load(self, &column, i);
            self.add_to(tile, &(&column + &IExpr::constant(i * nr)), value)?;
        }
        self.eval.close();
        Ok(())
    }

    fn zero_registers(&mut self, count: i64) -> Vec<RegId> {
        let ty = Ty::new(DType::F32, self.lanes as u32);
        let zero = self.eval.emitter.constant(Literal::Float(0.0), ty);
        (0..count)
            .map(|_| self.eval.emitter.register(zero))
            .collect()
    }

    /// The sum of a vector's lanes, in a halving tree.
    fn fold(&mut self, mut value: ValueId) -> Result<ValueId> {
        let mut lanes = self.lanes as u32;
        while lanes > 1 {
            let half = lanes / 2;
            let mut part = |first: u32| {
                self.eval.emitter.push(match half {
                    1 => Op::Extract { value, lane: first },
                    _ => Op::Shuffle {
                        a: value,
                        b: value,
                        lanes: (first..first + half).collect(),
                    },
                })
            };
            let (low, high) = (part(0), part(half));
            value = self.eval.emitter.prim(Prim::Add, &[low, high])?;
            lanes = half;
        }
        Ok(value)
    }

    fn add_to(&mut self, buf: Buf, index: &IExpr, value: ValueId) -> Result<()> {
        let lanes = self.eval.emitter.ty(value).lanes;
        let index = index.clone();
        let before = self.eval.emitter.push_here(Op::Load {
            buf,
            index: index.clone(),
            lanes,
        });
        let sum = self.eval.emitter.prim(Prim::Add, &[before, value])?;
        self.eval.emitter.store(buf, index, sum);
        Ok(())
    }
}

/// Totals of one run of `k`, for a range of a strip's columns, `lanes` at a time; the rows of as many
/// columns lie side by side.
struct Strip {
    totals: Buf,
    n0: IExpr,
    begin: IExpr,
    end: IExpr,
    lanes: i64,
}

impl Strip {
    fn open(&self, product: &mut Product<'_, '_>) -> IExpr {
        let (begin, end) = (self.begin.clone(), self.end.clone());
        product.eval.open_for(begin, end, self.lanes)
    }

    fn index(&self, product: &Product<'_, '_>, column: &IExpr, row: i64) -> IExpr {
        &(column * &IExpr::constant(product.mr)) + &IExpr::constant(row * self.lanes)
    }

    fn load(&self, product: &mut Product<'_, '_>, column: &IExpr, row: i64) -> ValueId {
        let index = self.index(product, column, row);
        product.eval.emitter.push_here(Op::Load {
            buf: self.totals,
            index,
            lanes: self.lanes as u32,
        })
    }
}
