//! Elementwise operators: tables of prims, type promotion, and the few that need more.

use super::args::{Operand, literal, range, variables};
use super::{Args, Lowered, Lowerer, Meaning, Reason, Rule};
use crate::graph::{self, E, convert, prim};
use ferroductor_abi::ErrorKind;
use ferroductor_ir::{DType, IExpr, Literal, Prim, fx};

pub fn rule(name: &str) -> Option<Rule> {
    if unary_prim(name).is_some() {
        return Some(unary);
    }
    if binary_prim(name).is_some() {
        return Some(binary);
    }
    if comparison_prim(name).is_some() {
        return Some(comparison);
    }
    Some(match name {
        "aten.add.Tensor" | "aten.add.Scalar" | "aten.sub.Tensor" | "aten.sub.Scalar"
        | "aten.rsub.Scalar" | "aten.rsub.Tensor" => add_sub,
        "aten.div.Tensor" | "aten.div.Scalar" | "aten.true_divide.Tensor" => divide,
        "aten.div.Tensor_mode" | "aten.div.Scalar_mode" => divide_mode,
        "aten.pow.Tensor_Scalar" => pow_scalar,
        "aten.clamp"
        | "aten.clamp.Tensor"
        | "aten.clamp_min"
        | "aten.clamp_min.Tensor"
        | "aten.clamp_max"
        | "aten.clamp_max.Tensor"
        | "aten.hardtanh" => clamp,
        "aten.where.self"
        | "aten.where.ScalarSelf"
        | "aten.where.ScalarOther"
        | "aten.where.Scalar" => where_,
        "aten.masked_fill.Scalar" | "aten.masked_fill.Tensor" => masked_fill,
        "aten.logical_not" => logical_not,
        "aten.logical_and" | "aten.logical_or" | "aten.logical_xor" => logical,
        "aten.isnan" | "aten.isinf" | "aten.isfinite" | "aten.signbit" => classify,
        "aten.rsqrt" => rsqrt,
        "aten.reciprocal" => reciprocal,
        "aten.square" => square,
        "aten.frac" => frac,
        "aten.positive" => positive,
        "aten.lerp.Scalar" | "aten.lerp.Tensor" => lerp,
        "prims.convert_element_type" | "aten._to_copy" | "aten.to.dtype" => convert_dtype,
        "aten.copy" => copy,
        "prims.fma" | "aten.addcmul" => addcmul,
        "aten.addcdiv" => addcdiv,
        "aten.copy_" => copy_,
        _ => return None,
    })
}

/// Result in the result's dtype, operand converted to it first (integers become floats).
fn unary_prim(name: &str) -> Option<Prim> {
    Some(match name {
        "aten.exp" => Prim::Exp,
        "aten.exp2" => Prim::Exp2,
        "aten.expm1" => Prim::Expm1,
        "aten.log" => Prim::Log,
        "aten.log2" => Prim::Log2,
        "aten.log10" => Prim::Log10,
        "aten.log1p" => Prim::Log1p,
        "aten.sin" => Prim::Sin,
        "aten.cos" => Prim::Cos,
        "aten.tan" => Prim::Tan,
        "aten.asin" => Prim::Asin,
        "aten.acos" => Prim::Acos,
        "aten.atan" => Prim::Atan,
        "aten.sinh" => Prim::Sinh,
        "aten.cosh" => Prim::Cosh,
        "aten.tanh" => Prim::Tanh,
        "aten.asinh" => Prim::Asinh,
        "aten.acosh" => Prim::Acosh,
        "aten.atanh" => Prim::Atanh,
        "aten.erf" => Prim::Erf,
        "aten.erfc" => Prim::Erfc,
        "aten.sigmoid" => Prim::Sigmoid,
        "aten.sqrt" => Prim::Sqrt,
        "aten.neg" => Prim::Neg,
        "aten.abs" => Prim::Abs,
        "aten.sign" => Prim::Sign,
        "aten.floor" => Prim::Floor,
        "aten.ceil" => Prim::Ceil,
        "aten.trunc" => Prim::Trunc,
        "aten.round" => Prim::Round,
        "aten.bitwise_not" => Prim::Not,
        _ => return None,
    })
}

