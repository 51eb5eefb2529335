//! The generator: statement by statement, from what is visible at each point.

use super::index::Visible;
use super::{Case, Limits, Rng};
use crate::dtype::DType;
use crate::index::IExpr;
use crate::kernel::*;
use crate::prim::{Literal, Prim, Scalar};

/// Elements of every buffer: a power of two, so that a mask keeps any index inside.
const ELEMENTS: i64 = 512;

/// Loops may run this often altogether.
const MAX_TRIPS: i64 = 24;

/// The kernel and input of a seed.
pub fn case(seed: u64, limits: &Limits) -> Case {
    let mut generator = Generator::new(Rng::new(seed), *limits);
    generator.functions();
    let mut setup = Block::new();
    generator.statements(&mut setup, limits.statements / 8);
    generator
        .visible
        .vars
        .push((TILE.0, 0, generator.tiles - 1));
    let mut body = Block::new();
    generator.statements(&mut body, limits.statements);
    generator.finish(setup, body)
}

struct Generator {
    rng: Rng,
    limits: Limits,
    kernel: Kernel,
    visible: Visible,
    tiles: i64,
    /// Lane counts in use, the first being the most common.
    lanes: Vec<u32>,
    values: Vec<(ValueId, Ty)>,
    registers: Vec<(RegId, Ty)>,
    next_value: u32,
    next_register: u32,
    next_var: u32,
    /// Iterations of the loops around this point.
    trips: i64,
    /// Inside a function only pure operations are allowed.
    in_function: bool,
}

fn op_prim(prim: Prim, args: &[ValueId]) -> Op {
    Op::Prim {
        prim,
        args: args.to_vec(),
    }
}

impl Generator {
    fn new(mut rng: Rng, limits: Limits) -> Generator {
        let tiles = rng.between(1, 3);
        let sizes: Vec<i64> = (0..rng.below(4)).map(|_| rng.between(1, 40)).collect();
        let widest = limits.max_lanes.max(1).ilog2() as usize;
        let main = 1u32 << rng.below(widest + 1);
        let mut lanes = vec![main, main, 1];
        for other in [main / 2, main * 2] {
            if other >= 1 && other <= limits.max_lanes {
                lanes.push(other);
            }
        }
        let kernel = Kernel {
            name: "random".into(),
            doc: vec!["random.case".into()],
            params: Vec::new(),
            size_count: sizes.len() as u32,
            locals: Vec::new(),
            tiles: IExpr::constant(tiles),
            functions: Vec::new(),
            setup: Vec::new(),
            body: Vec::new(),
        };
        Generator {
            rng,
            limits,
            kernel,
            visible: Visible {
                sizes,
                ..Visible::default()
            },
            tiles,
            lanes,
            values: Vec::new(),
            registers: Vec::new(),
            next_value: 0,
            next_register: 0,
            next_var: 1,
            trips: 1,
            in_function: false,
        }
    }

    fn finish(mut self, setup: Block, body: Block) -> Case {
        self.kernel.setup = setup;
        self.kernel.body = body;
        let params = &self.kernel.params;
        let buffers = params
            .iter()
            .map(|p| memory(&mut self.rng, p.dtype))
            .collect();
        let begin = self.rng.between(0, self.tiles - 1);
        let end = self.rng.between(begin, self.tiles);
        // Mostly all tiles.
        let (begin, end) = if self.rng.one_in(4) {
            (begin, end)
        } else {
            (0, self.tiles)
        };
        Case {
            kernel: self.kernel,
            sizes: self.visible.sizes,
            buffers,
            begin,
            end,
        }
    }

    fn scalar_type(&mut self) -> Scalar {
        use DType::*;
        *self.rng.pick(&[
            F32, F32, F32, F32, F64, F64, I64, I64, I32, I32, I16, I8, U8, Bool, F16, BF16,
        ])
    }

    fn ty(&mut self) -> Ty {
        Ty::new(self.scalar_type(), *self.rng.pick(&self.lanes))
    }

    fn define(&mut self, block: &mut Block, ty: Ty, op: Op) -> ValueId {
        let id = ValueId(self.next_value);
        self.next_value += 1;
        self.values.push((id, ty));
        if ty == Ty::scalar(DType::I64) && !self.in_function {
            self.visible.values.push(id.0);
        }
        block.push(Stmt::Let { id, op });
        id
    }

