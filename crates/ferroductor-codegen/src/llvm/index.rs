//! Index expressions as `i64` arithmetic.
//!
//! Terms are summed from the outermost loop inwards, so that every partial sum is invariant in the
//! loops inside it and can be hoisted. Division takes the unsigned or shifted form only where the
//! dividend's sign is proved; a divisor that might be zero is guarded, for the machine would trap.

use std::collections::HashMap;

use ferroductor_ir::kernel::{Ty, ValueId, VarId};
use ferroductor_ir::{Atom, DType, IExpr};
use inkwell::values::{InstructionOpcode as I, IntValue};
use inkwell::{IntPredicate, values::BasicValueEnum};

use super::build::{Build, Value};
use super::error::{CodegenError, malformed};

type Int<'c> = Result<IntValue<'c>, CodegenError>;

/// Bounds of an expression, inclusive; at `±FAR` they mean "unbounded".
///
/// Arithmetic on indices wraps. Sizes, and loop variables between sizes, count what exists in
/// memory, so their sums and products are taken not to; data may be anything, so an expression over
/// data whose bounds leave `i64` has none.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Interval {
    pub low: i128,
    pub high: i128,
    /// Does the expression depend on data?
    pub from_data: bool,
}

/// Beyond every `i64`, yet small enough that products of two fit `i128`.
const FAR: i128 = 1 << 63;

impl Interval {
    fn of(low: i128, high: i128) -> Interval {
        Interval {
            low: low.clamp(-FAR, FAR),
            high: high.clamp(-FAR, FAR),
            from_data: false,
        }
    }

    /// From 0 to the largest `i64`: sizes and tile ids.
    pub fn count() -> Interval {
        Interval::of(0, i128::from(i64::MAX))
    }

    /// From the least of one to below the greatest of the other.
    pub fn between(begin: Interval, end: Interval) -> Interval {
        Interval::of(begin.low, end.high - 1).with_data_of(begin, end)
    }

    fn any() -> Interval {
        Interval::of(-FAR, FAR)
    }

    fn data() -> Interval {
        Interval {
            from_data: true,
            ..Interval::any()
        }
    }

    fn with_data_of(self, a: Interval, b: Interval) -> Interval {
        let from_data = a.from_data || b.from_data;
        Interval { from_data, ..self }
    }

    fn plus(self, other: Interval) -> Interval {
        Interval::of(self.low + other.low, self.high + other.high).with_data_of(self, other)
    }

    fn times(self, other: Interval) -> Interval {
        let corners = [
            self.low * other.low,
            self.low * other.high,
            self.high * other.low,
            self.high * other.high,
        ];
        let low = corners.iter().copied().min().unwrap_or(-FAR);
        let high = corners.iter().copied().max().unwrap_or(FAR);
        Interval::of(low, high).with_data_of(self, other)
    }

    fn quotient(self, divisor: Interval) -> Interval {
        let bounds = if self.is_nonnegative() && divisor.low >= 1 {
            Interval::of(self.low / divisor.high, self.high / divisor.low)
        } else if self.is_nonnegative() && divisor.is_nonnegative() {
            Interval::of(0, self.high)
        } else {
            Interval::any()
        };
        bounds.with_data_of(self, divisor)
    }

    fn rest(self, divisor: Interval) -> Interval {
        let bounds = if divisor.is_nonnegative() {
            Interval::of(0, (divisor.high - 1).max(0))
        } else {
            Interval::any()
        };
        bounds.with_data_of(self, divisor)
    }

    /// The bounds of what wrapping arithmetic gives.
    fn wrapped(self) -> Interval {
        let fits = self.low > -FAR && self.high < FAR;
        if self.from_data && !fits {
            Interval::data()
        } else {
            self
        }
    }

    fn is_nonnegative(self) -> bool {
        self.low >= 0
    }
}

/// A loop variable in scope.
#[derive(Clone, Copy)]
pub(super) struct Variable<'c> {
    pub value: IntValue<'c>,
    pub bounds: Interval,
    /// Number of loops around its own.
    pub depth: usize,
}

/// What the atoms of an index expression stand for.
pub(super) struct Scope<'c> {
    pub sizes: Vec<IntValue<'c>>,
    pub variables: HashMap<VarId, Variable<'c>>,
    pub values: HashMap<ValueId, Defined<'c>>,
}

/// A value in scope, and the number of loops around its definition.
#[derive(Clone, Copy)]
pub(super) struct Defined<'c> {
    pub value: Value<'c>,
    pub depth: usize,
}

impl<'c> Scope<'c> {
    pub fn bounds(&self, expr: &IExpr) -> Interval {
        expr.terms()
            .iter()
            .map(|(factors, coefficient)| {
                let scale = i128::from(*coefficient);
                factors
                    .iter()
                    .map(|atom| self.atom_bounds(atom))
                    .fold(Interval::of(scale, scale), Interval::times)
            })
            .fold(Interval::of(0, 0), Interval::plus)
            .wrapped()
    }

