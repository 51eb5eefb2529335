//! The typing rules: what each operation takes and gives.

use super::{Check, MAX_ID, MAX_LANES, VerifyErrorKind};
use crate::index::{Atom, IExpr};
use crate::kernel::*;
use crate::prim::{Prim, Scalar};

/// Types of a kernel's values and registers, by id.
#[derive(Clone, Debug, Default)]
pub struct Types {
    values: Vec<Option<Ty>>,
    registers: Vec<Option<Ty>>,
}

impl Types {
    /// The value's type; `None` if the kernel defines no such value.
    pub fn value(&self, id: ValueId) -> Option<Ty> {
        self.values.get(id.0 as usize).copied().flatten()
    }

    /// The register's type; `None` if the kernel declares no such register.
    pub fn register(&self, id: RegId) -> Option<Ty> {
        self.registers.get(id.0 as usize).copied().flatten()
    }

    /// One more than the largest value id.
    pub fn value_count(&self) -> usize {
        self.values.len()
    }

    /// One more than the largest register id.
    pub fn register_count(&self) -> usize {
        self.registers.len()
    }

    /// Every value with its type, by id.
    pub fn values(&self) -> impl Iterator<Item = (ValueId, Ty)> + '_ {
        let numbered = self.values.iter().enumerate();
        numbered.filter_map(|(at, ty)| ty.map(|ty| (ValueId(at as u32), ty)))
    }
}

/// The type of a value that a verified kernel defines.
impl std::ops::Index<ValueId> for Types {
    type Output = Ty;
    fn index(&self, id: ValueId) -> &Ty {
        self.values[id.0 as usize]
            .as_ref()
            .expect("a verified kernel defines every value it uses")
    }
}

/// The type of a register that a verified kernel declares.
impl std::ops::Index<RegId> for Types {
    type Output = Ty;
    fn index(&self, id: RegId) -> &Ty {
        self.registers[id.0 as usize]
            .as_ref()
            .expect("a verified kernel declares every register it uses")
    }
}

/// Types so far, and what is visible at this point.
#[derive(Default)]
pub(super) struct Scope {
    pub types: Types,
    pub vars: Vec<VarId>,
    visible_values: Vec<bool>,
    visible_registers: Vec<bool>,
    /// What the open blocks defined, and where each block began.
    values: Vec<ValueId>,
    registers: Vec<RegId>,
    marks: Vec<(usize, usize)>,
}

/// Writes `item` at `at`, growing the table.
fn put<T: Clone>(table: &mut Vec<T>, at: u32, item: T, empty: T) {
    let at = at as usize;
    if table.len() <= at {
        table.resize(at + 1, empty);
    }
    table[at] = item;
}

impl Scope {
    pub fn enter(&mut self) {
        self.marks.push((self.values.len(), self.registers.len()));
    }

    pub fn leave(&mut self) {
        let (values, registers) = self.marks.pop().unwrap_or_default();
        for id in self.values.drain(values..) {
            self.visible_values[id.0 as usize] = false;
        }
        for id in self.registers.drain(registers..) {
            self.visible_registers[id.0 as usize] = false;
        }
    }

    pub fn define(&mut self, id: ValueId, ty: Ty) -> Check {
        if id.0 >= MAX_ID {
            return Err(VerifyErrorKind::IdTooLarge(id.0));
        }
        if self.types.value(id).is_some() {
            return Err(VerifyErrorKind::ValueDefinedTwice(id));
        }
        put(&mut self.types.values, id.0, Some(ty), None);
        put(&mut self.visible_values, id.0, true, false);
        self.values.push(id);
        Ok(())
    }

    pub fn declare(&mut self, id: RegId, ty: Ty) -> Check {
        if id.0 >= MAX_ID {
            return Err(VerifyErrorKind::IdTooLarge(id.0));
        }
        if self.types.register(id).is_some() {
            return Err(VerifyErrorKind::RegisterDeclaredTwice(id));
        }
        put(&mut self.types.registers, id.0, Some(ty), None);
        put(&mut self.visible_registers, id.0, true, false);
        self.registers.push(id);
        Ok(())
    }

