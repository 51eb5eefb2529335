//! From fused groups to kernels in loop IR.

mod ahead;
mod attention;
mod columns;
mod contract;
mod emitter;
mod eval;
mod loops;
mod masked;
mod overlay;
mod pipeline;
pub mod prepare;
mod reduce;
mod stream;
mod strided;
mod tiles;
mod turn;

use crate::error::CompileError;
use crate::fuse::{Group, GroupKind, Nests};
use crate::graph::{Graph, Source, TensorId};
use emitter::Emitter;
use eval::Evaluator;
use ferroductor_ir::kernel::*;
use loops::{Loops, Tiling};
pub use overlay::Overlay;
use overlay::overlays;
use prepare::{Action, prepare};
pub use stream::stream;

/// A kernel with what its parameters stand for.
#[derive(Clone, Debug)]
pub struct Scheduled {
    pub kernel: Kernel,
    /// The tensor of each parameter.
    pub buffers: Vec<TensorId>,
    /// The size symbol of each entry of the kernel's size table.
    pub sizes: Vec<u32>,
    /// For each error code (from 1), the number of the graph's error.
    pub errors: Vec<u32>,
    /// Results that may be written over an operand.
    pub overlays: Vec<Overlay>,
    /// Estimated nanoseconds of a tile.
    pub tile_ns: u32,
}

/// Writes the kernel of a group. `external(t)`: must the tensor, computed here, have memory?
pub fn schedule(
    graph: &Graph,
    nests: &Nests,
    group: &Group,
    target: &Target,
    external: &dyn Fn(TensorId) -> bool,
) -> Result<Scheduled, CompileError> {
    let prepared = prepare(graph, nests, group);
    let mut emitter = Emitter::new(target);
    let buffers = parameters(graph, &prepared, external, &mut emitter);
    let mut eval = Evaluator::new(emitter, &prepared);
    for (at, tensor) in buffers.iter().enumerate() {
        eval.buffers.insert(*tensor, Buf::Param(at as u32));
    }
    let tiling: Tiling = match prepared.kind {
        GroupKind::Contract => contract::emit(graph, &prepared, &mut eval, external)?,
        GroupKind::Attention => attention::emit(graph, &prepared, &mut eval, external)?,
        _ => Loops::new(graph, &prepared, &mut eval, external).emit()?,
    };
    let Evaluator {
        emitter,
        sizes,
        errors,
        ..
    } = eval;
    let (name, doc) = describe(graph, &prepared);
    let operators: usize = prepared
        .pieces
        .iter()
        .flat_map(|p| p.expressions())
        .map(cost)
        .sum();
    let tile_ns =
        (tiling.elements.max(1) as f64 * (0.08 + 0.03 * operators as f64)).min(1e9) as u32;
    let kernel = emitter.finish(name, doc, sizes.len() as u32, tiling.tiles);
    let overlays = overlays(&prepared, &buffers, &kernel);
    Ok(Scheduled {
        kernel,
        overlays,
        buffers,
        sizes,
        errors,
        tile_ns: tile_ns.max(1),
    })
}

/// Weight of an expression in the cost estimate.
fn cost(e: &crate::graph::E) -> usize {
    let mut weight = 0;
    crate::graph::visit(e, &mut |e| {
        if let crate::graph::Expr::Prim { prim, .. } = &**e {
            weight += if prim.is_costly() { 8 } else { 1 };
        }
    });
    weight
}

/// The tensors outside that the kernel touches, reads first, as parameters.
fn parameters(
    graph: &Graph,
    prepared: &prepare::Prepared,
    external: &dyn Fn(TensorId) -> bool,
    emitter: &mut Emitter<'_>,
) -> Vec<TensorId> {
    let own: Vec<TensorId> = prepared.pieces.iter().map(|p| p.tensor).collect();
    let mut tensors = Vec::new();
    let mut add = |tensor: TensorId, access: Access| {
        if tensors.contains(&tensor) {
            return;
        }
        tensors.push(tensor);
        let info = graph.tensor(tensor);
        emitter.params.push(Param {
            dtype: info.dtype,
            access,
            name: info.name.clone(),
            noalias: access != Access::Read,
        });
    };
    for piece in &prepared.pieces {
        for load in piece.loads() {
            let inner = matches!(graph.tensor(load.tensor).source, Source::Inner);
            if !inner && !own.contains(&load.tensor) {
                add(load.tensor, Access::Read);
            }
        }
    }
    for piece in &prepared.pieces {
        if external(piece.tensor) || matches!(piece.action, Action::Scatter { .. }) {
            add(piece.tensor, Access::ReadWrite);
        }
        if let Action::Attention(attend) = &piece.action {
            let companions = attend.companions.iter().map(|(_, tensor, _)| *tensor);
            for tensor in companions.filter(|t| external(*t)) {
                add(tensor, Access::ReadWrite);
            }
        }
    }
    tensors
}

/// A readable name and one line per fused operator.
fn describe(graph: &Graph, prepared: &prepare::Prepared) -> (String, Vec<String>) {
    let mut words: Vec<&str> = Vec::new();
    let mut doc = Vec::new();
    for piece in &prepared.pieces {
        let tensor = graph.tensor(piece.tensor);
        let op = match &piece.action {
            Action::Contract { .. } if tensor.op != "convolution" => "matmul",
            Action::Attention(attend) if attend.gradient.is_some() => "attention_backward",
            Action::Attention(_) => "attention",
            _ => tensor.op.as_str(),
        };
        if !words.contains(&op) && !op.is_empty() {
            words.push(op);
        }
        let sizes: Vec<String> = tensor.sizes.iter().map(|s| s.to_string()).collect();
        doc.push(format!(
            "{}: {}[{}] = {op}",
            tensor.name,
            tensor.dtype,
            sizes.join(", ")
        ));
    }
    words.truncate(5);
    let name: String = words
        .join("_")
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    (format!("kernel_{name}"), doc)
}
