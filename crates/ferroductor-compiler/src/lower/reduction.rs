//! Reductions, and the normalisations and softmaxes that are made of them.

use super::args::{range, variables};
use super::pointwise::number;
use super::{Args, Lowered, Lowerer, Meaning, Reason, Rule};
use crate::graph::{self, Combine, E, Source, View, convert, prim};
use ferroductor_ir::{DType, IExpr, Literal, Prim, fx};

pub fn rule(name: &str) -> Option<Rule> {
    Some(match name {
        "aten.sum" | "aten.sum.dim_IntList" => sum,
        "aten.mean" | "aten.mean.dim" => mean,
        "aten.prod" | "aten.prod.dim_int" => prod,
        "aten.amax" | "aten.amin" | "aten.max" | "aten.min" => extremum,
        "aten.max.dim" | "aten.min.dim" => extremum_dim,
        "aten.argmax" | "aten.argmin" => arg_extremum,
        "aten.any" | "aten.any.dim" | "aten.any.dims" | "aten.all" | "aten.all.dim"
        | "aten.all.dims" => any_all,
        "aten.var.correction" | "aten.std.correction" => variance,
        "aten.var_mean.correction" | "aten.std_mean.correction" => variance_mean,
        "aten.cumsum" | "aten.cumprod" => cumulative,
        "aten._softmax" => softmax,
        "aten._log_softmax" => log_softmax,
        "aten._softmax_backward_data" => softmax_backward,
        "aten._log_softmax_backward_data" => log_softmax_backward,
        _ => return None,
    })
}

/// With fewer results than this a large reduction is cut into parts.
const MIN_RESULTS: i64 = 64;
/// Elements per result from which cutting pays.
const MANY_ELEMENTS: i64 = 1 << 16;
/// Most parts of one reduction.
const MAX_PARTS: i64 = 64;

/// A reduction of a view over some dimensions: the shapes and index maps involved.
struct Span {
    view: View,
    /// Extents of the reduced dimensions.
    extents: Vec<IExpr>,
    /// Sizes of the result without the reduced dimensions.
    kept: Vec<IExpr>,
    /// The result's dimensions counted among `kept`, `None` for a kept-as-one dimension.
    dims: Vec<usize>,
}

impl Span {
    fn new(view: View, dims: &[usize]) -> Span {
        let (mut kept, mut extents) = (Vec::new(), Vec::new());
        for (d, size) in view.sizes.iter().enumerate() {
            if dims.contains(&d) {
                extents.push(size.clone());
            } else {
                kept.push(size.clone());
            }
        }
        Span {
            view,
            extents,
            kept,
            dims: dims.to_vec(),
        }
    }

    /// Index of the view for kept variables `0..` and reduction variables after them.
    fn inner(&self) -> Vec<IExpr> {
        let (mut k, mut r) = (0, self.kept.len() as u32);
        (0..self.view.sizes.len())
            .map(|d| {
                let slot = if self.dims.contains(&d) {
                    &mut r
                } else {
                    &mut k
                };
                *slot += 1;
                IExpr::var(*slot - 1)
            })
            .collect()
    }

    /// Index of the kept tensor for an index of the view's full shape.
    fn outer(&self, at: &[IExpr]) -> Vec<IExpr> {
        (0..at.len())
            .filter(|d| !self.dims.contains(d))
            .map(|d| at[d].clone())
            .collect()
    }

    fn all_extents(&self) -> Vec<IExpr> {
        self.kept.iter().chain(&self.extents).cloned().collect()
    }

    fn element(&self, dtype: DType) -> E {
        convert(&self.view.load(&self.inner(), &self.all_extents()), dtype)
    }

    /// Does the direction in which the view lies contiguously in memory stay?
    fn keeps_contiguous(&self, graph: &graph::Graph) -> bool {
        let Some((strides, _)) = crate::layout::geometry(graph, &self.view) else {
            return false;
        };
        let contiguous =
            (0..strides.len()).find(|d| strides[*d].is_one() && !self.view.sizes[*d].is_one());
        contiguous.is_some_and(|d| !self.dims.contains(&d))
    }

