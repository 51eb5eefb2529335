//! Recognises attention written by hand: a product of queries and keys, pointwise work on it, a
//! softmax over the keys, and the product with the values that is being lowered.
//!
//! ```text
//! raw   = q @ k^T
//! score = any pointwise function of raw and of what else there is: scale, mask, bias
//! p     = exp(score - amax(score)) / sum(exp(score - amax(score)))     over the keys
//! p @ v                                                                 becomes one attention
//! ```
//!
//! What must hold of a match: nothing else uses what lies between the two products; every element
//! of the softmax is that of its own row; one product enters the score, at its own element.

use super::Lowerer;
use super::args::variables;
use crate::graph::{
    Attention, Combine, E, Expr, Graph, Load, Source, TensorId, View, rewrite_indices, substitute,
    visit,
};
use crate::layout::argument_nodes;
use crate::schedule::prepare::recombine;
use ferroductor_ir::{Atom, DType, Extents, IExpr, Literal, Prim, fx};
use std::collections::HashSet;
use std::sync::Arc;

/// Definitions followed from the weights to the product.
const MAX_STEPS: usize = 64;

/// The attention whose weights are `a` and whose values are `b`, if that is what they are.
pub(super) fn recognise(
    cx: &mut Lowerer<'_>,
    a: &View,
    b: &View,
    meta: &fx::TensorMeta,
) -> Option<View> {
    if cx.numerics.eager_rounding && meta.dtype.is_half() {
        return None;
    }
    let search = Search::new(&cx.module.graph, a, meta)?;
    let softmax = search.softmax(&search.element(a)?)?;
    let (score, raw) = search.score(&softmax.score)?;
    let product = search.product(&raw)?;
    if leaks(cx.fx, &cx.module.graph, raw.tensor, cx.current_node()) {
        return None;
    }
    let value = search.value(b)?;
    let (n, extents) = (search.n.clone(), search.extents.clone());
    let graph = &cx.module.graph;
    let accumulate = meta.dtype.compute();
    let operands = [&product.query, &product.key, &value];
    if operands
        .iter()
        .any(|l| graph.tensor(l.tensor).dtype.compute() != accumulate)
        || !is_wide_enough(meta, &product.depth)
    {
        return None;
    }
    let rank = meta.sizes.len();
    let mut at = variables(rank - 1);
    let mut sizes = meta.sizes[..rank - 1].to_vec();
    at.push(n);
    sizes.push(extents[rank + 1].clone());
    let inner = cx.intermediate(accumulate, sizes, Source::Inner);
    let stand_in = inner.load(&at, &extents);
    let attention = Attention {
        query: product.query,
        key: product.key,
        value,
        depth: product.depth,
        keys: extents[rank + 1].clone(),
        product: inner.tensor,
        score: replace(&score, &raw, &stand_in),
        causal: false,
        zeros_if_unseen: softmax.zeros_if_unseen,
        gradient: None,
    };
    Some(cx.define_view(meta, Source::Attention(Box::new(attention))))
}

/// A single row is read in vectors along its width.
fn is_wide_enough(meta: &fx::TensorMeta, depth: &IExpr) -> bool {
    let divisible = |size: &IExpr| size.as_const().is_some_and(|s| s % 4 == 0);
    let [.., rows, columns] = meta.sizes.as_slice() else {
        return false;
    };
    !rows.is_one() || divisible(columns) && divisible(depth)
}

/// What the weights are made of.
struct Softmax {
    score: E,
    /// Rows without any key give zeros instead of NaN.
    zeros_if_unseen: bool,
}

/// Queries and keys, at `(…, m, d)` and `(…, n, d)`.
struct Product {
    query: Load,
    key: Load,
    depth: IExpr,
}

/// Looks backwards from the weights, over the variables of an attention: the dimensions of its
/// result, then `d` and `n`.
struct Search<'a> {
    graph: &'a Graph,
    extents: Vec<IExpr>,
    rank: usize,
    n: IExpr,
}

