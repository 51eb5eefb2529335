//! Integer expressions: tensor sizes, strides and index arithmetic.
//!
//! One algebra serves all three. An [`IExpr`] is a polynomial with `i64` coefficients over
//! [`Atom`]s, always in canonical form, so structural equality is algebraic equality for
//! everything built of `+`, `-` and `*`. `//` and `mod` round towards negative infinity and are
//! atoms unless the constructor can prove them away.
//!
//! What must hold: terms are sorted by monomial, monomials are sorted, no coefficient is zero.
//! A static size is a constant expression; nothing else distinguishes static from symbolic.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// An indivisible factor of an index expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Atom {
    /// Entry of the size table: a symbolic size, never negative.
    Size(u32),
    /// A loop variable.
    Var(u32),
    /// A scalar `i64` value computed by the kernel (an index loaded from memory).
    Value(u32),
    FloorDiv(IExpr, IExpr),
    Mod(IExpr, IExpr),
    Min(IExpr, IExpr),
    Max(IExpr, IExpr),
}

type Monomial = Vec<Atom>;

/// A canonical integer expression. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IExpr(Arc<Vec<(Monomial, i64)>>);

/// What is known of the atoms when a division is simplified or a bound is proved.
pub trait Ranges {
    /// Inclusive lower and upper bound of a loop variable, if known.
    fn var(&self, var: u32) -> Option<(IExpr, IExpr)>;
    /// Inclusive lower bound of a size-table entry.
    fn size_min(&self, _size: u32) -> i64 {
        0
    }
}

/// Nothing is known.
pub struct NoRanges;

impl Ranges for NoRanges {
    fn var(&self, _: u32) -> Option<(IExpr, IExpr)> {
        None
    }
}

/// Loop variable `v` runs over `0..extents[v]`; sizes are at least one inside a loop over them.
pub struct Extents<'a>(pub &'a [IExpr]);

impl Ranges for Extents<'_> {
    fn var(&self, var: u32) -> Option<(IExpr, IExpr)> {
        let extent = self.0.get(var as usize)?;
        Some((IExpr::zero(), extent - &IExpr::one()))
    }
    fn size_min(&self, _: u32) -> i64 {
        1
    }
}

impl IExpr {
    pub fn constant(value: i64) -> IExpr {
        if value == 0 {
            IExpr(Arc::new(Vec::new()))
        } else {
            IExpr(Arc::new(vec![(Vec::new(), value)]))
        }
    }
    pub fn zero() -> IExpr {
        IExpr::constant(0)
    }
    pub fn one() -> IExpr {
        IExpr::constant(1)
    }
    pub fn atom(atom: Atom) -> IExpr {
        IExpr(Arc::new(vec![(vec![atom], 1)]))
    }
    pub fn size(index: u32) -> IExpr {
        IExpr::atom(Atom::Size(index))
    }
    pub fn var(index: u32) -> IExpr {
        IExpr::atom(Atom::Var(index))
    }
    pub fn value(index: u32) -> IExpr {
        IExpr::atom(Atom::Value(index))
    }

    /// The canonical terms: `(factors, coefficient)`.
    pub fn terms(&self) -> &[(Vec<Atom>, i64)] {
        &self.0
    }

    fn from_map(map: BTreeMap<Monomial, i64>) -> IExpr {
        IExpr(Arc::new(map.into_iter().filter(|t| t.1 != 0).collect()))
    }

    /// The value, if the expression is a literal.
    pub fn as_const(&self) -> Option<i64> {
        match self.0.as_slice() {
            [] => Some(0),
            [(m, c)] if m.is_empty() => Some(*c),
            _ => None,
        }
    }
    pub fn is_const(&self, value: i64) -> bool {
        self.as_const() == Some(value)
    }
    pub fn is_zero(&self) -> bool {
        self.0.is_empty()
    }
    pub fn is_one(&self) -> bool {
        self.is_const(1)
    }

    /// The loop variable, if the expression is exactly one.
    pub fn as_var(&self) -> Option<u32> {
        match self.0.as_slice() {
            [(m, 1)] => match m.as_slice() {
                [Atom::Var(v)] => Some(*v),
                _ => None,
            },
            _ => None,
        }
    }

    /// `self // divisor`, rounded down, without range knowledge.
    pub fn floor_div(&self, divisor: &IExpr) -> IExpr {
        self.floor_div_in(divisor, &NoRanges)
    }