    fn count(&self) -> IExpr {
        IExpr::product(&self.extents)
    }
}

/// The type sums are kept in.
fn accumulator(dtype: DType) -> DType {
    match dtype {
        d if d.is_half() => DType::F32,
        d if d.is_int() || d == DType::Bool => DType::I64,
        d => d,
    }
}

impl Lowerer<'_> {
    /// Defines the reduction without the reduced dimensions. Much reduced to little is done in
    /// parts first, so that all threads have something to do; the parts follow from the shape
    /// alone.
    fn reduce(&mut self, span: &Span, combine: Combine, value: E) -> View {
        match self.parts(span, combine) {
            Some((dim, parts)) => self.reduce_in_parts(span, combine, value, dim, parts),
            None => self.reduce_at_once(span, combine, value),
        }
    }

    fn reduce_at_once(&mut self, span: &Span, combine: Combine, value: E) -> View {
        let dtype = match combine {
            Combine::ArgMax | Combine::ArgMin => DType::I64,
            _ => value.dtype(),
        };
        let source = Source::Reduce {
            combine,
            extents: span.extents.clone(),
            value,
        };
        self.intermediate(dtype, span.kept.clone(), source)
    }

    /// Which reduced dimension to cut into how many parts, if any. Sums of columns are cut sooner:
    /// parts keep their chains of additions short, too.
    fn parts(&self, span: &Span, combine: Combine) -> Option<(usize, i64)> {
        let graph = &self.module.graph;
        if matches!(combine, Combine::ArgMax | Combine::ArgMin) {
            return None;
        }
        let elements = graph.hint_numel(&span.extents);
        let (least, most) = if span.keeps_contiguous(graph) {
            (elements >= 256).then_some((2, MAX_PARTS))?
        } else {
            let few = graph.hint_numel(&span.kept) < MIN_RESULTS;
            (few && elements >= MANY_ELEMENTS).then_some((8, MAX_PARTS))?
        };
        span.extents.iter().enumerate().find_map(|(dim, extent)| {
            let extent = extent.as_const()?;
            let parts = (least..=most).rev().find(|c| extent % c == 0)?;
            Some((dim, parts))
        })
    }

    fn reduce_in_parts(
        &mut self,
        span: &Span,
        combine: Combine,
        value: E,
        dim: usize,
        parts: i64,
    ) -> View {
        let kept = span.kept.len() as u32;
        let length = span.extents[dim].floor_div(&IExpr::constant(parts));
        let mut sizes = vec![IExpr::constant(parts)];
        sizes.extend(span.kept.iter().cloned());
        let mut extents = span.extents.clone();
        extents[dim] = length.clone();
        // The part's number becomes the first variable; all others move up by one.
        let mut vars: Vec<IExpr> = (1..=kept).map(IExpr::var).collect();
        for r in 0..span.extents.len() as u32 {
            let own = IExpr::var(kept + 1 + r);
            vars.push(if r as usize == dim {
                &(&IExpr::var(0) * &length) + &own
            } else {
                own
            });
        }
        let domain: Vec<IExpr> = sizes.iter().chain(&extents).cloned().collect();
        let value = graph::substitute(&value, &vars, &domain);
        let dtype = value.dtype();
        let source = Source::Reduce {
            combine,
            extents,
            value,
        };
        let partial = self.intermediate(dtype, sizes, source);
        let mut at = vec![IExpr::var(kept)];
        at.extend(variables(kept as usize));
        let mut domain = span.kept.clone();
        domain.push(IExpr::constant(parts));
        let value = partial.load(&at, &domain);
        let source = Source::Reduce {
            combine,
            extents: vec![IExpr::constant(parts)],
            value,
        };
        self.intermediate(dtype, span.kept.clone(), source)
    }

    /// A view of a reduced tensor in the result's shape (kept dimensions of size one), converted.
    fn finish(&mut self, span: &Span, reduced: &View, meta: &fx::TensorMeta) -> Meaning {
        let shaped = span.restore(reduced, meta);
        if shaped.dtype == meta.dtype {
            return Meaning::Tensor(shaped);
        }
        let value = shaped.load(&variables(meta.sizes.len()), &meta.sizes);
        self.pointwise(meta, value)
    }
}