/// Both operands promoted to the result's dtype.
fn binary_prim(name: &str) -> Option<Prim> {
    Some(match name {
        "aten.mul.Tensor" | "aten.mul.Scalar" => Prim::Mul,
        "aten.maximum" => Prim::Maximum,
        "aten.minimum" => Prim::Minimum,
        "aten.atan2" => Prim::Atan2,
        "aten.pow.Tensor_Tensor" | "aten.pow.Scalar" => Prim::Pow,
        "aten.fmod.Tensor" | "aten.fmod.Scalar" => Prim::Fmod,
        "aten.remainder.Tensor" | "aten.remainder.Scalar" | "aten.remainder.Scalar_Tensor" => {
            Prim::Remainder
        }
        "aten.copysign.Tensor" | "aten.copysign.Scalar" => Prim::CopySign,
        "aten.bitwise_and.Tensor"
        | "aten.bitwise_and.Scalar"
        | "aten.bitwise_and.Scalar_Tensor" => Prim::And,
        "aten.bitwise_or.Tensor" | "aten.bitwise_or.Scalar" | "aten.bitwise_or.Scalar_Tensor" => {
            Prim::Or
        }
        "aten.bitwise_xor.Tensor"
        | "aten.bitwise_xor.Scalar"
        | "aten.bitwise_xor.Scalar_Tensor" => Prim::Xor,
        "aten.bitwise_left_shift.Tensor"
        | "aten.bitwise_left_shift.Tensor_Scalar"
        | "aten.bitwise_left_shift.Scalar_Tensor"
        | "aten.__lshift__.Tensor"
        | "aten.__lshift__.Scalar" => Prim::Shl,
        "aten.bitwise_right_shift.Tensor"
        | "aten.bitwise_right_shift.Tensor_Scalar"
        | "aten.bitwise_right_shift.Scalar_Tensor"
        | "aten.__rshift__.Tensor"
        | "aten.__rshift__.Scalar" => Prim::Shr,
        _ => return None,
    })
}

fn comparison_prim(name: &str) -> Option<Prim> {
    let (base, overload) = name.strip_prefix("aten.")?.split_once('.')?;
    if overload != "Tensor" && overload != "Scalar" {
        return None;
    }
    Some(match base {
        "eq" => Prim::Eq,
        "ne" => Prim::Ne,
        "lt" => Prim::Lt,
        "le" => Prim::Le,
        "gt" => Prim::Gt,
        "ge" => Prim::Ge,
        _ => return None,
    })
}

/// The target without `.default`.
pub(super) fn name_of<'a>(args: &Args<'a>) -> &'a str {
    let target = args.node.target.as_str();
    target.strip_suffix(".default").unwrap_or(target)
}

/// What the pointwise helpers share: result metadata and its index variables.
pub(super) struct Shape {
    pub meta: fx::TensorMeta,
    pub at: Vec<IExpr>,
}

impl Lowerer<'_> {
    pub(super) fn shape(&self) -> Lowered<Shape> {
        let meta = self.result()?;
        let at = variables(meta.sizes.len());
        Ok(Shape { meta, at })
    }

    /// The operand's element in `dtype`.
    pub(super) fn read(&self, shape: &Shape, operand: &Operand, dtype: DType) -> E {
        self.element(operand, &shape.at, &shape.meta.sizes, dtype)
    }

    /// Argument `position` as an element in the result's dtype.
    pub(super) fn arg(
        &self,
        shape: &Shape,
        args: &Args<'_>,
        position: usize,
        name: &str,
    ) -> Lowered<E> {
        let operand = self.operand(args.need(position, name)?)?;
        Ok(self.read(shape, &operand, shape.meta.dtype))
    }
}