    /// `self mod divisor` with the divisor's sign, without range knowledge.
    pub fn modulo(&self, divisor: &IExpr) -> IExpr {
        self.modulo_in(divisor, &NoRanges)
    }

    /// Splits `self` into `(quotient, rest)` with `self == quotient * divisor + rest`, taking into
    /// the quotient every term that the divisor divides exactly. Divisor: a single monomial.
    fn split_by(&self, divisor: &IExpr) -> Option<(IExpr, IExpr)> {
        let [(factors, scale)] = divisor.terms() else {
            return None;
        };
        let (mut quotient, mut rest) = (BTreeMap::new(), BTreeMap::new());
        for (monomial, coefficient) in self.terms() {
            match divide_monomial(monomial, factors) {
                Some(left) if coefficient % scale == 0 => {
                    *quotient.entry(left).or_insert(0) += coefficient / scale;
                }
                _ => {
                    *rest.entry(monomial.clone()).or_insert(0) += coefficient;
                }
            }
        }
        Some((IExpr::from_map(quotient), IExpr::from_map(rest)))
    }

    /// `self // divisor`; a rest proved to lie in `0..divisor` vanishes.
    pub fn floor_div_in(&self, divisor: &IExpr, ranges: &dyn Ranges) -> IExpr {
        if divisor.is_one() || self.is_zero() {
            return self.clone();
        }
        if let (Some(a), Some(b)) = (self.as_const(), divisor.as_const())
            && b != 0
        {
            return IExpr::constant(floor_div(a, b));
        }
        if let Some((quotient, rest)) = self.split_by(divisor) {
            if rest.is_zero() || rest.in_range_of(divisor, ranges) {
                return quotient;
            }
            // Positive constants of the rest below the divisor stay; whole multiples leave.
            if !quotient.is_zero() {
                return &quotient + &rest.floor_div_in(divisor, ranges);
            }
            if let (Some(d), Some((_, c))) = (
                divisor.as_const(),
                rest.terms().iter().find(|t| t.0.is_empty()),
            ) {
                let whole = floor_div(*c, d);
                if whole != 0 && d > 0 {
                    let less = &rest - &IExpr::constant(whole * d);
                    return &IExpr::constant(whole) + &less.floor_div_in(divisor, ranges);
                }
            }
        }
        IExpr::atom(Atom::FloorDiv(self.clone(), divisor.clone()))
    }

    /// `self mod divisor`; a value proved to lie in `0..divisor` is returned as it is.
    pub fn modulo_in(&self, divisor: &IExpr, ranges: &dyn Ranges) -> IExpr {
        if divisor.is_one() || self.is_zero() {
            return IExpr::zero();
        }
        if let (Some(a), Some(b)) = (self.as_const(), divisor.as_const())
            && b != 0
        {
            return IExpr::constant(a - b * floor_div(a, b));
        }
        if self.in_range_of(divisor, ranges) {
            return self.clone();
        }
        if let Some((quotient, rest)) = self.split_by(divisor)
            && !quotient.is_zero()
        {
            return rest.modulo_in(divisor, ranges);
        }
        IExpr::atom(Atom::Mod(self.clone(), divisor.clone()))
    }

    pub fn smaller(&self, other: &IExpr) -> IExpr {
        match (self.as_const(), other.as_const()) {
            (Some(a), Some(b)) => IExpr::constant(a.min(b)),
            _ if self == other => self.clone(),
            _ => IExpr::atom(Atom::Min(self.clone(), other.clone())),
        }
    }
    pub fn larger(&self, other: &IExpr) -> IExpr {
        match (self.as_const(), other.as_const()) {
            (Some(a), Some(b)) => IExpr::constant(a.max(b)),
            _ if self == other => self.clone(),
            _ => IExpr::atom(Atom::Max(self.clone(), other.clone())),
        }
    }
    /// `self // divisor`, rounded up; the divisor is positive.
    pub fn ceil_div(&self, divisor: i64) -> IExpr {
        (self + &IExpr::constant(divisor - 1)).floor_div(&IExpr::constant(divisor))
    }

