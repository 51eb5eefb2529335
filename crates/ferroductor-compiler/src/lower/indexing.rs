//! Elements picked or placed by index tensors.

use super::args::{broadcast, variables};
use super::{Args, Lowered, Lowerer, Meaning, Reason, Rule};
use crate::graph::{self, E, Expr, Source, View, convert, prim};
use ferroductor_abi::ErrorKind;
use ferroductor_ir::{DType, IExpr, Prim, fx};
use std::sync::Arc;

pub fn rule(name: &str) -> Option<Rule> {
    Some(match name {
        "aten.embedding" => embedding,
        "aten.gather" => gather,
        "aten.index_select" => index_select,
        "aten.index.Tensor" | "aten._unsafe_index.Tensor" => index,
        "aten.scatter.src"
        | "aten.scatter.value"
        | "aten.scatter_add"
        | "aten.scatter_reduce.two" => scatter,
        "aten.index_add" => index_add,
        "aten.index_put" | "aten._unsafe_index_put" => index_put,
        "aten._unsafe_masked_index_put_accumulate" => masked_index_put,
        "aten._unsafe_masked_index" => masked_index,
        "aten.replication_pad1d_backward"
        | "aten.replication_pad2d_backward"
        | "aten.replication_pad3d_backward" => replication_backward,
        _ => return None,
    })
}

impl Lowerer<'_> {
    /// `value` as an `i64` checked against `0..bound`; `wrap` counts negatives from the end.
    fn checked(&mut self, value: E, bound: &IExpr, wrap: bool, kind: ErrorKind, what: &str) -> E {
        let mut value = convert(&value, DType::I64);
        if wrap {
            let negative = prim(Prim::Lt, &[&value, &graph::int(0)]);
            let shifted = prim(Prim::Add, &[&value, &graph::index(bound.clone())]);
            value = prim(Prim::Select, &[&negative, &shifted, &value]);
        }
        let error = self.error(kind, what);
        Arc::new(Expr::Check {
            value,
            bound: bound.clone(),
            error,
        })
    }
}

fn check_index_dtype(view: &View) -> Lowered<()> {
    match view.dtype {
        DType::I64 | DType::I32 | DType::I16 | DType::I8 => Ok(()),
        // uint8 indices are masks in ATen, and bool ones need a count.
        other => Err(Reason::new(format!("indexing by {other}"))),
    }
}

fn embedding(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let weight = cx.tensor(args.need(0, "weight")?)?;
    let indices = cx.tensor(args.need(1, "indices")?)?;
    check_index_dtype(&indices)?;
    if weight.sizes.len() != 2 {
        return Err(Reason::new("the weight is not a matrix"));
    }
    let at = variables(meta.sizes.len());
    let (row, column) = at.split_at(at.len() - 1);
    let value = indices.load(row, &meta.sizes);
    let value = cx.checked(
        value,
        &weight.sizes[0].clone(),
        false,
        ErrorKind::Index,
        "index out of range in self",
    );
    let picked = weight.load_with(
        &[IExpr::value(0), column[0].clone()],
        vec![value],
        &meta.sizes,
    );
    Ok(cx.pointwise(&meta, picked))
}

fn gather(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let source = cx.tensor(args.need(0, "self")?)?;
    let index = cx.tensor(args.need(2, "index")?)?;
    let rank = source.sizes.len();
    if rank == 0 || index.sizes.len() != rank {
        return Err(Reason::new("gather of a scalar"));
    }
    let dim = args.dim(1, "dim", rank, 0)?;
    let mut at = variables(rank);
    let value = index.load(&at, &meta.sizes);
    let bound = source.sizes[dim].clone();
    let value = cx.checked(
        value,
        &bound,
        false,
        ErrorKind::Runtime,
        "index out of bounds for gather",
    );
    at[dim] = IExpr::value(0);
    let picked = source.load_with(&at, vec![value], &meta.sizes);
    Ok(cx.pointwise(&meta, picked))
}