fn unary(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let op = unary_prim(name_of(args)).ok_or_else(|| Reason::new("unknown operator"))?;
    let x = cx.arg(&shape, args, 0, "self")?;
    let dtype = shape.meta.dtype;
    let rounding = matches!(op, Prim::Floor | Prim::Ceil | Prim::Trunc | Prim::Round);
    if rounding && args.count() > 1 {
        return Err(Reason::new("rounding to decimals"));
    }
    let value = match op {
        Prim::Neg if dtype == DType::Bool => return Err(Reason::new("negation of bool")),
        // Integers are already whole; unsigned ones and bool are already positive.
        _ if rounding && !dtype.is_float() => x,
        Prim::Abs if matches!(dtype, DType::Bool | DType::U8) => x,
        Prim::Sign if dtype == DType::Bool => x,
        // ATen's sign of NaN is zero.
        Prim::Sign if dtype.is_float() => {
            let zero = number(cx, 0.0, dtype);
            let positive = convert(&prim(Prim::Gt, &[&x, &zero]), dtype);
            let negative = convert(&prim(Prim::Lt, &[&x, &zero]), dtype);
            prim(Prim::Sub, &[&positive, &negative])
        }
        _ => prim(op, &[&x]),
    };
    Ok(cx.pointwise(&shape.meta, value))
}

fn binary(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let op = binary_prim(name_of(args)).ok_or_else(|| Reason::new("unknown operator"))?;
    let dtype = shape.meta.dtype;
    let (a, b) = (
        cx.arg(&shape, args, 0, "self")?,
        cx.arg(&shape, args, 1, "other")?,
    );
    if dtype == DType::Bool {
        let value = match op {
            Prim::Mul | Prim::And | Prim::Minimum => prim(Prim::And, &[&a, &b]),
            Prim::Or | Prim::Maximum => prim(Prim::Or, &[&a, &b]),
            Prim::Xor => prim(Prim::Xor, &[&a, &b]),
            _ => return Err(Reason::new(format!("{op} of bool"))),
        };
        return Ok(cx.pointwise(&shape.meta, value));
    }
    let value = match op {
        Prim::Fmod if dtype.is_int() => prim(Prim::Rem, &[&a, &not_zero(cx, &b)?]),
        Prim::Remainder if dtype.is_int() => prim(op, &[&a, &not_zero(cx, &b)?]),
        _ => prim(op, &[&a, &b]),
    };
    Ok(cx.pointwise(&shape.meta, value))
}

/// An integer divisor; where it is zero the kernel fails, and eager's error is raised.
fn not_zero(cx: &mut Lowerer<'_>, divisor: &E) -> Lowered<E> {
    if let graph::Expr::Const(literal, _) = &**divisor {
        return match literal.as_i64() {
            0 => Err(Reason::new("a division by the constant zero raises")),
            _ => Ok(divisor.clone()),
        };
    }
    let dtype = divisor.dtype();
    let is_zero = prim(Prim::Eq, &[divisor, &number(cx, 0.0, dtype)]);
    let value = prim(Prim::Select, &[&is_zero, &graph::int(-1), &graph::int(0)]);
    let zero: E = std::sync::Arc::new(graph::Expr::Check {
        value,
        bound: IExpr::one(),
        error: cx.error(ErrorKind::Runtime, "ZeroDivisionError"),
    });
    // Adding the checked zero ties the check to every use of the divisor.
    Ok(prim(Prim::Add, &[divisor, &convert(&zero, dtype)]))
}

/// The dtype in which two operands meet, by ATen's rules: tensors with dimensions outrank
/// zero-dimensional ones, which outrank numbers, unless the category (bool, int, float) is higher.
pub fn promote(operands: &[&Operand]) -> DType {
    let rank = |d: DType| match d {
        DType::Bool => 0,
        d if d.is_int() => 1,
        _ => 2,
    };
    let mut best: [Option<DType>; 3] = [None; 3];
    for operand in operands {
        let (level, dtype) = match operand {
            Operand::Tensor(v) if v.sizes.is_empty() => (1, v.dtype),
            Operand::Tensor(v) => (0, v.dtype),
            Operand::Size(_) => (2, DType::I64),
            Operand::Number(Literal::Bool(_)) => (2, DType::Bool),
            Operand::Number(Literal::Int(_)) => (2, DType::I64),
            Operand::Number(Literal::Float(_)) => (2, DType::F32),
        };
        best[level] = Some(best[level].map_or(dtype, |b| join(b, dtype)));
    }
    let mut result = None;
    for dtype in best.into_iter().flatten() {
        result = match result {
            Some(r) if rank(dtype) <= rank(r) => Some(r),
            _ => Some(dtype),
        };
    }
    result.unwrap_or(DType::F32)
}

