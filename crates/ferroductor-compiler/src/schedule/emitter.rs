//! Building a kernel: nested blocks, and operators placed as far out as their operands allow.
//!
//! [`Emitter::push`] puts an operator into the outermost open block in which all its operands
//! exist, and gives equal operators one value. That is loop-invariant code motion and common
//! subexpression elimination in one, so the rest of the schedule just says what it needs where.

use crate::error::CompileError;
use ferroductor_ir::kernel::*;
use ferroductor_ir::{Atom, DType, IExpr, Literal, Prim, Scalar};
use std::collections::{HashMap, HashSet};

struct Scope {
    block: Block,
    /// Pure operators already in this block.
    known: HashMap<Op, ValueId>,
}

/// What is being closed.
enum Opening {
    For {
        var: VarId,
        begin: IExpr,
        end: IExpr,
        step: i64,
    },
    Then {
        cond: ValueId,
        /// The load floor outside.
        floor: usize,
    },
}

pub struct Emitter<'a> {
    pub target: &'a Target,
    scopes: Vec<Scope>,
    openings: Vec<Opening>,
    types: Vec<(Ty, usize)>,
    var_depth: HashMap<u32, usize>,
    constants: HashMap<ValueId, Literal>,
    /// Values in half precision that were rounded to it, and what they were widened to again.
    rounded: HashSet<ValueId>,
    widened: HashMap<ValueId, ValueId>,
    registers: Vec<Ty>,
    next_var: u32,
    functions: Vec<Function>,
    pub locals: Vec<Local>,
    pub params: Vec<Param>,
    /// Loads may not move further out than this block (inside a guard).
    load_floor: usize,
}

