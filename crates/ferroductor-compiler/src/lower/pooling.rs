//! Pooling over windows, forward and backward.
//!
//! Positions outside the input are clamped to its border and then masked, so that no window needs a
//! branch. Windows of few elements are written out; larger ones become reductions.

use super::args::variables;
use super::windows::Window;
use super::{Args, Lowered, Lowerer, Meaning, Reason, Rule};
use crate::graph::{self, Combine, E, Expr, Source, View, convert, prim};
use ferroductor_abi::ErrorKind;
use ferroductor_ir::{DType, IExpr, Prim, fx};
use std::sync::Arc;

pub fn rule(name: &str) -> Option<Rule> {
    Some(match name {
        "aten.avg_pool1d" | "aten.avg_pool2d" | "aten.avg_pool3d" => average,
        "aten.avg_pool2d_backward" | "aten.avg_pool3d_backward" => average_backward,
        "aten._adaptive_avg_pool2d" | "aten._adaptive_avg_pool3d" => adaptive,
        "aten._adaptive_avg_pool2d_backward" | "aten._adaptive_avg_pool3d_backward" => {
            adaptive_backward
        }
        "aten.max_pool2d_with_indices" | "aten.max_pool3d_with_indices" => maximum,
        "aten.max_pool2d_with_indices_backward" | "aten.max_pool3d_with_indices_backward" => {
            maximum_backward
        }
        _ => return None,
    })
}

/// Windows with more elements become reductions.
const MAX_UNROLLED: i64 = 9;

impl Window {
    /// How many elements average `o` counts.
    fn count(&self, o: &IExpr, with_padding: bool) -> IExpr {
        let start = self.start(o);
        let end = &start + &IExpr::constant(self.kernel);
        if with_padding {
            let limit = &self.input + &IExpr::constant(self.padding);
            return &end.smaller(&limit) - &start;
        }
        &end.smaller(&self.input) - &start.larger(&IExpr::zero())
    }
}

/// A pooling's input, its windows, and the rank of the dimensions before the spatial ones.
struct Pool {
    view: View,
    axes: Vec<Window>,
    batch: usize,
}

/// One integer per spatial dimension; a single one stands for all.
fn per_axis(args: &Args<'_>, at: usize, name: &str, n: usize, or: &[i64]) -> Lowered<Vec<i64>> {
    let list = args.ints(at, name)?.filter(|list| !list.is_empty());
    let list = list.unwrap_or_else(|| or.to_vec());
    match list.len() {
        1 => Ok(vec![list[0]; n]),
        len if len == n => Ok(list),
        _ => Err(Reason::new(format!("argument {name} has the wrong length"))),
    }
}

/// The number of spatial dimensions: the digit in the operator's name.
fn spatial_rank(args: &Args<'_>) -> Lowered<usize> {
    ["1d", "2d", "3d"]
        .iter()
        .position(|digit| args.node.target.contains(digit))
        .map(|at| at + 1)
        .ok_or_else(|| Reason::new("a pooling without dimensions"))
}

impl Pool {
    /// Reads the arguments from `at` on: kernel, stride, padding, and with `dilated` dilation.
    fn new(
        view: View,
        outputs: &[IExpr],
        args: &Args<'_>,
        at: usize,
        dilated: bool,
    ) -> Lowered<Pool> {
        let n = spatial_rank(args)?;
        let rank = view.sizes.len();
        if rank < n || outputs.len() != rank {
            return Err(Reason::new("an input of unexpected rank"));
        }
        let batch = rank - n;
        let kernel = per_axis(args, at, "kernel_size", n, &[])?;
        let stride = per_axis(args, at + 1, "stride", n, &kernel)?;
        let padding = per_axis(args, at + 2, "padding", n, &[0])?;
        let dilation = match dilated {
            true => per_axis(args, at + 3, "dilation", n, &[1])?,
            false => vec![1; n],
        };
        let axes = (0..n)
            .map(|d| Window {
                input: view.sizes[batch + d].clone(),
                output: outputs[batch + d].clone(),
                kernel: kernel[d],
                stride: stride[d],
                padding: padding[d],
                dilation: dilation[d],
            })
            .collect::<Vec<_>>();
        if axes
            .iter()
            .any(|a| a.kernel < 1 || a.stride < 1 || a.dilation < 1)
        {
            return Err(Reason::new("a window that is not positive"));
        }
        Ok(Pool { view, axes, batch })
    }