/// The smallest dtype that both convert to.
fn join(a: DType, b: DType) -> DType {
    use DType::*;
    if a == b {
        return a;
    }
    match (a, b) {
        (Bool, x) | (x, Bool) => x,
        (x, y) if x.is_float() && !y.is_float() => x,
        (x, y) if y.is_float() && !x.is_float() => y,
        (F16, BF16) | (BF16, F16) => F32,
        (U8, x) | (x, U8) if x == I8 => I16,
        (x, y) => {
            if x.size() >= y.size() && x != U8 {
                x
            } else {
                y
            }
        }
    }
}

fn comparison(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let op = comparison_prim(name_of(args)).ok_or_else(|| Reason::new("unknown operator"))?;
    let a = cx.operand(args.need(0, "self")?)?;
    let b = cx.operand(args.need(1, "other")?)?;
    let common = promote(&[&a, &b]);
    // Predicates compare as small integers.
    let common = if common == DType::Bool {
        DType::U8
    } else {
        common
    };
    let (a, b) = (cx.read(&shape, &a, common), cx.read(&shape, &b, common));
    Ok(cx.pointwise(&shape.meta, prim(op, &[&a, &b])))
}

fn add_sub(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let name = name_of(args);
    let dtype = shape.meta.dtype;
    let mut a = cx.arg(&shape, args, 0, "self")?;
    let mut b = cx.arg(&shape, args, 1, "other")?;
    if name.contains("rsub") {
        std::mem::swap(&mut a, &mut b);
    }
    let subtract = name.contains("sub");
    if let Some(alpha) = args.get(2, "alpha") {
        let alpha = cx.operand(alpha)?;
        let alpha = cx.read(&shape, &alpha, dtype);
        // `rsub` scales the tensor that is taken away, which is the second operand here as well.
        b = prim(Prim::Mul, &[&b, &alpha]);
    }
    if dtype == DType::Bool {
        if subtract {
            return Err(Reason::new("subtraction of bool"));
        }
        return Ok(cx.pointwise(&shape.meta, prim(Prim::Or, &[&a, &b])));
    }
    let op = if subtract { Prim::Sub } else { Prim::Add };
    Ok(cx.pointwise(&shape.meta, prim(op, &[&a, &b])))
}

fn divide(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let (a, b) = (
        cx.arg(&shape, args, 0, "self")?,
        cx.arg(&shape, args, 1, "other")?,
    );
    Ok(cx.pointwise(&shape.meta, prim(Prim::Div, &[&a, &b])))
}

fn divide_mode(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let (a, b) = (
        cx.arg(&shape, args, 0, "self")?,
        cx.arg(&shape, args, 1, "other")?,
    );
    let integer = !shape.meta.dtype.is_float();
    let b = if integer { not_zero(cx, &b)? } else { b };
    let value = match args.str(2, "rounding_mode")? {
        None => prim(Prim::Div, &[&a, &b]),
        Some("floor") => prim(Prim::FloorDivide, &[&a, &b]),
        Some("trunc") => {
            let quotient = prim(Prim::Div, &[&a, &b]);
            if integer {
                quotient
            } else {
                prim(Prim::Trunc, &[&quotient])
            }
        }
        Some(other) => return Err(Reason::new(format!("rounding mode {other}"))),
    };
    Ok(cx.pointwise(&shape.meta, value))
}

