//! Aligning a nest's variables with the axes of a kernel.
//!
//! A kernel iterates over *axes*. Each member nest maps its own variables to expressions over
//! axes; variables that are read at the same place must map to the same axis. An axis may have to
//! be split to serve both `[128, 768]` and `[128, 12, 64]`.

use super::nest::{Nest, Work};
use crate::graph::{Load, TensorId};
use ferroductor_ir::{Extents, IExpr};
use std::collections::BTreeSet;

/// A nest in a kernel.
#[derive(Clone, Debug)]
pub struct Member {
    pub nest: super::NestId,
    /// For each variable of the nest (parallel, then reduced), its value over the axes.
    pub vars: Vec<IExpr>,
    /// How many of `vars` are parallel.
    pub parallel: usize,
}

impl Member {
    fn axes_of(exprs: &[IExpr]) -> BTreeSet<u32> {
        let mut axes = BTreeSet::new();
        for e in exprs {
            e.visit(&mut |a| {
                if let ferroductor_ir::Atom::Var(v) = a {
                    axes.insert(*v);
                }
            });
        }
        axes
    }
    pub fn parallel_axes(&self) -> BTreeSet<u32> {
        Member::axes_of(&self.vars[..self.parallel])
    }
    pub fn reduced_axes(&self) -> BTreeSet<u32> {
        Member::axes_of(&self.vars[self.parallel..])
    }
    pub fn axes(&self) -> BTreeSet<u32> {
        Member::axes_of(&self.vars)
    }
}

/// The axes of a kernel and its members so far.
#[derive(Clone, Debug, Default)]
pub struct Space {
    /// Extent of each axis.
    pub axes: Vec<IExpr>,
    pub members: Vec<Member>,
}

/// The element of a tensor that a member reads or writes, over the axes.
fn over_axes(index: &[IExpr], vars: &[IExpr], axes: &[IExpr]) -> Vec<IExpr> {
    let ranges = Extents(axes);
    index.iter().map(|e| e.with_vars(vars, &ranges)).collect()
}

impl Space {
    /// Where a member stores its tensor, if it stores pointwise.
    pub fn stored_index(&self, member: &Member, nest: &Nest) -> Vec<IExpr> {
        let own: Vec<IExpr> = match &nest.work {
            Work::Store { index, .. } => index.clone(),
            _ => (0..nest.extents.len() as u32).map(IExpr::var).collect(),
        };
        over_axes(&own, &member.vars, &self.axes)
    }

    pub fn load_index(&self, member: &Member, load: &Load) -> Vec<IExpr> {
        over_axes(&load.index, &member.vars, &self.axes)
    }

    /// Splits an axis into `parts` (outer to inner), whose product is its extent.
    fn split_axis(&mut self, axis: u32, parts: &[IExpr]) -> Vec<u32> {
        let mut ids = vec![axis];
        for part in &parts[1..] {
            self.axes.push(part.clone());
            ids.push(self.axes.len() as u32 - 1);
        }
        self.axes[axis as usize] = parts[0].clone();
        let mut value = IExpr::zero();
        for (part, id) in parts.iter().zip(&ids) {
            value = &(&value * part) + &IExpr::var(*id);
        }
        let extents = self.axes.clone();
        let ranges = Extents(&extents);
        for member in &mut self.members {
            for e in &mut member.vars {
                *e = e.substitute(
                    &|a| (*a == ferroductor_ir::Atom::Var(axis)).then(|| value.clone()),
                    &ranges,
                );
            }
        }
        ids
    }

    /// Adds a nest, aligning its variables with the present axes. `lead` are tensors computed here
    /// that the nest reads: where it reads them decides first.
    pub fn add(&mut self, id: super::NestId, nest: &Nest, nests: &super::Nests) -> usize {
        let domain = nest.domain();
        let mut map: Vec<Option<IExpr>> = domain
            .iter()
            .map(|extent| extent.is_one().then(IExpr::zero))
            .collect();
        if !self.members.is_empty() {
            self.align_with_members(nest, nests, &domain, &mut map);
            self.align_with_shared_loads(nest, nests, &domain, &mut map);
            self.align_by_extent(&domain, &mut map);
        }
        let vars = map
            .into_iter()
            .zip(&domain)
            .map(|(found, extent)| {
                found.unwrap_or_else(|| {
                    self.axes.push(extent.clone());
                    IExpr::var(self.axes.len() as u32 - 1)
                })
            })
            .collect();
        self.members.push(Member {
            nest: id,
            vars,
            parallel: nest.extents.len(),
        });
        self.members.len() - 1
    }

    /// Aligns with the elements of tensors that members compute and this nest reads.
    fn align_with_members(
        &mut self,
        nest: &Nest,
        nests: &super::Nests,
        domain: &[IExpr],
        map: &mut [Option<IExpr>],
    ) {
        for load in nest.loads() {
            let Some(at) = self.member_of(load.tensor, nests) else {
                continue;
            };
            for d in 0..load.index.len() {
                let producer = nests.get(self.members[at].nest);
                let stored = self.stored_index(&self.members[at], producer);
                self.align(&load.index[d], &stored[d], domain, map);
            }
        }
    }