impl Span {
    fn restore(&self, reduced: &View, meta: &fx::TensorMeta) -> View {
        if meta.sizes.len() == reduced.sizes.len() {
            return reduced.clone();
        }
        let old: Vec<IExpr> = (0..meta.sizes.len())
            .filter(|d| !self.dims.contains(d))
            .map(|d| IExpr::var(d as u32))
            .collect();
        reduced.remap(meta.sizes.clone(), &old)
    }
}

fn span(cx: &Lowerer<'_>, args: &Args<'_>, dims_at: Option<usize>) -> Lowered<Span> {
    let view = cx.tensor(args.need(0, "self")?)?;
    let rank = view.sizes.len();
    let dims = match dims_at {
        Some(at) => args.dims(at, "dim", rank)?,
        None => (0..rank).collect(),
    };
    Ok(Span::new(view, &dims))
}

fn has_dims(args: &Args<'_>) -> Option<usize> {
    let overload = args.node.target.rsplit('.').next().unwrap_or("");
    (overload != "default"
        || args.node.target.contains("amax")
        || args.node.target.contains("amin"))
    .then_some(1)
}

fn sum(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let span = span(cx, args, has_dims(args))?;
    let value = span.element(accumulator(meta.dtype));
    let total = cx.reduce(&span, Combine::Sum, value);
    Ok(cx.finish(&span, &total, &meta))
}

/// The count as a number in the accumulation type.
fn count(span: &Span, dtype: DType) -> E {
    convert(&graph::index(span.count()), dtype)
}

fn mean(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let span = span(cx, args, has_dims(args))?;
    let dtype = accumulator(meta.dtype);
    let value = span.element(dtype);
    let total = cx.reduce(&span, Combine::Sum, value);
    let total = span.restore(&total, &meta);
    let x = total.load(&variables(meta.sizes.len()), &meta.sizes);
    Ok(cx.pointwise(&meta, prim(Prim::Div, &[&x, &count(&span, dtype)])))
}

fn prod(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let span = span(cx, args, has_dims(args))?;
    let value = span.element(accumulator(meta.dtype));
    let total = cx.reduce(&span, Combine::Prod, value);
    Ok(cx.finish(&span, &total, &meta))
}

/// Extremes of nothing raise in eager.
fn not_empty(span: &Span) -> Lowered<()> {
    match span.count().as_const() {
        Some(0) => Err(Reason::new("an extreme of no elements raises")),
        _ => Ok(()),
    }
}

fn extremum(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let span = span(cx, args, has_dims(args))?;
    not_empty(&span)?;
    let combine = if args.node.target.contains("max") {
        Combine::Max
    } else {
        Combine::Min
    };
    if meta.dtype == DType::Bool {
        let combine = if combine == Combine::Max {
            Combine::Any
        } else {
            Combine::All
        };
        let value = span.element(DType::Bool);
        let best = cx.reduce(&span, combine, value);
        return Ok(cx.finish(&span, &best, &meta));
    }
    let value = span.element(meta.dtype);
    let best = cx.reduce(&span, combine, value);
    Ok(cx.finish(&span, &best, &meta))
}

fn extremum_dim(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let (values, indices) = (cx.result_at(0)?, cx.result_at(1)?);
    let view = cx.tensor(args.need(0, "self")?)?;
    let rank = view.sizes.len();
    let dim = args.dim(1, "dim", rank, 0)?;
    if rank == 0 {
        let at = cx.pointwise(&indices, graph::int(0));
        return Ok(Meaning::Tuple(vec![Meaning::Tensor(view), at]));
    }
    let span = Span::new(view, &[dim]);
    not_empty(&span)?;
    let max = args.node.target.contains("max");
    let value = span.element(ordered(values.dtype));
    let best = cx.reduce(
        &span,
        if max { Combine::Max } else { Combine::Min },
        value.clone(),
    );
    let at = cx.reduce(
        &span,
        if max {
            Combine::ArgMax
        } else {
            Combine::ArgMin
        },
        value,
    );
    let best = cx.finish(&span, &best, &values);
    let at = cx.finish(&span, &at, &indices);
    Ok(Meaning::Tuple(vec![best, at]))
}