    /// A visible value of the type, or a new one.
    fn value(&mut self, block: &mut Block, ty: Ty) -> ValueId {
        let known: Vec<ValueId> = self
            .values
            .iter()
            .filter(|value| value.1 == ty)
            .map(|value| value.0)
            .collect();
        if !known.is_empty() && !self.rng.one_in(5) {
            // The latest are the likeliest: chains grow.
            let recent = known.len().min(1 + self.rng.below(known.len()));
            return known[known.len() - 1 - self.rng.below(recent)];
        }
        match self.rng.below(4) {
            0 if ty.lanes > 1 => {
                let value = self.value(block, Ty::scalar(ty.scalar));
                self.define(
                    block,
                    ty,
                    Op::Splat {
                        value,
                        lanes: ty.lanes,
                    },
                )
            }
            1 | 2 if !self.in_function => {
                let op = self.load(block, ty);
                self.define(block, ty, op)
            }
            _ => self.constant(block, ty),
        }
    }

    fn constant(&mut self, block: &mut Block, ty: Ty) -> ValueId {
        if ty.scalar.is_half() {
            let value = self.constant(block, ty.with(DType::F32));
            return self.define(
                block,
                ty,
                Op::Convert {
                    value,
                    to: ty.scalar,
                },
            );
        }
        let value = literal(&mut self.rng, ty.scalar);
        self.define(block, ty, Op::Const { value, ty })
    }

    /// A buffer of the element type, perhaps a new one.
    fn buffer(&mut self, dtype: DType, writable: bool) -> Buf {
        let params = self.kernel.params.iter().enumerate();
        let fits = |p: &Param| p.dtype == dtype && !(writable && p.access == Access::Read);
        let mut found: Vec<Buf> = params
            .filter(|p| fits(p.1))
            .map(|p| Buf::Param(p.0 as u32))
            .collect();
        let locals = self.kernel.locals.iter().enumerate();
        found.extend(
            locals
                .filter(|l| l.1.dtype == dtype)
                .map(|l| Buf::Local(l.0 as u32)),
        );
        if !found.is_empty() && !self.rng.one_in(4) {
            return *self.rng.pick(&found);
        }
        if self.rng.one_in(5) {
            let at = self.kernel.locals.len() as u32;
            let (name, elements) = (format!("local{at}"), self.local_elements());
            self.kernel.locals.push(Local {
                dtype,
                elements,
                name,
            });
            return Buf::Local(at);
        }
        let at = self.kernel.params.len() as u32;
        let access = match self.rng.below(3) {
            0 if !writable => Access::Read,
            1 => Access::Write,
            _ => Access::ReadWrite,
        };
        let (name, noalias) = (format!("buffer{at}"), self.rng.one_in(2));
        self.kernel.params.push(Param {
            dtype,
            access,
            name,
            noalias,
        });
        Buf::Param(at)
    }

    /// At least [`ELEMENTS`], as a constant or over the sizes.
    fn local_elements(&mut self) -> IExpr {
        let elements = IExpr::constant(ELEMENTS);
        if self.visible.sizes.is_empty() {
            return elements;
        }
        &elements + &IExpr::size(self.rng.below(self.visible.sizes.len()) as u32)
    }

    fn load(&mut self, block: &mut Block, ty: Ty) -> Op {
        let buf = self.buffer(ty.scalar, false);
        let lanes = ty.lanes;
        match self.rng.below(5) {
            0 => {
                let stride = self.rng.between(-3, 4);
                let reach = stride * i64::from(lanes - 1);
                let index = self
                    .visible
                    .within(&mut self.rng, ELEMENTS - 1 - reach.abs());
                let index = if reach < 0 {
                    &index - &IExpr::constant(reach)
                } else {
                    index
                };
                Op::LoadStrided {
                    buf,
                    index,
                    stride: IExpr::constant(stride),
                    lanes,
                }
            }
            1 => Op::Gather {
                buf,
                index: self.masked_index(block, lanes),
            },
            2 => {
                let (index, mask) = self.masked_start(block, lanes);
                Op::LoadMasked { buf, index, mask }
            }
            _ => Op::Load {
                buf,
                index: self.start(lanes),
                lanes,
            },
        }
    }

    /// The first of consecutive elements.
    fn start(&mut self, lanes: u32) -> IExpr {
        self.visible
            .within(&mut self.rng, ELEMENTS - i64::from(lanes))
    }