    pub fn value(&self, id: ValueId) -> Check<Ty> {
        match self.types.value(id) {
            Some(ty) if self.visible_values[id.0 as usize] => Ok(ty),
            _ => Err(VerifyErrorKind::UndefinedValue(id)),
        }
    }

    pub fn register(&self, id: RegId) -> Check<Ty> {
        match self.types.register(id) {
            Some(ty) if self.visible_registers[id.0 as usize] => Ok(ty),
            _ => Err(VerifyErrorKind::UndefinedRegister(id)),
        }
    }

    pub fn expect(&self, id: ValueId, expected: Ty, what: &'static str) -> Check {
        let found = self.value(id)?;
        if found == expected {
            Ok(())
        } else {
            Err(VerifyErrorKind::Mismatch {
                what,
                expected,
                found,
            })
        }
    }
}

pub(super) fn check_lanes(lanes: u32) -> Check {
    if lanes.is_power_of_two() && lanes <= MAX_LANES {
        Ok(())
    } else {
        Err(VerifyErrorKind::Lanes(lanes))
    }
}

/// Variables, values and sizes of the expression are visible.
pub(super) fn check_index(expr: &IExpr, kernel: &Kernel, scope: &Scope) -> Check {
    let mut result = Ok(());
    expr.visit(&mut |atom| {
        let check = match atom {
            Atom::Size(s) if *s >= kernel.size_count => Err(VerifyErrorKind::UndefinedSize(*s)),
            Atom::Var(v) if !scope.vars.contains(&VarId(*v)) => {
                Err(VerifyErrorKind::UndefinedVariable(*v))
            }
            Atom::Value(v) => scope.value(ValueId(*v)).and_then(|ty| {
                if ty == Ty::scalar(Scalar::I64) {
                    Ok(())
                } else {
                    Err(VerifyErrorKind::NotAnIndex(ValueId(*v), ty))
                }
            }),
            _ => Ok(()),
        };
        if result.is_ok() {
            result = check;
        }
    });
    result
}

/// The element type of a buffer.
pub(super) fn element(kernel: &Kernel, buf: Buf) -> Check<Scalar> {
    let dtype = match buf {
        Buf::Param(at) => kernel.params.get(at as usize).map(|p| p.dtype),
        Buf::Local(at) => kernel.locals.get(at as usize).map(|l| l.dtype),
    };
    dtype.ok_or(VerifyErrorKind::UnknownBuffer(buf))
}