    /// The product of sizes, e.g. a tensor's element count.
    pub fn product<'a>(sizes: impl IntoIterator<Item = &'a IExpr>) -> IExpr {
        sizes.into_iter().fold(IExpr::one(), |acc, s| &acc * s)
    }

    /// Is `0 <= self < divisor` proved?
    fn in_range_of(&self, divisor: &IExpr, ranges: &dyn Ranges) -> bool {
        let Some((low, high)) = self.bounds(ranges) else {
            return false;
        };
        low.is_nonnegative(ranges) && (&(divisor - &high) - &IExpr::one()).is_nonnegative(ranges)
    }

    /// Is the expression, free of loop variables, proved to be at least zero?
    pub fn is_nonnegative(&self, ranges: &dyn Ranges) -> bool {
        let mut least: i64 = 0;
        for (monomial, coefficient) in self.terms() {
            let mut product: i64 = 1;
            for atom in monomial {
                let low = match atom {
                    Atom::Size(s) => ranges.size_min(*s).max(0),
                    Atom::FloorDiv(a, b) | Atom::Mod(a, b)
                        if a.is_nonnegative(ranges) && b.is_nonnegative(ranges) =>
                    {
                        0
                    }
                    Atom::Var(v) => match ranges.var(*v) {
                        Some((low, _)) => match low.as_const() {
                            Some(c) if c >= 0 => c,
                            _ => return false,
                        },
                        None => return false,
                    },
                    _ => return false,
                };
                product = product.saturating_mul(low);
            }
            if *coefficient < 0 {
                if monomial.is_empty() {
                    least = least.saturating_add(*coefficient);
                    continue;
                }
                return false;
            }
            least = least.saturating_add(coefficient.saturating_mul(product));
        }
        least >= 0
    }

    /// Inclusive bounds in terms of sizes, for an expression linear in its variables.
    pub fn bounds(&self, ranges: &dyn Ranges) -> Option<(IExpr, IExpr)> {
        let (mut low, mut high) = (IExpr::zero(), IExpr::zero());
        for (monomial, coefficient) in self.terms() {
            let (mut lo, mut hi) = (IExpr::one(), IExpr::one());
            for atom in monomial {
                let (al, ah) = match atom {
                    Atom::Size(_) => (IExpr::atom(atom.clone()), IExpr::atom(atom.clone())),
                    Atom::Var(v) => ranges.var(*v)?,
                    Atom::Mod(_, d) if d.is_nonnegative(ranges) => {
                        (IExpr::zero(), d - &IExpr::one())
                    }
                    Atom::FloorDiv(a, d) => {
                        let c = d.as_const().filter(|c| *c > 0)?;
                        let (l, h) = a.bounds(ranges)?;
                        let c = IExpr::constant(c);
                        (l.floor_div(&c), h.floor_div(&c))
                    }
                    _ => return None,
                };
                // Products of bounds hold for factors that are never negative.
                if !al.is_nonnegative(ranges) {
                    return None;
                }
                lo = &lo * &al;
                hi = &hi * &ah;
            }
            let c = IExpr::constant(*coefficient);
            if *coefficient >= 0 {
                low = &low + &(&lo * &c);
                high = &high + &(&hi * &c);
            } else {
                low = &low + &(&hi * &c);
                high = &high + &(&lo * &c);
            }
        }
        Some((low, high))
    }

    /// Rebuilds the expression with some atoms replaced; divisions simplify again under `ranges`.
    pub fn substitute(
        &self,
        replace: &dyn Fn(&Atom) -> Option<IExpr>,
        ranges: &dyn Ranges,
    ) -> IExpr {
        let mut sum = IExpr::zero();
        for (monomial, coefficient) in self.terms() {
            let mut product = IExpr::constant(*coefficient);
            for atom in monomial {
                let factor = match replace(atom) {
                    Some(e) => e,
                    None => match atom {
                        Atom::FloorDiv(a, b) => a
                            .substitute(replace, ranges)
                            .floor_div_in(&b.substitute(replace, ranges), ranges),
                        Atom::Mod(a, b) => a
                            .substitute(replace, ranges)
                            .modulo_in(&b.substitute(replace, ranges), ranges),
                        Atom::Min(a, b) => a
                            .substitute(replace, ranges)
                            .smaller(&b.substitute(replace, ranges)),
                        Atom::Max(a, b) => a
                            .substitute(replace, ranges)
                            .larger(&b.substitute(replace, ranges)),
                        other => IExpr::atom(other.clone()),
                    },
                };
                product = &product * &factor;
            }
            sum = &sum + &product;
        }
        sum
    }

    /// Replaces loop variable `v` by `values[v]` where there is one.
    pub fn with_vars(&self, values: &[IExpr], ranges: &dyn Ranges) -> IExpr {
        self.substitute(
            &|atom| match atom {
                Atom::Var(v) => values.get(*v as usize).cloned(),
                _ => None,
            },
            ranges,
        )
    }

    /// Visits every atom, those inside divisions included.
    pub fn visit(&self, f: &mut dyn FnMut(&Atom)) {
        for (monomial, _) in self.terms() {
            for atom in monomial {
                f(atom);
                match atom {
                    Atom::FloorDiv(a, b) | Atom::Mod(a, b) | Atom::Min(a, b) | Atom::Max(a, b) => {
                        a.visit(f);
                        b.visit(f);
                    }
                    Atom::Size(_) | Atom::Var(_) | Atom::Value(_) => {}
                }
            }
        }
    }

    pub fn uses_var(&self, var: u32) -> bool {
        let mut found = false;
        self.visit(&mut |atom| found |= *atom == Atom::Var(var));
        found
    }

    /// The factor of `var` where the expression is linear in it (zero where it is absent);
    /// `None` where the variable stands in a product with itself or inside a division.
    pub fn coefficient(&self, var: u32) -> Option<IExpr> {
        let mut map = BTreeMap::new();
        for (monomial, coefficient) in self.terms() {
            let direct = monomial.iter().filter(|a| **a == Atom::Var(var)).count();
            let nested = monomial
                .iter()
                .any(|a| !matches!(a, Atom::Var(_)) && IExpr::atom(a.clone()).uses_var(var));
            match (direct, nested) {
                (_, true) | (2.., _) => return None,
                (1, false) => {
                    let rest: Monomial = monomial
                        .iter()
                        .filter(|a| **a != Atom::Var(var))
                        .cloned()
                        .collect();
                    *map.entry(rest).or_insert(0) += coefficient;
                }
                (0, false) => {}
            }
        }
        Some(IExpr::from_map(map))
    }

    /// Evaluates with `atom` giving the value of sizes, variables and values; `None` on a division
    /// by zero or an atom without value. Arithmetic wraps.
    pub fn eval(&self, atom: &dyn Fn(&Atom) -> Option<i64>) -> Option<i64> {
        let mut sum: i64 = 0;
        for (monomial, coefficient) in self.terms() {
            let mut product = *coefficient;
            for a in monomial {
                let value = match a {
                    Atom::FloorDiv(x, y) => checked_floor_div(x.eval(atom)?, y.eval(atom)?)?,
                    Atom::Mod(x, y) => {
                        let (x, y) = (x.eval(atom)?, y.eval(atom)?);
                        x.wrapping_sub(y.wrapping_mul(checked_floor_div(x, y)?))
                    }
                    Atom::Min(x, y) => x.eval(atom)?.min(y.eval(atom)?),
                    Atom::Max(x, y) => x.eval(atom)?.max(y.eval(atom)?),
                    leaf => atom(leaf)?,
                };
                product = product.wrapping_mul(value);
            }
            sum = sum.wrapping_add(product);
        }
        Some(sum)
    }
}