fn index_select(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let source = cx.tensor(args.need(0, "self")?)?;
    let index = cx.tensor(args.need(2, "index")?)?;
    check_index_dtype(&index)?;
    let rank = source.sizes.len();
    if rank == 0 || index.sizes.len() != 1 {
        return Err(Reason::new("index_select of a scalar"));
    }
    let dim = args.dim(1, "dim", rank, 0)?;
    let mut at = variables(rank);
    let value = index.load(&[at[dim].clone()], &meta.sizes);
    let bound = source.sizes[dim].clone();
    let value = cx.checked(
        value,
        &bound,
        false,
        ErrorKind::Index,
        "index out of range in self",
    );
    at[dim] = IExpr::value(0);
    let picked = source.load_with(&at, vec![value], &meta.sizes);
    Ok(cx.pointwise(&meta, picked))
}

/// An indexing by a list of tensors and gaps: how dimensions of result and source correspond.
struct Advanced {
    /// The index tensors with the source dimension each one indexes.
    tensors: Vec<(usize, View)>,
    /// Shape the index tensors broadcast to.
    shape: Vec<IExpr>,
    /// Where that shape starts among the result's dimensions.
    start: usize,
}

impl Advanced {
    fn new(cx: &Lowerer<'_>, list: &fx::Arg, rank: usize) -> Lowered<Advanced> {
        let fx::Arg::List(items) = list else {
            return Err(Reason::new("the indices are not a list"));
        };
        let mut tensors = Vec::new();
        for (d, item) in items.iter().enumerate() {
            if *item == fx::Arg::None {
                continue;
            }
            let view = cx.tensor(item)?;
            check_index_dtype(&view)?;
            tensors.push((d, view));
        }
        if tensors.is_empty() || items.len() > rank {
            return Err(Reason::new("no or too many index tensors"));
        }
        let depth = tensors.iter().map(|t| t.1.sizes.len()).max().unwrap_or(0);
        let mut shape = vec![IExpr::one(); depth];
        for (_, view) in &tensors {
            let skip = depth - view.sizes.len();
            for (d, size) in view.sizes.iter().enumerate() {
                if !size.is_one() {
                    shape[d + skip] = size.clone();
                }
            }
        }
        let adjacent = tensors.windows(2).all(|w| w[1].0 == w[0].0 + 1);
        let start = if adjacent { tensors[0].0 } else { 0 };
        Ok(Advanced {
            tensors,
            shape,
            start,
        })
    }

    /// The source's index for an index `at` of the result, with the index values it refers to.
    fn source_index(
        &self,
        cx: &mut Lowerer<'_>,
        source: &[IExpr],
        at: &[IExpr],
        extents: &[IExpr],
        checked: bool,
    ) -> (Vec<IExpr>, Vec<E>) {
        let inner = &at[self.start..self.start + self.shape.len()];
        let mut rest = at[..self.start]
            .iter()
            .chain(&at[self.start + self.shape.len()..]);
        let (mut index, mut values) = (Vec::new(), Vec::new());
        for (d, size) in source.iter().enumerate() {
            match self.tensors.iter().find(|t| t.0 == d) {
                None => index.push(rest.next().cloned().unwrap_or_else(IExpr::zero)),
                Some((_, view)) => {
                    let value = convert(&broadcast(view, inner, extents), DType::I64);
                    index.push(IExpr::value(values.len() as u32));
                    values.push(if checked {
                        let message =
                            format!("index is out of bounds for dimension {d} with size {size}");
                        cx.checked(value, size, true, ErrorKind::Index, &message)
                    } else {
                        value
                    });
                }
            }
        }
        (index, values)
    }
}

impl Advanced {
    /// Checks index values where the mask holds. Masked positions may hold anything: they point at
    /// element 0, which is there as long as anything is.
    fn check_masked(&self, cx: &mut Lowerer<'_>, sizes: &[IExpr], keep: &E, values: &mut [E]) {
        for (value, (d, _)) in values.iter_mut().zip(&self.tensors) {
            let safe = prim(Prim::Select, &[keep, value, &graph::int(0)]);
            let size = &sizes[*d];
            let message = format!("index is out of bounds for dimension {d} with size {size}");
            *value = cx.checked(safe, size, true, ErrorKind::Index, &message);
        }
    }
}