/// The type an operation of `setup` or `body` gives.
pub(super) fn op(op: &Op, kernel: &Kernel, scope: &Scope) -> Check<Ty> {
    match op {
        Op::Index { expr } => {
            check_index(expr, kernel, scope)?;
            Ok(Ty::scalar(Scalar::I64))
        }
        Op::Ramp {
            base,
            stride,
            lanes,
        } => {
            check_lanes(*lanes)?;
            check_index(base, kernel, scope)?;
            check_index(stride, kernel, scope)?;
            Ok(Ty::new(Scalar::I64, *lanes))
        }
        Op::Get { id } => scope.register(*id),
        Op::Load { buf, index, lanes } => {
            check_lanes(*lanes)?;
            check_index(index, kernel, scope)?;
            Ok(Ty::new(element(kernel, *buf)?, *lanes))
        }
        Op::LoadMasked { buf, index, mask } => {
            check_index(index, kernel, scope)?;
            let ty = scope.value(*mask)?;
            scope.expect(*mask, ty.with(Scalar::Bool), "mask")?;
            Ok(ty.with(element(kernel, *buf)?))
        }
        Op::LoadStrided {
            buf,
            index,
            stride,
            lanes,
        } => {
            check_lanes(*lanes)?;
            check_index(index, kernel, scope)?;
            check_index(stride, kernel, scope)?;
            Ok(Ty::new(element(kernel, *buf)?, *lanes))
        }
        Op::Gather { buf, index } => {
            let ty = scope.value(*index)?;
            scope.expect(*index, ty.with(Scalar::I64), "index")?;
            Ok(ty.with(element(kernel, *buf)?))
        }
        Op::Prim { prim, args } => {
            let ty = prim_type(*prim, args, scope)?;
            let operand = match args.first() {
                Some(first) => scope.value(*first)?,
                None => ty,
            };
            if !prim.is_basic() && kernel.function(*prim, operand).is_none() {
                return Err(VerifyErrorKind::MissingFunction {
                    prim: *prim,
                    ty: operand,
                });
            }
            Ok(ty)
        }
        Op::DotBf16 { acc, a, b } => {
            let ty = scope.value(*acc)?;
            scope.expect(*acc, ty.with(Scalar::F32), "accumulator")?;
            // The instruction's three widths.
            if !matches!(ty.lanes, 4 | 8 | 16) {
                return Err(VerifyErrorKind::OpType {
                    what: "the accumulator of a bf16 dot product",
                    ty,
                });
            }
            let pairs = Ty::new(Scalar::BF16, 2 * ty.lanes);
            scope.expect(*a, pairs, "first factor")?;
            scope.expect(*b, pairs, "second factor")?;
            Ok(ty)
        }
        other => pure_op(other, scope),
    }
}

/// The type an operation of a function's body gives.
pub(super) fn function_op(op: &Op, scope: &Scope) -> Check<Ty> {
    match op {
        Op::Prim { prim, args } if prim.is_basic() => prim_type(*prim, args, scope),
        Op::Prim { .. } => Err(VerifyErrorKind::NotInFunction("another function")),
        Op::Index { .. } | Op::Ramp { .. } => {
            Err(VerifyErrorKind::NotInFunction("an index expression"))
        }
        Op::Get { .. } => Err(VerifyErrorKind::NotInFunction("a register")),
        Op::Load { .. } | Op::LoadMasked { .. } | Op::LoadStrided { .. } | Op::Gather { .. } => {
            Err(VerifyErrorKind::NotInFunction("a load"))
        }
        Op::DotBf16 { .. } => Err(VerifyErrorKind::NotInFunction("a dot product")),
        other => pure_op(other, scope),
    }
}

/// Operations that depend on nothing but their operands.
fn pure_op(op: &Op, scope: &Scope) -> Check<Ty> {
    match op {
        Op::Const { ty, .. } => {
            check_lanes(ty.lanes)?;
            if ty.scalar.is_half() || !ty.scalar.is_native() {
                return Err(VerifyErrorKind::OpType {
                    what: "a constant",
                    ty: *ty,
                });
            }
            Ok(*ty)
        }
        Op::Convert { value, to } => {
            let ty = scope.value(*value)?;
            native(ty.with(*to))?;
            Ok(ty.with(*to))
        }
        Op::Bitcast { value, to } => {
            let ty = scope.value(*value)?;
            let (from, to) = (ty, native(ty.with(*to))?);
            for side in [from, to] {
                if side.scalar == Scalar::Bool {
                    return Err(VerifyErrorKind::OpType {
                        what: "a bitcast",
                        ty: side,
                    });
                }
            }
            if from.scalar.size() != to.scalar.size() {
                return Err(VerifyErrorKind::Mismatch {
                    what: "width of a bitcast",
                    expected: from,
                    found: to,
                });
            }
            Ok(to)
        }
        Op::Splat { value, lanes } => {
            check_lanes(*lanes)?;
            let ty = scope.value(*value)?;
            scope.expect(*value, Ty::scalar(ty.scalar), "operand of splat")?;
            Ok(Ty::new(ty.scalar, *lanes))
        }
        Op::Extract { value, lane } => {
            let ty = scope.value(*value)?;
            check_lane(*lane, ty.lanes)?;
            Ok(Ty::scalar(ty.scalar))
        }
        Op::Shuffle { a, b, lanes } => {
            let ty = scope.value(*a)?;
            scope.expect(*b, ty, "second operand of shuffle")?;
            let count = u32::try_from(lanes.len()).unwrap_or(u32::MAX);
            check_lanes(count)?;
            for lane in lanes {
                check_lane(*lane, 2 * ty.lanes)?;
            }
            Ok(Ty::new(ty.scalar, count))
        }
        // The callers handle the others.
        Op::Index { .. }
        | Op::Ramp { .. }
        | Op::Get { .. }
        | Op::Load { .. }
        | Op::LoadMasked { .. }
        | Op::LoadStrided { .. }
        | Op::Gather { .. }
        | Op::Prim { .. }
        | Op::DotBf16 { .. } => Err(VerifyErrorKind::NotInFunction("this operation")),
    }
}

