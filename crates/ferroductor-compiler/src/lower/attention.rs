//! Softmax attention: the operator that `scaled_dot_product_attention` reaches us as.

use super::args::{broadcast, variables};
use super::{Args, Lowered, Lowerer, Meaning, Reason, Rule};
use crate::graph::{
    self, Attention, Combine, Companion, E, Expr, Gradient, Load, Source, TensorId, View, prim,
};
use ferroductor_ir::{DType, IExpr, Literal, Prim, fx};

pub fn rule(name: &str) -> Option<Rule> {
    Some(match name {
        "aten._scaled_dot_product_flash_attention_for_cpu" => scaled_dot_product,
        "aten._scaled_dot_product_flash_attention_for_cpu_backward" => scaled_dot_product_backward,
        _ => return None,
    })
}

/// The three operands `[batch, heads, rows or keys, width]`.
struct Operands {
    query: View,
    key: View,
    value: View,
}

fn scaled_dot_product(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let operands = Operands {
        query: cx.tensor(args.need(0, "query")?)?,
        key: cx.tensor(args.need(1, "key")?)?,
        value: cx.tensor(args.need(2, "value")?)?,
    };
    if args.float(3, "dropout_p", 0.0)? != 0.0 {
        return Err(Reason::new("attention with dropout"));
    }
    let causal = args.bool(4, "is_causal", false)?;
    let mask = match args.get(5, "attn_mask") {
        Some(mask) => Some(cx.tensor(mask)?),
        None => None,
    };
    let scale = match args.get(6, "scale") {
        Some(_) => Some(args.float(6, "scale", 1.0)?),
        None => None,
    };
    operands.check()?;
    let (meta, log_meta) = (cx.result_at(0)?, cx.result_at(1)?);
    let accumulate = meta.dtype.compute();
    let keys = operands.key.sizes[2].clone();
    let mut sizes = meta.sizes[..3].to_vec();
    sizes.push(keys.clone());
    let product = cx.intermediate(accumulate, sizes.clone(), Source::Inner);

    let mut at = variables(3);
    at.push(IExpr::var(5));
    let extents = operands.domain(&meta);
    let raw = product.load(&at, &extents);
    let mut score = prim(Prim::Mul, &[&raw, &scaling(scale, &extents[4], accumulate)]);
    if let Some(mask) = &mask {
        check_mask(mask, &sizes)?;
        let own = graph::convert(&broadcast(mask, &at, &extents), accumulate);
        score = prim(Prim::Add, &[&score, &own]);
    }
    let attention = Attention {
        query: operands.load(&operands.query, 2, 4, &extents)?,
        key: operands.load(&operands.key, 5, 4, &extents)?,
        value: operands.load(&operands.value, 5, 3, &extents)?,
        depth: extents[4].clone(),
        keys,
        product: product.tensor,
        score: if causal {
            before_or_at_row(&score, accumulate)
        } else {
            score
        },
        causal,
        zeros_if_unseen: true,
        gradient: None,
    };
    let out = cx.define(&meta, Source::Attention(Box::new(attention)));
    let log_sum = cx.define(
        &log_meta,
        Source::Companion {
            of: out,
            role: Companion::LogSumExp,
        },
    );
    Ok(Meaning::Tuple(vec![
        Meaning::Tensor(cx.module.graph.view(out)),
        Meaning::Tensor(cx.module.graph.view(log_sum)),
    ]))
}

impl Operands {
    fn check(&self) -> Lowered<()> {
        let views = [&self.query, &self.key, &self.value];
        if views.iter().any(|v| v.sizes.len() != 4) {
            return Err(Reason::new("attention over other than four dimensions"));
        }
        let dtype = self.query.dtype;
        if !dtype.is_float() || views.iter().any(|v| v.dtype != dtype) {
            return Err(Reason::new("attention over operands of different dtypes"));
        }
        let batch = &self.query.sizes[0];
        if views.iter().any(|v| v.sizes[0] != *batch) {
            return Err(Reason::new("attention over operands of different batches"));
        }
        if self.key.sizes[2] != self.value.sizes[2] || self.query.sizes[3] != self.key.sizes[3] {
            return Err(Reason::new("attention over operands of different sizes"));
        }
        let divisible = |size: &IExpr| size.as_const().is_some_and(|s| s % 4 == 0);
        let widths = [&self.query.sizes[3], &self.value.sizes[3]];
        if self.query.sizes[2].is_one() && !widths.into_iter().all(divisible) {
            return Err(Reason::new("attention of a single row of odd width"));
        }
        Ok(())
    }

