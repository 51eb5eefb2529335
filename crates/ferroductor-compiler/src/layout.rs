//! Views in memory: which views are plain strided ones, and copies for those that are not.

use crate::graph::{Graph, Source, Tensor, View};
use ferroductor_ir::fx::{Arg, Node, TensorMeta};
use ferroductor_ir::{Atom, IExpr};

/// The nodes that an argument refers to.
pub fn nodes_in(arg: &Arg, f: &mut dyn FnMut(usize)) {
    match arg {
        Arg::Node(n) => f(*n),
        Arg::List(items) => items.iter().for_each(|i| nodes_in(i, f)),
        _ => {}
    }
}

/// The nodes that a node's arguments refer to, in order.
pub fn argument_nodes(node: &Node) -> Vec<usize> {
    let mut nodes = Vec::new();
    for arg in node.args.iter().chain(node.kwargs.iter().map(|k| &k.1)) {
        nodes_in(arg, &mut |n| nodes.push(n));
    }
    nodes
}

/// Strides and offset of a view in its tensor's memory, if it is a plain strided view.
pub fn geometry(graph: &Graph, view: &View) -> Option<(Vec<IExpr>, IExpr)> {
    let tensor = graph.tensor(view.tensor);
    let mut flat = IExpr::zero();
    for (i, s) in view.index.iter().zip(&tensor.strides) {
        flat = &flat + &(i * s);
    }
    let flat = crate::schedule::prepare::recombine(&flat);
    let mut offset = flat.clone();
    let mut strides = Vec::with_capacity(view.sizes.len());
    for d in 0..view.sizes.len() as u32 {
        let c = flat.coefficient(d)?;
        let mut has_var = false;
        c.visit(&mut |a| has_var |= matches!(a, Atom::Var(_)));
        if has_var {
            return None;
        }
        offset = &offset - &(&c * &IExpr::var(d));
        strides.push(c);
    }
    let mut has_var = false;
    offset.visit(&mut |a| has_var |= matches!(a, Atom::Var(_)));
    (!has_var).then_some((strides, offset))
}

/// Does the view lie in memory as the metadata promise?
pub fn has_geometry(graph: &Graph, view: &View, meta: &TensorMeta) -> bool {
    if view.dtype != meta.dtype || view.sizes.len() != meta.sizes.len() {
        return false;
    }
    if !meta.is_plain || !meta.dtype.is_native() {
        return true;
    }
    let Some((strides, _)) = geometry(graph, view) else {
        return false;
    };
    let empty = meta.sizes.iter().any(IExpr::is_zero);
    empty
        || strides
            .iter()
            .zip(&meta.strides)
            .zip(&meta.sizes)
            .all(|((own, wanted), size)| own == wanted || size.is_one())
}

/// A fresh tensor with the view's elements and the metadata's strides.
pub fn copy_of(graph: &mut Graph, view: &View, meta: &TensorMeta, name: &str) -> View {
    let at: Vec<IExpr> = (0..view.sizes.len() as u32).map(IExpr::var).collect();
    let value = view.load(&at, &view.sizes);
    let strides = if graph.is_dense(&meta.sizes, &meta.strides) {
        meta.strides.clone()
    } else {
        crate::graph::contiguous_strides(&meta.sizes)
    };
    let id = graph.add(Tensor {
        dtype: meta.dtype,
        sizes: meta.sizes.clone(),
        strides,
        source: Source::Pointwise(value),
        name: name.to_string(),
        op: "copy".into(),
    });
    graph.view(id)
}
