//! Random index expressions that are proved to stay in range.

use super::Rng;
use crate::index::{Atom, IExpr};

/// What an expression may refer to, with the values it can take.
#[derive(Clone, Debug, Default)]
pub(super) struct Visible {
    /// Loop variables and their inclusive bounds.
    pub vars: Vec<(u32, i64, i64)>,
    /// The size table.
    pub sizes: Vec<i64>,
    /// Scalar `i64` values, of any value.
    pub values: Vec<u32>,
}

impl Visible {
    /// Inclusive bounds; `None` where they are unknown or might not fit in 64 bits.
    pub fn bounds(&self, expr: &IExpr) -> Option<(i64, i64)> {
        let (mut low, mut high) = (0i128, 0i128);
        for (monomial, coefficient) in expr.terms() {
            let (mut lo, mut hi) = (i128::from(*coefficient), i128::from(*coefficient));
            for atom in monomial {
                let (al, ah) = self.atom_bounds(atom)?;
                let corners = [lo * al, lo * ah, hi * al, hi * ah];
                lo = corners.into_iter().min()?;
                hi = corners.into_iter().max()?;
                i64::try_from(lo).ok()?;
                i64::try_from(hi).ok()?;
            }
            low += lo;
            high += hi;
        }
        Some((i64::try_from(low).ok()?, i64::try_from(high).ok()?))
    }

    fn atom_bounds(&self, atom: &Atom) -> Option<(i128, i128)> {
        let (low, high) = match atom {
            Atom::Size(s) => (self.sizes[*s as usize], self.sizes[*s as usize]),
            Atom::Var(v) => {
                let var = self.vars.iter().find(|var| var.0 == *v)?;
                (var.1, var.2)
            }
            Atom::Value(_) => return None,
            Atom::FloorDiv(a, b) => {
                // The magnitude does not grow, but rounds away from zero below it.
                self.bounds(b)?;
                let (low, high) = self.bounds(a)?;
                let most = low.unsigned_abs().max(high.unsigned_abs()) as i64;
                (most.checked_neg()?.checked_sub(1)?, most.checked_add(1)?)
            }
            Atom::Mod(_, b) => {
                let (low, high) = self.bounds(b)?;
                (low.min(0), high.max(0))
            }
            Atom::Min(a, b) => match (self.bounds(a), self.bounds(b)) {
                (Some(a), Some(b)) => (a.0.min(b.0), a.1.min(b.1)),
                _ => return None,
            },
            Atom::Max(a, b) => match (self.bounds(a), self.bounds(b)) {
                (Some(a), Some(b)) => (a.0.max(b.0), a.1.max(b.1)),
                _ => return None,
            },
        };
        Some((i128::from(low), i128::from(high)))
    }

    /// Any expression: it always evaluates, to anything.
    pub fn any(&self, rng: &mut Rng, depth: usize) -> IExpr {
        let mut sum = IExpr::constant(rng.between(-4, 12));
        for _ in 0..rng.below(4) {
            sum = &sum + &self.term(rng, depth);
        }
        sum
    }

    fn term(&self, rng: &mut Rng, depth: usize) -> IExpr {
        let factor = match rng.below(4) {
            0 if !self.sizes.is_empty() => self.size(rng),
            _ => IExpr::constant(*rng.pick(&[1, 1, 1, 2, 3, 8, 16, -1, -5])),
        };
        let leaf = match rng.below(if depth > 0 { 10 } else { 6 }) {
            0..=3 if !self.vars.is_empty() => IExpr::var(rng.pick(&self.vars).0),
            4 if !self.sizes.is_empty() => self.size(rng),
            5 if !self.values.is_empty() => IExpr::value(*rng.pick(&self.values)),
            0..=5 => IExpr::constant(rng.between(0, 9)),
            6 => self.any(rng, depth - 1).floor_div(&self.divisor(rng)),
            7 => self.any(rng, depth - 1).modulo(&self.divisor(rng)),
            8 => self.any(rng, depth - 1).smaller(&self.any(rng, depth - 1)),
            _ => self.any(rng, depth - 1).larger(&self.any(rng, depth - 1)),
        };
        &leaf * &factor
    }

    fn size(&self, rng: &mut Rng) -> IExpr {
        IExpr::size(rng.below(self.sizes.len()) as u32)
    }

    /// Neither zero nor -1, which divisions cannot take.
    fn divisor(&self, rng: &mut Rng) -> IExpr {
        if self.sizes.is_empty() || rng.one_in(2) {
            IExpr::constant(*rng.pick(&[1, 2, 3, 7, 8, 16, 64, -2, -7]))
        } else {
            self.size(rng)
        }
    }

    /// An expression within `0..=most`; `most` is not negative.
    pub fn within(&self, rng: &mut Rng, most: i64) -> IExpr {
        let expr = self.any(rng, 2);
        if self
            .bounds(&expr)
            .is_some_and(|(low, high)| low >= 0 && high <= most)
        {
            return expr;
        }
        if rng.one_in(3) {
            return expr.larger(&IExpr::zero()).smaller(&IExpr::constant(most));
        }
        expr.modulo(&IExpr::constant(most + 1))
    }
}