    /// Extents of the variables: batch, head, row, column, then depth and key.
    fn domain(&self, meta: &fx::TensorMeta) -> Vec<IExpr> {
        let mut extents = meta.sizes.clone();
        extents.push(self.query.sizes[3].clone());
        extents.push(self.key.sizes[2].clone());
        extents
    }

    /// Element `(row, column)` of an operand's matrix for the batch and head; a head of keys serves
    /// as many heads of queries as there are more of these.
    fn load(&self, view: &View, row: u32, column: u32, extents: &[IExpr]) -> Lowered<Load> {
        let head = IExpr::var(1);
        let (wanted, present) = (&self.query.sizes[1], &view.sizes[1]);
        let head = if wanted == present {
            head
        } else {
            if let (Some(w), Some(p)) = (wanted.as_const(), present.as_const())
                && (p < 1 || w % p != 0)
            {
                return Err(Reason::new("attention over unequal numbers of heads"));
            }
            head.floor_div(&wanted.floor_div(present).larger(&IExpr::one()))
        };
        let at = [IExpr::var(0), head, IExpr::var(row), IExpr::var(column)];
        loaded(&view.load(&at, extents))
    }

    /// What there are native gradients for.
    fn check_gradients(&self, upstream: &View) -> Lowered<()> {
        let dtype = self.query.dtype;
        if upstream.dtype != dtype || !matches!(dtype, DType::F32 | DType::BF16) {
            return Err(Reason::new(format!("gradients of attention in {dtype}")));
        }
        if self.key.sizes[1] != self.value.sizes[1] {
            return Err(Reason::new("gradients of attention over unequal heads"));
        }
        let single = |view: &View| view.sizes[2].is_one() || view.sizes[3].is_one();
        if [&self.query, &self.key, &self.value]
            .into_iter()
            .any(single)
        {
            return Err(Reason::new(
                "gradients of attention over a single row, key or column",
            ));
        }
        Ok(())
    }
}

/// The factor of the scores: one over the root of the depth where none is given.
fn scaling(scale: Option<f64>, depth: &IExpr, dtype: DType) -> E {
    match (scale, depth.as_const()) {
        (Some(scale), _) => graph::float(scale, dtype),
        (None, Some(depth)) => graph::float(1.0 / (depth as f64).sqrt(), dtype),
        (None, None) => {
            let depth = graph::convert(&graph::index(depth.clone()), DType::F64);
            let root = prim(Prim::Sqrt, &[&depth]);
            let one = graph::float(1.0, DType::F64);
            graph::convert(&prim(Prim::Div, &[&one, &root]), dtype)
        }
    }
}

/// The score where the key's number is at most the row's.
fn before_or_at_row(score: &E, dtype: DType) -> E {
    let (row, key) = (graph::index(IExpr::var(2)), graph::index(IExpr::var(5)));
    let seen = prim(Prim::Le, &[&key, &row]);
    let never = graph::constant(Literal::Float(f64::NEG_INFINITY), dtype);
    prim(Prim::Select, &[&seen, score, &never])
}

fn check_mask(mask: &View, sizes: &[IExpr]) -> Lowered<()> {
    let skip = sizes.len().saturating_sub(mask.sizes.len());
    let fits = mask.sizes.len() <= sizes.len()
        && mask
            .sizes
            .iter()
            .zip(&sizes[skip..])
            .all(|(own, whole)| own.is_one() || own == whole);
    if fits && mask.dtype.is_float() {
        Ok(())
    } else {
        Err(Reason::new("an attention mask of another shape or dtype"))
    }
}

