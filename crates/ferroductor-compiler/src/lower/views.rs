//! Views, copies and everything else that only moves elements: index maps, and boxes for `cat`
//! and `pad`.

use super::args::{variables, wrap_dim};
use super::{Args, Lowered, Lowerer, Meaning, Reason, Rule};
use crate::graph::{self, E, Part, Source, View};
use ferroductor_ir::{Extents, IExpr, fx};

pub fn rule(name: &str) -> Option<Rule> {
    Some(match name {
        "aten.view" | "aten._unsafe_view" | "aten.reshape" | "aten.flatten" => reshape,
        "aten.alias"
        | "aten.detach"
        | "aten.clone"
        | "aten.contiguous"
        | "aten.lift_fresh"
        | "aten.lift_fresh_copy"
        | "aten.lift" => same,
        "aten.permute" => permute,
        "aten.t" | "aten.transpose.int" | "aten.numpy_T" => transpose,
        "aten.unsqueeze" | "aten.squeeze" | "aten.squeeze.dim" | "aten.squeeze.dims" => reshape,
        "aten.expand" | "aten.broadcast_to" => expand,
        "aten.slice.Tensor" => slice,
        "aten.select.int" => select,
        "aten.split.Tensor" | "aten.split_with_sizes" | "aten.unbind.int" | "aten.chunk" => split,
        "aten.diagonal" => diagonal,
        "aten.unfold" => unfold,
        "aten.flip" | "prims.rev" => flip,
        "aten.roll" => roll,
        "aten.repeat" => repeat,
        "aten.cat" => cat,
        "aten.stack" => stack,
        "aten.constant_pad_nd" => constant_pad,
        "aten.as_strided" => as_strided,
        "aten.slice_scatter" => slice_scatter,
        "aten.select_scatter" => select_scatter,
        "aten.diagonal_scatter" => diagonal_scatter,
        "aten.as_strided_scatter" => as_strided_scatter,
        _ => return None,
    })
}

fn first(cx: &Lowerer<'_>, args: &Args<'_>) -> Lowered<View> {
    cx.tensor(args.need(0, "self")?)
}

fn same(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    Ok(Meaning::Tensor(first(cx, args)?))
}

fn reshape(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let view = first(cx, args)?;
    let sizes = cx.result()?.sizes;
    Ok(Meaning::Tensor(reshaped(&view, sizes)))
}

/// The same elements in row-major order under another shape.
pub fn reshaped(view: &View, sizes: Vec<IExpr>) -> View {
    if view.sizes == sizes {
        return view.clone();
    }
    let old = unflatten(&sizes, &view.sizes);
    view.remap(sizes, &old)
}

/// For each dimension of `old`, its index in terms of variables over `new` (equal element count).
///
/// Dimensions are matched in runs of equal product from the left, so that a division only stays
/// where sizes really do not nest.
fn unflatten(new: &[IExpr], old: &[IExpr]) -> Vec<IExpr> {
    let ranges = Extents(new);
    let mut result = vec![IExpr::zero(); old.len()];
    let (mut n, mut o) = (0, 0);
    while o < old.len() {
        if old[o].is_one() {
            o += 1;
            continue;
        }
        // Grow both runs until their products agree; the last run takes all that is left.
        let (n0, o0) = (n, o);
        let (mut have, mut want) = (IExpr::one(), IExpr::one());
        loop {
            if o > o0 && have == want {
                break;
            }
            let grow_new = match (have.as_const(), want.as_const()) {
                _ if o == o0 => false,
                (Some(h), Some(w)) => h < w,
                _ => n - n0 < o - o0 || o >= old.len(),
            };
            if grow_new && n < new.len() {
                have = &have * &new[n];
                n += 1;
            } else if o < old.len() {
                want = &want * &old[o];
                o += 1;
            } else if n < new.len() {
                have = &have * &new[n];
                n += 1;
            } else {
                break;
            }
        }
        let mut flat = IExpr::zero();
        for (d, size) in new.iter().enumerate().take(n).skip(n0) {
            flat = &(&flat * size) + &IExpr::var(d as u32);
        }
        let mut scale = IExpr::one();
        for d in (o0..o).rev() {
            let quotient = flat.floor_div_in(&scale, &ranges);
            result[d] = if d == o0 {
                quotient
            } else {
                quotient.modulo_in(&old[d], &ranges)
            };
            scale = &scale * &old[d];
        }
    }
    result
}

