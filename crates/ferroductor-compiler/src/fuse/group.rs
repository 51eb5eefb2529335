//! Joining nests into kernels.
//!
//! A kernel's *outer* axes are parallel for every member; the others are loops inside. Three kinds
//! of kernels exist, each with its own rule of what may join:
//! * pointwise: all members run over exactly the same axes;
//! * rows or columns: the reductions keep exactly the outer axes; pointwise members have at least
//!   those. In *columns* the contiguous axis is outer, so only work on whole columns joins, unless
//!   they are so short that they stay in cache and can be gone through again like rows;
//! * a contraction, joined by pointwise work over its own elements.

use super::nest::{Nest, NestId, Nests, Work};
use super::unify::{Member, Space};
use crate::graph::{Graph, TensorId};
use ferroductor_ir::IExpr;
use std::collections::{BTreeSet, HashMap, HashSet};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupKind {
    Pointwise,
    Rows,
    Columns,
    Contract,
    /// Softmax attention, alone.
    Attention,
    /// A scan or a scatter loop, alone.
    Serial,
}

#[derive(Clone, Debug)]
pub struct Group {
    pub kind: GroupKind,
    pub space: Space,
    pub outer: BTreeSet<u32>,
}

/// Why two nests do not share a kernel.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub consumer: TensorId,
    pub other: TensorId,
    pub reason: String,
}

#[derive(Debug, Default)]
pub struct Fusion {
    pub groups: Vec<Group>,
    pub of_nest: Vec<usize>,
    pub refusals: Vec<Refusal>,
}

/// Members beyond this would make one kernel too large to compile quickly.
const MAX_MEMBERS: usize = 24;
const MAX_BUFFERS: usize = 40;
/// Columns of a product are not cut into shorter runs.
const SHORT_RUN: i64 = 16;
/// Columns of so many elements, as many side by side as a vector has lanes, stay in the first-level
/// cache.
const SHORT_COLUMN: i64 = 256;
/// Below this many outer iterations a kernel cannot occupy the threads.
const MIN_OUTER: i64 = 16;
/// Work smaller than this need not be parallel.
const SMALL: i64 = 16 * 1024;

struct Fuser<'a> {
    graph: &'a Graph,
    nests: &'a Nests,
    groups: Vec<Group>,
    of_nest: Vec<usize>,
    /// Groups (or foreign work) that a nest needs: see `fuse`.
    barrier: &'a dyn Fn(TensorId) -> Vec<TensorId>,
    alone: &'a dyn Fn(TensorId) -> bool,
    refusals: Vec<Refusal>,
}

/// Joins nests greedily in order. `foreign(t)` lists the tensors that the ATen call producing the
/// external tensor `t` reads, so that no kernel ends up both before and after a call. Tensors for
/// which `alone` holds share a kernel with nothing.
pub fn fuse(
    graph: &Graph,
    nests: &Nests,
    foreign: &dyn Fn(TensorId) -> Vec<TensorId>,
    alone: &dyn Fn(TensorId) -> bool,
) -> Fusion {
    let mut fuser = Fuser {
        graph,
        nests,
        groups: Vec::new(),
        of_nest: Vec::new(),
        barrier: foreign,
        alone,
        refusals: Vec::new(),
    };
    for at in 0..nests.list.len() as u32 {
        fuser.place(NestId(at));
    }
    Fusion {
        groups: fuser.groups,
        of_nest: fuser.of_nest,
        refusals: fuser.refusals,
    }
}

/// The kind of kernel that a nest starts.
fn kind_of(graph: &Graph, nest: &Nest) -> GroupKind {
    match &nest.work {
        Work::Store { .. } => GroupKind::Pointwise,
        Work::Contract { .. } => GroupKind::Contract,
        Work::Scan { .. } | Work::Scatter { .. } => GroupKind::Serial,
        Work::Attention { .. } => GroupKind::Attention,
        Work::Reduce { .. } => {
            if reduces_columns(graph, nest) {
                GroupKind::Columns
            } else {
                GroupKind::Rows
            }
        }
    }
}

/// Does the contiguous direction of most of what a reduction reads lie among the kept dimensions?
fn reduces_columns(graph: &Graph, nest: &Nest) -> bool {
    let parallel = nest.extents.len() as u32;
    let (mut rows, mut columns) = (0i64, 0i64);
    for load in nest.loads() {
        let strides = &graph.tensor(load.tensor).strides;
        let mut flat = IExpr::zero();
        for (i, s) in load.index.iter().zip(strides) {
            flat = &flat + &(i * s);
        }
        for (v, extent) in nest.domain().iter().enumerate() {
            if extent.is_one() {
                continue;
            }
            if flat.coefficient(v as u32).is_some_and(|c| c.is_one()) {
                // Weighted by size, so that a bias does not outvote the activations.
                let weight = graph.hint_numel(&graph.tensor(load.tensor).sizes);
                if (v as u32) < parallel {
                    columns += weight;
                } else {
                    rows += weight;
                }
            }
        }
    }
    columns > rows
}