fn divide_monomial(monomial: &[Atom], factors: &[Atom]) -> Option<Monomial> {
    let mut left = monomial.to_vec();
    for factor in factors {
        let at = left.iter().position(|a| a == factor)?;
        left.remove(at);
    }
    Some(left)
}

/// Floor division; the divisor is not zero.
fn floor_div(a: i64, b: i64) -> i64 {
    checked_floor_div(a, b).unwrap_or(0)
}

fn checked_floor_div(a: i64, b: i64) -> Option<i64> {
    let q = a.checked_div(b)?;
    Some(if a % b != 0 && (a < 0) != (b < 0) {
        q - 1
    } else {
        q
    })
}

impl std::ops::Add for &IExpr {
    type Output = IExpr;
    fn add(self, other: &IExpr) -> IExpr {
        if self.is_zero() {
            return other.clone();
        }
        if other.is_zero() {
            return self.clone();
        }
        let mut map: BTreeMap<Monomial, i64> = self.0.iter().cloned().collect();
        for (m, c) in other.terms() {
            let entry = map.entry(m.clone()).or_insert(0);
            *entry = entry.wrapping_add(*c);
        }
        IExpr::from_map(map)
    }
}

impl std::ops::Sub for &IExpr {
    type Output = IExpr;
    fn sub(self, other: &IExpr) -> IExpr {
        self + &(&IExpr::constant(-1) * other)
    }
}

