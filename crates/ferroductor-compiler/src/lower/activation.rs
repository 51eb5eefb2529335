//! Activation functions and their derivatives.

use super::pointwise::number;
use super::{Args, Lowered, Lowerer, Meaning, Rule};
use crate::graph::prim;
use ferroductor_ir::Prim;

pub fn rule(name: &str) -> Option<Rule> {
    Some(match name {
        "aten.relu" => relu,
        "aten.silu" => silu,
        "aten.gelu" => gelu,
        "aten.leaky_relu" => leaky_relu,
        "aten.threshold" => threshold,
        "aten.sigmoid_backward" | "aten.tanh_backward" => activation_backward,
        "aten.threshold_backward" => threshold_backward,
        _ => return None,
    })
}

fn relu(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let x = cx.arg(&shape, args, 0, "self")?;
    let zero = number(cx, 0.0, shape.meta.dtype);
    // `0 > x ? 0 : x` lets NaN through, as ATen does, and keeps -0.
    let negative = prim(Prim::Gt, &[&zero, &x]);
    Ok(cx.pointwise(&shape.meta, prim(Prim::Select, &[&negative, &zero, &x])))
}

fn silu(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let x = cx.arg(&shape, args, 0, "self")?;
    // x / (1 + exp(-x)): one division, exact limits at both ends except -inf, as in ATen.
    let one = number(cx, 1.0, shape.meta.dtype);
    let e = prim(Prim::Exp, &[&prim(Prim::Neg, &[&x])]);
    let value = prim(Prim::Div, &[&x, &prim(Prim::Add, &[&one, &e])]);
    Ok(cx.pointwise(&shape.meta, value))
}

fn gelu(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let dtype = shape.meta.dtype;
    let x = cx.arg(&shape, args, 0, "self")?;
    let tanh_form = args.str(1, "approximate")? == Some("tanh");
    let n = |v: f64| number(cx, v, dtype);
    let value = if tanh_form {
        // (1 + tanh(u)) / 2 is 1 / (1 + exp(-2u)), which loses nothing where tanh(u) is near -1.
        let factor = -2.0 * std::f64::consts::FRAC_2_PI.sqrt();
        let square = prim(Prim::Mul, &[&x, &x]);
        let cubic = prim(Prim::Mul, &[&n(0.044715 * factor), &square]);
        let slope = prim(Prim::Add, &[&n(factor), &cubic]);
        let e = prim(Prim::Exp, &[&prim(Prim::Mul, &[&x, &slope])]);
        prim(Prim::Div, &[&x, &prim(Prim::Add, &[&n(1.0), &e])])
    } else {
        let scaled = prim(Prim::Mul, &[&x, &n(std::f64::consts::FRAC_1_SQRT_2)]);
        let half = prim(Prim::Mul, &[&n(0.5), &x]);
        let share = prim(Prim::Add, &[&n(1.0), &prim(Prim::Erf, &[&scaled])]);
        prim(Prim::Mul, &[&half, &share])
    };
    Ok(cx.pointwise(&shape.meta, value))
}

fn leaky_relu(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let dtype = shape.meta.dtype;
    let x = cx.arg(&shape, args, 0, "self")?;
    let slope = number(cx, args.float(1, "negative_slope", 0.01)?, dtype);
    let positive = prim(Prim::Gt, &[&x, &number(cx, 0.0, dtype)]);
    let scaled = prim(Prim::Mul, &[&x, &slope]);
    Ok(cx.pointwise(&shape.meta, prim(Prim::Select, &[&positive, &x, &scaled])))
}

fn threshold(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let dtype = shape.meta.dtype;
    let x = cx.arg(&shape, args, 0, "self")?;
    let bound = cx.arg(&shape, args, 1, "threshold")?;
    let fill = cx.fitting(args.need(2, "value")?, dtype)?;
    let fill = cx.read(&shape, &fill, dtype);
    let below = prim(Prim::Le, &[&x, &bound]);
    Ok(cx.pointwise(&shape.meta, prim(Prim::Select, &[&below, &fill, &x])))
}

/// `grad * y * (1 - y)` for sigmoid, `grad * (1 - y*y)` for tanh.
fn activation_backward(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let grad = cx.arg(&shape, args, 0, "grad_output")?;
    let y = cx.arg(&shape, args, 1, "output")?;
    let one = number(cx, 1.0, shape.meta.dtype);
    let slope = if args.node.target.contains("tanh") {
        prim(Prim::Sub, &[&one, &prim(Prim::Mul, &[&y, &y])])
    } else {
        prim(Prim::Mul, &[&y, &prim(Prim::Sub, &[&one, &y])])
    };
    Ok(cx.pointwise(&shape.meta, prim(Prim::Mul, &[&grad, &slope])))
}

fn threshold_backward(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let grad = cx.arg(&shape, args, 0, "grad_output")?;
    let x = cx.arg(&shape, args, 1, "self")?;
    let bound = cx.arg(&shape, args, 2, "threshold")?;
    let below = prim(Prim::Le, &[&x, &bound]);
    let zero = number(cx, 0.0, shape.meta.dtype);
    Ok(cx.pointwise(&shape.meta, prim(Prim::Select, &[&below, &zero, &grad])))
}