    /// Extents of a window.
    fn window(&self) -> Vec<IExpr> {
        self.axes
            .iter()
            .map(|a| IExpr::constant(a.kernel))
            .collect()
    }

    /// The input's element at spatial positions, and the predicate that they lie inside.
    fn element(&self, at: &[IExpr], positions: &[IExpr], sizes: &[IExpr]) -> (E, Option<E>) {
        let mut index = at[..self.batch].to_vec();
        let mut inside = None;
        for (axis, position) in self.axes.iter().zip(positions) {
            if axis.is_inside() {
                index.push(position.clone());
            } else {
                index.push(clamped(position, &axis.input));
                inside = Some(both(inside, within(position, &axis.input)));
            }
        }
        (self.view.load(&index, sizes), inside)
    }
}

/// The position moved into `0..size`.
fn clamped(position: &IExpr, size: &IExpr) -> IExpr {
    let last = size - &IExpr::one();
    position.larger(&IExpr::zero()).smaller(&last)
}

/// Does `0 <= position < size` hold?
fn within(position: &IExpr, size: &IExpr) -> E {
    let position = graph::index(position.clone());
    let low = prim(Prim::Ge, &[&position, &graph::int(0)]);
    let high = prim(Prim::Lt, &[&position, &graph::index(size.clone())]);
    prim(Prim::And, &[&low, &high])
}

fn both(a: Option<E>, b: E) -> E {
    match a {
        None => b,
        Some(a) => prim(Prim::And, &[&a, &b]),
    }
}

fn masked(value: E, inside: Option<&E>, other: &E) -> E {
    match inside {
        None => value,
        Some(inside) => prim(Prim::Select, &[inside, &value, other]),
    }
}

/// Every point of a small box, in row-major order.
fn points(extents: &[IExpr]) -> Option<Vec<Vec<IExpr>>> {
    let sizes: Vec<i64> = extents.iter().map(IExpr::as_const).collect::<Option<_>>()?;
    let count = sizes.iter().try_fold(1i64, |a, b| a.checked_mul(*b))?;
    if count > MAX_UNROLLED {
        return None;
    }
    let mut all = vec![Vec::new()];
    for size in sizes {
        all = all
            .into_iter()
            .flat_map(|p: Vec<IExpr>| {
                (0..size).map(move |j| p.iter().cloned().chain([IExpr::constant(j)]).collect())
            })
            .collect();
    }
    Some(all)
}

impl Lowerer<'_> {
    /// The sum of `term` over a box of `extents`, as an element at the variables of `sizes`.
    fn window_sum(
        &mut self,
        sizes: &[IExpr],
        extents: &[IExpr],
        dtype: DType,
        term: &dyn Fn(&[IExpr]) -> E,
    ) -> E {
        if let Some(points) = points(extents) {
            let terms = points.iter().map(|p| term(p));
            return terms
                .reduce(|a, b| prim(Prim::Add, &[&a, &b]))
                .unwrap_or_else(|| graph::float(0.0, dtype));
        }
        let inner: Vec<IExpr> = (0..extents.len())
            .map(|n| IExpr::var((sizes.len() + n) as u32))
            .collect();
        let source = Source::Reduce {
            combine: Combine::Sum,
            extents: extents.to_vec(),
            value: term(&inner),
        };
        let total = self.intermediate(dtype, sizes.to_vec(), source);
        total.load(&variables(sizes.len()), sizes)
    }
}