fn permute(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let view = first(cx, args)?;
    let rank = view.sizes.len();
    let order: Vec<usize> = args
        .ints(1, "dims")?
        .unwrap_or_default()
        .into_iter()
        .map(|d| wrap_dim(d, rank))
        .collect::<Lowered<_>>()?;
    permuted(&view, &order).map(Meaning::Tensor)
}

fn permuted(view: &View, order: &[usize]) -> Lowered<View> {
    let mut old = vec![None; view.sizes.len()];
    for (new, d) in order.iter().enumerate() {
        if old[*d].replace(IExpr::var(new as u32)).is_some() {
            return Err(Reason::new("a dimension is permuted twice"));
        }
    }
    let old = old
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| Reason::new("a dimension is missing from the permutation"))?;
    let sizes = order.iter().map(|d| view.sizes[*d].clone()).collect();
    Ok(view.remap(sizes, &old))
}

fn transpose(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let view = first(cx, args)?;
    let rank = view.sizes.len();
    let mut order: Vec<usize> = (0..rank).collect();
    match args.count() {
        1 => order.reverse(),
        _ => {
            let a = args.dim(1, "dim0", rank, 0)?;
            let b = args.dim(2, "dim1", rank, 1)?;
            if rank > 0 {
                order.swap(a, b);
            }
        }
    }
    permuted(&view, &order).map(Meaning::Tensor)
}

fn expand(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let view = first(cx, args)?;
    let sizes = cx.result()?.sizes;
    Ok(Meaning::Tensor(expanded(&view, sizes)))
}

pub fn expanded(view: &View, sizes: Vec<IExpr>) -> View {
    let skip = sizes.len().saturating_sub(view.sizes.len());
    let old: Vec<IExpr> = view
        .sizes
        .iter()
        .enumerate()
        .map(|(d, size)| {
            if size.is_one() {
                IExpr::zero()
            } else {
                IExpr::var((d + skip) as u32)
            }
        })
        .collect();
    view.remap(sizes, &old)
}

/// A start position as ATen clamps it, where that can be decided now.
fn clamp_start(cx: &Lowerer<'_>, arg: Option<&fx::Arg>, size: &IExpr) -> Lowered<IExpr> {
    let Some(arg) = arg else {
        return Ok(IExpr::zero());
    };
    let start = cx.size(arg)?;
    match (start.as_const(), size.as_const()) {
        (Some(s), Some(n)) => Ok(IExpr::constant(if s < 0 {
            (s + n).max(0)
        } else {
            s.min(n)
        })),
        (Some(0), _) => Ok(start),
        // Within bounds because the metadata's size came out positive; checked by the caller.
        (Some(s), None) if s > 0 => Ok(start),
        _ => Err(Reason::new("a slice's start is symbolic")),
    }
}

fn slice(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let view = first(cx, args)?;
    let dim = args.dim(1, "dim", view.sizes.len(), 0)?;
    let step = args.int(4, "step")?.unwrap_or(1);
    let sizes = cx.result()?.sizes;
    if sizes[dim] == view.sizes[dim] && step == 1 {
        return Ok(Meaning::Tensor(view));
    }
    let start = clamp_start(cx, args.get(2, "start"), &view.sizes[dim])?;
    let mut old = variables(sizes.len());
    old[dim] = &start + &(&old[dim] * &IExpr::constant(step));
    Ok(Meaning::Tensor(view.remap(sizes, &old)))
}

/// An element's position, negative counted from the end.
fn position(cx: &Lowerer<'_>, arg: &fx::Arg, size: &IExpr) -> Lowered<IExpr> {
    let at = cx.size(arg)?;
    match at.as_const() {
        Some(c) if c < 0 => Ok(&at + size),
        Some(_) => Ok(at),
        None => Err(Reason::new("a position is symbolic")),
    }
}

