//! From a fused group to something loops can be written for: every index flat, every axis either
//! linear in every access or split until it is, adjacent axes collapsed.
//!
//! After this stage a `Load` has one index, its element offset, over axis variables.

use crate::fuse::nest::Work;
use crate::fuse::{Group, GroupKind, Nests};
use crate::graph::{
    Combine, Companion, E, Expr, Gradient, Graph, Load, TensorId, rewrite_indices, visit,
};
use ferroductor_ir::{Atom, Extents, IExpr, Literal};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// What a member does, over axes and flat offsets.
#[derive(Clone, Debug)]
pub enum Action {
    /// The tensor's element at `offset` is `value`.
    Store {
        offset: IExpr,
        value: E,
    },
    Reduce {
        combine: Combine,
        value: E,
        /// Row-major position along the reduced dimensions.
        position: IExpr,
    },
    Scan {
        combine: Combine,
        axis: u32,
        offset: IExpr,
        value: E,
    },
    Scatter {
        /// Offset in terms of axes and `Atom::Value(k)`.
        offset: IExpr,
        values: Vec<E>,
        value: E,
        accumulate: bool,
    },
    Contract {
        a: Load,
        b: Load,
        /// Where `b` is read; elsewhere it is zero.
        inside: Vec<(IExpr, IExpr)>,
    },
    Attention(Box<Attend>),
}

/// An attention over axes and flat offsets. An axis of extent one is `None`. Where gradients are
/// made, rows and keys have changed places: `query` is the key, `key` the query, `m` runs over keys
/// and `n` over rows.
#[derive(Clone, Debug)]
pub struct Attend {
    pub query: Load,
    pub key: Load,
    pub value: Load,
    pub product: TensorId,
    pub score: E,
    pub causal: bool,
    pub zeros_if_unseen: bool,
    pub gradient: Option<Gradient>,
    /// Further results and their elements' offsets.
    pub companions: Vec<(Companion, TensorId, IExpr)>,
    /// Axes of the rows, the keys, the depth and the values' columns.
    pub m: Option<u32>,
    pub n: Option<u32>,
    pub d: Option<u32>,
    pub c: Option<u32>,
}

impl Attend {
    fn operands(&self) -> Vec<&Load> {
        let mut operands = vec![&self.query, &self.key, &self.value];
        operands.extend(self.gradient.iter().flat_map(Gradient::loads));
        operands
    }

    /// The tensor and offset of a further result.
    pub fn companion(&self, wanted: Companion) -> Option<(TensorId, IExpr)> {
        let found = self.companions.iter().find(|(role, ..)| *role == wanted);
        found.map(|(_, tensor, offset)| (*tensor, offset.clone()))
    }
}

#[derive(Clone, Debug)]
pub struct Piece {
    pub tensor: TensorId,
    pub action: Action,
    pub parallel: BTreeSet<u32>,
    pub reduced: BTreeSet<u32>,
    /// Offset of the member's element, for reductions and contractions too.
    pub offset: IExpr,
}

/// A group ready for loops.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub kind: GroupKind,
    /// Extents; a collapsed axis is left with extent one.
    pub axes: Vec<IExpr>,
    pub outer: BTreeSet<u32>,
    pub pieces: Vec<Piece>,
}

/// Loop variables over extents that hold at least one element.
pub fn prepare(graph: &Graph, nests: &Nests, group: &Group) -> Prepared {
    let mut prepared = flatten_group(graph, nests, group);
    for _ in 0..6 {
        if prepared.kind == GroupKind::Attention || !split_one_division(&mut prepared) {
            break;
        }
    }
    recombine_all(&mut prepared);
    if !matches!(
        prepared.kind,
        GroupKind::Contract | GroupKind::Attention | GroupKind::Serial
    ) {
        collapse(&mut prepared);
    }
    intern(&mut prepared);
    prepared
}

fn flat(graph: &Graph, tensor: TensorId, index: &[IExpr]) -> IExpr {
    let strides = &graph.tensor(tensor).strides;
    index
        .iter()
        .zip(strides)
        .fold(IExpr::zero(), |acc, (i, s)| &acc + &(i * s))
}