fn pow_scalar(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let dtype = shape.meta.dtype;
    let x = cx.arg(&shape, args, 0, "self")?;
    let exponent = literal(args.need(1, "exponent")?)?.as_f64();
    let one = || cx.element(&Operand::Number(Literal::Int(1)), &[], &[], dtype);
    let square = || prim(Prim::Mul, &[&x, &x]);
    let value = match exponent {
        0.0 => one(),
        1.0 => x.clone(),
        2.0 => square(),
        3.0 => prim(Prim::Mul, &[&square(), &x]),
        0.5 if dtype.is_float() => prim(Prim::Sqrt, &[&x]),
        -0.5 if dtype.is_float() => prim(Prim::Div, &[&one(), &prim(Prim::Sqrt, &[&x])]),
        -1.0 if dtype.is_float() => prim(Prim::Div, &[&one(), &x]),
        -2.0 if dtype.is_float() => prim(Prim::Div, &[&one(), &square()]),
        e if dtype.is_float() || e > 0.0 => prim(Prim::Pow, &[&x, &number(cx, e, dtype)]),
        _ => return Err(Reason::new("a negative power of integers raises")),
    };
    Ok(cx.pointwise(&shape.meta, value))
}

/// A number in a dtype's compute type.
pub(super) fn number(cx: &Lowerer<'_>, value: f64, dtype: DType) -> E {
    cx.element(&Operand::Number(Literal::Float(value)), &[], &[], dtype)
}

fn clamp(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let name = name_of(args);
    let mut value = cx.arg(&shape, args, 0, "self")?;
    let (low, high) = match name {
        _ if name.contains("clamp_min") => (args.get(1, "min"), None),
        _ if name.contains("clamp_max") => (None, args.get(1, "max")),
        _ if name.contains("hardtanh") => (args.get(1, "min_val"), args.get(2, "max_val")),
        _ => (args.get(1, "min"), args.get(2, "max")),
    };
    let standard = |bound: i64| name.contains("hardtanh").then_some(fx::Arg::Int(bound));
    let (lowest, highest) = (standard(-1), standard(1));
    let (low, high) = (low.or(lowest.as_ref()), high.or(highest.as_ref()));
    for (bound, op) in [(low, Prim::Maximum), (high, Prim::Minimum)] {
        let Some(bound) = bound else {
            continue;
        };
        let bound = cx.operand(bound)?;
        if let (Operand::Number(Literal::Int(bound)), Some((low, high))) =
            (&bound, range(shape.meta.dtype))
        {
            match op {
                // Every element is within such a bound.
                Prim::Maximum if *bound < low => continue,
                Prim::Minimum if *bound > high => continue,
                _ if !(low..=high).contains(bound) => {
                    return Err(Reason::new("no element can be within a bound"));
                }
                _ => {}
            }
        }
        let bound = cx.read(&shape, &bound, shape.meta.dtype);
        value = prim(op, &[&value, &bound]);
    }
    Ok(cx.pointwise(&shape.meta, value))
}

fn where_(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let cond = cx.operand(args.need(0, "condition")?)?;
    let cond = cx.read(&shape, &cond, DType::Bool);
    let (a, b) = (
        cx.arg(&shape, args, 1, "self")?,
        cx.arg(&shape, args, 2, "other")?,
    );
    Ok(cx.pointwise(&shape.meta, prim(Prim::Select, &[&cond, &a, &b])))
}

fn masked_fill(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let x = cx.arg(&shape, args, 0, "self")?;
    let mask = cx.operand(args.need(1, "mask")?)?;
    let mask = cx.read(&shape, &mask, DType::Bool);
    let fill = cx.fitting(args.need(2, "value")?, shape.meta.dtype)?;
    let fill = cx.read(&shape, &fill, shape.meta.dtype);
    Ok(cx.pointwise(&shape.meta, prim(Prim::Select, &[&mask, &fill, &x])))
}

fn logical_not(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let x = cx.operand(args.need(0, "self")?)?;
    let x = cx.read(&shape, &x, DType::Bool);
    Ok(cx.pointwise(&shape.meta, prim(Prim::Not, &[&x])))
}

fn logical(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let op = match name_of(args) {
        "aten.logical_and" => Prim::And,
        "aten.logical_or" => Prim::Or,
        _ => Prim::Xor,
    };
    let a = cx.operand(args.need(0, "self")?)?;
    let b = cx.operand(args.need(1, "other")?)?;
    let (a, b) = (
        cx.read(&shape, &a, DType::Bool),
        cx.read(&shape, &b, DType::Bool),
    );
    Ok(cx.pointwise(&shape.meta, prim(op, &[&a, &b])))
}