impl Fuser<'_> {
    fn place(&mut self, id: NestId) {
        let nest = self.nests.get(id);
        let mut tried = HashSet::new();
        for candidate in self.candidates(nest) {
            if !tried.insert(candidate) {
                continue;
            }
            match self.try_join(candidate, id) {
                Ok(group) => {
                    self.groups[candidate] = group;
                    self.of_nest.push(candidate);
                    return;
                }
                Err(reason) => {
                    let first = self.groups[candidate].space.members[0].nest;
                    self.refusals.push(Refusal {
                        consumer: nest.tensor,
                        other: self.nests.get(first).tensor,
                        reason,
                    });
                }
            }
        }
        let mut space = Space::default();
        space.add(id, nest, self.nests);
        let outer = space.members[0].parallel_axes();
        self.groups.push(Group {
            kind: kind_of(self.graph, nest),
            space,
            outer,
        });
        self.of_nest.push(self.groups.len() - 1);
    }

    /// Groups worth trying, best first: producers by the size of what they hand over, then groups
    /// that read the same large tensors.
    fn candidates(&self, nest: &Nest) -> Vec<usize> {
        let mut scored: Vec<(i64, usize)> = Vec::new();
        for load in nest.loads() {
            let size = self.graph.hint_numel(&self.graph.tensor(load.tensor).sizes);
            for producer in self.nests.of_tensor.get(&load.tensor).into_iter().flatten() {
                if let Some(group) = self.of_nest.get(producer.0 as usize) {
                    scored.push((size.saturating_mul(4), *group));
                }
            }
        }
        for (g, group) in self.groups.iter().enumerate().rev().take(12) {
            let shared: i64 = self.shared_elements(group, nest);
            if shared >= 256 {
                scored.push((shared, g));
            }
        }
        scored.sort_by(|a, b| b.0.cmp(&a.0).then(b.1.cmp(&a.1)));
        scored.into_iter().map(|s| s.1).collect()
    }

    fn shared_elements(&self, group: &Group, nest: &Nest) -> i64 {
        let mine: HashSet<TensorId> = nest.loads().iter().map(|l| l.tensor).collect();
        let mut theirs = HashSet::new();
        for member in &group.space.members {
            for load in self.nests.get(member.nest).loads() {
                theirs.insert(load.tensor);
            }
        }
        mine.intersection(&theirs)
            .map(|t| self.graph.hint_numel(&self.graph.tensor(*t).sizes))
            .sum()
    }

    fn try_join(&self, at: usize, id: NestId) -> Result<Group, String> {
        let nest = self.nests.get(id);
        let old = &self.groups[at];
        let first = self.nests.get(old.space.members[0].nest).tensor;
        if (self.alone)(nest.tensor) || (self.alone)(first) {
            return Err("the overwriting of an input comes last".into());
        }
        if old.space.members.len() >= MAX_MEMBERS {
            return Err("the kernel is full".into());
        }
        if matches!(old.kind, GroupKind::Serial | GroupKind::Attention)
            || matches!(
                nest.work,
                Work::Scan { .. }
                    | Work::Scatter { .. }
                    | Work::Contract { .. }
                    | Work::Attention { .. }
            )
        {
            return Err("scans, scatters and contractions start a kernel of their own".into());
        }
        let mut group = old.clone();
        group.space.add(id, nest, self.nests);
        let Some(member) = group.space.members.last().cloned() else {
            return Err("no member".into());
        };
        group.outer = self.outer_axes(old, &group.space);
        self.check_kind(&mut group, nest, &member)?;
        self.check_columns(&group, old)?;
        self.check_reads(&group, nest, &member)?;
        self.check_parallelism(&group, old)?;
        self.check_size(&group)?;
        self.check_order(at, nest)?;
        Ok(group)
    }

    /// The outer axes of a group whose axes aligning the next nest may have split.
    fn outer_axes(&self, old: &Group, space: &Space) -> BTreeSet<u32> {
        let settles = |m: &&Member| m.parallel_axes() == old.outer;
        let position = old.space.members.iter().position(|m| settles(&m));
        match position.and_then(|at| space.members.get(at)) {
            Some(member) => member.parallel_axes(),
            None => old.outer.clone(),
        }
    }

    /// The rules of each kind; settles the outer axes.
    fn check_kind(&self, group: &mut Group, nest: &Nest, member: &Member) -> Result<(), String> {
        let mine = member.parallel_axes();
        match group.kind {
            GroupKind::Pointwise if !nest.is_reduce() => {
                if mine != group.outer || group.space.members[0].axes() != member.axes() {
                    return Err("pointwise work over other axes".into());
                }
                Ok(())
            }
            GroupKind::Pointwise => {
                if reduces_columns(self.graph, nest) {
                    return Err("a reduction across rows would walk the columns".into());
                }
                group.kind = GroupKind::Rows;
                group.outer = mine;
                let all = group.space.members.iter();
                if all
                    .clone()
                    .any(|m| !group.outer.is_subset(&m.parallel_axes()))
                {
                    return Err("pointwise work that lacks an outer axis of the reduction".into());
                }
                Ok(())
            }
            GroupKind::Rows => {
                if nest.is_reduce() && mine != group.outer {
                    return Err("reductions that keep different axes".into());
                }
                let walks = nest.is_reduce() && reduces_columns(self.graph, nest);
                if walks && !self.has_short_columns(group) {
                    return Err("a reduction across rows would walk the columns".into());
                }
                if !group.outer.is_subset(&mine) {
                    return Err("pointwise work that lacks an outer axis of the reduction".into());
                }
                Ok(())
            }
            GroupKind::Columns => {
                let first = &group.space.members[0];
                let same = mine == group.outer;
                let is_whole = group.outer.is_subset(&mine) && self.reads_result(group, nest);
                if !nest.is_reduce() && !same && is_whole && self.has_short_columns(group) {
                    group.kind = GroupKind::Rows;
                    return Ok(());
                }
                if !same || nest.is_reduce() && first.reduced_axes() != member.reduced_axes() {
                    return Err("work on rows in a kernel of columns".into());
                }
                if nest.is_reduce() && !reduces_columns(self.graph, nest) {
                    return Err("a reduction along rows in a kernel of columns".into());
                }
                Ok(())
            }
            GroupKind::Contract => {
                let first = &group.space.members[0];
                if nest.is_reduce() || first.parallel_axes() != mine {
                    return Err("only pointwise work over its elements follows a product".into());
                }
                Ok(())
            }
            GroupKind::Serial | GroupKind::Attention => Err("a kernel of its own".into()),
        }
    }

    /// Are all reductions of the group over columns, and these short for all members?
    fn has_short_columns(&self, group: &Group) -> bool {
        group.space.members.iter().all(|member| {
            let nest = self.nests.get(member.nest);
            let column: BTreeSet<u32> = &member.axes() - &group.outer;
            self.axes_numel(group, &column) <= SHORT_COLUMN
                && (!nest.is_reduce() || reduces_columns(self.graph, nest))
        })
    }

    /// Does the nest read what a reduction of the group finds out?
    fn reads_result(&self, group: &Group, nest: &Nest) -> bool {
        let results: HashSet<TensorId> = (group.space.members.iter())
            .map(|member| self.nests.get(member.nest))
            .filter(|other| other.is_reduce() && other.tensor != nest.tensor)
            .map(|other| other.tensor)
            .collect();
        nest.loads().iter().any(|l| results.contains(&l.tensor))
    }

    /// Work that would cut the contiguous axis of a product into digits shorter than a vector, such
    /// as the phases of a strided convolution, has to scatter its elements: it runs on its own.
    fn check_columns(&self, group: &Group, old: &Group) -> Result<(), String> {
        if group.kind != GroupKind::Contract {
            return Ok(());
        }
        let (before, after) = (self.contiguous_run(old), self.contiguous_run(group));
        if after < before && after < SHORT_RUN {
            return Err(format!("would cut the columns into runs of {after}"));
        }
        Ok(())
    }

    /// Extent of the axis along which the first member stores next to each other.
    fn contiguous_run(&self, group: &Group) -> i64 {
        let Some(first) = group.space.members.first() else {
            return 1;
        };
        let nest = self.nests.get(first.nest);
        let strides = &self.graph.tensor(nest.tensor).strides;
        let stored = group.space.stored_index(first, nest);
        let offset =
            (stored.iter().zip(strides)).fold(IExpr::zero(), |sum, (i, s)| &sum + &(i * s));
        let is_next = |axis: &u32| offset.coefficient(*axis).is_some_and(|c| c.is_one());
        let axis = (0..group.space.axes.len() as u32).find(is_next);
        axis.map_or(1, |a| self.graph.hint(&group.space.axes[a as usize]))
    }

    /// Every element read of a tensor computed here must come from the same outer point, and from
    /// the same point altogether unless its loops are over by then.
    fn check_reads(&self, group: &Group, nest: &Nest, member: &Member) -> Result<(), String> {
        let mut reads_computed = false;
        for load in nest.loads() {
            let Some(at) = group.space.member_of(load.tensor, self.nests) else {
                continue;
            };
            reads_computed = true;
            let producer = &group.space.members[at];
            let stored = group
                .space
                .stored_index(producer, self.nests.get(producer.nest));
            let read = group.space.load_index(member, &load);
            let same = stored == read && load.values.is_empty();
            if same {
                continue;
            }
            if group.kind == GroupKind::Rows && self.same_row(group, &stored, &read) {
                return Err("reads other elements of a row computed here".into());
            }
            return Err("reads other elements than the one computed here".into());
        }
        if group.kind == GroupKind::Contract && !reads_computed {
            return Err("does not read the product".into());
        }
        Ok(())
    }

    fn same_row(&self, group: &Group, stored: &[IExpr], read: &[IExpr]) -> bool {
        stored
            .iter()
            .zip(read)
            .all(|(s, r)| s == r || !group.outer.iter().any(|a| s.uses_var(*a) || r.uses_var(*a)))
    }

    fn axes_numel(&self, group: &Group, axes: &BTreeSet<u32>) -> i64 {
        axes.iter()
            .map(|a| self.graph.hint(&group.space.axes[*a as usize]).max(1))
            .fold(1, i64::saturating_mul)
    }

    /// Joining must not squeeze much work into few outer iterations.
    fn check_parallelism(&self, group: &Group, old: &Group) -> Result<(), String> {
        let before = self.axes_numel(old, &old.outer);
        let after = self.axes_numel(group, &group.outer);
        let all: BTreeSet<u32> = (0..group.space.axes.len() as u32).collect();
        let work = self.axes_numel(group, &all);
        if after < MIN_OUTER && work > SMALL {
            let widest = group
                .space
                .members
                .iter()
                .map(|m| self.axes_numel(group, &m.parallel_axes()))
                .max()
                .unwrap_or(1);
            if before.max(widest) > after {
                return Err(format!("would leave {after} parallel iterations"));
            }
        }
        Ok(())
    }

    fn check_size(&self, group: &Group) -> Result<(), String> {
        let mut buffers = HashSet::new();
        for member in &group.space.members {
            let nest = self.nests.get(member.nest);
            buffers.insert(nest.tensor);
            buffers.extend(nest.loads().iter().map(|l| l.tensor));
        }
        if buffers.len() > MAX_BUFFERS {
            return Err("too many buffers for one kernel".into());
        }
        Ok(())
    }

    /// What the nest reads from elsewhere must not itself depend on the group.
    fn check_order(&self, at: usize, nest: &Nest) -> Result<(), String> {
        let mut seen = HashSet::new();
        let mut memo = HashMap::new();
        for load in nest.loads() {
            let inside = self.nests.of_tensor.get(&load.tensor).is_some_and(|ids| {
                ids.iter()
                    .all(|n| self.of_nest.get(n.0 as usize) == Some(&at))
            });
            if !inside && self.depends_on(load.tensor, at, &mut seen, &mut memo) {
                return Err("something between the two depends on the kernel".into());
            }
        }
        Ok(())
    }

    /// Does computing a tensor need the group, directly or not?
    fn depends_on(
        &self,
        tensor: TensorId,
        target: usize,
        seen: &mut HashSet<TensorId>,
        groups: &mut HashMap<usize, bool>,
    ) -> bool {
        if !seen.insert(tensor) {
            return false;
        }
        let producers = self.nests.of_tensor.get(&tensor);
        let Some(producers) = producers else {
            return (self.barrier)(tensor)
                .into_iter()
                .any(|t| self.depends_on(t, target, seen, groups));
        };
        for producer in producers {
            let Some(group) = self.of_nest.get(producer.0 as usize).copied() else {
                continue;
            };
            if group == target {
                return true;
            }
            if let Some(known) = groups.get(&group) {
                if *known {
                    return true;
                }
                continue;
            }
            groups.insert(group, false);
            let members: Vec<NestId> = self.groups[group]
                .space
                .members
                .iter()
                .map(|m| m.nest)
                .collect();
            for member in members {
                for load in self.nests.get(member).loads() {
                    if self.depends_on(load.tensor, target, seen, groups) {
                        groups.insert(group, true);
                        return true;
                    }
                }
            }
        }
        false
    }
}