/// Rewrites an expression over a nest's variables to axes and flat offsets.
fn flatten(graph: &Graph, e: &E, vars: &[IExpr], axes: &[IExpr]) -> E {
    fn walk(graph: &Graph, e: &E, memo: &mut HashMap<*const Expr, E>) -> E {
        if let Some(done) = memo.get(&Arc::as_ptr(e)) {
            return done.clone();
        }
        let new: E = match &**e {
            Expr::Const(..) | Expr::Index(_) => e.clone(),
            Expr::Load(l) => Arc::new(Expr::Load(Load {
                tensor: l.tensor,
                index: vec![flat(graph, l.tensor, &l.index)],
                values: l.values.iter().map(|v| walk(graph, v, memo)).collect(),
                dtype: l.dtype,
            })),
            Expr::Prim { prim, args, dtype } => Arc::new(Expr::Prim {
                prim: *prim,
                args: args.iter().map(|a| walk(graph, a, memo)).collect(),
                dtype: *dtype,
            }),
            Expr::Convert(v, d) => Arc::new(Expr::Convert(walk(graph, v, memo), *d)),
            Expr::Round(v, d) => Arc::new(Expr::Round(walk(graph, v, memo), *d)),
            Expr::Guard {
                bounds,
                value,
                other,
            } => Arc::new(Expr::Guard {
                bounds: bounds.clone(),
                value: walk(graph, value, memo),
                other: walk(graph, other, memo),
            }),
            Expr::Check {
                value,
                bound,
                error,
            } => Arc::new(Expr::Check {
                value: walk(graph, value, memo),
                bound: bound.clone(),
                error: *error,
            }),
        };
        memo.insert(Arc::as_ptr(e), new.clone());
        new
    }
    let ranges = Extents(axes);
    let over_axes = rewrite_indices(e, &|i| i.with_vars(vars, &ranges));
    walk(graph, &over_axes, &mut HashMap::new())
}

fn flatten_group(graph: &Graph, nests: &Nests, group: &Group) -> Prepared {
    let axes = group.space.axes.clone();
    let ranges = Extents(&axes);
    let pieces = group
        .space
        .members
        .iter()
        .map(|member| {
            let nest = nests.get(member.nest);
            let own: Vec<IExpr> = group.space.stored_index(member, nest);
            let offset = flat(graph, nest.tensor, &own);
            let expr = |e: &E| flatten(graph, e, &member.vars, &axes);
            let load = |l: &Load| Load {
                index: vec![flat(graph, l.tensor, &group.space.load_index(member, l))],
                ..l.clone()
            };
            let action = match &nest.work {
                Work::Store { value, .. } => Action::Store {
                    offset: offset.clone(),
                    value: expr(value),
                },
                Work::Reduce { combine, value } => Action::Reduce {
                    combine: *combine,
                    value: expr(value),
                    position: member.vars[member.parallel..]
                        .iter()
                        .zip(&nest.reduced)
                        .fold(IExpr::zero(), |acc, (v, extent)| &(&acc * extent) + v),
                },
                Work::Scan {
                    combine,
                    dim,
                    value,
                } => Action::Scan {
                    combine: *combine,
                    axis: member.vars[*dim].as_var().unwrap_or(u32::MAX),
                    offset: offset.clone(),
                    value: expr(value),
                },
                Work::Scatter {
                    index,
                    values,
                    value,
                    accumulate,
                } => {
                    let index: Vec<IExpr> = index
                        .iter()
                        .map(|i| i.with_vars(&member.vars, &ranges))
                        .collect();
                    Action::Scatter {
                        offset: flat(graph, nest.tensor, &index),
                        values: values.iter().map(expr).collect(),
                        value: expr(value),
                        accumulate: *accumulate,
                    }
                }
                Work::Contract { a, b, inside } => Action::Contract {
                    a: load(a),
                    b: load(b),
                    inside: inside
                        .iter()
                        .map(|(i, bound)| (i.with_vars(&member.vars, &ranges), bound.clone()))
                        .collect(),
                },
                Work::Attention {
                    attention,
                    companions,
                } => {
                    let rank = nest.extents.len();
                    let axis = |v: usize| member.vars[v].as_var();
                    let (mut depth, mut column) = (rank, rank - 1);
                    if attention.gradient.is_some() {
                        (depth, column) = (column, depth);
                    }
                    let place = |role: &Companion| {
                        let (batch, vars) = (&member.vars[..rank - 2], &member.vars);
                        let rest = match role {
                            Companion::LogSumExp => vec![rank - 2],
                            Companion::KeyGradient => vec![rank + 1, depth],
                            Companion::ValueGradient => vec![rank + 1, column],
                        };
                        let rest = rest.into_iter().map(|v| vars[v].clone());
                        batch.iter().cloned().chain(rest).collect::<Vec<_>>()
                    };
                    let (mut query, mut key) = (load(&attention.query), load(&attention.key));
                    let (mut m, mut n) = (axis(rank - 2), axis(rank + 1));
                    if attention.gradient.is_some() {
                        std::mem::swap(&mut query, &mut key);
                        std::mem::swap(&mut m, &mut n);
                    }
                    Action::Attention(Box::new(Attend {
                        query,
                        key,
                        value: load(&attention.value),
                        product: attention.product,
                        score: expr(&attention.score),
                        causal: attention.causal,
                        zeros_if_unseen: attention.zeros_if_unseen,
                        gradient: attention.gradient.as_ref().map(|gradient| Gradient {
                            result: load(&gradient.result),
                            log_sum: load(&gradient.log_sum),
                            share: load(&gradient.share),
                            scale: expr(&gradient.scale),
                        }),
                        companions: companions
                            .iter()
                            .map(|(role, t)| (*role, *t, flat(graph, *t, &place(role))))
                            .collect(),
                        m,
                        n,
                        d: axis(depth),
                        c: axis(column),
                    }))
                }
            };
            Piece {
                tensor: nest.tensor,
                action,
                parallel: member.parallel_axes(),
                reduced: member.reduced_axes(),
                offset,
            }
        })
        .collect();
    let outer = match group.kind {
        GroupKind::Serial => independent_axes(nests, group),
        _ => group.outer.clone(),
    };
    Prepared {
        kind: group.kind,
        axes,
        outer,
        pieces,
    }
}