/// What an average divides by: the argument at `at` says whether padding counts, the next one may
/// override the count.
struct Divisor {
    with_padding: bool,
    fixed: Option<i64>,
}

impl Divisor {
    fn new(args: &Args<'_>, ceil_at: usize, axes: &[Window]) -> Lowered<Divisor> {
        let ceil = args.bool(ceil_at, "ceil_mode", false)?;
        let with_padding = args.bool(ceil_at + 1, "count_include_pad", true)?;
        let unpadded = axes.iter().all(|a| a.padding == 0);
        // Without rounding up, every window with its padding has the kernel's size.
        let whole = !ceil && (with_padding || unpadded);
        let all = axes.iter().map(|a| a.kernel).product();
        let fixed = args.int(ceil_at + 2, "divisor_override")?;
        Ok(Divisor {
            with_padding,
            fixed: fixed.or(whole.then_some(all)),
        })
    }

    /// The divisor of the window at `o`.
    fn value(&self, axes: &[Window], o: &[IExpr], dtype: DType) -> E {
        if let Some(fixed) = self.fixed {
            return graph::float(fixed as f64, dtype);
        }
        let counts: Vec<IExpr> = axes
            .iter()
            .zip(o)
            .map(|(axis, o)| axis.count(o, self.with_padding))
            .collect();
        convert(&graph::index(IExpr::product(&counts)), dtype)
    }
}

/// The type averages are computed in; averages of integers go to ATen.
fn float_type(meta: &fx::TensorMeta) -> Lowered<DType> {
    if meta.dtype.is_float() {
        Ok(meta.dtype.compute())
    } else {
        Err(Reason::new("an average of integers"))
    }
}

fn average(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let dtype = float_type(&meta)?;
    let view = cx.tensor(args.need(0, "self")?)?;
    let pool = Pool::new(view, &meta.sizes, args, 1, false)?;
    let divisor = Divisor::new(args, 4, &pool.axes)?;
    let at = variables(meta.sizes.len());
    let zero = graph::float(0.0, dtype);
    let total = cx.window_sum(&meta.sizes, &pool.window(), dtype, &|j| {
        let positions: Vec<IExpr> = (pool.axes.iter().zip(&at[pool.batch..]).zip(j))
            .map(|((axis, o), j)| axis.position(o, j))
            .collect();
        let (value, inside) = pool.element(&at, &positions, &meta.sizes);
        masked(value, inside.as_ref(), &zero)
    });
    let divisor = divisor.value(&pool.axes, &at[pool.batch..], dtype);
    Ok(cx.pointwise(&meta, prim(Prim::Div, &[&total, &divisor])))
}

/// Each input element collects from the windows that hold it.
fn average_backward(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let dtype = float_type(&meta)?;
    let grad = cx.tensor(args.need(0, "grad_output")?)?;
    let view = cx.tensor(args.need(1, "self")?)?;
    let pool = Pool::new(view, &grad.sizes, args, 2, false)?;
    let divisor = Divisor::new(args, 5, &pool.axes)?;
    let at = variables(meta.sizes.len());
    let zero = graph::float(0.0, dtype);
    let candidates: Vec<IExpr> = (pool.axes.iter())
        .map(|a| IExpr::constant((a.kernel + a.stride - 1) / a.stride))
        .collect();
    let total = cx.window_sum(&meta.sizes, &candidates, dtype, &|back| {
        let mut index = at[..pool.batch].to_vec();
        let mut holds = None;
        for ((axis, i), back) in pool.axes.iter().zip(&at[pool.batch..]).zip(back) {
            let padded = i + &IExpr::constant(axis.padding);
            let stride = IExpr::constant(axis.stride);
            let o = &padded.floor_div(&stride) - back;
            let offset = graph::index(&padded - &(&o * &stride));
            let reached = prim(Prim::Lt, &[&offset, &graph::int(axis.kernel)]);
            let valid = prim(Prim::And, &[&within(&o, &axis.output), &reached]);
            holds = Some(both(holds, valid));
            index.push(clamped(&o, &axis.output));
        }
        let value = grad.load(&index, &meta.sizes);
        let divisor = divisor.value(&pool.axes, &index[pool.batch..], dtype);
        masked(prim(Prim::Div, &[&value, &divisor]), holds.as_ref(), &zero)
    });
    Ok(cx.pointwise(&meta, total))
}