/// The type in which elements are compared: predicates as small integers.
fn ordered(dtype: DType) -> DType {
    if dtype == DType::Bool {
        DType::U8
    } else {
        dtype
    }
}

fn arg_extremum(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let view = cx.tensor(args.need(0, "self")?)?;
    let rank = view.sizes.len();
    if rank == 0 {
        return Ok(cx.pointwise(&meta, graph::int(0)));
    }
    let span = match args.int(1, "dim")? {
        Some(_) => Span::new(view, &[args.dim(1, "dim", rank, 0)?]),
        // Over all elements in row-major order.
        None => {
            let flat = IExpr::product(&view.sizes);
            Span::new(super::views::reshaped(&view, vec![flat]), &[0])
        }
    };
    not_empty(&span)?;
    let combine = if args.node.target.contains("max") {
        Combine::ArgMax
    } else {
        Combine::ArgMin
    };
    let value = span.element(ordered(span.view.dtype));
    let at = cx.reduce(&span, combine, value);
    if args.int(1, "dim")?.is_none() && !meta.sizes.is_empty() {
        let shaped = super::views::expanded(&at, meta.sizes.clone());
        return Ok(Meaning::Tensor(shaped));
    }
    Ok(cx.finish(&span, &at, &meta))
}

fn any_all(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let span = span(cx, args, has_dims(args))?;
    let combine = if args.node.target.contains("any") {
        Combine::Any
    } else {
        Combine::All
    };
    let value = span.element(DType::Bool);
    let found = cx.reduce(&span, combine, value);
    Ok(cx.finish(&span, &found, &meta))
}

/// Two passes: the mean, then the deviations from it and their squares. The sum of the deviations
/// is what rounding left of the mean; taking it out of both results makes them as good as sums in
/// double precision. While a row is in cache the second pass costs little.
fn moments(cx: &mut Lowerer<'_>, span: &Span, dtype: DType, correction: f64) -> (View, View) {
    let total = cx.reduce(span, Combine::Sum, span.element(dtype));
    let kept = variables(span.kept.len());
    let n = count(span, dtype);
    let rough = prim(Prim::Div, &[&total.load(&kept, &span.kept), &n]);
    let rough = cx.intermediate(dtype, span.kept.clone(), Source::Pointwise(rough));
    let center = rough.load(&kept, &span.all_extents());
    let distance = prim(Prim::Sub, &[&span.element(dtype), &center]);
    let squares = cx.reduce(span, Combine::Sum, prim(Prim::Mul, &[&distance, &distance]));
    let drift = cx.reduce(span, Combine::Sum, distance);
    let drift = drift.load(&kept, &span.kept);
    let shift = prim(Prim::Div, &[&drift, &n]);
    let mean = prim(Prim::Add, &[&rough.load(&kept, &span.kept), &shift]);
    let mean = cx.intermediate(dtype, span.kept.clone(), Source::Pointwise(mean));
    let squares = squares.load(&kept, &span.kept);
    let squares = prim(Prim::Sub, &[&squares, &prim(Prim::Mul, &[&drift, &shift])]);
    let less = prim(Prim::Sub, &[&n, &graph::float(correction, dtype)]);
    let zero = graph::float(0.0, dtype);
    let divisor = if correction == 0.0 {
        n
    } else {
        prim(Prim::Maximum, &[&less, &zero])
    };
    let variance = prim(Prim::Div, &[&squares, &divisor]);
    let variance = cx.intermediate(dtype, span.kept.clone(), Source::Pointwise(variance));
    (variance, mean)
}