    fn atom_bounds(&self, atom: &Atom) -> Interval {
        let of = |a, b| (self.bounds(a), self.bounds(b));
        match atom {
            Atom::Size(_) => Interval::count(),
            Atom::Var(v) => self
                .variables
                .get(&VarId(*v))
                .map_or(Interval::data(), |v| v.bounds),
            Atom::Value(_) => Interval::data(),
            Atom::FloorDiv(a, b) => {
                let (a, b) = of(a, b);
                a.quotient(b)
            }
            Atom::Mod(a, b) => {
                let (a, b) = of(a, b);
                a.rest(b)
            }
            Atom::Min(a, b) => {
                let (a, b) = of(a, b);
                Interval::of(a.low.min(b.low), a.high.min(b.high)).with_data_of(a, b)
            }
            Atom::Max(a, b) => {
                let (a, b) = of(a, b);
                Interval::of(a.low.max(b.low), a.high.max(b.high)).with_data_of(a, b)
            }
        }
    }

    /// The depth of the innermost loop that the atom depends on.
    fn depth(&self, atom: &Atom) -> usize {
        let mut deepest = 0;
        let mut see = |a: &Atom| {
            let depth = match a {
                Atom::Var(v) => self.variables.get(&VarId(*v)).map_or(0, |v| v.depth + 1),
                Atom::Value(v) => self.values.get(&ValueId(*v)).map_or(0, |d| d.depth),
                _ => 0,
            };
            deepest = deepest.max(depth);
        };
        IExpr::atom(atom.clone()).visit(&mut see);
        deepest
    }

    /// The value of an expression.
    pub fn emit(&self, b: &Build<'c, '_>, expr: &IExpr) -> Int<'c> {
        let (sum, constant) = self.emit_split(b, expr)?;
        match sum {
            None => Ok(b.i64(constant)),
            Some(sum) if constant == 0 => Ok(sum),
            Some(sum) => integer(b.binary(I::Add, sum.into(), b.i64(constant).into())?),
        }
    }

    /// The value of an expression as its varying part, if it has one, and its constant.
    pub fn emit_split(
        &self,
        b: &Build<'c, '_>,
        expr: &IExpr,
    ) -> Result<(Option<IntValue<'c>>, i64), CodegenError> {
        let mut constant = 0;
        let mut terms = Vec::with_capacity(expr.terms().len());
        for (factors, coefficient) in expr.terms() {
            if factors.is_empty() {
                constant = *coefficient;
                continue;
            }
            let depth = factors.iter().map(|a| self.depth(a)).max().unwrap_or(0);
            terms.push((depth, factors, *coefficient));
        }
        terms.sort_by_key(|term| term.0);
        let mut sum: Option<IntValue<'c>> = None;
        for (_, factors, coefficient) in terms {
            let term = self.emit_term(b, factors, coefficient)?;
            sum = Some(match sum {
                None => term,
                Some(sum) => integer(b.binary(I::Add, sum.into(), term.into())?)?,
            });
        }
        Ok((sum, constant))
    }

    fn emit_term(&self, b: &Build<'c, '_>, factors: &[Atom], coefficient: i64) -> Int<'c> {
        let mut factors: Vec<&Atom> = factors.iter().collect();
        factors.sort_by_key(|atom| self.depth(atom));
        let mut product: Option<IntValue<'c>> = match coefficient {
            1 => None,
            c => Some(b.i64(c)),
        };
        for atom in factors {
            let factor = self.emit_atom(b, atom)?;
            product = Some(match product {
                None => factor,
                Some(product) => integer(b.binary(I::Mul, product.into(), factor.into())?)?,
            });
        }
        Ok(product.unwrap_or_else(|| b.i64(1)))
    }

    fn emit_atom(&self, b: &Build<'c, '_>, atom: &Atom) -> Int<'c> {
        match atom {
            Atom::Size(s) => match self.sizes.get(*s as usize) {
                Some(size) => Ok(*size),
                None => malformed(format!("size {s} is not declared")),
            },
            Atom::Var(v) => match self.variables.get(&VarId(*v)) {
                Some(variable) => Ok(variable.value),
                None => malformed(format!("loop variable {v} is not in scope")),
            },
            Atom::Value(v) => match self.values.get(&ValueId(*v)) {
                Some(Defined { value, .. }) if value.ty == Ty::scalar(DType::I64) => {
                    integer(value.llvm)
                }
                Some(Defined { value, .. }) => {
                    malformed(format!("value {v} of type {:?} in an index", value.ty))
                }
                None => malformed(format!("value {v} is not in scope")),
            },
            Atom::FloorDiv(x, y) => self.emit_division(b, x, y, false),
            Atom::Mod(x, y) => self.emit_division(b, x, y, true),
            Atom::Min(x, y) => self.emit_choice(b, IntPredicate::SLT, x, y),
            Atom::Max(x, y) => self.emit_choice(b, IntPredicate::SGT, x, y),
        }
    }

    fn emit_choice(
        &self,
        b: &Build<'c, '_>,
        predicate: IntPredicate,
        x: &IExpr,
        y: &IExpr,
    ) -> Int<'c> {
        let x: BasicValueEnum<'c> = self.emit(b, x)?.into();
        let y = self.emit(b, y)?.into();
        let holds = b.compare_ints(predicate, x, y)?;
        integer(b.select(holds, x, y)?)
    }

    fn emit_division(&self, b: &Build<'c, '_>, x: &IExpr, y: &IExpr, rest_wanted: bool) -> Int<'c> {
        let (x_bounds, y_bounds) = (self.bounds(x), self.bounds(y));
        let dividend: BasicValueEnum<'c> = self.emit(b, x)?.into();
        if let Some(divisor) = y.as_const().filter(|d| *d > 0) {
            return constant_division(b, dividend, divisor, x_bounds, rest_wanted);
        }
        let divisor: BasicValueEnum<'c> = self.emit(b, y)?.into();
        if x_bounds.is_nonnegative() && y_bounds.is_nonnegative() {
            let divisor = if y_bounds.low >= 1 {
                divisor
            } else {
                b.intrinsic(
                    "llvm.umax",
                    &[divisor.get_type()],
                    &[divisor, b.i64(1).into()],
                )?
            };
            let op = if rest_wanted { I::URem } else { I::UDiv };
            return integer(b.binary(op, dividend, divisor)?);
        }
        signed_division(b, dividend, divisor, rest_wanted)
    }
}