    /// Aligns with what members read of the same tensor.
    fn align_with_shared_loads(
        &mut self,
        nest: &Nest,
        nests: &super::Nests,
        domain: &[IExpr],
        map: &mut [Option<IExpr>],
    ) {
        let mut theirs: Vec<(TensorId, Vec<IExpr>)> = Vec::new();
        for member in &self.members {
            for load in nests.get(member.nest).loads() {
                theirs.push((load.tensor, self.load_index(member, &load)));
            }
        }
        for load in nest.loads() {
            for (tensor, index) in &theirs {
                if *tensor != load.tensor {
                    continue;
                }
                for (own, their) in load.index.iter().zip(index) {
                    if their.as_var().is_some() && own.as_var().is_some() {
                        self.align(own, their, domain, map);
                    }
                }
            }
        }
    }

    /// Lets `own` (over the nest's variables) mean the same as `their` (over axes), where that is
    /// possible: a variable for an expression, or a split of an axis by several variables.
    fn align(&mut self, own: &IExpr, their: &IExpr, domain: &[IExpr], map: &mut [Option<IExpr>]) {
        if let Some(v) = own.as_var() {
            let v = v as usize;
            if v < map.len()
                && map[v].is_none()
                && !their.is_zero()
                && self.extent_of(their).as_ref() == Some(&domain[v])
                && !self.is_taken(their, map)
            {
                map[v] = Some(their.clone());
            }
            return;
        }
        let Some(axis) = their.as_var() else {
            return;
        };
        let Some(digits) = digits(own, domain) else {
            return;
        };
        if IExpr::product(digits.iter().map(|v| &domain[*v])) != self.axes[axis as usize]
            || digits.iter().any(|v| map[*v].is_some())
            || self.is_taken(their, map)
        {
            return;
        }
        let parts: Vec<IExpr> = digits.iter().map(|v| domain[*v].clone()).collect();
        for (v, id) in digits.iter().zip(self.split_axis(axis, &parts)) {
            map[*v] = Some(IExpr::var(id));
        }
    }

    /// Is an axis of `e` already the meaning of another variable?
    fn is_taken(&self, e: &IExpr, map: &[Option<IExpr>]) -> bool {
        let wanted = Member::axes_of(std::slice::from_ref(e));
        map.iter()
            .flatten()
            .any(|m| !wanted.is_disjoint(&Member::axes_of(std::slice::from_ref(m))))
    }

    /// Number of values of a mixed-radix expression over axes; `None` for anything else.
    fn extent_of(&self, e: &IExpr) -> Option<IExpr> {
        let digits = digits(e, &self.axes)?;
        Some(IExpr::product(digits.iter().map(|a| &self.axes[*a])))
    }

    /// What is left goes by extent, from the innermost on.
    fn align_by_extent(&mut self, domain: &[IExpr], map: &mut [Option<IExpr>]) {
        for v in (0..domain.len()).rev() {
            if map[v].is_some() {
                continue;
            }
            let free = (0..self.axes.len() as u32).rev().find(|a| {
                self.axes[*a as usize] == domain[v] && !self.is_taken(&IExpr::var(*a), map)
            });
            if let Some(a) = free {
                map[v] = Some(IExpr::var(a));
            }
        }
    }

    /// The last member that computes a tensor.
    pub fn member_of(&self, tensor: TensorId, nests: &super::Nests) -> Option<usize> {
        self.members
            .iter()
            .rposition(|m| nests.get(m.nest).tensor == tensor)
    }
}

/// The variables of a mixed-radix number, most significant first: `i0*64 + i1` with `i1` over
/// `0..64` gives `[0, 1]`. `None` if the expression is anything else.
pub fn digits(e: &IExpr, extents: &[IExpr]) -> Option<Vec<usize>> {
    let mut left = e.clone();
    let mut scale = IExpr::one();
    let mut found = Vec::new();
    while !left.is_zero() {
        let next = (0..extents.len())
            .find(|v| !found.contains(v) && left.coefficient(*v as u32).as_ref() == Some(&scale))?;
        left = &left - &(&scale * &IExpr::var(next as u32));
        scale = &scale * &extents[next];
        found.push(next);
    }
    found.reverse();
    (!found.is_empty()).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn c(value: i64) -> IExpr {
        IExpr::constant(value)
    }

    #[test]
    fn a_mixed_radix_number_is_taken_apart() {
        let extents = [c(12), c(64), c(7)];
        let merged = &(&IExpr::var(0) * &c(64)) + &IExpr::var(1);
        assert_eq!(digits(&merged, &extents), Some(vec![0, 1]));
        assert_eq!(digits(&IExpr::var(2), &extents), Some(vec![2]));
    }

    #[test]
    fn gaps_and_overlaps_are_no_mixed_radix_number() {
        let extents = [c(12), c(64)];
        let gap = &(&IExpr::var(0) * &c(65)) + &IExpr::var(1);
        let overlap = &(&IExpr::var(0) * &c(63)) + &IExpr::var(1);
        let shifted = &IExpr::var(1) + &c(1);
        for e in [gap, overlap, shifted, IExpr::zero()] {
            assert_eq!(digits(&e, &extents), None, "{e}");
        }
    }
}