/// Axes of a scan or scatter along which iterations touch different elements.
fn independent_axes(nests: &Nests, group: &Group) -> BTreeSet<u32> {
    let mut free = group.outer.clone();
    for member in &group.space.members {
        let axis = |v: usize| member.vars[v].as_var();
        match &nests.get(member.nest).work {
            Work::Scan { dim, .. } => {
                if let Some(a) = axis(*dim) {
                    free.remove(&a);
                }
            }
            Work::Scatter { index, values, .. } => {
                for (v, var) in member.vars.iter().enumerate() {
                    let Some(a) = var.as_var() else { continue };
                    let own = index.iter().filter(|i| i.uses_var(v as u32)).count();
                    let alone = index.iter().any(|i| i.as_var() == Some(v as u32));
                    let steers = values.iter().any(|e| {
                        let mut used = false;
                        visit(e, &mut |e| match &**e {
                            Expr::Index(i) => used |= i.uses_var(v as u32),
                            Expr::Load(l) => used |= l.index.iter().any(|i| i.uses_var(v as u32)),
                            _ => {}
                        });
                        used
                    });
                    if !(alone && own == 1) || steers {
                        free.remove(&a);
                    }
                }
            }
            _ => {}
        }
    }
    free
}

impl Piece {
    pub fn axes(&self) -> BTreeSet<u32> {
        self.parallel.union(&self.reduced).copied().collect()
    }

    /// The expressions evaluated at each point.
    pub fn expressions(&self) -> Vec<&E> {
        match &self.action {
            Action::Store { value, .. }
            | Action::Reduce { value, .. }
            | Action::Scan { value, .. } => vec![value],
            Action::Scatter { values, value, .. } => values.iter().chain([value]).collect(),
            Action::Attention(attend) => vec![&attend.score],
            Action::Contract { .. } => Vec::new(),
        }
    }

    pub fn loads(&self) -> Vec<Load> {
        let mut loads = Vec::new();
        if let Action::Contract { a, b, .. } = &self.action {
            loads.extend([a.clone(), b.clone()]);
        }
        if let Action::Attention(attend) = &self.action {
            loads.extend(attend.operands().into_iter().cloned());
        }
        for e in self.expressions() {
            visit(e, &mut |e| {
                if let Expr::Load(l) = &**e {
                    loads.push(l.clone());
                }
            });
        }
        loads
    }

    /// Does the piece write elements one by one at known offsets?
    pub fn stores(&self) -> Option<&IExpr> {
        match &self.action {
            Action::Store { offset, .. } | Action::Scan { offset, .. } => Some(offset),
            _ => None,
        }
    }

