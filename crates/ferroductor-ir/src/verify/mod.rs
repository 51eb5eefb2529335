//! The verifier of the loop IR, and the types of a kernel's values.
//!
//! [`kernel`] checks every invariant that [`crate::kernel`] states; the emitters and the
//! interpreter rely on a verified kernel and do not check again. [`types`] does the same and hands
//! back the type of every value and register. Beyond the invariants written there:
//! * values and registers are each defined at one place of the kernel (`setup` and `body` share
//!   their names; a function has names of its own) and ids stay below [`MAX_ID`];
//! * what `setup` defines is visible in `body`;
//! * a loop variable does not hide another; loops beside each other may share one;
//! * the tile id is visible in `body` only;
//! * lane counts are powers of two up to [`MAX_LANES`];
//! * functions are straight-line code of basic prims and data movement.

mod types;

pub use types::{Types, prim_takes};

use crate::dtype::DType;
use crate::index::{Atom, IExpr};
use crate::kernel::*;
use crate::prim::{Prim, Scalar};
use std::fmt;
use types::Scope;

/// The widest vector of the loop IR.
pub const MAX_LANES: u32 = 1024;

/// Ids of values, registers and loop variables are smaller, so tables may be indexed by them.
pub const MAX_ID: u32 = 1 << 22;

/// A kernel that breaks an invariant: where, and which.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyError {
    /// `body`, `setup` or a function, and the statement, such as `body: %12`.
    pub place: String,
    pub kind: VerifyErrorKind,
}

/// The invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VerifyErrorKind {
    UndefinedValue(ValueId),
    UndefinedRegister(RegId),
    UndefinedVariable(u32),
    UndefinedSize(u32),
    UnknownBuffer(Buf),
    ValueDefinedTwice(ValueId),
    RegisterDeclaredTwice(RegId),
    VariableHidesAnother(VarId),
    IdTooLarge(u32),
    /// An index expression names a value that is not a scalar `int64`.
    NotAnIndex(ValueId, Ty),
    /// Only sizes may stand in this expression (tile counts, lengths of locals).
    NotOverSizes(IExpr),
    Lanes(u32),
    /// A lane number beyond the operand's lanes.
    LaneOutOfRange {
        lane: u32,
        lanes: u32,
    },
    /// The prim does not take this many operands.
    Arity {
        prim: Prim,
        found: usize,
    },
    /// The prim is not defined for the type.
    PrimType {
        prim: Prim,
        scalar: Scalar,
    },
    /// The operation is not defined for the type.
    OpType {
        what: &'static str,
        ty: Ty,
    },
    Mismatch {
        what: &'static str,
        expected: Ty,
        found: Ty,
    },
    /// No definition of a prim that is not basic.
    MissingFunction {
        prim: Prim,
        ty: Ty,
    },
    FunctionDefinedTwice {
        prim: Prim,
        ty: Ty,
    },
    /// A function for a basic prim, or an operation that functions may not use.
    NotAFunction(Prim),
    NotInFunction(&'static str),
    /// A buffer of a type without native code.
    OpaqueBuffer(Buf),
    StoreToReadOnly(Buf),
    StreamSize(Ty),
    Step(i64),
    ZeroFailCode,
    /// The target has no instruction for it.
    NotOnTarget(&'static str),
}

impl fmt::Display for VerifyErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use VerifyErrorKind::*;
        match self {
            UndefinedValue(v) => write!(f, "%{} is not defined here", v.0),
            UndefinedRegister(r) => write!(f, "register r{} is not declared here", r.0),
            UndefinedVariable(v) => write!(f, "loop variable i{v} is not visible here"),
            UndefinedSize(s) => write!(f, "s{s} is beyond the kernel's size table"),
            UnknownBuffer(b) => write!(f, "{b:?} does not exist"),
            ValueDefinedTwice(v) => write!(f, "%{} is defined twice", v.0),
            RegisterDeclaredTwice(r) => write!(f, "register r{} is declared twice", r.0),
            VariableHidesAnother(v) => write!(f, "loop variable i{} is already in use", v.0),
            IdTooLarge(id) => write!(f, "id {id} is not below {MAX_ID}"),
            NotAnIndex(v, ty) => write!(f, "%{} is {ty}, not an int64 scalar", v.0),
            NotOverSizes(e) => write!(f, "`{e}` may only use sizes"),
            Lanes(n) => write!(f, "{n} lanes: not a power of two up to {MAX_LANES}"),
            LaneOutOfRange { lane, lanes } => write!(f, "lane {lane} of {lanes}"),
            Arity { prim, found } => {
                write!(f, "{prim} takes {} operands, not {found}", prim.arity())
            }
            PrimType { prim, scalar } => write!(f, "{prim} is not defined for {scalar}"),
            OpType { what, ty } => write!(f, "{what} cannot be {ty}"),
            Mismatch {
                what,
                expected,
                found,
            } => {
                write!(f, "{what}: expected {expected}, found {found}")
            }
            MissingFunction { prim, ty } => write!(f, "no function for {prim} on {ty}"),
            FunctionDefinedTwice { prim, ty } => write!(f, "two functions for {prim} on {ty}"),
            NotAFunction(prim) => write!(f, "{prim} is basic and needs no function"),
            NotInFunction(what) => write!(f, "{what} may not stand in a function"),
            OpaqueBuffer(b) => write!(f, "{b:?} has a type without native code"),
            StreamSize(ty) => write!(f, "no register has the size of {ty:?}"),
            StoreToReadOnly(b) => write!(f, "store to {b:?}, which is read-only"),
            Step(step) => write!(f, "a loop's step must be positive, not {step}"),
            ZeroFailCode => f.write_str("the code of a failed check must not be 0"),
            NotOnTarget(what) => write!(f, "the target has no {what}"),
        }
    }
}