fn native(ty: Ty) -> Check<Ty> {
    if ty.scalar.is_native() {
        Ok(ty)
    } else {
        Err(VerifyErrorKind::OpType {
            what: "a conversion",
            ty,
        })
    }
}

fn check_lane(lane: u32, lanes: u32) -> Check {
    if lane < lanes {
        Ok(())
    } else {
        Err(VerifyErrorKind::LaneOutOfRange { lane, lanes })
    }
}

fn prim_type(prim: Prim, args: &[ValueId], scope: &Scope) -> Check<Ty> {
    if args.len() != prim.arity() {
        return Err(VerifyErrorKind::Arity {
            prim,
            found: args.len(),
        });
    }
    let first = scope.value(args[0])?;
    if prim == Prim::Select {
        scope.expect(args[0], first.with(Scalar::Bool), "predicate of select")?;
        let ty = scope.value(args[1])?;
        check_prim_type(prim, ty.scalar)?;
        scope.expect(args[1], first.with(ty.scalar), "operand of select")?;
        scope.expect(args[2], ty, "operand of select")?;
        return Ok(ty);
    }
    for arg in &args[1..] {
        scope.expect(*arg, first, "operand of a prim")?;
    }
    if !prim.is_basic() {
        check_function_type(prim, first.scalar)?;
        return Ok(first);
    }
    check_prim_type(prim, first.scalar)?;
    Ok(if prim.is_comparison() {
        first.with(Scalar::Bool)
    } else {
        first
    })
}

/// May the prim, basic or function, be applied to operands of this type?
pub fn prim_takes(prim: Prim, scalar: Scalar) -> bool {
    let check = if prim.is_basic() {
        check_prim_type
    } else {
        check_function_type
    };
    check(prim, scalar).is_ok()
}

/// Which scalar types a basic prim takes.
fn check_prim_type(prim: Prim, scalar: Scalar) -> Check {
    use Prim::*;
    let float = matches!(scalar, Scalar::F32 | Scalar::F64);
    let (int, bool) = (scalar.is_int(), scalar == Scalar::Bool);
    let legal = match prim {
        Add | Sub | Mul | Div | Neg | Abs | MinNum | MaxNum => float || int,
        Rem | Shl | Shr => int,
        Fma | Scale | Sqrt | Floor | Ceil | Trunc | Round | CopySign => float,
        And | Or | Xor | Not => int || bool,
        Eq | Ne | Lt | Le | Gt | Ge | Select => float || int || bool,
        _ => false,
    };
    if legal {
        Ok(())
    } else {
        Err(VerifyErrorKind::PrimType { prim, scalar })
    }
}

/// Which scalar types a function may be defined for.
pub(super) fn check_function_type(prim: Prim, scalar: Scalar) -> Check {
    use Prim::*;
    let float = matches!(scalar, Scalar::F32 | Scalar::F64);
    let also_integers = matches!(
        prim,
        Minimum | Maximum | Remainder | FloorDivide | Sign | Pow
    );
    if float || (also_integers && scalar.is_int()) {
        Ok(())
    } else {
        Err(VerifyErrorKind::PrimType { prim, scalar })
    }
}
