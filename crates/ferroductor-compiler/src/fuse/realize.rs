//! Which definitions get memory of their own, or at least a place in a kernel, and which are
//! recomputed wherever they are read.
//!
//! A reduction, contraction, scan, scatter or assembly always is a nest. A pointwise definition is
//! one if somebody outside needs its memory, or if recomputing it would cost more than it saves.
//! A nest whose readers all end up in its own kernel still needs no memory: that is decided later.

use crate::graph::{E, Expr, Graph, Load, Source, TensorId, visit};
use ferroductor_ir::Prim;
use std::collections::{HashMap, HashSet};

/// Above this many operators a definition is not inlined further.
const MAX_INLINED: usize = 160;
/// A definition this cheap is recomputed by each of its readers.
const CHEAP: usize = 3;

/// So many points repay a pass over a small tensor.
const MANY: i64 = 32;
/// Loads of a value that is cheap although they are more than two.
const FEW: usize = 4;
/// A tensor smaller than this part of another stays in cache while the other is gone through.
const SMALL: i64 = 16;

/// How a tensor is read.
#[derive(Clone, Debug, Default)]
struct Uses {
    readers: HashSet<TensorId>,
    /// Largest number of different elements one reader takes at one point.
    distinct_loads: usize,
    /// Largest domain of a reader.
    points: i64,
    by_contract: bool,
    at_loaded_index: bool,
}

/// The realised tensors. `required` are those that need memory in any case.
pub fn realize(graph: &Graph, required: &HashSet<TensorId>) -> HashSet<TensorId> {
    let live = live(graph, required);
    let uses = collect_uses(graph, &live);
    let mut realized: HashSet<TensorId> = HashSet::new();
    let mut weight: HashMap<TensorId, Weight> = HashMap::new();
    for at in 0..graph.tensors.len() as u32 {
        let id = TensorId(at);
        if !live.contains(&id) {
            continue;
        }
        match &graph.tensor(id).source {
            Source::External | Source::Inner => {}
            Source::Pointwise(value) => {
                let w = measure(graph, id, value, &realized, &weight);
                let default = Uses::default();
                let u = uses.get(&id).unwrap_or(&default);
                if required.contains(&id) || deserves_memory(graph, id, u, &w) {
                    realized.insert(id);
                }
                weight.insert(id, w);
            }
            _ => {
                realized.insert(id);
            }
        }
    }
    realized
}

/// Tensors that something required is made of.
fn live(graph: &Graph, required: &HashSet<TensorId>) -> HashSet<TensorId> {
    let mut live = required.clone();
    for at in (0..graph.tensors.len() as u32).rev() {
        let id = TensorId(at);
        if live.contains(&id) {
            for_each_load(graph, id, &mut |l| {
                live.insert(l.tensor);
            });
            if let Source::Companion { of, .. } = graph.tensor(id).source {
                live.insert(of);
            }
        }
    }
    live
}

/// The expressions a definition is made of.
fn expressions(source: &Source) -> Vec<&E> {
    match source {
        Source::External | Source::Inner | Source::Companion { .. } | Source::Contract { .. } => {
            Vec::new()
        }
        Source::Attention(attention) => vec![&attention.score],
        Source::Pointwise(e) => vec![e],
        Source::Reduce { value, .. } | Source::Scan { value, .. } => vec![value],
        Source::Scatter {
            base,
            values,
            value,
            ..
        } => values.iter().chain([base, value]).collect(),
        Source::Assemble(parts) => parts.iter().map(|p| &p.value).collect(),
    }
}

fn for_each_load(graph: &Graph, id: TensorId, f: &mut dyn FnMut(&Load)) {
    let source = &graph.tensor(id).source;
    match source {
        Source::Contract { a, b, .. } => [a, b].into_iter().for_each(&mut *f),
        Source::Attention(attention) => {
            attention.operands().into_iter().for_each(&mut *f);
        }
        _ => {}
    }
    for e in expressions(source) {
        visit(e, &mut |e| {
            if let Expr::Load(l) = &**e {
                f(l);
            }
        });
    }
}