/// The gradients of the operator: in one kernel, which computes the scores again.
fn scaled_dot_product_backward(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let upstream = cx.tensor(args.need(0, "grad_out")?)?;
    let operands = Operands {
        query: cx.tensor(args.need(1, "query")?)?,
        key: cx.tensor(args.need(2, "key")?)?,
        value: cx.tensor(args.need(3, "value")?)?,
    };
    let result = cx.tensor(args.need(4, "out")?)?;
    let log_sum = cx.tensor(args.need(5, "logsumexp")?)?;
    if args.float(6, "dropout_p", 0.0)? != 0.0 {
        return Err(Reason::new("attention with dropout"));
    }
    let causal = args.bool(7, "is_causal", false)?;
    let mask = args.get(8, "attn_mask").map(|m| cx.tensor(m)).transpose()?;
    let scale = match args.get(9, "scale") {
        Some(_) => Some(args.float(9, "scale", 1.0)?),
        None => None,
    };
    operands.check()?;
    operands.check_gradients(&upstream)?;
    let metas = [cx.result_at(0)?, cx.result_at(1)?, cx.result_at(2)?];
    let (depth, columns) = (&operands.query.sizes[3], &operands.value.sizes[3]);
    let keys = operands.key.sizes[2].clone();
    // Batch, head, row, depth, then column and key.
    let mut extents = operands.query.sizes.clone();
    extents.extend([columns.clone(), keys.clone()]);
    let mut at = variables(3);
    let share = share(cx, (&upstream, &result), &at)?;
    at.push(IExpr::var(5));
    let mut sizes = extents[..3].to_vec();
    sizes.push(keys.clone());
    let product = cx.intermediate(DType::F32, sizes.clone(), Source::Inner);
    let factor = scaling(scale, depth, DType::F32);
    let raw = product.load(&at, &extents);
    let mut score = prim(Prim::Mul, &[&raw, &factor]);
    if let Some(mask) = &mask {
        check_mask(mask, &sizes)?;
        let own = graph::convert(&broadcast(mask, &at, &extents), DType::F32);
        score = prim(Prim::Add, &[&score, &own]);
    }
    if causal {
        score = before_or_at_row(&score, DType::F32);
    }
    let by_row = |view: &View| loaded(&view.load(&variables(3), &extents));
    let attention = Attention {
        query: operands.load(&operands.query, 2, 3, &extents)?,
        key: operands.load(&operands.key, 5, 3, &extents)?,
        value: operands.load(&operands.value, 5, 4, &extents)?,
        depth: columns.clone(),
        keys,
        product: product.tensor,
        score,
        causal,
        zeros_if_unseen: true,
        gradient: Some(Gradient {
            result: operands.load(&upstream, 2, 4, &extents)?,
            log_sum: by_row(&log_sum)?,
            share: by_row(&share)?,
            scale: factor,
        }),
    };
    let query = cx.define(&metas[0], Source::Attention(Box::new(attention)));
    let key = heads_together(cx, &metas[1], (query, Companion::KeyGradient), &extents[1]);
    let value = heads_together(
        cx,
        &metas[2],
        (query, Companion::ValueGradient),
        &extents[1],
    );
    let query = cx.module.graph.view(query);
    let meanings = [query, key, value].map(Meaning::Tensor);
    Ok(Meaning::Tuple(meanings.into()))
}

/// A gradient that an attention's kernel makes for each head of the query; those of heads that share
/// one are added.
fn heads_together(
    cx: &mut Lowerer<'_>,
    meta: &fx::TensorMeta,
    (of, role): (TensorId, Companion),
    heads: &IExpr,
) -> View {
    let source = Source::Companion { of, role };
    if meta.sizes[1] == *heads {
        return cx.define_view(meta, source);
    }
    let mut sizes = meta.sizes.clone();
    sizes[1] = heads.clone();
    let all = cx.intermediate(DType::F32, sizes, source);
    let shared = heads.floor_div(&meta.sizes[1]);
    let mut domain = meta.sizes.clone();
    domain.push(shared.clone());
    let mut at = variables(4);
    at[1] = &(&at[1] * &shared) + &IExpr::var(4);
    let source = Source::Reduce {
        combine: Combine::Sum,
        extents: vec![shared],
        value: all.load(&at, &domain),
    };
    cx.define_view(meta, source)
}

/// For each row, the sum over the columns of the result times its gradient.
fn share(
    cx: &mut Lowerer<'_>,
    (upstream, result): (&View, &View),
    rows: &[IExpr],
) -> Lowered<View> {
    let extents = &upstream.sizes;
    let mut at = rows.to_vec();
    at.push(IExpr::var(3));
    let factor = |view: &View| graph::convert(&view.load(&at, extents), DType::F32);
    let source = Source::Reduce {
        combine: Combine::Sum,
        extents: extents[3..].to_vec(),
        value: prim(Prim::Mul, &[&factor(upstream), &factor(result)]),
    };
    Ok(cx.intermediate(DType::F32, extents[..3].to_vec(), source))
}

fn loaded(element: &E) -> Lowered<Load> {
    match &**element {
        Expr::Load(load) => Ok(load.clone()),
        _ => Err(Reason::new("an operand is not a tensor element")),
    }
}
