//! Tensors, groups and refusals as text, for dumps and reports.

use crate::fuse::Nests;
use crate::fuse::group::{Fusion, Refusal};
use crate::graph::{E, Expr, Graph, Source, visit};
use ferroductor_ir::IExpr;
use std::collections::HashMap;
use std::sync::Arc;

pub fn refusal(graph: &Graph, refusal: &Refusal) -> String {
    format!(
        "{} not with {}: {}",
        graph.tensor(refusal.consumer).name,
        graph.tensor(refusal.other).name,
        refusal.reason
    )
}

pub fn tensors(graph: &Graph) -> String {
    let mut text = String::new();
    for (at, tensor) in graph.tensors.iter().enumerate() {
        let sizes: Vec<String> = tensor.sizes.iter().map(IExpr::to_string).collect();
        text += &format!(
            "t{at} {} {}[{}] = {}\n",
            tensor.name,
            tensor.dtype,
            sizes.join(", "),
            source(&tensor.source)
        );
    }
    text
}

fn source(source: &Source) -> String {
    match source {
        Source::External => "external".into(),
        Source::Inner => "inside a kernel".into(),
        Source::Companion { of, role } => format!("{role:?} of t{}", of.0),
        Source::Attention(a) => format!(
            "attention{} over {} of t{}{:?}, t{}{:?}, t{}{:?}, score {}{}",
            if a.gradient.is_some() {
                "'s gradients"
            } else {
                ""
            },
            a.keys,
            a.query.tensor.0,
            a.query.index,
            a.key.tensor.0,
            a.key.index,
            a.value.tensor.0,
            a.value.index,
            expression(&a.score),
            if a.causal { ", causal" } else { "" },
        ),
        Source::Pointwise(e) => expression(e),
        Source::Reduce {
            combine,
            extents,
            value,
        } => format!("{combine:?} over {extents:?} of {}", expression(value)),
        Source::Contract { a, b, k, inside } => format!(
            "contract over {k:?}: t{}{:?} * t{}{:?} inside {inside:?}",
            a.tensor.0, a.index, b.tensor.0, b.index
        ),
        Source::Scan {
            combine,
            dim,
            value,
        } => format!("running {combine:?} along {dim} of {}", expression(value)),
        Source::Scatter { index, .. } => format!("scatter at {index:?}"),
        Source::Assemble(parts) => format!("{} parts", parts.len()),
    }
}

/// An expression with its shared subterms named, so that the text is as long as the expression.
fn expression(e: &E) -> String {
    let mut uses: HashMap<*const Expr, usize> = HashMap::new();
    let mut order: Vec<E> = Vec::new();
    visit(e, &mut |e| {
        order.push(e.clone());
        for child in e.children() {
            *uses.entry(Arc::as_ptr(child)).or_default() += 1;
        }
    });
    let mut texts: HashMap<*const Expr, String> = HashMap::new();
    let mut shared = String::new();
    let mut names = 0;
    for term in &order {
        let mut text = own_text(term, &texts);
        let again = uses.get(&Arc::as_ptr(term)).is_some_and(|n| *n > 1);
        if again && !term.children().is_empty() {
            shared += &format!(", %{names} = {text}");
            text = format!("%{names}");
            names += 1;
        }
        texts.insert(Arc::as_ptr(term), text);
    }
    let own = texts.remove(&Arc::as_ptr(e)).unwrap_or_default();
    match shared.strip_prefix(", ") {
        Some(shared) => format!("{own} where {shared}"),
        None => own,
    }
}

/// One term, given the texts of those below it.
fn own_text(e: &E, texts: &HashMap<*const Expr, String>) -> String {
    let text = |e: &E| texts.get(&Arc::as_ptr(e)).cloned().unwrap_or_default();
    match &**e {
        Expr::Const(l, _) => format!("{l:?}"),
        Expr::Index(i) => format!("{i}"),
        Expr::Load(l) => format!("t{}{:?}", l.tensor.0, l.index),
        Expr::Prim { prim, args, .. } => {
            let args: Vec<String> = args.iter().map(text).collect();
            format!("{prim}({})", args.join(", "))
        }
        Expr::Convert(v, d) => format!("{d}({})", text(v)),
        Expr::Round(v, d) => format!("round_{d}({})", text(v)),
        Expr::Guard { value, other, .. } => format!("guard({}, {})", text(value), text(other)),
        Expr::Check { value, bound, .. } => format!("check({}, {bound})", text(value)),
    }
}

pub fn groups(graph: &Graph, nests: &Nests, fusion: &Fusion) -> String {
    let mut text = String::new();
    for (at, group) in fusion.groups.iter().enumerate() {
        text += &format!(
            "group {at} {:?} axes {:?} outer {:?}\n",
            group.kind, group.space.axes, group.outer
        );
        for member in &group.space.members {
            let tensor = graph.tensor(nests.get(member.nest).tensor);
            text += &format!("  {} {:?}\n", tensor.name, member.vars);
        }
    }
    for each in &fusion.refusals {
        text += &format!("{}\n", refusal(graph, each));
    }
    text
}