/// `isnan`, `isinf`, `isfinite`, `signbit`.
fn classify(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let view = cx.tensor(args.need(0, "self")?)?;
    let dtype = view.dtype;
    let x = cx.read(&shape, &Operand::Tensor(view), dtype);
    if !dtype.is_float() {
        let value = match name_of(args) {
            "aten.signbit" if dtype.is_int() => prim(Prim::Lt, &[&x, &number(cx, 0.0, dtype)]),
            name => graph::constant(Literal::Bool(name == "aten.isfinite"), DType::Bool),
        };
        return Ok(cx.pointwise(&shape.meta, value));
    }
    let infinity = number(cx, f64::INFINITY, dtype);
    let magnitude = prim(Prim::Abs, &[&x]);
    let value = match name_of(args) {
        "aten.isnan" => prim(Prim::Ne, &[&x, &x]),
        "aten.isinf" => prim(Prim::Eq, &[&magnitude, &infinity]),
        "aten.isfinite" => prim(Prim::Lt, &[&magnitude, &infinity]),
        _ => {
            let one = number(cx, 1.0, dtype);
            let signed = prim(Prim::CopySign, &[&one, &x]);
            prim(Prim::Lt, &[&signed, &number(cx, 0.0, dtype)])
        }
    };
    Ok(cx.pointwise(&shape.meta, value))
}

fn rsqrt(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let x = cx.arg(&shape, args, 0, "self")?;
    let root = prim(Prim::Sqrt, &[&x]);
    let one = number(cx, 1.0, shape.meta.dtype);
    Ok(cx.pointwise(&shape.meta, prim(Prim::Div, &[&one, &root])))
}

fn reciprocal(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let x = cx.arg(&shape, args, 0, "self")?;
    let one = number(cx, 1.0, shape.meta.dtype);
    Ok(cx.pointwise(&shape.meta, prim(Prim::Div, &[&one, &x])))
}

fn square(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let x = cx.arg(&shape, args, 0, "self")?;
    Ok(cx.pointwise(&shape.meta, prim(Prim::Mul, &[&x, &x])))
}

fn frac(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    if !shape.meta.dtype.is_float() {
        return Err(Reason::new("frac of integers"));
    }
    let x = cx.arg(&shape, args, 0, "self")?;
    let whole = prim(Prim::Trunc, &[&x]);
    Ok(cx.pointwise(&shape.meta, prim(Prim::Sub, &[&x, &whole])))
}

fn positive(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    Ok(Meaning::Tensor(cx.tensor(args.need(0, "self")?)?))
}

/// ATen switches the formula at weight 0.5 so that both ends are exact.
fn lerp(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let dtype = shape.meta.dtype;
    let (a, b, w) = (
        cx.arg(&shape, args, 0, "self")?,
        cx.arg(&shape, args, 1, "end")?,
        cx.arg(&shape, args, 2, "weight")?,
    );
    let span = prim(Prim::Sub, &[&b, &a]);
    let from_start = prim(Prim::Add, &[&a, &prim(Prim::Mul, &[&w, &span])]);
    let rest = prim(Prim::Sub, &[&number(cx, 1.0, dtype), &w]);
    let from_end = prim(Prim::Sub, &[&b, &prim(Prim::Mul, &[&span, &rest])]);
    let small = prim(
        Prim::Lt,
        &[&prim(Prim::Abs, &[&w]), &number(cx, 0.5, dtype)],
    );
    Ok(cx.pointwise(
        &shape.meta,
        prim(Prim::Select, &[&small, &from_start, &from_end]),
    ))
}

fn convert_dtype(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let meta = cx.result()?;
    let view = cx.tensor(args.need(0, "self")?)?;
    if view.dtype == meta.dtype {
        return Ok(Meaning::Tensor(view));
    }
    let value = view.load(&variables(view.sizes.len()), &view.sizes);
    // Narrowing to half precision rounds even where the value stays in a register: that is what
    // the program asks for.
    let value = if meta.dtype.is_half() {
        std::sync::Arc::new(graph::Expr::Round(convert(&value, DType::F32), meta.dtype))
    } else {
        value
    };
    Ok(cx.pointwise(&meta, value))
}