impl fmt::Display for VerifyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.kind)
    }
}

impl std::error::Error for VerifyError {}

type Check<T = ()> = Result<T, VerifyErrorKind>;

/// Does the kernel keep every invariant?
pub fn kernel(kernel: &Kernel) -> Result<(), VerifyError> {
    types(kernel).map(drop)
}

/// Verifies the kernel and gives the type of every value and register of `setup` and `body`.
pub fn types(kernel: &Kernel) -> Result<Types, VerifyError> {
    check_header(kernel).map_err(|kind| VerifyError {
        place: "header".into(),
        kind,
    })?;
    check_functions(kernel)?;
    let mut verifier = Verifier {
        kernel,
        scope: Scope::default(),
        place: "setup",
    };
    verifier.statements(&kernel.setup)?;
    verifier.place = "body";
    verifier.scope.enter();
    verifier.scope.vars.push(TILE);
    verifier.statements(&kernel.body)?;
    Ok(verifier.scope.types)
}

/// Verifies one function and gives the types of its values.
pub fn function_types(function: &Function) -> Result<Types, VerifyError> {
    let place = |what: &str| format!("function {} {}: {what}", function.prim, function.ty);
    let fail = |what: &str, kind| VerifyError {
        place: place(what),
        kind,
    };
    check_function_head(function).map_err(|kind| fail("head", kind))?;
    let mut scope = Scope::default();
    for id in &function.params {
        scope
            .define(*id, function.ty)
            .map_err(|kind| fail("operands", kind))?;
    }
    let define = |code: &[(ValueId, Op)], scope: &mut Scope| {
        code.iter().try_for_each(|(id, op)| {
            types::function_op(op, scope)
                .and_then(|ty| scope.define(*id, ty))
                .map_err(|kind| fail(&format!("%{}", id.0), kind))
        })
    };
    define(&function.body, &mut scope)?;
    scope
        .expect(function.result, function.ty, "result")
        .map_err(|kind| fail("result", kind))?;
    if let Some(rare) = &function.rare {
        scope
            .expect(rare.lanes, function.ty.with(DType::Bool), "rare lanes")
            .map_err(|kind| fail("rare lanes", kind))?;
        define(&rare.body, &mut scope)?;
        scope
            .expect(rare.result, function.ty, "rare result")
            .map_err(|kind| fail("rare result", kind))?;
    }
    Ok(scope.types)
}