fn select(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let view = first(cx, args)?;
    let dim = args.dim(1, "dim", view.sizes.len(), 0)?;
    let at = position(cx, args.need(2, "index")?, &view.sizes[dim])?;
    Ok(Meaning::Tensor(selected(&view, dim, at)))
}

fn selected(view: &View, dim: usize, at: IExpr) -> View {
    let mut sizes = view.sizes.clone();
    sizes.remove(dim);
    let mut old = variables(sizes.len());
    old.insert(dim, at);
    view.remap(sizes, &old)
}

/// `split`, `split_with_sizes`, `chunk`, `unbind`: the pieces' sizes stand in the metadata.
fn split(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let view = first(cx, args)?;
    let unbind = args.node.target.contains("unbind");
    let dim = args.dim(if unbind { 1 } else { 2 }, "dim", view.sizes.len(), 0)?;
    let fx::Value::List(parts) = &args.node.value else {
        return Err(Reason::new("the pieces are not a list"));
    };
    let mut at = IExpr::zero();
    let mut pieces = Vec::with_capacity(parts.len());
    for part in parts {
        let meta = part
            .tensor()
            .ok_or_else(|| Reason::new("a piece is not a tensor"))?;
        pieces.push(Meaning::Tensor(if unbind {
            let piece = selected(&view, dim, at.clone());
            at = &at + &IExpr::one();
            piece
        } else {
            let mut old = variables(meta.sizes.len());
            old[dim] = &old[dim] + &at;
            at = &at + &meta.sizes[dim];
            view.remap(meta.sizes.clone(), &old)
        }));
    }
    Ok(Meaning::Tuple(pieces))
}

fn diagonal(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let view = first(cx, args)?;
    let rank = view.sizes.len();
    let offset = args.int(1, "offset")?.unwrap_or(0);
    let (a, b) = (args.dim(2, "dim1", rank, 0)?, args.dim(3, "dim2", rank, 1)?);
    let sizes = cx.result()?.sizes;
    let along = IExpr::var(sizes.len() as u32 - 1);
    let mut others = variables(sizes.len() - 1).into_iter();
    let old: Vec<IExpr> = (0..rank)
        .map(|d| {
            if d == a {
                &along + &IExpr::constant((-offset).max(0))
            } else if d == b {
                &along + &IExpr::constant(offset.max(0))
            } else {
                others.next().unwrap_or_else(IExpr::zero)
            }
        })
        .collect();
    Ok(Meaning::Tensor(view.remap(sizes, &old)))
}

fn unfold(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let view = first(cx, args)?;
    let rank = view.sizes.len();
    if rank == 0 {
        return Err(Reason::new("unfold of a scalar"));
    }
    let dim = args.dim(1, "dimension", rank, 0)?;
    let step = cx.size(args.need(3, "step")?)?;
    let sizes = cx.result()?.sizes;
    let mut old = variables(rank);
    old[dim] = &(&old[dim] * &step) + &IExpr::var(rank as u32);
    Ok(Meaning::Tensor(view.remap(sizes, &old)))
}

fn flip(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let view = first(cx, args)?;
    let rank = view.sizes.len();
    let mut old = variables(rank);
    for d in args.ints(1, "dims")?.unwrap_or_default() {
        let d = wrap_dim(d, rank)?;
        if rank > 0 {
            old[d] = &(&view.sizes[d] - &IExpr::one()) - &old[d];
        }
    }
    let sizes = view.sizes.clone();
    Ok(Meaning::Tensor(view.remap(sizes, &old)))
}