fn correction(args: &Args<'_>) -> Lowered<f64> {
    args.float(2, "correction", 1.0)
}

fn float_accumulator(meta: &fx::TensorMeta) -> Lowered<DType> {
    if meta.dtype.is_float() {
        Ok(meta.dtype.compute())
    } else {
        Err(Reason::new("variance of a type that is no float"))
    }
}

fn deviation(cx: &mut Lowerer<'_>, args: &Args<'_>, variance: View) -> View {
    if !args.node.target.contains("std") {
        return variance;
    }
    let x = variance.load(&variables(variance.sizes.len()), &variance.sizes);
    let sizes = variance.sizes.clone();
    cx.intermediate(
        variance.dtype,
        sizes,
        Source::Pointwise(prim(Prim::Sqrt, &[&x])),
    )
}

fn variance(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let span = span(cx, args, Some(1))?;
    let dtype = float_accumulator(&meta)?;
    let (variance, _) = moments(cx, &span, dtype, correction(args)?);
    let value = deviation(cx, args, variance);
    Ok(cx.finish(&span, &value, &meta))
}

fn variance_mean(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let (first, second) = (cx.result_at(0)?, cx.result_at(1)?);
    let span = span(cx, args, Some(1))?;
    let dtype = float_accumulator(&first)?;
    let (variance, mean) = moments(cx, &span, dtype, correction(args)?);
    let value = deviation(cx, args, variance);
    let value = cx.finish(&span, &value, &first);
    let mean = cx.finish(&span, &mean, &second);
    Ok(Meaning::Tuple(vec![value, mean]))
}

fn cumulative(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let view = cx.tensor(args.need(0, "self")?)?;
    let rank = view.sizes.len();
    let dim = args.dim(1, "dim", rank, 0)?;
    let dtype = accumulator(meta.dtype);
    let value = convert(&view.load(&variables(rank), &view.sizes), dtype);
    if rank == 0 {
        return Ok(cx.pointwise(&meta, value));
    }
    let combine = if args.node.target.contains("cumsum") {
        Combine::Sum
    } else {
        Combine::Prod
    };
    Ok(Meaning::Tensor(cx.define_view(
        &meta,
        Source::Scan {
            combine,
            dim,
            value,
        },
    )))
}

/// What the softmaxes share, as elements in the full shape.
struct Softmax {
    /// `x - max`.
    shifted: E,
    /// `exp(x - max)`, a tensor of its own, so that a row of it is computed once.
    exponential: E,
    /// The sum of the exponentials.
    total: E,
}

fn softmax_parts(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Option<Softmax>> {
    let meta = cx.result()?;
    let view = cx.tensor(args.need(0, "self")?)?;
    let rank = view.sizes.len();
    if rank == 0 {
        return Ok(None);
    }
    let dim = args.dim(1, "dim", rank, 0)?;
    let dtype = meta.dtype.compute();
    let span = Span::new(view, &[dim]);
    let top = cx.reduce(&span, Combine::Max, span.element(dtype));
    let at = variables(rank);
    let sizes = span.view.sizes.clone();
    let x = convert(&span.view.load(&at, &sizes), dtype);
    let shifted = prim(Prim::Sub, &[&x, &top.load(&span.outer(&at), &sizes)]);
    let wide = fx::TensorMeta { dtype, ..meta };
    let exponential = Source::Pointwise(prim(Prim::Exp, &[&shifted]));
    let exponential = cx.define_view(&wide, exponential);
    let span = Span::new(exponential, &[dim]);
    let total = cx.reduce(&span, Combine::Sum, span.element(dtype));
    Ok(Some(Softmax {
        shifted,
        exponential: span.view.load(&at, &sizes),
        total: total.load(&span.outer(&at), &sizes),
    }))
}

fn softmax(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let Some(parts) = softmax_parts(cx, args)? else {
        return scalar_softmax(cx, args, Prim::Exp);
    };
    // One division for the row: the product is off by half a unit more.
    let share = prim(Prim::Div, &[&number(cx, 1.0, meta.dtype), &parts.total]);
    Ok(cx.pointwise(&meta, prim(Prim::Mul, &[&parts.exponential, &share])))
}

/// Of one element: `finish(x - x)`, which is 1 or 0 unless `x` is no finite number.
fn scalar_softmax(cx: &mut Lowerer<'_>, args: &Args<'_>, finish: Prim) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let x = convert(
        &cx.tensor(args.need(0, "self")?)?.load(&[], &[]),
        meta.dtype,
    );
    let shifted = prim(Prim::Sub, &[&x, &x]);
    Ok(cx.pointwise(&meta, prim(finish, &[&shifted])))
}