/// One dimension of an adaptive pooling: windows of uneven length that cover the input.
struct Adaptive {
    from: IExpr,
    to: IExpr,
}

impl Adaptive {
    /// The first element of part `o` when `from` elements are cut into `to` parts.
    fn start(&self, o: &IExpr) -> IExpr {
        (o * &self.from).floor_div(&self.to)
    }
    fn length(&self, o: &IExpr) -> IExpr {
        let next = o + &IExpr::one();
        let end = (&(&next * &self.from) + &(&self.to - &IExpr::one())).floor_div(&self.to);
        &end - &self.start(o)
    }
    /// No part is longer.
    fn longest(&self) -> IExpr {
        match (self.from.as_const(), self.to.as_const()) {
            (Some(from), Some(to)) if to > 0 && from % to == 0 => IExpr::constant(from / to),
            _ => &self.from.floor_div(&self.to) + &IExpr::constant(2),
        }
    }
    fn is_even(&self) -> bool {
        matches!((self.from.as_const(), self.to.as_const()), (Some(f), Some(t)) if t > 0 && f % t == 0)
    }
}

fn adaptive_axes(from: &[IExpr], to: &[IExpr], batch: usize) -> Vec<Adaptive> {
    let pairs = from[batch..].iter().zip(&to[batch..]);
    pairs
        .map(|(from, to)| Adaptive {
            from: from.clone(),
            to: to.clone(),
        })
        .collect()
}

/// The sum over the parts at `at` of `value(positions)`, masked where a part is shorter.
fn part_sum(
    cx: &mut Lowerer<'_>,
    meta: &fx::TensorMeta,
    axes: &[Adaptive],
    dtype: DType,
    value: &dyn Fn(&[IExpr]) -> E,
) -> E {
    let at = variables(meta.sizes.len());
    let spatial = &at[at.len() - axes.len()..];
    let zero = graph::float(0.0, dtype);
    let longest: Vec<IExpr> = axes.iter().map(Adaptive::longest).collect();
    cx.window_sum(&meta.sizes, &longest, dtype, &|j| {
        let (mut positions, mut inside) = (Vec::new(), None);
        for ((axis, o), j) in axes.iter().zip(spatial).zip(j) {
            let position = &axis.start(o) + j;
            if axis.is_even() {
                positions.push(position);
            } else {
                let length = graph::index(axis.length(o));
                let short = prim(Prim::Lt, &[&graph::index(j.clone()), &length]);
                inside = Some(both(inside, short));
                positions.push(clamped(&position, &axis.from));
            }
        }
        masked(value(&positions), inside.as_ref(), &zero)
    })
}

fn area(axes: &[Adaptive], o: &[IExpr], dtype: DType) -> E {
    let lengths: Vec<IExpr> = axes.iter().zip(o).map(|(a, o)| a.length(o)).collect();
    convert(&graph::index(IExpr::product(&lengths)), dtype)
}

fn adaptive(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let dtype = float_type(&meta)?;
    let view = cx.tensor(args.need(0, "self")?)?;
    let batch = batch_rank(args, &view, &meta)?;
    let axes = adaptive_axes(&view.sizes, &meta.sizes, batch);
    let at = variables(meta.sizes.len());
    let total = part_sum(cx, &meta, &axes, dtype, &|positions| {
        view.load(&[&at[..batch], positions].concat(), &meta.sizes)
    });
    let area = area(&axes, &at[batch..], dtype);
    Ok(cx.pointwise(&meta, prim(Prim::Div, &[&total, &area])))
}