/// By a positive literal.
fn constant_division<'c>(
    b: &Build<'c, '_>,
    x: BasicValueEnum<'c>,
    divisor: i64,
    bounds: Interval,
    rest_wanted: bool,
) -> Int<'c> {
    let y: BasicValueEnum<'c> = b.i64(divisor).into();
    if divisor & (divisor - 1) == 0 {
        // Shifts round towards negative infinity and masks take the divisor's sign by themselves.
        let shift = b.i64(i64::from(divisor.trailing_zeros())).into();
        let mask = b.i64(divisor - 1).into();
        return integer(match rest_wanted {
            true => b.binary(I::And, x, mask)?,
            false if bounds.is_nonnegative() => b.binary(I::LShr, x, shift)?,
            false => b.binary(I::AShr, x, shift)?,
        });
    }
    if bounds.is_nonnegative() {
        let op = if rest_wanted { I::URem } else { I::UDiv };
        return integer(b.binary(op, x, y)?);
    }
    let rest = b.binary(I::SRem, x, y)?;
    let is_negative = b.compare_ints(IntPredicate::SLT, rest, b.i64(0).into())?;
    if rest_wanted {
        let raised = b.binary(I::Add, rest, y)?;
        return integer(b.select(is_negative, raised, rest)?);
    }
    let quotient = b.binary(I::SDiv, x, y)?;
    let lowered = b.binary(I::Sub, quotient, b.i64(1).into())?;
    integer(b.select(is_negative, lowered, quotient)?)
}

/// By a divisor of unknown sign; by zero it is as by one, and by -1 nothing overflows.
fn signed_division<'c>(
    b: &Build<'c, '_>,
    x: BasicValueEnum<'c>,
    y: BasicValueEnum<'c>,
    rest_wanted: bool,
) -> Int<'c> {
    let (zero, one) = (b.i64(0).into(), b.i64(1).into());
    let is_minus_one = b.compare_ints(IntPredicate::EQ, y, b.i64(-1).into())?;
    let is_zero = b.compare_ints(IntPredicate::EQ, y, zero)?;
    let traps = b.binary(I::Or, is_zero, is_minus_one)?;
    let divisor = b.select(traps, one, y)?;
    let rest = b.binary(I::SRem, x, divisor)?;
    let has_rest = b.compare_ints(IntPredicate::NE, rest, zero)?;
    let signs = b.binary(I::Xor, rest, divisor)?;
    let signs_differ = b.compare_ints(IntPredicate::SLT, signs, zero)?;
    let adjust = b.binary(I::And, has_rest, signs_differ)?;
    if rest_wanted {
        let raised = b.binary(I::Add, rest, divisor)?;
        return integer(b.select(adjust, raised, rest)?);
    }
    let quotient = b.binary(I::SDiv, x, divisor)?;
    let lowered = b.binary(I::Sub, quotient, one)?;
    let quotient = b.select(adjust, lowered, quotient)?;
    let negated = b.binary(I::Sub, zero, x)?;
    integer(b.select(is_minus_one, negated, quotient)?)
}

pub(super) fn integer(value: BasicValueEnum<'_>) -> Int<'_> {
    match value {
        BasicValueEnum::IntValue(v) => Ok(v),
        _ => Err(CodegenError::Llvm("an index that is no integer".into())),
    }
}