impl<'a> Search<'a> {
    fn new(graph: &'a Graph, weights: &View, meta: &fx::TensorMeta) -> Option<Search<'a>> {
        let rank = meta.sizes.len();
        if weights.sizes.len() != rank || !(2..=3).contains(&rank) {
            return None;
        }
        let keys = weights.sizes[rank - 1].clone();
        if keys.is_one() || !matches!(meta.dtype, DType::F32 | DType::BF16) {
            return None;
        }
        let mut extents = meta.sizes.clone();
        // The depth is not known yet, and no index here mentions it.
        extents.extend([IExpr::one(), keys]);
        Some(Search {
            graph,
            extents,
            rank,
            n: IExpr::var(rank as u32 + 1),
        })
    }

    fn row(&self) -> IExpr {
        IExpr::var(self.rank as u32 - 2)
    }

    /// The weight of a row and key.
    fn element(&self, weights: &View) -> Option<E> {
        let mut at = variables(self.rank - 1);
        at.push(self.n.clone());
        Some(self.tidy(&weights.load(&at, &self.extents)))
    }

    /// The value of a key and column.
    fn value(&self, values: &View) -> Option<Load> {
        let mut at = variables(self.rank);
        at[self.rank - 2] = self.n.clone();
        match &*self.tidy(&values.load(&at, &self.extents)) {
            Expr::Load(load) => Some(load.clone()),
            _ => None,
        }
    }

    /// One form for equal indices: variables of a single value are zero, split ones whole again.
    fn tidy(&self, e: &E) -> E {
        let single = |atom: &Atom| match atom {
            Atom::Var(v) if *v as usize != self.rank && self.is_single(*v) => Some(IExpr::zero()),
            _ => None,
        };
        rewrite_indices(e, &|i| {
            recombine(&i.substitute(&single, &Extents(&self.extents)))
        })
    }

    fn is_single(&self, variable: u32) -> bool {
        self.extents
            .get(variable as usize)
            .is_some_and(IExpr::is_one)
    }

    /// The definition of a loaded element, if it is pointwise.
    fn definition(&self, load: &Load) -> Option<E> {
        match &self.graph.tensor(load.tensor).source {
            Source::Pointwise(value) if load.values.is_empty() => {
                Some(self.tidy(&substitute(value, &load.index, &self.extents)))
            }
            _ => None,
        }
    }

    /// Follows definitions to the operator that makes the value.
    fn peel(&self, e: &E) -> E {
        let mut e = e.clone();
        for _ in 0..MAX_STEPS {
            let next = match &*e {
                Expr::Load(load) => self.definition(load),
                Expr::Round(value, _) => Some(value.clone()),
                _ => None,
            };
            match next {
                Some(next) => e = next,
                None => break,
            }
        }
        e
    }

    /// The operands, if an operator makes the value.
    fn operands<const N: usize>(&self, e: &E, wanted: Prim) -> Option<[E; N]> {
        match &*self.peel(e) {
            Expr::Prim { prim, args, .. } if *prim == wanted => args.clone().try_into().ok(),
            _ => None,
        }
    }

    /// What is combined over all keys to make the value, at this row and key.
    fn combined(&self, e: &E, wanted: Combine) -> Option<E> {
        let Expr::Load(load) = &*self.peel(e) else {
            return None;
        };
        let Source::Reduce {
            combine,
            extents,
            value,
        } = &self.graph.tensor(load.tensor).source
        else {
            return None;
        };
        let over_keys = extents.as_slice() == [self.extents[self.rank + 1].clone()];
        if *combine != wanted || !over_keys || !load.values.is_empty() {
            return None;
        }
        let mut at = load.index.clone();
        if at.iter().any(|i| i.uses_var(self.rank as u32 + 1)) {
            return None;
        }
        at.push(self.n.clone());
        Some(self.tidy(&substitute(value, &at, &self.extents)))
    }

    fn softmax(&self, weight: &E) -> Option<Softmax> {
        let (weight, unseen) = match self.operands::<3>(weight, Prim::Select) {
            Some([unseen, zero, weight]) if is_number(&self.peel(&zero), 0.0) => {
                (weight, Some(unseen))
            }
            _ => (weight.clone(), None),
        };
        let [exponential, total] = self.quotient(&weight)?;
        let summed = self.combined(&total, Combine::Sum)?;
        if self.peel(&summed) != self.peel(&exponential) {
            return None;
        }
        let [below] = self.operands(&exponential, Prim::Exp)?;
        let [score, greatest] = self.operands(&below, Prim::Sub)?;
        let compared = self.combined(&greatest, Combine::Max)?;
        if self.peel(&compared) != self.peel(&score) {
            return None;
        }
        if let Some(unseen) = &unseen
            && !self.is_unseen(unseen, &score)
        {
            return None;
        }
        Some(Softmax {
            score,
            zeros_if_unseen: unseen.is_some(),
        })
    }

    /// Dividend and divisor, also where the dividend is multiplied by one over the divisor.
    fn quotient(&self, e: &E) -> Option<[E; 2]> {
        if let Some([dividend, share]) = self.operands(e, Prim::Mul) {
            let [one, divisor] = self.operands(&share, Prim::Div)?;
            return is_number(&self.peel(&one), 1.0).then_some([dividend, divisor]);
        }
        self.operands(e, Prim::Div)
    }

    /// Does the predicate say that every score of the row is negative infinity?
    fn is_unseen(&self, predicate: &E, score: &E) -> bool {
        let matches = || {
            let [any] = self.operands(predicate, Prim::Not)?;
            let seen = self.combined(&any, Combine::Any)?;
            let [lowest] = self.operands(&seen, Prim::Not)?;
            let [value, bound] = self.operands(&lowest, Prim::Eq)?;
            let bound = is_number(&self.peel(&bound), f64::NEG_INFINITY);
            Some(bound && self.peel(&value) == self.peel(score))
        };
        matches().unwrap_or(false)
    }

    /// The score with every definition between it and the product put in its place, and the
    /// product's element.
    fn score(&self, score: &E) -> Option<(E, Load)> {
        let mut found = None;
        let score = self.expand(score, &mut found, MAX_STEPS)?;
        Some((score, found?))
    }

    /// `None` where there is more than one product, or one where it cannot be replaced.
    fn expand(&self, e: &E, found: &mut Option<Load>, steps: usize) -> Option<E> {
        if !self.reaches_product(e, steps) {
            return Some(e.clone());
        }
        match &**e {
            Expr::Load(load) if self.is_product(load) => match found {
                Some(known) if known != load => None,
                _ => {
                    *found = Some(load.clone());
                    Some(e.clone())
                }
            },
            Expr::Load(load) => self.expand(&self.definition(load)?, found, steps - 1),
            Expr::Round(value, _) => self.expand(value, found, steps),
            Expr::Prim { prim, args, dtype } => Some(Arc::new(Expr::Prim {
                prim: *prim,
                args: args
                    .iter()
                    .map(|arg| self.expand(arg, found, steps))
                    .collect::<Option<_>>()?,
                dtype: *dtype,
            })),
            _ => None,
        }
    }

    /// Is a product of rows and keys part of the value?
    fn reaches_product(&self, e: &E, steps: usize) -> bool {
        let mut reaches = false;
        visit(e, &mut |e| {
            if let Expr::Load(load) = &**e
                && !reaches
            {
                reaches = self.is_product(load)
                    || steps > 1
                        && self
                            .definition(load)
                            .is_some_and(|d| self.reaches_product(&d, steps - 1));
            }
        });
        reaches
    }

    /// Is it a product's element of this row and key?
    fn is_product(&self, load: &Load) -> bool {
        let tensor = self.graph.tensor(load.tensor);
        let summed = match &tensor.source {
            Source::Contract { .. } => true,
            Source::Reduce { combine, value, .. } => {
                *combine == Combine::Sum
                    && matches!(
                        &**value,
                        Expr::Prim {
                            prim: Prim::Mul,
                            ..
                        }
                    )
            }
            _ => false,
        };
        let [batch @ .., row, key] = load.index.as_slice() else {
            return false;
        };
        let (m, n) = (self.rank as u32 - 2, self.rank as u32 + 1);
        let own_row = *row == self.row() || row.is_zero() && self.extents[m as usize].is_one();
        summed
            && load.values.is_empty()
            && own_row
            && *key == self.n
            && !batch.iter().any(|i| i.uses_var(m) || i.uses_var(n))
    }

    /// The operands of the product.
    fn product(&self, raw: &Load) -> Option<Product> {
        let (first, second, depth) = match &self.graph.tensor(raw.tensor).source {
            Source::Contract { a, b, k, inside } if inside.is_empty() => {
                let [depth] = k.as_slice() else {
                    return None;
                };
                (a.clone(), b.clone(), depth.clone())
            }
            Source::Reduce { extents, value, .. } => {
                let [depth] = extents.as_slice() else {
                    return None;
                };
                let [a, b] = self.operands(value, Prim::Mul)?;
                (loaded(&a)?, loaded(&b)?, depth.clone())
            }
            _ => return None,
        };
        let mut at = raw.index.clone();
        at.push(IExpr::var(self.rank as u32));
        let mut extents = self.extents.clone();
        extents[self.rank] = depth.clone();
        let ranges = Extents(&extents);
        let place = |load: Load| Load {
            index: load
                .index
                .iter()
                .map(|i| recombine(&i.with_vars(&at, &ranges)))
                .collect(),
            ..load
        };
        let (query, key) = (place(first), place(second));
        let uses = |load: &Load, var: usize| load.index.iter().any(|i| i.uses_var(var as u32));
        let (m, c, n) = (self.rank - 2, self.rank - 1, self.rank + 1);
        let fits = query.values.is_empty()
            && key.values.is_empty()
            && !uses(&query, n)
            && !uses(&key, m)
            && !uses(&query, c)
            && !uses(&key, c);
        fits.then_some(Product { query, key, depth })
    }
}

fn loaded(e: &E) -> Option<Load> {
    match &**e {
        Expr::Load(load) => Some(load.clone()),
        Expr::Convert(value, _) => loaded(value),
        _ => None,
    }
}

fn is_number(e: &E, wanted: f64) -> bool {
    matches!(&**e, Expr::Const(Literal::Float(x), _) if *x == wanted)
}

/// `e` with every load of the product's element replaced.
fn replace(e: &E, raw: &Load, stand_in: &E) -> E {
    match &**e {
        Expr::Load(load) if load == raw => stand_in.clone(),
        Expr::Prim { prim, args, dtype } => Arc::new(Expr::Prim {
            prim: *prim,
            args: args.iter().map(|a| replace(a, raw, stand_in)).collect(),
            dtype: *dtype,
        }),
        _ => e.clone(),
    }
}

/// Does anything but the attention ending in `last` use what comes after the product?
fn leaks(fx: &fx::Graph, graph: &Graph, product: TensorId, last: usize) -> bool {
    let name = &graph.tensor(product).name;
    let Some(first) = fx.nodes.iter().position(|n| n.name == *name) else {
        return true;
    };
    // Everything after the product that depends on it, as far as the last node needs it.
    let mut after: HashSet<usize> = HashSet::from([first]);
    for at in first + 1..=last {
        if argument_nodes(&fx.nodes[at])
            .iter()
            .any(|n| after.contains(n))
        {
            after.insert(at);
        }
    }
    let mut needed: HashSet<usize> = HashSet::from([last]);
    for at in (first..last).rev() {
        let used = (at + 1..=last)
            .any(|user| needed.contains(&user) && argument_nodes(&fx.nodes[user]).contains(&at));
        if used {
            needed.insert(at);
        }
    }
    let inside: HashSet<usize> = after.intersection(&needed).copied().collect();
    (first + 1..fx.nodes.len()).any(|user| {
        !inside.contains(&user)
            && argument_nodes(&fx.nodes[user])
                .iter()
                .any(|n| *n != last && inside.contains(n))
    })
}