    /// The first of consecutive elements and a mask: of lanes that all lie inside, or the lanes that
    /// do where some may not.
    fn masked_start(&mut self, block: &mut Block, lanes: u32) -> (IExpr, ValueId) {
        let mask_ty = Ty::new(DType::Bool, lanes);
        if self.rng.one_in(2) {
            return (self.start(lanes), self.value(block, mask_ty));
        }
        let edge = *self.rng.pick(&[0, ELEMENTS]);
        let shift = IExpr::constant(edge - i64::from(lanes) / 2);
        let index = &self.visible.any(&mut self.rng, 1) + &shift;
        let ty = Ty::new(DType::I64, lanes);
        let ramp = Op::Ramp {
            base: index.clone(),
            stride: IExpr::one(),
            lanes,
        };
        let at = self.define(block, ty, ramp);
        let inside = [(Prim::Ge, 0), (Prim::Lt, ELEMENTS)].map(|(prim, limit)| {
            let value = Literal::Int(limit);
            let limit = self.define(block, ty, Op::Const { value, ty });
            self.define(block, mask_ty, op_prim(prim, &[at, limit]))
        });
        let mask = self.define(block, mask_ty, op_prim(Prim::And, &inside));
        if self.rng.one_in(2) {
            return (index, mask);
        }
        let other = self.value(block, mask_ty);
        let both = self.define(block, mask_ty, op_prim(Prim::And, &[mask, other]));
        (index, both)
    }

    /// A vector of indices: any numbers, kept inside by a mask, or a ramp.
    fn masked_index(&mut self, block: &mut Block, lanes: u32) -> ValueId {
        let ty = Ty::new(DType::I64, lanes);
        if self.rng.one_in(3) {
            let stride = self.rng.between(0, 4);
            let reach = stride * i64::from(lanes - 1);
            let base = self.visible.within(&mut self.rng, ELEMENTS - 1 - reach);
            let stride = IExpr::constant(stride);
            return self.define(
                block,
                ty,
                Op::Ramp {
                    base,
                    stride,
                    lanes,
                },
            );
        }
        let any = self.value(block, ty);
        let value = Literal::Int(ELEMENTS - 1);
        let mask = self.define(block, ty, Op::Const { value, ty });
        self.define(block, ty, op_prim(Prim::And, &[any, mask]))
    }

    /// The value with a constant in place of NaN, so that its bits may be looked at.
    fn without_nan(&mut self, block: &mut Block, value: ValueId, ty: Ty) -> ValueId {
        if ty.scalar.is_half() {
            let wide = ty.with(DType::F32);
            let value = self.define(
                block,
                wide,
                Op::Convert {
                    value,
                    to: DType::F32,
                },
            );
            let value = self.without_nan(block, value, wide);
            return self.define(
                block,
                ty,
                Op::Convert {
                    value,
                    to: ty.scalar,
                },
            );
        }
        let equal = op_prim(Prim::Eq, &[value, value]);
        let equal = self.define(block, ty.with(DType::Bool), equal);
        let one = Op::Const {
            value: Literal::Float(1.5),
            ty,
        };
        let one = self.define(block, ty, one);
        self.define(block, ty, op_prim(Prim::Select, &[equal, value, one]))
    }

    /// One more value, by any operation.
    fn operation(&mut self, block: &mut Block) {
        let ty = self.ty();
        match self.rng.below(if self.in_function { 13 } else { 20 }) {
            0..=6 => self.basic_prim(block, ty),
            7 | 8 => {
                let value = self.value(block, ty);
                let to = self.scalar_type();
                self.define(block, ty.with(to), Op::Convert { value, to });
            }
            9 => self.bitcast(block, ty),
            10 => {
                let (a, b) = (self.value(block, ty), self.value(block, ty));
                let count = *self.rng.pick(&self.lanes);
                let lane = |rng: &mut Rng| rng.below(2 * ty.lanes as usize) as u32;
                let lanes = (0..count).map(|_| lane(&mut self.rng)).collect();
                self.define(
                    block,
                    Ty::new(ty.scalar, count),
                    Op::Shuffle { a, b, lanes },
                );
            }
            11 => {
                let value = self.value(block, ty);
                let lane = self.rng.below(ty.lanes as usize) as u32;
                self.define(block, Ty::scalar(ty.scalar), Op::Extract { value, lane });
            }
            12 => {
                let value = self.value(block, Ty::scalar(ty.scalar));
                self.define(
                    block,
                    ty,
                    Op::Splat {
                        value,
                        lanes: ty.lanes,
                    },
                );
            }
            13..=15 => {
                let op = self.load(block, ty);
                self.define(block, ty, op);
            }
            16 => {
                let expr = self.visible.any(&mut self.rng, 2);
                self.define(block, Ty::scalar(DType::I64), Op::Index { expr });
            }
            17 => {
                let (base, stride) = (
                    self.visible.any(&mut self.rng, 1),
                    self.visible.any(&mut self.rng, 1),
                );
                let lanes = ty.lanes;
                self.define(
                    block,
                    ty.with(DType::I64),
                    Op::Ramp {
                        base,
                        stride,
                        lanes,
                    },
                );
            }
            18 => self.get(block),
            _ => self.call(block),
        }
    }

