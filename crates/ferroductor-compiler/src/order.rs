//! The order that ATen calls force on a program.
//!
//! What must hold: a call comes after everything it reads, and calls with effects (random draws,
//! operators we do not know) keep the graph's order.

use crate::graph::{TensorId, View};
use crate::layout::argument_nodes;
use crate::lower::{Item, Module};
use ferroductor_ir::fx::{Graph as Fx, Node, Value};
use ferroductor_ir::{Atom, IExpr};
use std::collections::HashMap;

/// What ATen calls read, and the order of those with effects.
pub struct AtenOrder {
    /// For an external tensor: the tensors that must exist before the call that makes it.
    before: HashMap<TensorId, Vec<TensorId>>,
    /// For a call node: the call with effects before it.
    pub previous: HashMap<usize, usize>,
    /// The call that gives a data-dependent size its value.
    pub binds: HashMap<u32, usize>,
}

/// Calls that must neither be reordered nor merged: random draws, and whatever we do not know.
fn has_effects(node: &Node) -> bool {
    let target = node.target.as_str();
    let Some(name) = target.strip_prefix("aten.") else {
        return !target.starts_with("prims.") && !target.contains("getitem");
    };
    const RANDOM: &[&str] = &[
        "rand",
        "bernoulli",
        "multinomial",
        "normal",
        "dropout",
        "poisson",
        "exponential",
        "geometric",
        "cauchy",
        "log_normal",
        "uniform",
        "random",
        "rrelu",
        "_assert",
        "_print",
    ];
    RANDOM.iter().any(|r| name.contains(r)) || name.contains("_.")
}

impl AtenOrder {
    /// `views`: through which view a call takes a node's value.
    pub fn new(fx: &Fx, module: &Module, views: &HashMap<usize, View>) -> AtenOrder {
        let mut order = AtenOrder {
            before: HashMap::new(),
            previous: HashMap::new(),
            binds: HashMap::new(),
        };
        let mut results: HashMap<usize, Vec<TensorId>> = HashMap::new();
        for (tensor, node, _) in &module.externals {
            results.entry(*node).or_default().push(*tensor);
        }
        let mut last: Option<usize> = None;
        for item in &module.items {
            let Item::Aten { node, .. } = item else {
                continue;
            };
            let mut reads: Vec<TensorId> = argument_nodes(&fx.nodes[*node])
                .into_iter()
                .filter_map(|n| views.get(&n).map(|v| v.tensor))
                .collect();
            if has_effects(&fx.nodes[*node]) {
                if let Some(previous) = last {
                    order.previous.insert(*node, previous);
                    reads.extend(results.get(&previous).into_iter().flatten());
                }
                last = Some(*node);
            }
            for tensor in results.get(node).into_iter().flatten() {
                order.before.insert(*tensor, reads.clone());
            }
            // A size that no expression gives is computed by a call, with an example or without.
            let computes = matches!(&fx.nodes[*node].value, Value::SymInt(_));
            symbols_of(&fx.nodes[*node].value, &mut |s| {
                let unbacked = fx.symbols.get(s as usize).is_some_and(|s| s.hint.is_none());
                if unbacked || computes {
                    order.binds.entry(s).or_insert(*node);
                }
            });
        }
        order
    }

    pub fn reads(&self, tensor: TensorId) -> Vec<TensorId> {
        self.before.get(&tensor).cloned().unwrap_or_default()
    }
}

fn symbols_of(value: &Value, f: &mut dyn FnMut(u32)) {
    let mut expr = |e: &IExpr| {
        e.visit(&mut |a| {
            if let Atom::Size(s) = a {
                f(*s);
            }
        });
    };
    match value {
        Value::Tensor(meta) => meta.sizes.iter().for_each(&mut expr),
        Value::SymInt(e) => expr(e),
        Value::List(items) => items.iter().for_each(|v| symbols_of(v, f)),
        _ => {}
    }
}