fn index(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let source = cx.tensor(args.need(0, "self")?)?;
    let advanced = Advanced::new(cx, args.need(1, "indices")?, source.sizes.len())?;
    let at = variables(meta.sizes.len());
    // Unsafe indices come from code we traced, but a check costs little and memory stays safe.
    let (index, values) = advanced.source_index(cx, &source.sizes.clone(), &at, &meta.sizes, true);
    let picked = source.load_with(&index, values, &meta.sizes);
    Ok(cx.pointwise(&meta, picked))
}

/// `_unsafe_masked_index(self, mask, indices, fill)`: where the mask is false, the indices may be
/// anything and the result is `fill`.
fn masked_index(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let source = cx.tensor(args.need(0, "self")?)?;
    let mask = cx.tensor(args.need(1, "mask")?)?;
    let fill = cx.operand(args.need(3, "fill")?)?;
    let advanced = Advanced::new(cx, args.need(2, "indices")?, source.sizes.len())?;
    let at = variables(meta.sizes.len());
    let keep = convert(&broadcast(&mask, &at, &meta.sizes), DType::Bool);
    let sizes = source.sizes.clone();
    let (index, mut values) = advanced.source_index(cx, &sizes, &at, &meta.sizes, false);
    advanced.check_masked(cx, &sizes, &keep, &mut values);
    let picked = source.load_with(&index, values, &meta.sizes);
    let fill = cx.element(&fill, &at, &meta.sizes, meta.dtype);
    let picked = convert(&picked, meta.dtype);
    Ok(cx.pointwise(&meta, prim(Prim::Select, &[&keep, &picked, &fill])))
}

/// Every element of the padded shape adds to the element that it repeats.
fn replication_backward(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let grad = cx.tensor(args.need(0, "grad_output")?)?;
    let padding = cx.size_list(args.need(2, "padding")?)?;
    let rank = meta.sizes.len();
    if grad.sizes.len() != rank || padding.len() / 2 > rank {
        return Err(Reason::new("an input of unexpected rank"));
    }
    if meta.sizes.iter().any(IExpr::is_zero) {
        return Err(Reason::new("padding of no elements"));
    }
    let mut index = variables(rank);
    for (n, pair) in padding.chunks(2).enumerate() {
        let d = rank - 1 - n;
        let last = &meta.sizes[d] - &IExpr::one();
        index[d] = (&index[d] - &pair[0]).larger(&IExpr::zero()).smaller(&last);
    }
    let zero = graph::constant(
        super::reduction::neutral(graph::Combine::Sum, meta.dtype),
        meta.dtype,
    );
    let scatter = Source::Scatter {
        base: zero,
        extents: grad.sizes.clone(),
        index,
        values: Vec::new(),
        value: whole(&grad, meta.dtype),
        accumulate: true,
    };
    define_scatter(cx, &meta, scatter)
}

fn whole(view: &View, dtype: DType) -> E {
    convert(&view.load(&variables(view.sizes.len()), &view.sizes), dtype)
}

fn scatter(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let base = cx.tensor(args.need(0, "self")?)?;
    let index = cx.tensor(args.need(2, "index")?)?;
    let rank = base.sizes.len();
    if rank == 0 || index.sizes.len() != rank {
        return Err(Reason::new("scatter of a scalar"));
    }
    let accumulate = accumulates(args)?;
    let dim = args.dim(1, "dim", rank, 0)?;
    let mut at = variables(rank);
    let source = cx.operand(
        args.get(3, "src")
            .or(args.get(3, "value"))
            .ok_or_else(|| Reason::new("neither src nor value"))?,
    )?;
    let value = cx.element(&source, &at, &index.sizes, meta.dtype);
    let position = index.load(&at, &index.sizes);
    let bound = base.sizes[dim].clone();
    let position = cx.checked(
        position,
        &bound,
        false,
        ErrorKind::Runtime,
        "index out of bounds for scatter",
    );
    at[dim] = IExpr::value(0);
    let source = Source::Scatter {
        base: whole(&base, meta.dtype),
        extents: index.sizes.clone(),
        index: at,
        values: vec![position],
        value,
        accumulate,
    };
    define_scatter(cx, &meta, source)
}

/// Does a scatter add to what is there?
fn accumulates(args: &Args<'_>) -> Lowered<bool> {
    match args.node.target.as_str() {
        "aten.scatter_add.default" => Ok(true),
        "aten.scatter_reduce.two" => {
            let sums = args.str(4, "reduce")? == Some("sum");
            if sums && args.bool(5, "include_self", true)? {
                return Ok(true);
            }
            Err(Reason::new("scatter with a reduction that is no plain sum"))
        }
        _ => Ok(false),
    }
}