/// The parts that hold element `i` are those that cutting the output by the input gives.
fn adaptive_backward(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let dtype = float_type(&meta)?;
    let grad = cx.tensor(args.need(0, "grad_output")?)?;
    let batch = batch_rank(args, &grad, &meta)?;
    let forward = adaptive_axes(&meta.sizes, &grad.sizes, batch);
    let backward = adaptive_axes(&grad.sizes, &meta.sizes, batch);
    let at = variables(meta.sizes.len());
    let total = part_sum(cx, &meta, &backward, dtype, &|positions| {
        let value = grad.load(&[&at[..batch], positions].concat(), &meta.sizes);
        prim(Prim::Div, &[&value, &area(&forward, positions, dtype)])
    });
    Ok(cx.pointwise(&meta, total))
}

fn batch_rank(args: &Args<'_>, view: &View, meta: &fx::TensorMeta) -> Lowered<usize> {
    let n = spatial_rank(args)?;
    let rank = view.sizes.len();
    if rank < n || meta.sizes.len() != rank {
        return Err(Reason::new("an input of unexpected rank"));
    }
    if view.sizes.iter().any(IExpr::is_zero) {
        return Err(Reason::new("pooling of no elements"));
    }
    Ok(rank - n)
}

impl Pool {
    /// Element `j` of the window at `o`. Clamped positions repeat an element of the same window,
    /// which changes no maximum.
    fn clamped_positions(&self, o: &[IExpr], j: &[IExpr]) -> Vec<IExpr> {
        (self.axes.iter().zip(o).zip(j))
            .map(|((axis, o), j)| match axis.is_inside() {
                true => axis.position(o, j),
                false => clamped(&axis.position(o, j), &axis.input),
            })
            .collect()
    }

    /// The maximum and its flat position, element by element: the last NaN wins, as in ATen.
    fn unrolled_maximum(&self, sizes: &[IExpr], points: &[Vec<IExpr>]) -> Lowered<(E, E)> {
        let at = variables(sizes.len());
        let mut best: Option<(E, E)> = None;
        for j in points {
            let positions = self.clamped_positions(&at[self.batch..], j);
            let index = [&at[..self.batch], &positions[..]].concat();
            let value = self.view.load(&index, sizes);
            let flat = (positions.iter().zip(&self.axes))
                .fold(IExpr::zero(), |flat, (p, axis)| &(&flat * &axis.input) + p);
            let place = graph::index(flat);
            best = Some(match best {
                None => (value, place),
                Some(best) => better(best, (value, place)),
            });
        }
        best.ok_or_else(|| Reason::new("an empty window"))
    }

    /// The same by reductions over the window: of several NaN the first wins.
    fn reduced_maximum(&self, cx: &mut Lowerer<'_>, sizes: &[IExpr]) -> (E, E) {
        let rank = sizes.len();
        let at = variables(rank);
        let window = self.window();
        let inner: Vec<IExpr> = (rank..rank + window.len())
            .map(|v| IExpr::var(v as u32))
            .collect();
        let positions = self.clamped_positions(&at[self.batch..], &inner);
        let index = [&at[..self.batch], &positions[..]].concat();
        let value = self.view.load(&index, sizes);
        let mut reduce = |combine, dtype| {
            let source = Source::Reduce {
                combine,
                extents: window.clone(),
                value: value.clone(),
            };
            let reduced = cx.intermediate(dtype, sizes.to_vec(), source);
            reduced.load(&at, sizes)
        };
        let top = reduce(Combine::Max, value.dtype());
        let within_window = reduce(Combine::ArgMax, DType::I64);
        (top, self.flat_position(&at[self.batch..], &within_window))
    }

