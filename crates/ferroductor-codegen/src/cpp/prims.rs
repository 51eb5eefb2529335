//! The basic prims on numbers, by operators or helpers.

use super::ctype::{CType, Lane};
use super::expr::Expr;
use super::prelude::Prelude;
use ferroductor_ir::Prim;

/// The expression of a prim on operands of a type. Narrow integers may come out as `int`.
pub(super) fn basic(prelude: &mut Prelude, prim: Prim, ty: CType, operands: &[Expr]) -> Expr {
    let [a, rest @ ..] = operands else {
        unreachable!("a verified prim has operands");
    };
    let is_float = ty.lane.is_float();
    let is_vector = ty.is_vector();
    let mut call = |scalar: &'static str, lanes: &'static str| {
        let name = if is_vector { lanes } else { scalar };
        // What the standard library has needs no helper.
        let name = if name.starts_with("std::") {
            name
        } else {
            prelude.template(name)
        };
        Expr::call(name, &operands.iter().collect::<Vec<_>>())
    };
    match prim {
        Prim::Div if !is_float => call("divide", "divide_lanes"),
        Prim::Rem => call("remainder_of", "remainder_of_lanes"),
        Prim::Abs if is_float => call("std::fabs", "fabs_lanes"),
        Prim::Abs if ty.lane == Lane::U8 => a.clone(),
        Prim::Abs => call("abs_of", "abs_lanes"),
        Prim::Fma => call("std::fma", "fma_lanes"),
        Prim::Scale => Expr::call(prelude.scale(ty), &operands.iter().collect::<Vec<_>>()),
        Prim::Sqrt => call("std::sqrt", "sqrt_lanes"),
        Prim::Floor => call("std::floor", "floor_lanes"),
        Prim::Ceil => call("std::ceil", "ceil_lanes"),
        Prim::Trunc => call("std::trunc", "trunc_lanes"),
        // The rounding mode is the default one: to nearest, ties to even.
        Prim::Round => call("std::nearbyint", "nearbyint_lanes"),
        Prim::MinNum => call("minnum", "minnum"),
        Prim::MaxNum => call("maxnum", "maxnum"),
        Prim::CopySign => call("std::copysign", "copysign_lanes"),
        Prim::Neg => Expr::unary("-", a),
        Prim::Not => Expr::unary("~", a),
        Prim::Shl => match constant_count(rest, ty) {
            Some(count) if is_vector || !ty.lane.promotes() => Expr::infix(a, "<<", &count),
            _ => call("shift_left", "shift_left_lanes"),
        },
        Prim::Shr => match constant_count(rest, ty) {
            Some(count) => Expr::infix(a, ">>", &count),
            None => call("shift_right", "shift_right_lanes"),
        },
        _ => match (operator(prim), rest) {
            (Some(operator), [b]) => Expr::infix(a, operator, b),
            _ => unreachable!("{prim} is not a basic prim on numbers"),
        },
    }
}

fn operator(prim: Prim) -> Option<&'static str> {
    Some(match prim {
        Prim::Add => "+",
        Prim::Sub => "-",
        Prim::Mul => "*",
        Prim::Div => "/",
        Prim::And => "&",
        Prim::Or => "|",
        Prim::Xor => "^",
        Prim::Eq => "==",
        Prim::Ne => "!=",
        Prim::Lt => "<",
        Prim::Le => "<=",
        Prim::Gt => ">",
        Prim::Ge => ">=",
        _ => return None,
    })
}

/// The count of a shift, if it is a literal within the width.
fn constant_count(rest: &[Expr], ty: CType) -> Option<Expr> {
    let [count] = rest else { return None };
    let plain = count.plain.as_deref().unwrap_or(count);
    let number: u32 = plain.text.parse().ok()?;
    (number < 8 * ty.lane.size()).then(|| plain.clone().beside_anything())
}