impl std::ops::Mul for &IExpr {
    type Output = IExpr;
    fn mul(self, other: &IExpr) -> IExpr {
        if self.is_one() {
            return other.clone();
        }
        if other.is_one() {
            return self.clone();
        }
        let mut map: BTreeMap<Monomial, i64> = BTreeMap::new();
        for (ma, ca) in self.terms() {
            for (mb, cb) in other.terms() {
                let mut m: Monomial = ma.iter().chain(mb).cloned().collect();
                m.sort();
                let entry = map.entry(m).or_insert(0);
                *entry = entry.wrapping_add(ca.wrapping_mul(*cb));
            }
        }
        IExpr::from_map(map)
    }
}

impl From<i64> for IExpr {
    fn from(value: i64) -> IExpr {
        IExpr::constant(value)
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Atom::Size(i) => write!(f, "s{i}"),
            Atom::Var(i) => write!(f, "i{i}"),
            Atom::Value(i) => write!(f, "%{i}"),
            Atom::FloorDiv(a, b) => write!(f, "div({a}, {b})"),
            Atom::Mod(a, b) => write!(f, "mod({a}, {b})"),
            Atom::Min(a, b) => write!(f, "min({a}, {b})"),
            Atom::Max(a, b) => write!(f, "max({a}, {b})"),
        }
    }
}

impl fmt::Display for IExpr {
    /// `i0*768 + i1 + 3`: what [`crate::text`] parses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("0");
        }
        for (at, (monomial, coefficient)) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str(if *coefficient < 0 { " - " } else { " + " })?;
            } else if *coefficient < 0 {
                f.write_str("-")?;
            }
            let magnitude = coefficient.unsigned_abs();
            for (n, atom) in monomial.iter().enumerate() {
                write!(f, "{}{atom}", if n > 0 { "*" } else { "" })?;
            }
            if monomial.is_empty() {
                write!(f, "{magnitude}")?;
            } else if magnitude != 1 {
                write!(f, "*{magnitude}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for IExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn c(v: i64) -> IExpr {
        IExpr::constant(v)
    }

    #[test]
    fn merged_then_split_dimension_is_linear_again() {
        // i0 over 12, i1 over 64: (i0*64 + i1) // 64 == i0, mod 64 == i1.
        let extents = [c(12), c(64)];
        let flat = &(&IExpr::var(0) * &c(64)) + &IExpr::var(1);
        assert_eq!(flat.floor_div_in(&c(64), &Extents(&extents)), IExpr::var(0));
        assert_eq!(flat.modulo_in(&c(64), &Extents(&extents)), IExpr::var(1));
    }

    #[test]
    fn symbolic_split_is_linear_again() {
        let extents = [IExpr::size(0), IExpr::size(1)];
        let flat = &(&IExpr::var(0) * &IExpr::size(1)) + &IExpr::var(1);
        let ranges = Extents(&extents);
        assert_eq!(flat.floor_div_in(&IExpr::size(1), &ranges), IExpr::var(0));
        assert_eq!(flat.modulo_in(&IExpr::size(1), &ranges), IExpr::var(1));
    }

    #[test]
    fn a_rest_that_may_exceed_the_divisor_stays() {
        let extents = [c(12), c(65)];
        let flat = &(&IExpr::var(0) * &c(64)) + &IExpr::var(1);
        let quotient = flat.floor_div_in(&c(64), &Extents(&extents));
        assert_ne!(quotient, IExpr::var(0));
        let at = |i0: i64, i1: i64| {
            quotient.eval(&|a| match a {
                Atom::Var(0) => Some(i0),
                Atom::Var(1) => Some(i1),
                _ => None,
            })
        };
        assert_eq!(at(3, 64), Some(4));
        assert_eq!(at(3, 63), Some(3));
    }

    #[test]
    fn negative_operands_round_down() {
        assert_eq!(c(-7).floor_div(&c(2)), c(-4));
        assert_eq!(c(-7).modulo(&c(2)), c(1));
        assert_eq!(c(7).floor_div(&c(0)).eval(&|_| None), None);
    }

    #[test]
    fn coefficient_sees_products_and_divisions() {
        let e = &(&IExpr::var(0) * &IExpr::size(2)) + &IExpr::var(1).floor_div(&c(4));
        assert_eq!(e.coefficient(0), Some(IExpr::size(2)));
        assert_eq!(e.coefficient(1), None);
        assert_eq!(e.coefficient(5), Some(IExpr::zero()));
    }
}
