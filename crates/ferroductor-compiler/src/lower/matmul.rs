//! Matrix products: contractions with whatever is added to them as ordinary pointwise work.

use super::args::{Operand, variables};
use super::attention_pattern::recognise;
use super::{Args, Lowered, Lowerer, Meaning, Reason, Rule};
use crate::graph::{self, Combine, Expr, Load, Source, View, prim};
use ferroductor_ir::{DType, IExpr, Prim, fx};

pub fn rule(name: &str) -> Option<Rule> {
    Some(match name {
        "aten.mm" | "aten.bmm" => product,
        "aten.addmm" | "aten.baddbmm" => add_product,
        _ => return None,
    })
}

/// Elements of a weight whose reading decides how long a product of one row takes.
const LARGE_WEIGHT: i64 = 1 << 18;

pub(super) fn load(view: &View, at: &[IExpr], extents: &[IExpr]) -> Lowered<Load> {
    match &*view.load(at, extents) {
        Expr::Load(load) => Ok(load.clone()),
        _ => Err(Reason::new("an operand is not a tensor element")),
    }
}

/// Defines `a @ b` in `dtype`, both with the same number of dimensions (2, or 3 with a batch).
fn contract(
    cx: &mut Lowerer<'_>,
    a: &View,
    b: &View,
    meta: &fx::TensorMeta,
    dtype: DType,
) -> Lowered<View> {
    let rank = a.sizes.len();
    if rank != b.sizes.len() || rank != meta.sizes.len() || !(2..=3).contains(&rank) {
        return Err(Reason::new("operands of unexpected rank"));
    }
    if a.dtype != b.dtype || !matches!(a.dtype, DType::F32 | DType::BF16) {
        return Err(Reason::new(format!(
            "a product of {} and {}",
            a.dtype, b.dtype
        )));
    }
    let k = a.sizes[rank - 1].clone();
    let out = variables(rank);
    let inner = IExpr::var(rank as u32);
    let mut extents = meta.sizes.clone();
    extents.push(k.clone());
    let mut at_a = out.clone();
    at_a[rank - 1] = inner.clone();
    let mut at_b = out;
    at_b[rank - 2] = inner;
    let mut meta = meta.clone();
    meta.dtype = dtype;
    let weight = cx.module.graph.hint_numel(&extents[rank - 1..]);
    if out_rows(&meta).is_one() && weight < LARGE_WEIGHT {
        return Ok(single_row(cx, (a, &at_a), (b, &at_b), &meta, &extents));
    }
    let source = Source::Contract {
        a: load(a, &at_a, &extents)?,
        b: load(b, &at_b, &extents)?,
        k: vec![k],
        inside: Vec::new(),
    };
    Ok(cx.define_view(&meta, source))
}

/// The number of rows of a product's result.
fn out_rows(meta: &fx::TensorMeta) -> &IExpr {
    &meta.sizes[meta.sizes.len() - 2]
}

/// One row reads each weight once: a plain reduction over `k`, which may compute its operand.
fn single_row(
    cx: &mut Lowerer<'_>,
    (a, at_a): (&View, &[IExpr]),
    (b, at_b): (&View, &[IExpr]),
    meta: &fx::TensorMeta,
    extents: &[IExpr],
) -> View {
    let x = graph::convert(&a.load(at_a, extents), DType::F32);
    let y = graph::convert(&b.load(at_b, extents), DType::F32);
    let source = Source::Reduce {
        combine: Combine::Sum,
        extents: extents[meta.sizes.len()..].to_vec(),
        value: prim(Prim::Mul, &[&x, &y]),
    };
    cx.define_view(meta, source)
}

fn product(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let a = cx.tensor(args.need(0, "self")?)?;
    let b = cx.tensor(args.need(1, "mat2")?)?;
    if meta.dtype != a.dtype {
        return Err(Reason::new("a product in another dtype"));
    }
    if let Some(attention) = recognise(cx, &a, &b, &meta) {
        return Ok(Meaning::Tensor(attention));
    }
    Ok(Meaning::Tensor(contract(cx, &a, &b, &meta, meta.dtype)?))
}

fn add_product(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let bias = cx.tensor(args.need(0, "self")?)?;
    let a = cx.tensor(args.need(1, "mat1")?)?;
    let b = cx.tensor(args.need(2, "mat2")?)?;
    let (alpha, beta) = (args.float(4, "alpha", 1.0)?, args.float(3, "beta", 1.0)?);
    // The sum is rounded once: the bare product stays in the accumulation type.
    let raw = contract(cx, &a, &b, &meta, DType::F32)?;
    let at = variables(meta.sizes.len());
    let mut value = raw.load(&at, &meta.sizes);
    if alpha != 1.0 {
        value = prim(Prim::Mul, &[&value, &graph::float(alpha, DType::F32)]);
    }
    if beta != 0.0 {
        let mut added = cx.element(&Operand::Tensor(bias), &at, &meta.sizes, DType::F32);
        if beta != 1.0 {
            added = prim(Prim::Mul, &[&added, &graph::float(beta, DType::F32)]);
        }
        value = prim(Prim::Add, &[&value, &added]);
    }
    Ok(cx.pointwise(&meta, value))
}