    fn basic_prim(&mut self, block: &mut Block, ty: Ty) {
        use Prim::*;
        let ty = if ty.scalar.is_half() {
            ty.with(DType::F32)
        } else {
            ty
        };
        let arithmetic = [Add, Sub, Mul, Div, Neg, Abs, MinNum, MaxNum];
        let floats = [
            Sqrt, Floor, Ceil, Trunc, Round, CopySign, Fma, Scale, Select,
        ];
        let bits = [Rem, And, Or, Xor, Not, Shl, Shr, Select];
        let comparisons = [Eq, Ne, Lt, Le, Gt, Ge];
        let prim = match (ty.scalar, self.rng.below(4)) {
            (_, 0) => *self.rng.pick(&comparisons),
            (DType::Bool, _) => *self.rng.pick(&[And, Or, Xor, Not, Select]),
            (_, 1 | 2) => *self.rng.pick(&arithmetic),
            (scalar, _) if scalar.is_float() => *self.rng.pick(&floats),
            _ => *self.rng.pick(&bits),
        };
        let prim = match prim {
            Fma if !self.limits.fma => Mul,
            Scale if !self.limits.scale => Mul,
            prim => prim,
        };
        let mut args: Vec<ValueId> = (0..prim.arity()).map(|_| self.value(block, ty)).collect();
        let mut result = ty;
        match prim {
            Select => args[0] = self.value(block, ty.with(DType::Bool)),
            CopySign => args[1] = self.without_nan(block, args[1], ty),
            // The result by an infinite power tells quiet and signalling NaN apart.
            Scale => args[0] = self.without_nan(block, args[0], ty),
            // Most shift counts are in range.
            Shl | Shr if !self.rng.one_in(3) => {
                let value = Literal::Int(7);
                let mask = self.define(block, ty, Op::Const { value, ty });
                args[1] = self.define(block, ty, op_prim(And, &[args[1], mask]));
            }
            _ if prim.is_comparison() => result = ty.with(DType::Bool),
            _ => {}
        }
        self.define(block, result, Op::Prim { prim, args });
    }

    fn bitcast(&mut self, block: &mut Block, ty: Ty) {
        use DType::*;
        let same_width: &[Scalar] = match ty.scalar.size() {
            1 => &[U8, I8],
            2 => &[I16, F16, BF16],
            4 => &[I32, F32],
            _ => &[I64, F64],
        };
        if ty.scalar == Bool {
            return;
        }
        let mut value = self.value(block, ty);
        if ty.scalar.is_float() {
            value = self.without_nan(block, value, ty);
        }
        let to = *self.rng.pick(same_width);
        self.define(block, ty.with(to), Op::Bitcast { value, to });
    }

    fn get(&mut self, block: &mut Block) {
        if self.registers.is_empty() {
            return;
        }
        let (id, ty) = *self.rng.pick(&self.registers);
        self.define(block, ty, Op::Get { id });
    }

    fn call(&mut self, block: &mut Block) {
        if self.limits.dot_bf16 && self.rng.one_in(2) {
            return self.dot(block);
        }
        if self.kernel.functions.is_empty() {
            return;
        }
        let at = self.rng.below(self.kernel.functions.len());
        let (prim, ty) = (self.kernel.functions[at].prim, self.kernel.functions[at].ty);
        let args = (0..prim.arity()).map(|_| self.value(block, ty)).collect();
        self.define(block, ty, Op::Prim { prim, args });
    }

    fn dot(&mut self, block: &mut Block) {
        let ty = Ty::new(DType::F32, *self.rng.pick(&[4, 8, 16]));
        let pairs = Ty::new(DType::BF16, 2 * ty.lanes);
        let acc = self.value(block, ty);
        let (a, b) = (self.value(block, pairs), self.value(block, pairs));
        self.define(block, ty, Op::DotBf16 { acc, a, b });
    }