impl<'a> Emitter<'a> {
    pub fn new(target: &'a Target) -> Emitter<'a> {
        let mut emitter = Emitter {
            target,
            scopes: Vec::new(),
            openings: Vec::new(),
            types: Vec::new(),
            var_depth: HashMap::new(),
            constants: HashMap::new(),
            rounded: HashSet::new(),
            widened: HashMap::new(),
            registers: Vec::new(),
            next_var: TILE.0 + 1,
            functions: Vec::new(),
            locals: Vec::new(),
            params: Vec::new(),
            load_floor: 0,
        };
        emitter.scopes.push(emitter.empty());
        // The setup block lies outside; the body's block is where the tile id exists.
        emitter.scopes.push(emitter.empty());
        emitter.var_depth.insert(TILE.0, 1);
        emitter
    }

    fn empty(&self) -> Scope {
        Scope {
            block: Vec::new(),
            known: HashMap::new(),
        }
    }

    pub fn depth(&self) -> usize {
        self.scopes.len() - 1
    }

    pub fn ty(&self, value: ValueId) -> Ty {
        self.types[value.0 as usize].0
    }

    fn value_depth(&self, value: ValueId) -> usize {
        self.types[value.0 as usize].1
    }

    pub fn value_depth_of(&self, value: ValueId) -> usize {
        self.value_depth(value)
    }

    /// The outermost block in which an index expression has a value.
    pub fn index_depth(&self, e: &IExpr) -> usize {
        let mut depth = 0;
        e.visit(&mut |a| match a {
            Atom::Var(v) => {
                depth = depth.max(self.var_depth.get(v).copied().unwrap_or(usize::MAX));
            }
            Atom::Value(v) => depth = depth.max(self.value_depth(ValueId(*v))),
            _ => {}
        });
        depth
    }

    fn op_depth(&self, op: &Op) -> usize {
        let values = |ids: &[ValueId]| ids.iter().map(|v| self.value_depth(*v)).max().unwrap_or(0);
        match op {
            Op::Const { .. } => 0,
            Op::Index { expr } => self.index_depth(expr),
            Op::Ramp { base, stride, .. } => self.index_depth(base).max(self.index_depth(stride)),
            Op::Get { .. } => self.depth(),
            Op::Load { index, .. } => self.index_depth(index).max(self.load_floor),
            Op::LoadMasked { index, mask, .. } => self
                .index_depth(index)
                .max(values(&[*mask]))
                .max(self.load_floor),
            Op::LoadStrided { index, stride, .. } => self
                .index_depth(index)
                .max(self.index_depth(stride))
                .max(self.load_floor),
            Op::Gather { index, .. } => values(&[*index]).max(self.load_floor),
            Op::Prim { args, .. } => values(args),
            Op::Convert { value, .. }
            | Op::Bitcast { value, .. }
            | Op::Splat { value, .. }
            | Op::Extract { value, .. } => values(&[*value]),
            Op::Shuffle { a, b, .. } => values(&[*a, *b]),
            Op::DotBf16 { acc, a, b } => values(&[*acc, *a, *b]),
        }
    }

    /// Result type of an operator.
    fn op_type(&self, op: &Op) -> Ty {
        match op {
            Op::Const { ty, .. } => *ty,
            Op::Index { .. } => Ty::scalar(DType::I64),
            Op::Ramp { lanes, .. } => Ty::new(DType::I64, *lanes),
            Op::Get { id } => self.registers[id.0 as usize],
            Op::Load { buf, lanes, .. } | Op::LoadStrided { buf, lanes, .. } => {
                Ty::new(self.buf_dtype(*buf), *lanes)
            }
            Op::LoadMasked { buf, mask, .. } => self.ty(*mask).with(self.buf_dtype(*buf)),
            Op::Gather { buf, index } => Ty::new(self.buf_dtype(*buf), self.ty(*index).lanes),
            Op::Prim { prim, args } => {
                let first = self.ty(args[0]);
                if prim.is_comparison() {
                    first.with(DType::Bool)
                } else if *prim == Prim::Select {
                    self.ty(args[1])
                } else {
                    first
                }
            }
            Op::Convert { value, to } => self.ty(*value).with(*to),
            Op::Bitcast { value, to } => self.ty(*value).with(*to),
            Op::Splat { value, lanes } => Ty::new(self.ty(*value).scalar, *lanes),
            Op::Extract { value, .. } => Ty::scalar(self.ty(*value).scalar),
            Op::Shuffle { a, lanes, .. } => Ty::new(self.ty(*a).scalar, lanes.len() as u32),
            Op::DotBf16 { acc, .. } => self.ty(*acc),
        }
    }

    pub fn buf_dtype(&self, buf: Buf) -> DType {
        match buf {
            Buf::Param(p) => self.params[p as usize].dtype,
            Buf::Local(l) => self.locals[l as usize].dtype,
        }
    }

    /// Places an operator as far out as it may stand.
    pub fn push(&mut self, op: Op) -> ValueId {
        let depth = self.op_depth(&op).min(self.depth());
        self.push_at(depth, op)
    }

    /// Places an operator in the current block: for loads of memory that the kernel writes.
    pub fn push_here(&mut self, op: Op) -> ValueId {
        let ty = self.op_type(&op);
        let depth = self.depth();
        let id = self.fresh(ty, depth);
        self.scopes[depth].block.push(Stmt::Let { id, op });
        id
    }

    fn push_at(&mut self, depth: usize, op: Op) -> ValueId {
        let pure = !matches!(op, Op::Get { .. });
        if pure && let Some(known) = self.scopes[depth].known.get(&op) {
            return *known;
        }
        let ty = self.op_type(&op);
        let id = self.fresh(ty, depth);
        if let Op::Const { value, .. } = &op {
            self.constants.insert(id, *value);
        }
        self.scopes[depth]
            .block
            .push(Stmt::Let { id, op: op.clone() });
        if pure {
            self.scopes[depth].known.insert(op, id);
        }
        id
    }

    fn fresh(&mut self, ty: Ty, depth: usize) -> ValueId {
        self.types.push((ty, depth));
        ValueId(self.types.len() as u32 - 1)
    }

    pub fn statement(&mut self, stmt: Stmt) {
        let depth = self.depth();
        self.scopes[depth].block.push(stmt);
    }

    // Values.

    pub fn constant(&mut self, value: Literal, ty: Ty) -> ValueId {
        self.push(Op::Const { value, ty })
    }

    /// The value in `lanes` lanes.
    pub fn widen(&mut self, value: ValueId, lanes: u32) -> ValueId {
        let ty = self.ty(value);
        if ty.lanes == lanes {
            return value;
        }
        if let Some(literal) = self.constants.get(&value).copied() {
            return self.constant(literal, Ty::new(ty.scalar, lanes));
        }
        self.push(Op::Splat { value, lanes })
    }

    /// Applies a prim, splatting scalars to the widest operand and adding the function it needs.
    pub fn prim(&mut self, prim: Prim, args: &[ValueId]) -> Result<ValueId, CompileError> {
        let lanes = args.iter().map(|a| self.ty(*a).lanes).max().unwrap_or(1);
        let args: Vec<ValueId> = args.iter().map(|a| self.widen(*a, lanes)).collect();
        if !prim.is_basic() {
            self.need_function(prim, self.ty(args[0]))?;
        }
        if prim == Prim::Fma && !self.target.has_fma {
            let product = self.push(Op::Prim {
                prim: Prim::Mul,
                args: args[..2].to_vec(),
            });
            return Ok(self.push(Op::Prim {
                prim: Prim::Add,
                args: vec![product, args[2]],
            }));
        }
        Ok(self.push(Op::Prim { prim, args }))
    }

    fn need_function(&mut self, prim: Prim, ty: Ty) -> Result<(), CompileError> {
        if self.functions.iter().any(|f| f.prim == prim && f.ty == ty) {
            return Ok(());
        }
        let function = crate::math::function(prim, ty, self.target).ok_or_else(|| {
            CompileError::internal(
                "schedule",
                format!("no definition of {prim} for {}", ty.scalar),
            )
        })?;
        self.functions.push(function);
        Ok(())
    }

    pub fn convert(&mut self, value: ValueId, to: Scalar) -> ValueId {
        let from = self.ty(value).scalar;
        if from == to {
            return value;
        }
        // What was rounded to half precision and widened rounds to what it was.
        if let Some(narrow) = self.widened.get(&value)
            && self.ty(*narrow).scalar == to
        {
            return *narrow;
        }
        let converted = self.push(Op::Convert { value, to });
        if to.is_half() {
            self.rounded.insert(converted);
        } else if to == DType::F32 && self.rounded.contains(&value) {
            self.widened.insert(converted, value);
        }
        converted
    }

    /// An index expression as a scalar value usable in other index expressions.
    pub fn index_value(&mut self, e: &IExpr) -> IExpr {
        if e.as_const().is_some() || e.as_var().is_some() {
            return e.clone();
        }
        let value = self.push(Op::Index { expr: e.clone() });
        IExpr::value(value.0)
    }

    // Registers and memory.

    pub fn register(&mut self, init: ValueId) -> RegId {
        let ty = self.ty(init);
        self.registers.push(ty);
        let id = RegId(self.registers.len() as u32 - 1);
        self.statement(Stmt::Reg { id, init });
        id
    }

    /// A number that outlives the calls of a launch on this scratch, zero or arbitrary at first: the
    /// first array of all. To be declared before any other.
    pub fn kept_number(&mut self, name: &str) -> Buf {
        debug_assert!(self.locals.is_empty());
        self.local(DType::I64, IExpr::one(), name)
    }

    pub fn register_type(&self, id: RegId) -> Ty {
        self.registers[id.0 as usize]
    }

    pub fn get(&mut self, id: RegId) -> ValueId {
        self.push_here(Op::Get { id })
    }

    pub fn set(&mut self, id: RegId, value: ValueId) {
        self.statement(Stmt::Set { id, value });
    }

    pub fn local(&mut self, dtype: DType, elements: IExpr, name: &str) -> Buf {
        self.locals.push(Local {
            dtype,
            elements,
            name: name.to_string(),
        });
        Buf::Local(self.locals.len() as u32 - 1)
    }

    pub fn store(&mut self, buf: Buf, index: IExpr, value: ValueId) {
        let value = self.convert(value, self.buf_dtype(buf));
        self.statement(Stmt::Store { buf, index, value });
    }

    // Blocks.

    /// Opens a loop and returns its variable.
    pub fn open_for(&mut self, begin: IExpr, end: IExpr, step: i64) -> IExpr {
        let var = VarId(self.next_var);
        self.next_var += 1;
        self.openings.push(Opening::For {
            var,
            begin,
            end,
            step,
        });
        self.scopes.push(self.empty());
        let depth = self.depth();
        self.var_depth.insert(var.0, depth);
        IExpr::var(var.0)
    }

    /// Opens a block that runs where the predicate holds. Loads stay inside: outside the condition
    /// their index may point anywhere.
    pub fn open_if(&mut self, cond: ValueId) {
        let floor = self.load_floor;
        self.openings.push(Opening::Then { cond, floor });
        self.scopes.push(self.empty());
        self.load_floor = self.depth();
    }

    /// Closes the innermost loop or condition.
    pub fn close(&mut self) {
        let (Some(scope), Some(opening)) = (self.scopes.pop(), self.openings.pop()) else {
            return;
        };
        let body = scope.block;
        let statement = match opening {
            Opening::For {
                var,
                begin,
                end,
                step,
            } => Stmt::For {
                var,
                begin,
                end,
                step,
                body,
            },
            Opening::Then { cond, floor } => {
                self.load_floor = floor;
                Stmt::If {
                    cond,
                    then: body,
                    otherwise: Vec::new(),
                }
            }
        };
        self.statement(statement);
    }

    /// Fails the call where a scalar predicate holds, tested in the block where it is computed.
    pub fn fail(&mut self, cond: ValueId, code: u32) {
        let depth = self.value_depth(cond).max(1).min(self.depth());
        self.scopes[depth].block.push(Stmt::Fail { cond, code });
    }

    pub fn finish(
        mut self,
        name: String,
        doc: Vec<String>,
        size_count: u32,
        tiles: IExpr,
    ) -> Kernel {
        let body = self.scopes.pop().map(|s| s.block).unwrap_or_default();
        let setup = self.scopes.pop().map(|s| s.block).unwrap_or_default();
        Kernel {
            name,
            doc,
            params: self.params,
            size_count,
            locals: self.locals,
            tiles,
            functions: self.functions,
            setup,
            body,
        }
    }
}