fn log_softmax(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let Some(parts) = softmax_parts(cx, args)? else {
        return scalar_softmax(cx, args, Prim::Abs);
    };
    let log = prim(Prim::Log, &[&parts.total]);
    Ok(cx.pointwise(&meta, prim(Prim::Sub, &[&parts.shifted, &log])))
}

/// `grad`, `output` and the row sum of `term(grad, output)`, as elements of the full shape.
fn backward_parts(
    cx: &mut Lowerer<'_>,
    args: &Args<'_>,
    term: fn(&E, &E) -> E,
) -> Lowered<(fx::TensorMeta, E, E, E)> {
    let meta = cx.result()?;
    let grad = cx.tensor(args.need(0, "grad_output")?)?;
    let output = cx.tensor(args.need(1, "output")?)?;
    let rank = grad.sizes.len();
    if rank == 0 {
        return Err(Reason::new("softmax of a scalar"));
    }
    let dim = args.dim(2, "dim", rank, 0)?;
    let dtype = meta.dtype.compute();
    let (g, o) = (Span::new(grad, &[dim]), Span::new(output, &[dim]));
    let total = cx.reduce(&g, Combine::Sum, term(&g.element(dtype), &o.element(dtype)));
    let at = variables(rank);
    let sizes = meta.sizes.clone();
    let total = total.load(&g.outer(&at), &sizes);
    let grad = convert(&g.view.load(&at, &sizes), dtype);
    let output = convert(&o.view.load(&at, &sizes), dtype);
    Ok((meta, grad, output, total))
}

fn softmax_backward(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let (meta, grad, output, total) = backward_parts(cx, args, |g, o| prim(Prim::Mul, &[g, o]))?;
    let centred = prim(Prim::Sub, &[&grad, &total]);
    Ok(cx.pointwise(&meta, prim(Prim::Mul, &[&output, &centred])))
}

fn log_softmax_backward(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let (meta, grad, output, total) = backward_parts(cx, args, |g, _| g.clone())?;
    let share = prim(Prim::Mul, &[&prim(Prim::Exp, &[&output]), &total]);
    Ok(cx.pointwise(&meta, prim(Prim::Sub, &[&grad, &share])))
}

/// The neutral element of a combination.
pub fn neutral(combine: Combine, dtype: DType) -> Literal {
    match combine {
        Combine::Sum => match dtype {
            d if d.is_float() => Literal::Float(0.0),
            _ => Literal::Int(0),
        },
        Combine::Prod => match dtype {
            d if d.is_float() => Literal::Float(1.0),
            _ => Literal::Int(1),
        },
        Combine::Any => Literal::Bool(false),
        Combine::All => Literal::Bool(true),
        Combine::Max | Combine::ArgMax => lowest(dtype),
        Combine::Min | Combine::ArgMin => highest(dtype),
    }
}

fn lowest(dtype: DType) -> Literal {
    match (range(dtype), dtype) {
        (Some((low, _)), _) => Literal::Int(low),
        (None, DType::Bool) => Literal::Bool(false),
        _ => Literal::Float(f64::NEG_INFINITY),
    }
}

fn highest(dtype: DType) -> Literal {
    match (range(dtype), dtype) {
        (Some((_, high)), _) => Literal::Int(high),
        (None, DType::Bool) => Literal::Bool(true),
        _ => Literal::Float(f64::INFINITY),
    }
}