    /// Applies `f` to every index expression.
    fn map_indices(&mut self, f: &dyn Fn(&IExpr) -> IExpr) {
        let load = |l: &mut Load| l.index.iter_mut().for_each(|i| *i = f(i));
        self.offset = f(&self.offset);
        match &mut self.action {
            Action::Store { offset, value } => {
                *offset = f(offset);
                *value = rewrite_indices(value, f);
            }
            Action::Scan { offset, value, .. } => {
                *offset = f(offset);
                *value = rewrite_indices(value, f);
            }
            Action::Reduce {
                value, position, ..
            } => {
                *value = rewrite_indices(value, f);
                *position = f(position);
            }
            Action::Scatter {
                offset,
                values,
                value,
                ..
            } => {
                *offset = f(offset);
                *value = rewrite_indices(value, f);
                values.iter_mut().for_each(|v| *v = rewrite_indices(v, f));
            }
            Action::Contract { a, b, inside } => {
                load(a);
                load(b);
                inside.iter_mut().for_each(|(i, _)| *i = f(i));
            }
            Action::Attention(attend) => {
                load(&mut attend.query);
                load(&mut attend.key);
                load(&mut attend.value);
                attend.score = rewrite_indices(&attend.score, f);
                if let Some(gradient) = &mut attend.gradient {
                    load(&mut gradient.result);
                    load(&mut gradient.log_sum);
                    load(&mut gradient.share);
                }
                for (.., offset) in &mut attend.companions {
                    *offset = f(offset);
                }
            }
        }
    }

    /// Visits every index expression: offsets with `true`, indices used as values and bounds of
    /// guards with `false`.
    pub fn visit_indices(&self, f: &mut dyn FnMut(&IExpr, bool)) {
        f(&self.offset, true);
        if let Action::Scatter { offset, .. } = &self.action {
            f(offset, true);
        }
        if let Action::Contract { a, b, inside } = &self.action {
            f(&a.index[0], true);
            f(&b.index[0], true);
            inside.iter().for_each(|(i, _)| f(i, false));
        }
        if let Action::Attention(attend) = &self.action {
            attend
                .operands()
                .into_iter()
                .for_each(|l| f(&l.index[0], true));
        }
        for e in self.expressions() {
            visit(e, &mut |e| match &**e {
                Expr::Load(l) => f(&l.index[0], true),
                Expr::Index(i) => f(i, false),
                Expr::Guard { bounds, .. } => bounds.iter().for_each(|(i, b)| {
                    f(i, false);
                    f(b, false);
                }),
                _ => {}
            });
        }
    }
}

/// Splits one axis that stands under a division by a divisor of its extent.
fn split_one_division(prepared: &mut Prepared) -> bool {
    let mut found: Option<(u32, IExpr, IExpr)> = None;
    for piece in &prepared.pieces {
        piece.visit_indices(&mut |index, _| {
            index.visit(&mut |atom| {
                let (Atom::FloorDiv(x, d) | Atom::Mod(x, d)) = atom else {
                    return;
                };
                if found.is_some() {
                    return;
                }
                let Some(axis) = x.as_var() else { return };
                let Some(extent) = prepared.axes.get(axis as usize) else {
                    return;
                };
                if let Some(rows) = exact_quotient(extent, d) {
                    found = Some((axis, rows, d.clone()));
                }
            });
        });
    }
    let Some((axis, rows, divisor)) = found else {
        return false;
    };
    let inner = prepared.axes.len() as u32;
    prepared.axes[axis as usize] = rows;
    prepared.axes.push(divisor.clone());
    let value = &(&IExpr::var(axis) * &divisor) + &IExpr::var(inner);
    let axes = prepared.axes.clone();
    for piece in &mut prepared.pieces {
        piece.map_indices(&|e| {
            e.substitute(
                &|a| (*a == Atom::Var(axis)).then(|| value.clone()),
                &Extents(&axes),
            )
        });
        for set in [&mut piece.parallel, &mut piece.reduced] {
            if set.contains(&axis) {
                set.insert(inner);
            }
        }
    }
    if prepared.outer.contains(&axis) {
        prepared.outer.insert(inner);
    }
    true
}

/// `extent / divisor` where that is a whole number above one.
fn exact_quotient(extent: &IExpr, divisor: &IExpr) -> Option<IExpr> {
    let quotient = match (extent.as_const(), divisor.as_const()) {
        (Some(e), Some(d)) => {
            if d < 1 || e % d != 0 {
                return None;
            }
            IExpr::constant(e / d)
        }
        _ => extent.floor_div(divisor),
    };
    (&quotient * divisor == *extent && !quotient.is_one() && !divisor.is_one()).then_some(quotient)
}