    /// The flat position of the element with a number within the window at `o`.
    fn flat_position(&self, o: &[IExpr], number: &E) -> E {
        let mut scale: i64 = self.axes.iter().map(|axis| axis.kernel).product();
        let mut flat = graph::int(0);
        for (axis, o) in self.axes.iter().zip(o) {
            scale /= axis.kernel;
            let quotient = prim(Prim::FloorDivide, &[number, &graph::int(scale)]);
            let j = prim(Prim::Remainder, &[&quotient, &graph::int(axis.kernel)]);
            let offset = prim(Prim::Mul, &[&j, &graph::int(axis.dilation)]);
            let position = prim(Prim::Add, &[&graph::index(axis.start(o)), &offset]);
            let position = prim(Prim::Maximum, &[&position, &graph::int(0)]);
            let last = graph::index(&axis.input - &IExpr::one());
            let position = prim(Prim::Minimum, &[&position, &last]);
            let row = prim(Prim::Mul, &[&flat, &graph::index(axis.input.clone())]);
            flat = prim(Prim::Add, &[&row, &position]);
        }
        flat
    }
}

/// The better of two candidates, each a value and its place.
fn better(best: (E, E), next: (E, E)) -> (E, E) {
    let larger = prim(Prim::Gt, &[&next.0, &best.0]);
    let take = match next.0.dtype().is_float() {
        true => prim(Prim::Or, &[&larger, &prim(Prim::Ne, &[&next.0, &next.0])]),
        false => larger,
    };
    (
        prim(Prim::Select, &[&take, &next.0, &best.0]),
        prim(Prim::Select, &[&take, &next.1, &best.1]),
    )
}

/// Values and flat positions; the first maximum wins.
fn maximum(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let (values, indices) = (cx.result_at(0)?, cx.result_at(1)?);
    let view = cx.tensor(args.need(0, "self")?)?;
    let pool = Pool::new(view, &values.sizes, args, 1, true)?;
    let padded_apart = |a: &Window| a.dilation > 1 && !a.is_inside();
    if pool.axes.iter().any(padded_apart) {
        return Err(Reason::new("windows with dilation and padding"));
    }
    let (value, place) = match points(&pool.window()) {
        Some(points) => pool.unrolled_maximum(&values.sizes, &points)?,
        None => pool.reduced_maximum(cx, &values.sizes),
    };
    let value = cx.pointwise(&values, value);
    let place = cx.pointwise(&indices, place);
    Ok(Meaning::Tuple(vec![value, place]))
}

/// Adds each gradient to the element that its window chose.
fn maximum_backward(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let grad = cx.tensor(args.need(0, "grad_output")?)?;
    let indices = cx.tensor(args.need(7, "indices")?)?;
    let n = spatial_rank(args)?;
    let rank = meta.sizes.len();
    if grad.sizes.len() != rank || rank < n || indices.dtype != DType::I64 {
        return Err(Reason::new("arguments of unexpected rank or dtype"));
    }
    let dtype = meta.dtype.compute();
    let plane = IExpr::product(&meta.sizes[rank - n..]);
    let at = variables(rank);
    let chosen = indices.load(&at, &grad.sizes);
    let chosen: E = Arc::new(Expr::Check {
        value: chosen,
        bound: plane.clone(),
        error: cx.error(ErrorKind::Runtime, "a pooling's index is out of bounds"),
    });
    let mut sizes = meta.sizes[..rank - n].to_vec();
    sizes.push(plane);
    let mut index = at[..rank - n].to_vec();
    index.push(IExpr::value(0));
    let source = Source::Scatter {
        base: graph::constant(super::reduction::neutral(Combine::Sum, dtype), dtype),
        extents: grad.sizes.clone(),
        index,
        values: vec![chosen],
        value: convert(&grad.load(&at, &grad.sizes), dtype),
        accumulate: true,
    };
    let flat = cx.intermediate(dtype, sizes, source);
    let shaped = super::views::reshaped(&flat, meta.sizes.clone());
    if dtype == meta.dtype {
        return Ok(Meaning::Tensor(shaped));
    }
    let value = shaped.load(&at, &meta.sizes);
    Ok(cx.pointwise(&meta, value))
}