    /// Definitions of a few functions: any straight-line code will do.
    fn functions(&mut self) {
        for _ in 0..self.rng.below(3) {
            let float = *self.rng.pick(&[DType::F32, DType::F32, DType::F64]);
            let int = *self.rng.pick(&[DType::I64, DType::I32, DType::U8]);
            let (prim, scalar) = *self.rng.pick(&[
                (Prim::Exp, float),
                (Prim::Pow, float),
                (Prim::Maximum, float),
                (Prim::Remainder, int),
            ]);
            let ty = Ty::new(scalar, *self.rng.pick(&self.lanes));
            if self.kernel.function(prim, ty).is_none() {
                let function = self.function(prim, ty);
                self.kernel.functions.push(function);
            }
        }
        self.values.clear();
        self.next_value = 0;
    }

    fn function(&mut self, prim: Prim, ty: Ty) -> Function {
        self.in_function = true;
        self.next_value = prim.arity() as u32;
        let params: Vec<ValueId> = (0..self.next_value).map(ValueId).collect();
        self.values = params.iter().map(|id| (*id, ty)).collect();
        let (mut block, result) = self.function_code(ty);
        let rare = self.rng.one_in(2).then(|| {
            let lanes = self.value(&mut block, ty.with(DType::Bool));
            let (body, result) = self.function_code(ty);
            Rare {
                lanes,
                body: definitions(body),
                result,
            }
        });
        self.in_function = false;
        Function {
            prim,
            ty,
            params,
            body: definitions(block),
            result,
            rare,
            doc: "random".into(),
        }
    }

    /// A few operations and a result of them.
    fn function_code(&mut self, ty: Ty) -> (Block, ValueId) {
        let mut block = Block::new();
        for _ in 0..self.rng.between(2, 8) {
            self.operation(&mut block);
        }
        let result = self.value(&mut block, ty);
        (block, result)
    }

    /// Statements of a block; what they define is visible until the caller's block ends.
    fn statements(&mut self, block: &mut Block, count: u32) {
        let first = self.values.len();
        let mut left = count;
        while left > 0 {
            left -= 1;
            match self.rng.below(20) {
                0..=11 => self.operation(block),
                12..=14 => self.store_any(block, 0),
                15 => self.register(block),
                16 if !self.registers.is_empty() => {
                    let (id, ty) = *self.rng.pick(&self.registers);
                    let value = self.value(block, ty);
                    block.push(Stmt::Set { id, value });
                }
                17 if left >= 4 => {
                    self.for_loop(block, left / 2);
                    left -= left / 2;
                }
                18 if left >= 4 => {
                    self.branch(block, left / 2);
                    left -= left / 2;
                }
                19 if self.rng.one_in(3) => self.check(block),
                19 if self.rng.one_in(3) => self.prefetch(block),
                _ => block.push(Stmt::Comment("a remark".into())),
            }
        }
        // What was computed here shows.
        for _ in 0..3 {
            self.store_any(block, first);
        }
    }

    /// Stores a value that came after the first ones.
    fn store_any(&mut self, block: &mut Block, first: usize) {
        if self.values.len() <= first {
            return;
        }
        let at = first + self.rng.below(self.values.len() - first);
        let (value, ty) = self.values[at];
        let buf = self.buffer(ty.scalar, true);
        let lanes = ty.lanes;
        let store = match self.rng.below(5) {
            0 => {
                let index = self.masked_index(block, lanes);
                Stmt::Scatter { buf, index, value }
            }
            1 => {
                let (index, mask) = self.masked_start(block, lanes);
                Stmt::StoreMasked {
                    buf,
                    index,
                    value,
                    mask,
                }
            }
            _ => {
                let index = self.start(lanes);
                Stmt::Store { buf, index, value }
            }
        };
        block.push(store);
    }

    fn prefetch(&mut self, block: &mut Block) {
        let scalar = self.scalar_type();
        let buf = self.buffer(scalar, false);
        let index = self.start(1);
        let near = self.rng.one_in(2);
        block.push(Stmt::Prefetch { buf, index, near });
    }

    fn register(&mut self, block: &mut Block) {
        let ty = self.ty();
        let init = self.value(block, ty);
        let id = RegId(self.next_register);
        self.next_register += 1;
        self.registers.push((id, ty));
        block.push(Stmt::Reg { id, init });
    }

