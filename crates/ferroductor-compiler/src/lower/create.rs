//! Tensors made of nothing but their shape: constants, ranges, triangles.

use super::args::Operand;
use super::pointwise::{name_of, number};
use super::{Args, Lowered, Lowerer, Meaning, Reason, Rule};
use crate::graph::{self, prim};
use ferroductor_ir::{IExpr, Literal, Prim, fx};

pub fn rule(name: &str) -> Option<Rule> {
    Some(match name {
        "aten.full"
        | "aten.full_like"
        | "aten.zeros"
        | "aten.ones"
        | "aten.zeros_like"
        | "aten.ones_like"
        | "aten.scalar_tensor"
        | "aten.new_zeros"
        | "aten.new_full"
        | "aten.new_ones"
        | "aten.fill.Scalar"
        | "aten.empty.memory_format"
        | "aten.empty_strided"
        | "aten.empty_like"
        | "aten.new_empty"
        | "aten.new_empty_strided"
        | "aten.empty_permuted" => full,
        "aten.fill.Tensor" => fill_tensor,
        "prims.iota" | "aten.arange.start_step" | "aten.arange.start" | "aten.arange" => iota,
        "aten.tril" | "aten.triu" => triangle,
        _ => return None,
    })
}

fn full(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let name = name_of(args);
    let dtype = shape.meta.dtype;
    let operand = match name {
        // Memory of any content: zeros cost nothing where they are not looked at.
        _ if name.contains("empty") => Operand::Number(Literal::Int(0)),
        _ if name.contains("zeros") => Operand::Number(Literal::Int(0)),
        _ if name.contains("ones") => Operand::Number(Literal::Int(1)),
        "aten.scalar_tensor" => cx.fitting(args.need(0, "s")?, dtype)?,
        "aten.new_full" => cx.fitting(args.need(2, "fill_value")?, dtype)?,
        "aten.fill.Scalar" => cx.fitting(args.need(1, "value")?, dtype)?,
        _ => cx.fitting(args.need(1, "fill_value")?, dtype)?,
    };
    let value = cx.read(&shape, &operand, dtype);
    Ok(cx.pointwise(&shape.meta, value))
}

fn fill_tensor(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let value = cx.arg(&shape, args, 1, "value")?;
    Ok(cx.pointwise(&shape.meta, value))
}

fn iota(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let number_arg = |name: &str, default: i64| -> Lowered<IExpr> {
        match args.node.kwarg(name) {
            None | Some(fx::Arg::None) => Ok(IExpr::constant(default)),
            Some(arg) => cx.size(arg),
        }
    };
    let (start, step) = match name_of(args) {
        "prims.iota" => (number_arg("start", 0)?, number_arg("step", 1)?),
        "aten.arange" => (IExpr::zero(), IExpr::one()),
        _ => {
            let step = match args.get(2, "step") {
                Some(arg) => cx.size(arg)?,
                None => IExpr::one(),
            };
            (cx.size(args.need(0, "start")?)?, step)
        }
    };
    let value = graph::index(&start + &(&shape.at[0] * &step));
    Ok(cx.pointwise(&shape.meta, value))
}

fn triangle(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let rank = shape.meta.sizes.len();
    if rank < 2 {
        return Err(Reason::new("fewer than two dimensions"));
    }
    let x = cx.arg(&shape, args, 0, "self")?;
    let diagonal = args.int(1, "diagonal")?.unwrap_or(0);
    let distance = graph::index(&shape.at[rank - 1] - &shape.at[rank - 2]);
    let op = if args.node.target.contains("tril") {
        Prim::Le
    } else {
        Prim::Ge
    };
    let keep = prim(op, &[&distance, &graph::int(diagonal)]);
    let zero = number(cx, 0.0, shape.meta.dtype);
    Ok(cx.pointwise(&shape.meta, prim(Prim::Select, &[&keep, &x, &zero])))
}