fn collect_uses(graph: &Graph, live: &HashSet<TensorId>) -> HashMap<TensorId, Uses> {
    let mut uses: HashMap<TensorId, Uses> = HashMap::new();
    for at in 0..graph.tensors.len() as u32 {
        let reader = TensorId(at);
        if !live.contains(&reader) {
            continue;
        }
        let tensor = graph.tensor(reader);
        let mut points = graph.hint_numel(&tensor.sizes);
        if let Source::Reduce { extents, .. } = &tensor.source {
            points = points.saturating_mul(graph.hint_numel(extents));
        }
        if let Source::Attention(attention) = &tensor.source {
            points = points.saturating_mul(graph.hint(&attention.keys));
        }
        let contract = matches!(tensor.source, Source::Contract { .. });
        let operands: Vec<TensorId> = match &tensor.source {
            Source::Attention(a) => a.operands().into_iter().map(|l| l.tensor).collect(),
            _ => Vec::new(),
        };
        let mut elements: HashMap<TensorId, HashSet<Vec<ferroductor_ir::IExpr>>> = HashMap::new();
        for_each_load(graph, reader, &mut |l| {
            let u = uses.entry(l.tensor).or_default();
            u.readers.insert(reader);
            u.points = u.points.max(points);
            u.by_contract |= contract || operands.contains(&l.tensor);
            u.at_loaded_index |= !l.values.is_empty();
            elements
                .entry(l.tensor)
                .or_default()
                .insert(l.index.clone());
        });
        for (tensor, set) in elements {
            let u = uses.entry(tensor).or_default();
            u.distinct_loads = u.distinct_loads.max(set.len());
        }
    }
    uses
}

/// Cost of a definition with everything inlined.
#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    operators: usize,
    loads: usize,
    /// Of them, loads of tensors not much smaller than the defined one.
    large: usize,
    costly: usize,
    guards: usize,
    /// Divisions and roots.
    slow: usize,
    /// Loads of what the graph computes, rather than of its inputs.
    computed: usize,
}

fn measure(
    graph: &Graph,
    id: TensorId,
    value: &E,
    realized: &HashSet<TensorId>,
    known: &HashMap<TensorId, Weight>,
) -> Weight {
    let elements = |tensor: TensorId| graph.hint_numel(&graph.tensor(tensor).sizes);
    let own = elements(id);
    let is_large = |tensor| elements(tensor).saturating_mul(SMALL) > own;
    let mut w = Weight::default();
    visit(value, &mut |e| match &**e {
        Expr::Load(l) => {
            let inlined = matches!(graph.tensor(l.tensor).source, Source::Pointwise(_))
                && !realized.contains(&l.tensor);
            match known.get(&l.tensor).filter(|_| inlined) {
                Some(inner) => {
                    w.operators += inner.operators;
                    w.loads += inner.loads;
                    w.large += inner.large;
                    w.costly += inner.costly;
                    w.guards += inner.guards;
                    w.slow += inner.slow;
                    w.computed += inner.computed;
                }
                None => {
                    w.loads += 1;
                    w.large += usize::from(is_large(l.tensor));
                    let is_input = matches!(graph.tensor(l.tensor).source, Source::External);
                    w.computed += usize::from(!is_input);
                }
            }
        }
        Expr::Prim { prim, .. } => {
            w.operators += 1;
            w.costly += usize::from(prim.is_costly());
            w.slow += usize::from(matches!(prim, Prim::Div | Prim::Sqrt));
        }
        Expr::Guard { .. } => {
            w.operators += 1;
            w.guards += 1;
        }
        Expr::Const(..) | Expr::Index(_) => {}
        Expr::Convert(..) | Expr::Round(..) | Expr::Check { .. } => w.operators += 1,
    });
    w
}

fn deserves_memory(graph: &Graph, id: TensorId, uses: &Uses, w: &Weight) -> bool {
    if w.loads == 0 && w.operators <= CHEAP {
        // Constants, ranges and the like cost nothing to repeat, except for a product's operand.
        return uses.by_contract;
    }
    if uses.by_contract || uses.at_loaded_index && (w.costly > 0 || w.guards > 0) {
        return true;
    }
    if w.operators > MAX_INLINED || w.guards > 2 {
        return true;
    }
    let own = graph.hint_numel(&graph.tensor(id).sizes).max(1);
    // A costly value read at many more points than it has elements.
    if w.costly > 0 && uses.points / own >= 2 && w.operators > CHEAP {
        return true;
    }
    // Factors made of parameters alone, such as the scale of a normalisation: once for all points.
    if w.slow > 0 && w.computed == 0 && uses.points / own >= MANY {
        return true;
    }
    // Means, scales and the like cost no traffic: with one large operand, such a value is as quickly
    // computed from it as read.
    let is_light = w.loads <= 2 || w.large <= 1 && w.loads <= FEW;
    let cheap = w.costly == 0 && w.operators <= CHEAP && is_light;
    (uses.readers.len() > 1 || uses.distinct_loads > 1) && !cheap
}