/// Does the kernel use only what the target's instruction set has?
pub fn for_target(kernel: &Kernel, target: &Target) -> Result<(), VerifyError> {
    fn check(op: &Op, target: &Target) -> Check {
        match op {
            Op::Prim {
                prim: Prim::Fma, ..
            } if !target.has_fma => Err(VerifyErrorKind::NotOnTarget("fused multiply-add")),
            Op::Prim {
                prim: Prim::Scale, ..
            } if !target.has_scale() => {
                Err(VerifyErrorKind::NotOnTarget("scaling by a power of two"))
            }
            Op::DotBf16 { .. } if !target.has_bf16 => {
                Err(VerifyErrorKind::NotOnTarget("bf16 dot product"))
            }
            _ => Ok(()),
        }
    }
    fn walk(block: &[Stmt], target: &Target, place: &str) -> Result<(), VerifyError> {
        for stmt in block {
            match stmt {
                Stmt::Let { id, op } => check(op, target).map_err(|kind| VerifyError {
                    place: format!("{place}: %{}", id.0),
                    kind,
                })?,
                Stmt::For { body, .. } => walk(body, target, place)?,
                Stmt::If {
                    then, otherwise, ..
                } => {
                    walk(then, target, place)?;
                    walk(otherwise, target, place)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
    for function in &kernel.functions {
        for (id, op) in function.code() {
            check(op, target).map_err(|kind| VerifyError {
                place: format!("function {} {}: %{}", function.prim, function.ty, id.0),
                kind,
            })?;
        }
    }
    walk(&kernel.setup, target, "setup")?;
    walk(&kernel.body, target, "body")
}

fn check_header(kernel: &Kernel) -> Check {
    for (at, param) in kernel.params.iter().enumerate() {
        if !param.dtype.is_native() {
            return Err(VerifyErrorKind::OpaqueBuffer(Buf::Param(at as u32)));
        }
    }
    for (at, local) in kernel.locals.iter().enumerate() {
        if !local.dtype.is_native() {
            return Err(VerifyErrorKind::OpaqueBuffer(Buf::Local(at as u32)));
        }
        check_over_sizes(&local.elements, kernel.size_count)?;
    }
    check_over_sizes(&kernel.tiles, kernel.size_count)
}

/// May only use entries of the size table.
fn check_over_sizes(expr: &IExpr, size_count: u32) -> Check {
    let mut result = Ok(());
    expr.visit(&mut |atom| match atom {
        Atom::Size(s) if *s >= size_count => result = Err(VerifyErrorKind::UndefinedSize(*s)),
        Atom::Var(_) | Atom::Value(_) => {
            result = Err(VerifyErrorKind::NotOverSizes(expr.clone()));
        }
        _ => {}
    });
    result
}

fn check_functions(kernel: &Kernel) -> Result<(), VerifyError> {
    for (at, function) in kernel.functions.iter().enumerate() {
        let earlier = &kernel.functions[..at];
        if earlier
            .iter()
            .any(|f| f.prim == function.prim && f.ty == function.ty)
        {
            return Err(VerifyError {
                place: "functions".into(),
                kind: VerifyErrorKind::FunctionDefinedTwice {
                    prim: function.prim,
                    ty: function.ty,
                },
            });
        }
        function_types(function)?;
    }
    Ok(())
}

fn check_function_head(function: &Function) -> Check {
    let prim = function.prim;
    if prim.is_basic() {
        return Err(VerifyErrorKind::NotAFunction(prim));
    }
    if function.params.len() != prim.arity() {
        return Err(VerifyErrorKind::Arity {
            prim,
            found: function.params.len(),
        });
    }
    types::check_lanes(function.ty.lanes)?;
    types::check_function_type(prim, function.ty.scalar)
}

struct Verifier<'a> {
    kernel: &'a Kernel,
    scope: Scope,
    place: &'static str,
}

impl Verifier<'_> {
    fn at(&self, what: impl fmt::Display) -> impl FnOnce(VerifyErrorKind) -> VerifyError {
        let place = format!("{}: {what}", self.place);
        move |kind| VerifyError { place, kind }
    }

    /// A block of its own: what it defines is gone afterwards.
    fn block(&mut self, block: &[Stmt]) -> Result<(), VerifyError> {
        self.scope.enter();
        self.statements(block)?;
        self.scope.leave();
        Ok(())
    }

    fn statements(&mut self, block: &[Stmt]) -> Result<(), VerifyError> {
        block.iter().try_for_each(|stmt| self.statement(stmt))
    }

    fn statement(&mut self, stmt: &Stmt) -> Result<(), VerifyError> {
        match stmt {
            Stmt::Let { id, op } => types::op(op, self.kernel, &self.scope)
                .and_then(|ty| self.scope.define(*id, ty))
                .map_err(self.at(format_args!("%{}", id.0))),
            Stmt::For {
                var,
                begin,
                end,
                step,
                body,
            } => {
                self.loop_head(*var, begin, end, *step)
                    .map_err(self.at(format_args!("for i{}", var.0)))?;
                self.scope.vars.push(*var);
                self.block(body)?;
                self.scope.vars.pop();
                Ok(())
            }
            Stmt::If {
                cond,
                then,
                otherwise,
            } => {
                self.scope
                    .expect(*cond, PREDICATE, "condition")
                    .map_err(self.at("if"))?;
                self.block(then)?;
                self.block(otherwise)
            }
            Stmt::Reg { id, init } => self
                .scope
                .value(*init)
                .and_then(|ty| self.scope.declare(*id, ty))
                .map_err(self.at(format_args!("register r{}", id.0))),
            Stmt::Set { id, value } => self
                .scope
                .register(*id)
                .and_then(|ty| self.scope.expect(*value, ty, "value"))
                .map_err(self.at(format_args!("set r{}", id.0))),
            Stmt::Store { buf, index, value } => {
                self.store(*buf, index, *value).map_err(self.at("store"))
            }
            Stmt::StoreMasked {
                buf,
                index,
                value,
                mask,
            } => self
                .store(*buf, index, *value)
                .and_then(|()| self.store_mask(*value, *mask))
                .map_err(self.at("store")),
            Stmt::Stream { buf, index, value } => self
                .store(*buf, index, *value)
                .and_then(|()| self.whole_vector(*value))
                .map_err(self.at("stream")),
            Stmt::Scatter { buf, index, value } => self
                .scatter(*buf, *index, *value)
                .map_err(self.at("scatter")),
            Stmt::Prefetch { buf, index, .. } => types::element(self.kernel, *buf)
                .and_then(|_| types::check_index(index, self.kernel, &self.scope))
                .map_err(self.at("prefetch")),
            Stmt::Fail { cond, code } => {
                let check = if *code == 0 {
                    Err(VerifyErrorKind::ZeroFailCode)
                } else {
                    self.scope.expect(*cond, PREDICATE, "condition")
                };
                check.map_err(self.at("fail"))
            }
            Stmt::Comment(_) => Ok(()),
        }
    }

    fn loop_head(&self, var: VarId, begin: &IExpr, end: &IExpr, step: i64) -> Check {
        if var == TILE || self.scope.vars.contains(&var) {
            return Err(VerifyErrorKind::VariableHidesAnother(var));
        }
        if var.0 >= MAX_ID {
            return Err(VerifyErrorKind::IdTooLarge(var.0));
        }
        if step <= 0 {
            return Err(VerifyErrorKind::Step(step));
        }
        types::check_index(begin, self.kernel, &self.scope)?;
        types::check_index(end, self.kernel, &self.scope)
    }

    /// The element type of a buffer that may be written.
    fn writable(&self, buf: Buf) -> Check<Scalar> {
        if let Buf::Param(at) = buf {
            let param = self.kernel.params.get(at as usize);
            if param.is_some_and(|p| p.access == Access::Read) {
                return Err(VerifyErrorKind::StoreToReadOnly(buf));
            }
        }
        types::element(self.kernel, buf)
    }

    fn store(&self, buf: Buf, index: &IExpr, value: ValueId) -> Check {
        let ty = self.scope.value(value)?;
        let element = self.writable(buf)?;
        types::check_index(index, self.kernel, &self.scope)?;
        self.scope.expect(value, ty.with(element), "stored value")
    }

    fn store_mask(&self, value: ValueId, mask: ValueId) -> Check {
        let ty = self.scope.value(value)?;
        self.scope.expect(mask, ty.with(Scalar::Bool), "mask")
    }

    /// Streaming stores exist for the sizes of vector registers.
    fn whole_vector(&self, value: ValueId) -> Check {
        let ty = self.scope.value(value)?;
        let bytes = ty.scalar.size() * ty.lanes as usize;
        if [16, 32, 64].contains(&bytes) {
            Ok(())
        } else {
            Err(VerifyErrorKind::StreamSize(ty))
        }
    }

    fn scatter(&self, buf: Buf, index: ValueId, value: ValueId) -> Check {
        let ty = self.scope.value(value)?;
        let element = self.writable(buf)?;
        self.scope.expect(index, ty.with(Scalar::I64), "index")?;
        self.scope.expect(value, ty.with(element), "stored value")
    }
}

const PREDICATE: Ty = Ty {
    scalar: Scalar::Bool,
    lanes: 1,
};

#[cfg(test)]
mod tests;