fn copy(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let value = cx.arg(&shape, args, 1, "src")?;
    Ok(cx.pointwise(&shape.meta, value))
}

/// `self + value * a * b`; `prims.fma(a, b, c)` is `a*b + c`.
fn addcmul(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    let x = cx.arg(&shape, args, 0, "self")?;
    let y = cx.arg(&shape, args, 1, "tensor1")?;
    let z = cx.arg(&shape, args, 2, "tensor2")?;
    if args.node.target.starts_with("prims") {
        return Ok(cx.pointwise(
            &shape.meta,
            prim(Prim::Add, &[&prim(Prim::Mul, &[&x, &y]), &z]),
        ));
    }
    let scale = number(cx, args.float(3, "value", 1.0)?, shape.meta.dtype);
    let product = prim(Prim::Mul, &[&prim(Prim::Mul, &[&scale, &y]), &z]);
    Ok(cx.pointwise(&shape.meta, prim(Prim::Add, &[&x, &product])))
}

fn addcdiv(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let shape = cx.shape()?;
    if !shape.meta.dtype.is_float() {
        return Err(Reason::new("addcdiv of integers"));
    }
    let x = cx.arg(&shape, args, 0, "self")?;
    let y = cx.arg(&shape, args, 1, "tensor1")?;
    let z = cx.arg(&shape, args, 2, "tensor2")?;
    let scale = number(cx, args.float(3, "value", 1.0)?, shape.meta.dtype);
    let quotient = prim(Prim::Div, &[&prim(Prim::Mul, &[&scale, &y]), &z]);
    Ok(cx.pointwise(&shape.meta, prim(Prim::Add, &[&x, &quotient])))
}

/// The write of a new value into a graph input, at the graph's end.
fn copy_(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let fx::Arg::Node(input) = args.need(0, "self")? else {
        return Err(Reason::new("the destination is not a node"));
    };
    let node = &cx.fx.nodes[*input];
    if node.kind != fx::Kind::Placeholder {
        return Err(Reason::new("the destination is not a graph input"));
    }
    let meta = node
        .value
        .tensor()
        .filter(|m| m.is_plain && cx.module.graph.is_apart(&m.sizes, &m.strides))
        .ok_or_else(|| Reason::new("the destination's elements may overlap"))?;
    let shape = Shape {
        meta: meta.clone(),
        at: variables(meta.sizes.len()),
    };
    // The new value gets memory of its own first, since others may still read the old one.
    let view = match cx.tensor(args.need(1, "src")?) {
        Ok(view) if is_as_stored(&cx.module.graph, &view, meta) => view,
        _ => {
            let value = cx.arg(&shape, args, 1, "src")?;
            let Meaning::Tensor(view) = cx.pointwise(&shape.meta, value) else {
                return Err(Reason::new("the new value is not a tensor"));
            };
            view
        }
    };
    let element = view.load(&shape.at, &shape.meta.sizes);
    let copy = cx.define(&shape.meta, graph::Source::Pointwise(element));
    // Its memory is the input's, gaps between the elements included.
    cx.module.graph.tensors[copy.0 as usize].strides = shape.meta.strides.clone();
    cx.module.items.push(super::Item::Mutate {
        input: *input,
        copy,
    });
    Ok(Meaning::Tensor(view))
}

/// Is it a whole computed tensor, with the elements in memory as `meta` wants them?
fn is_as_stored(graph: &graph::Graph, view: &graph::View, meta: &fx::TensorMeta) -> bool {
    let tensor = graph.tensor(view.tensor);
    !matches!(
        tensor.source,
        graph::Source::External | graph::Source::Inner
    ) && tensor.dtype == meta.dtype
        && view.dtype == meta.dtype
        && tensor.sizes == meta.sizes
        && tensor.strides == meta.strides
        && view.is_identity(graph)
}