/// Sums of half precision are kept in single precision, to be rounded once.
fn define_scatter(cx: &mut Lowerer<'_>, meta: &fx::TensorMeta, source: Source) -> Lowered<Meaning> {
    let accumulate = matches!(
        &source,
        Source::Scatter {
            accumulate: true,
            ..
        }
    );
    if !accumulate || !meta.dtype.is_half() {
        return Ok(Meaning::Tensor(cx.define_view(meta, source)));
    }
    let total = cx.intermediate(meta.dtype.compute(), meta.sizes.clone(), source);
    let value = whole(&total, meta.dtype);
    Ok(cx.pointwise(meta, value))
}

fn index_add(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let base = cx.tensor(args.need(0, "self")?)?;
    let index = cx.tensor(args.need(2, "index")?)?;
    let source = cx.tensor(args.need(3, "source")?)?;
    let rank = base.sizes.len();
    if rank == 0 || index.sizes.len() != 1 {
        return Err(Reason::new("index_add of a scalar"));
    }
    let dim = args.dim(1, "dim", rank, 0)?;
    let mut at = variables(rank);
    let mut value = whole(&source, meta.dtype);
    if let Some(alpha) = args.get(4, "alpha") {
        let alpha = cx.operand(alpha)?;
        let alpha = cx.element(&alpha, &[], &[], meta.dtype);
        value = prim(Prim::Mul, &[&value, &alpha]);
    }
    let position = index.load(&[at[dim].clone()], &source.sizes);
    let bound = base.sizes[dim].clone();
    let position = cx.checked(
        position,
        &bound,
        false,
        ErrorKind::Index,
        "index out of range in self",
    );
    at[dim] = IExpr::value(0);
    let scatter = Source::Scatter {
        base: whole(&base, meta.dtype),
        extents: source.sizes.clone(),
        index: at,
        values: vec![position],
        value,
        accumulate: true,
    };
    define_scatter(cx, &meta, scatter)
}

fn index_put(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    put(cx, args, 1, None)
}

/// `_unsafe_masked_index_put_accumulate(self, mask, indices, values)`: positions where the mask is
/// false add nothing.
fn masked_index_put(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let mask = cx.tensor(args.need(1, "mask")?)?;
    put(cx, args, 2, Some(mask))
}

fn put(
    cx: &mut Lowerer<'_>,
    args: &Args<'_>,
    indices_at: usize,
    mask: Option<View>,
) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let base = cx.tensor(args.need(0, "self")?)?;
    let accumulate = mask.is_some() || args.bool(3, "accumulate", false)?;
    let values = cx.tensor(args.need(indices_at + 1, "values")?)?;
    let advanced = Advanced::new(cx, args.need(indices_at, "indices")?, base.sizes.len())?;
    // The scattered shape: that of the indices, with the dimensions they leave alone around it.
    let mut extents: Vec<IExpr> = (0..base.sizes.len())
        .filter(|d| !advanced.tensors.iter().any(|t| t.0 == *d))
        .map(|d| base.sizes[d].clone())
        .collect();
    for (n, size) in advanced.shape.iter().enumerate() {
        extents.insert(advanced.start + n, size.clone());
    }
    let at = variables(extents.len());
    let (index, mut positions) =
        advanced.source_index(cx, &base.sizes.clone(), &at, &extents, mask.is_none());
    let mut value = convert(&broadcast(&values, &at, &extents), meta.dtype);
    if let Some(mask) = &mask {
        let keep = convert(&broadcast(mask, &at, &extents), DType::Bool);
        let zero = graph::constant(
            super::reduction::neutral(graph::Combine::Sum, meta.dtype),
            meta.dtype,
        );
        value = prim(Prim::Select, &[&keep, &value, &zero]);
        advanced.check_masked(cx, &base.sizes, &keep, &mut positions);
    }
    let scatter = Source::Scatter {
        base: whole(&base, meta.dtype),
        extents,
        index,
        values: positions,
        value,
        accumulate,
    };
    define_scatter(cx, &meta, scatter)
}