/// A base that fills its memory in row-major order, as one line, and the place in it of each
/// element of an `as_strided` of some sizes; the strides stand at argument `at`.
fn strided_line(
    cx: &Lowerer<'_>,
    args: &Args<'_>,
    sizes: &[IExpr],
    at: usize,
) -> Lowered<(View, IExpr)> {
    let view = first(cx, args)?;
    let fx::Arg::Node(base) = args.need(0, "self")? else {
        return Err(Reason::new("the base is not a node"));
    };
    let meta = cx.fx.nodes[*base]
        .value
        .tensor()
        .ok_or_else(|| Reason::new("the base is not a tensor"))?;
    if !meta.offset.is_zero() || meta.strides != graph::contiguous_strides(&meta.sizes) {
        return Err(Reason::new("as_strided of a view"));
    }
    let strides = cx.size_list(args.need(at, "stride")?)?;
    let offset = match args.get(at + 1, "storage_offset") {
        Some(arg) => cx.size(arg)?,
        None => IExpr::zero(),
    };
    let place = |index: &dyn Fn(usize, &IExpr) -> IExpr| {
        (sizes.iter().zip(&strides).enumerate()).fold(offset.clone(), |sum, (d, (size, stride))| {
            &sum + &(&index(d, size) * stride)
        })
    };
    let numel = IExpr::product(&view.sizes);
    let last = place(&|_, size| size - &IExpr::one());
    match (last.as_const(), numel.as_const()) {
        (Some(last), Some(numel)) if last < numel => {}
        _ => return Err(Reason::new("as_strided that may leave the base")),
    }
    let flat = place(&|d, _| IExpr::var(d as u32));
    Ok((reshaped(&view, vec![numel]), flat))
}

fn as_strided(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let sizes = cx.result()?.sizes;
    let (line, flat) = strided_line(cx, args, &sizes, 2)?;
    Ok(Meaning::Tensor(line.remap(sizes, &[flat])))
}

fn as_strided_scatter(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let src = cx.tensor(args.need(1, "src")?)?;
    let (line, flat) = strided_line(cx, args, &src.sizes, 3)?;
    let value = src.load(&variables(src.sizes.len()), &src.sizes);
    let source = Source::Scatter {
        base: line.load(&[IExpr::var(0)], &line.sizes),
        extents: src.sizes.clone(),
        index: vec![flat],
        values: Vec::new(),
        value: graph::convert(&value, meta.dtype),
        accumulate: false,
    };
    let done = cx.intermediate(meta.dtype, line.sizes.clone(), source);
    Ok(Meaning::Tensor(reshaped(&done, meta.sizes)))
}

fn roll(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let view = first(cx, args)?;
    let rank = view.sizes.len();
    let dims = args.ints(2, "dims")?.unwrap_or_default();
    let shifts = cx.size_list(args.need(1, "shifts")?)?;
    if dims.is_empty() {
        let [shift] = &shifts[..] else {
            return Err(Reason::new("several shifts and no dimension"));
        };
        let numel = IExpr::product(&view.sizes);
        let line = reshaped(&view, vec![numel.clone()]);
        let old = (&IExpr::var(0) - shift).modulo(&numel);
        let rolled = line.remap(vec![numel], &[old]);
        return Ok(Meaning::Tensor(reshaped(&rolled, view.sizes)));
    }
    let mut old = variables(rank);
    for (d, shift) in dims.into_iter().zip(shifts) {
        let d = wrap_dim(d, rank)?;
        let shift = shift
            .as_const()
            .ok_or_else(|| Reason::new("a symbolic shift"))?;
        let size = &view.sizes[d];
        old[d] = (&old[d] - &IExpr::constant(shift)).modulo(size);
    }
    let sizes = view.sizes.clone();
    Ok(Meaning::Tensor(view.remap(sizes, &old)))
}

fn repeat(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let view = first(cx, args)?;
    let sizes = cx.result()?.sizes;
    let skip = sizes.len() - view.sizes.len();
    let ranges = Extents(&sizes);
    let old: Vec<IExpr> = view
        .sizes
        .iter()
        .enumerate()
        .map(|(d, size)| IExpr::var((d + skip) as u32).modulo_in(size, &ranges))
        .collect();
    Ok(Meaning::Tensor(view.remap(sizes.clone(), &old)))
}

/// A part that copies a whole view to an offset.
fn part(view: &View, offset: Vec<IExpr>, dtype: ferroductor_ir::DType) -> Part {
    let value = view.load(&variables(view.sizes.len()), &view.sizes);
    Part {
        offset,
        extents: view.sizes.clone(),
        value: graph::convert(&value, dtype),
    }
}