    /// Fills a block that sees what is visible now and leaves nothing behind.
    fn inner_block(&mut self, count: u32) -> Block {
        let marks = (
            self.values.len(),
            self.registers.len(),
            self.visible.values.len(),
        );
        let mut block = Block::new();
        self.statements(&mut block, count);
        self.values.truncate(marks.0);
        self.registers.truncate(marks.1);
        self.visible.values.truncate(marks.2);
        block
    }

    fn for_loop(&mut self, block: &mut Block, count: u32) {
        let most = MAX_TRIPS / self.trips;
        let step = self.rng.between(1, 3);
        let (begin, end) = (self.loop_bound(most), self.loop_bound(most));
        let Some(((low, _), (_, high))) =
            self.visible.bounds(&begin).zip(self.visible.bounds(&end))
        else {
            return;
        };
        let trips = (high - low + step - 1) / step;
        if trips > most || self.trips * trips > MAX_TRIPS {
            return;
        }
        let var = VarId(self.next_var);
        self.next_var += 1;
        let outer = self.trips;
        self.trips *= trips.max(1);
        // An empty range leaves the bounds of a body that never runs.
        self.visible.vars.push((var.0, low, (high - 1).max(low)));
        let body = self.inner_block(count);
        self.visible.vars.pop();
        self.trips = outer;
        block.push(Stmt::For {
            var,
            begin,
            end,
            step,
            body,
        });
    }

    fn loop_bound(&mut self, most: i64) -> IExpr {
        if self.rng.one_in(3) {
            self.visible.any(&mut self.rng, 1)
        } else {
            IExpr::constant(self.rng.between(-1, most.max(1)))
        }
    }

    fn branch(&mut self, block: &mut Block, count: u32) {
        let cond = self.value(block, Ty::scalar(DType::Bool));
        let then = self.inner_block(count / 2);
        let otherwise = if self.rng.one_in(2) {
            Block::new()
        } else {
            self.inner_block(count / 2)
        };
        block.push(Stmt::If {
            cond,
            then,
            otherwise,
        });
    }

    fn check(&mut self, block: &mut Block) {
        let cond = self.value(block, Ty::scalar(DType::Bool));
        let code = self.rng.between(1, 5) as u32;
        block.push(Stmt::Fail { cond, code });
    }
}

const FLOATS: [f64; 24] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.5,
    2.5,
    -3.5,
    1e-3,
    100.25,
    -7.75,
    255.9,
    256.0,
    32768.5,
    -2147483648.9,
    2147483648.0,
    1e-40,
    -1e-44,
    65520.0,
    6e-8,
    3e38,
    1e300,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];
const INTS: [i64; 16] = [
    0,
    1,
    -1,
    2,
    3,
    7,
    -8,
    100,
    127,
    128,
    -129,
    255,
    65536,
    0x7fff_ffff,
    i64::MIN,
    i64::MAX,
];

fn literal(rng: &mut Rng, scalar: Scalar) -> Literal {
    let (float, int) = (*rng.pick(&FLOATS), *rng.pick(&INTS));
    // Literals convert, so any kind stands for any type.
    match rng.below(12) {
        0 => Literal::Bool(rng.one_in(2)),
        1 => Literal::Float(float),
        2 => Literal::Int(int),
        _ if scalar == DType::Bool => Literal::Bool(rng.one_in(2)),
        _ if scalar.is_int() => Literal::Int(int),
        _ => Literal::Float(float),
    }
}

/// [`ELEMENTS`] elements: ordinary numbers, special ones and any bits.
fn memory(rng: &mut Rng, dtype: DType) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ELEMENTS as usize * dtype.size());
    for _ in 0..ELEMENTS {
        let bits = match rng.below(8) {
            0 => rng.bits(),
            1 | 2 => {
                let literal = literal(rng, dtype);
                crate::interp::scalar::literal(literal, dtype)
            }
            _ => {
                let small = Literal::Float(rng.between(-4096, 4096) as f64 / 64.0);
                crate::interp::scalar::literal(small, dtype)
            }
        };
        bytes.extend_from_slice(&bits.to_le_bytes()[..dtype.size()]);
    }
    bytes
}

/// The definitions of a block without other statements.
fn definitions(block: Block) -> Vec<(ValueId, Op)> {
    let definition = |stmt| match stmt {
        Stmt::Let { id, op } => Some((id, op)),
        _ => None,
    };
    block.into_iter().filter_map(definition).collect()
}