/// Puts `(x // d) * d * q + (x mod d) * q` together again: `x * q`.
pub fn recombine(e: &IExpr) -> IExpr {
    let mut e = e.clone();
    'again: for _ in 0..8 {
        let mut pairs = Vec::new();
        e.visit(&mut |a| {
            if let Atom::Mod(x, d) = a {
                pairs.push((x.clone(), d.clone()));
            }
        });
        for (x, d) in pairs {
            let rest = IExpr::atom(Atom::Mod(x.clone(), d.clone()));
            let whole = IExpr::atom(Atom::FloorDiv(x.clone(), d.clone()));
            let Some(q) = factor_of(&e, &rest) else {
                continue;
            };
            let both = &(&(&whole * &d) * &q) + &(&rest * &q);
            let left = &e - &both;
            let candidate = &left + &(&x * &q);
            if candidate.terms().len() < e.terms().len() {
                e = candidate;
                continue 'again;
            }
        }
        break;
    }
    e
}

/// What an atom is multiplied with in a sum.
fn factor_of(e: &IExpr, atom: &IExpr) -> Option<IExpr> {
    let [(wanted, 1)] = atom.terms() else {
        return None;
    };
    let mut factor = IExpr::zero();
    for (monomial, coefficient) in e.terms() {
        if let Some(at) = monomial.iter().position(|a| *a == wanted[0]) {
            let mut term = IExpr::constant(*coefficient);
            for (n, a) in monomial.iter().enumerate() {
                if n != at {
                    term = &term * &IExpr::atom(a.clone());
                }
            }
            factor = &factor + &term;
        }
    }
    (!factor.is_zero()).then_some(factor)
}

fn recombine_all(prepared: &mut Prepared) {
    for piece in &mut prepared.pieces {
        piece.map_indices(&recombine);
    }
}

/// Joins axes that every access walks as one.
fn collapse(prepared: &mut Prepared) {
    loop {
        let axes: Vec<u32> = (0..prepared.axes.len() as u32)
            .filter(|a| !prepared.axes[*a as usize].is_one())
            .collect();
        let pair = axes.iter().find_map(|a| {
            axes.iter()
                .find(|b| a != *b && collapsible(prepared, *a, **b))
                .map(|b| (*a, *b))
        });
        let Some((a, b)) = pair else { return };
        let extent = &prepared.axes[a as usize] * &prepared.axes[b as usize];
        prepared.axes[b as usize] = extent;
        prepared.axes[a as usize] = IExpr::one();
        let axes = prepared.axes.clone();
        for piece in &mut prepared.pieces {
            piece.map_indices(&|e| {
                e.substitute(&|x| (*x == Atom::Var(a)).then(IExpr::zero), &Extents(&axes))
            });
            piece.parallel.remove(&a);
            piece.reduced.remove(&a);
        }
        prepared.outer.remove(&a);
    }
}

/// May axis `a` be folded into `b` (so that `a` is the slower one)?
fn collapsible(prepared: &Prepared, a: u32, b: u32) -> bool {
    let extent = &prepared.axes[b as usize];
    if prepared.outer.contains(&a) != prepared.outer.contains(&b) {
        return false;
    }
    prepared.pieces.iter().all(|piece| {
        let mut linear = piece.parallel.contains(&a) == piece.parallel.contains(&b)
            && piece.reduced.contains(&a) == piece.reduced.contains(&b);
        piece.visit_indices(&mut |index, is_offset| {
            linear &= match (index.coefficient(a), index.coefficient(b)) {
                (Some(ca), Some(cb)) if is_offset => ca == &cb * extent,
                (Some(ca), Some(cb)) => ca.is_zero() && cb.is_zero(),
                _ => false,
            };
        });
        // Positions found by argmax count along the reduced axes.
        linear
            && !(matches!(
                piece.action,
                Action::Reduce {
                    combine: Combine::ArgMax | Combine::ArgMin,
                    ..
                }
            ) && piece.reduced.contains(&a))
    })
}

/// Gives equal subterms one address, across all pieces, so that they are computed once.
fn intern(prepared: &mut Prepared) {
    let mut table = Interner::default();
    for piece in &mut prepared.pieces {
        match &mut piece.action {
            Action::Store { value, .. }
            | Action::Reduce { value, .. }
            | Action::Scan { value, .. } => *value = table.intern(value),
            Action::Scatter { values, value, .. } => {
                *value = table.intern(value);
                values.iter_mut().for_each(|v| *v = table.intern(v));
            }
            Action::Attention(attend) => attend.score = table.intern(&attend.score),
            Action::Contract { .. } => {}
        }
    }
}