fn cat(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let views = cx.tensor_list(args.need(0, "tensors")?)?;
    let meta = cx.result()?;
    let rank = meta.sizes.len();
    let dim = args.dim(1, "dim", rank, 0)?;
    if let [low, high] = views.as_slice()
        && dim + 1 == rank
        && cx.feeds_one_product()
        && let Some(value) = halves(low, high, meta.dtype)
    {
        return Ok(cx.pointwise(&meta, value));
    }
    let mut at = IExpr::zero();
    let mut parts = Vec::new();
    for view in &views {
        // The legacy empty one-dimensional tensor takes part in no concatenation.
        if view.sizes.len() != rank {
            if view.sizes.len() == 1 && view.sizes[0].is_zero() {
                continue;
            }
            return Err(Reason::new("tensors of different rank"));
        }
        let mut offset = vec![IExpr::zero(); rank];
        offset[dim] = at.clone();
        at = &at + &view.sizes[dim];
        parts.push(part(view, offset, meta.dtype));
    }
    Ok(Meaning::Tensor(
        cx.define_view(&meta, Source::Assemble(parts)),
    ))
}

/// Two rows in one of known length, as an expression: where each element is read but once, as in a
/// rotary embedding, it needs no memory.
fn halves(low: &View, high: &View, dtype: ferroductor_ir::DType) -> Option<E> {
    let rank = low.sizes.len();
    if rank == 0 || high.sizes.len() != rank || !dtype.is_float() {
        return None;
    }
    let (first, second) = (&low.sizes[rank - 1], &high.sizes[rank - 1]);
    if first.as_const()? == 0 || second.as_const()? == 0 {
        return None;
    }
    let here = variables(rank);
    let mut behind = here.clone();
    behind[rank - 1] = &here[rank - 1] - first;
    let zero = graph::float(0.0, dtype);
    let value = |view: &View, at: &[IExpr]| graph::convert(&view.load(at, &[]), dtype);
    let rest = guard(
        vec![(behind[rank - 1].clone(), second.clone())],
        value(high, &behind),
        zero,
    );
    Some(guard(
        vec![(here[rank - 1].clone(), first.clone())],
        value(low, &here),
        rest,
    ))
}

fn stack(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let views = cx.tensor_list(args.need(0, "tensors")?)?;
    let meta = cx.result()?;
    let dim = args.dim(1, "dim", meta.sizes.len(), 0)?;
    let mut parts = Vec::new();
    for (at, view) in views.iter().enumerate() {
        let mut sizes = view.sizes.clone();
        sizes.insert(dim, IExpr::one());
        let mut old = variables(sizes.len());
        old.remove(dim);
        let lifted = view.remap(sizes, &old);
        let mut offset = vec![IExpr::zero(); meta.sizes.len()];
        offset[dim] = IExpr::constant(at as i64);
        parts.push(part(&lifted, offset, meta.dtype));
    }
    Ok(Meaning::Tensor(
        cx.define_view(&meta, Source::Assemble(parts)),
    ))
}

fn constant_pad(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let view = first(cx, args)?;
    let meta = cx.result()?;
    let rank = view.sizes.len();
    let pad = cx.size_list(args.need(1, "pad")?)?;
    let fill = args.get(2, "value").unwrap_or(&fx::Arg::Int(0));
    let fill = cx.fitting(fill, meta.dtype)?;
    let other = cx.element(&fill, &[], &[], meta.dtype);
    let mut inner = variables(rank);
    let mut bounds = Vec::new();
    for (n, pair) in pad.chunks(2).enumerate() {
        if n >= rank || pair.len() != 2 {
            return Err(Reason::new("a malformed list of paddings"));
        }
        let d = rank - 1 - n;
        if pair.iter().all(IExpr::is_zero) {
            continue;
        }
        inner[d] = &inner[d] - &pair[0];
        bounds.push((inner[d].clone(), view.sizes[d].clone()));
    }
    let value = graph::convert(&view.load(&inner, &[]), meta.dtype);
    Ok(cx.pointwise(&meta, guard(bounds, value, other)))
}

pub(super) fn guard(bounds: Vec<(IExpr, IExpr)>, value: E, other: E) -> E {
    if bounds.is_empty() {
        return value;
    }
    std::sync::Arc::new(graph::Expr::Guard {
        bounds,
        value,
        other,
    })
}

fn slice_scatter(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let (base, src) = (first(cx, args)?, cx.tensor(args.need(1, "src")?)?);
    let meta = cx.result()?;
    let dim = args.dim(2, "dim", base.sizes.len(), 0)?;
    let step = args.int(5, "step")?.unwrap_or(1);
    let start = clamp_start(cx, args.get(3, "start"), &base.sizes[dim])?;
    if src.sizes[dim] == base.sizes[dim] {
        let value = src.load(&variables(src.sizes.len()), &src.sizes);
        return Ok(cx.pointwise(&meta, value));
    }
    if step == 1 {
        return scatter_box(cx, &base, &src, dim, start, &meta);
    }
    scatter_steps(cx, &base, &src, dim, (start, step), &meta)
}

fn select_scatter(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let (base, src) = (first(cx, args)?, cx.tensor(args.need(1, "src")?)?);
    let meta = cx.result()?;
    let dim = args.dim(2, "dim", base.sizes.len(), 0)?;
    let at = position(cx, args.need(3, "index")?, &base.sizes[dim])?;
    let mut sizes = src.sizes.clone();
    sizes.insert(dim, IExpr::one());
    let mut old = variables(sizes.len());
    old.remove(dim);
    let src = src.remap(sizes, &old);
    scatter_box(cx, &base, &src, dim, at, &meta)
}

fn diagonal_scatter(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let (base, src) = (first(cx, args)?, cx.tensor(args.need(1, "src")?)?);
    let meta = cx.result()?;
    let rank = base.sizes.len();
    let offset = args.int(2, "offset")?.unwrap_or(0);
    let (a, b) = (args.dim(3, "dim1", rank, 0)?, args.dim(4, "dim2", rank, 1)?);
    let at = variables(rank);
    let along = &at[a] - &IExpr::constant((-offset).max(0));
    let beside = &(&at[b] - &at[a]) - &IExpr::constant(offset);
    let mut inner: Vec<IExpr> = (0..rank)
        .filter(|d| *d != a && *d != b)
        .map(|d| at[d].clone())
        .collect();
    inner.push(along.clone());
    let bounds = vec![
        (along, src.sizes[src.sizes.len() - 1].clone()),
        // Zero on the diagonal.
        (beside, IExpr::one()),
    ];
    let value = graph::convert(&src.load(&inner, &[]), meta.dtype);
    let other = graph::convert(&base.load(&at, &base.sizes), meta.dtype);
    Ok(cx.pointwise(&meta, guard(bounds, value, other)))
}

/// `base` with every `step`-th element from `start` on along `dim` taken from `src`.
fn scatter_steps(
    cx: &mut Lowerer<'_>,
    base: &View,
    src: &View,
    dim: usize,
    (start, step): (IExpr, i64),
    meta: &fx::TensorMeta,
) -> Lowered<Meaning> {
    let at = variables(base.sizes.len());
    let from_start = &at[dim] - &start;
    let step = IExpr::constant(step);
    let mut inner = at.clone();
    inner[dim] = from_start.floor_div(&step);
    let bounds = vec![
        (inner[dim].clone(), src.sizes[dim].clone()),
        // Zero where the step falls on an element.
        (from_start.modulo(&step), IExpr::one()),
    ];
    let value = graph::convert(&src.load(&inner, &[]), meta.dtype);
    let other = graph::convert(&base.load(&at, &base.sizes), meta.dtype);
    Ok(cx.pointwise(meta, guard(bounds, value, other)))
}

/// `base` with the box of `src` from `start` on along `dim` replaced.
fn scatter_box(
    cx: &mut Lowerer<'_>,
    base: &View,
    src: &View,
    dim: usize,
    start: IExpr,
    meta: &fx::TensorMeta,
) -> Lowered<Meaning> {
    let at = variables(base.sizes.len());
    let mut inner = at.clone();
    inner[dim] = &at[dim] - &start;
    let bounds = vec![(inner[dim].clone(), src.sizes[dim].clone())];
    let value = graph::convert(&src.load(&inner, &[]), meta.dtype);
    let other = graph::convert(&base.load(&at, &base.sizes), meta.dtype);
    Ok(cx.pointwise(meta, guard(bounds, value, other)))
}