#[derive(Default)]
struct Interner {
    by_key: HashMap<String, E>,
    by_address: HashMap<*const Expr, E>,
    alive: Vec<E>,
}

impl Interner {
    fn intern(&mut self, e: &E) -> E {
        if let Some(done) = self.by_address.get(&Arc::as_ptr(e)) {
            return done.clone();
        }
        let children: Vec<E> = e.children().into_iter().map(|c| self.intern(c)).collect();
        let key = key(e, &children);
        let done = match self.by_key.get(&key) {
            Some(known) => known.clone(),
            None => {
                let new = with_children(e, children);
                self.by_key.insert(key, new.clone());
                new
            }
        };
        self.alive.push(e.clone());
        self.by_address.insert(Arc::as_ptr(e), done.clone());
        done
    }
}

/// A node's own content and its children's addresses.
fn key(e: &E, children: &[E]) -> String {
    let own = match &**e {
        Expr::Const(Literal::Float(x), d) => format!("f{:x}:{d}", x.to_bits()),
        Expr::Const(l, d) => format!("c{l:?}:{d}"),
        Expr::Index(i) => format!("i{i}"),
        Expr::Load(l) => format!("l{}:{}", l.tensor.0, l.index[0]),
        Expr::Prim { prim, .. } => format!("p{prim}"),
        Expr::Convert(_, d) => format!("v{d}"),
        Expr::Round(_, d) => format!("r{d}"),
        Expr::Guard { bounds, .. } => format!("g{bounds:?}"),
        Expr::Check { bound, error, .. } => format!("k{bound}:{error}"),
    };
    children
        .iter()
        .fold(own, |acc, c| format!("{acc},{:x}", Arc::as_ptr(c) as usize))
}

fn with_children(e: &E, children: Vec<E>) -> E {
    let mut next = children.into_iter();
    let mut child = |old: &E| next.next().unwrap_or_else(|| old.clone());
    match &**e {
        Expr::Const(..) | Expr::Index(_) => e.clone(),
        Expr::Load(l) => Arc::new(Expr::Load(Load {
            tensor: l.tensor,
            index: l.index.clone(),
            values: l.values.iter().map(&mut child).collect(),
            dtype: l.dtype,
        })),
        Expr::Prim { prim, args, dtype } => Arc::new(Expr::Prim {
            prim: *prim,
            args: args.iter().map(&mut child).collect(),
            dtype: *dtype,
        }),
        Expr::Convert(v, d) => Arc::new(Expr::Convert(child(v), *d)),
        Expr::Round(v, d) => Arc::new(Expr::Round(child(v), *d)),
        Expr::Guard {
            bounds,
            value,
            other,
        } => {
            let value = child(value);
            Arc::new(Expr::Guard {
                bounds: bounds.clone(),
                value,
                other: child(other),
            })
        }
        Expr::Check {
            value,
            bound,
            error,
        } => Arc::new(Expr::Check {
            value: child(value),
            bound: bound.clone(),
            error: *error,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn c(value: i64) -> IExpr {
        IExpr::constant(value)
    }

    /// `(x // d) * outer + (x mod d) * inner`.
    fn split(x: &IExpr, d: &IExpr, outer: &IExpr, inner: &IExpr) -> IExpr {
        &(&x.floor_div(d) * outer) + &(&x.modulo(d) * inner)
    }

    #[test]
    fn a_split_and_remerged_row_is_linear_again() {
        let (x, d) = (IExpr::var(0), IExpr::size(1));
        let row = split(&x, &d, &(&d * &c(768)), &c(768));
        assert_eq!(recombine(&row), &x * &c(768));
        let column = IExpr::var(1);
        assert_eq!(recombine(&(&row + &column)), &(&x * &c(768)) + &column);
    }

    #[test]
    fn a_transposed_row_stays_split() {
        let (x, d) = (IExpr::var(0), c(64));
        let transposed = split(&x, &d, &c(64), &c(768));
        assert_eq!(recombine(&transposed), transposed);
    }

    #[test]
    fn only_whole_quotients_split_an_axis() {
        assert_eq!(exact_quotient(&c(768), &c(64)), Some(c(12)));
        assert_eq!(exact_quotient(&c(768), &c(65)), None);
        let merged = &IExpr::size(0) * &c(64);
        assert_eq!(exact_quotient(&merged, &c(64)), Some(IExpr::size(0)));
        assert_eq!(exact_quotient(&IExpr::size(0), &c(64)), None);
    }
}
