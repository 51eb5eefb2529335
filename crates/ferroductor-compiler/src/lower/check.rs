//! Whether there is code for everything that a lowering wrote down.
//!
//! What must hold of a definition that passes: every prim takes the type of its operands, and those
//! that are functions have a definition for it. What does not pass goes to ATen.

use super::{Lowered, Reason};
use crate::graph::{Combine, E, Expr, Load, Source, visit};
use crate::math::has_function;
use ferroductor_ir::verify::prim_takes;
use ferroductor_ir::{Atom, DType, IExpr, Prim};

/// Is there code for the definition?
pub fn check_source(source: &Source) -> Lowered<()> {
    match source {
        Source::External | Source::Inner | Source::Companion { .. } => Ok(()),
        Source::Pointwise(value) => check_value(value),
        Source::Reduce { combine, value, .. } | Source::Scan { combine, value, .. } => {
            check_combine(*combine, value.dtype())?;
            check_value(value)
        }
        Source::Contract { a, b, inside, .. } => {
            [a, b].into_iter().try_for_each(check_load)?;
            inside.iter().try_for_each(|(index, _)| check_index(index))
        }
        Source::Attention(attention) => {
            attention.operands().into_iter().try_for_each(check_load)?;
            check_value(&attention.score)
        }
        Source::Scatter {
            base,
            index,
            values,
            value,
            accumulate,
            ..
        } => {
            if *accumulate {
                check_prim(Prim::Add, value.dtype())?;
            }
            index.iter().try_for_each(check_index)?;
            values.iter().chain([base, value]).try_for_each(check_value)
        }
        Source::Assemble(parts) => parts.iter().try_for_each(|part| check_value(&part.value)),
    }
}

fn check_value(value: &E) -> Lowered<()> {
    let mut result = Ok(());
    visit(value, &mut |e| {
        if result.is_ok() {
            result = check_term(e);
        }
    });
    result
}

/// One term without its subterms.
fn check_term(e: &E) -> Lowered<()> {
    match &**e {
        Expr::Index(index) => check_index(index),
        Expr::Load(load) => check_load(load),
        Expr::Prim { prim, args, .. } => match args.last() {
            Some(operand) => check_prim(*prim, operand.dtype()),
            None => Err(Reason::new(format!("{prim} without operands"))),
        },
        Expr::Guard { bounds, .. } => bounds.iter().try_for_each(|(index, _)| check_index(index)),
        Expr::Const(..) | Expr::Convert(..) | Expr::Round(..) | Expr::Check { .. } => Ok(()),
    }
}

fn check_load(load: &Load) -> Lowered<()> {
    load.index.iter().try_for_each(check_index)
}

fn check_combine(combine: Combine, dtype: DType) -> Lowered<()> {
    let prim = match combine {
        Combine::Sum => Prim::Add,
        Combine::Prod => Prim::Mul,
        Combine::Max => Prim::Maximum,
        Combine::Min => Prim::Minimum,
        Combine::Any => Prim::Or,
        Combine::All => Prim::And,
        Combine::ArgMax | Combine::ArgMin => Prim::Lt,
    };
    check_prim(prim, dtype)
}

/// An index that no loop can be split for is computed lane by lane, with integer functions.
fn check_index(index: &IExpr) -> Lowered<()> {
    let mut result = Ok(());
    index.visit(&mut |atom| {
        let prim = match atom {
            Atom::FloorDiv(..) => Prim::FloorDivide,
            Atom::Mod(..) => Prim::Remainder,
            Atom::Min(..) => Prim::Minimum,
            Atom::Max(..) => Prim::Maximum,
            Atom::Size(_) | Atom::Var(_) | Atom::Value(_) => return,
        };
        if result.is_ok() {
            result = check_prim(prim, DType::I64);
        }
    });
    result
}

fn check_prim(prim: Prim, dtype: DType) -> Lowered<()> {
    let defined = prim_takes(prim, dtype) && (prim.is_basic() || has_function(prim, dtype));
    if defined {
        Ok(())
    } else {
        Err(Reason::new(format!("{prim} is not defined for {dtype}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{constant, float, int, prim};
    use ferroductor_ir::Literal;

    #[test]
    fn a_prim_needs_code_for_its_operands() {
        let x = float(1.0, DType::F32);
        assert_eq!(check_value(&prim(Prim::Exp, &[&x])), Ok(()));
        let n = int(1);
        let reason = check_value(&prim(Prim::Exp, &[&n]));
        assert_eq!(reason, Err(Reason::new("exp is not defined for int64")));
        let p = constant(Literal::Bool(true), DType::Bool);
        assert!(check_value(&prim(Prim::Add, &[&p, &p])).is_err());
        assert_eq!(check_value(&prim(Prim::Select, &[&p, &x, &x])), Ok(()));
    }

    #[test]
    fn a_reason_is_found_below_the_root() {
        let n = int(1);
        let inner = prim(Prim::Sqrt, &[&n]);
        let root = prim(Prim::Add, &[&inner, &n]);
        assert!(check_source(&Source::Pointwise(root)).is_err());
    }

    #[test]
    fn a_reduction_needs_its_combination() {
        let reduce = |combine, value| Source::Reduce {
            combine,
            extents: Vec::new(),
            value,
        };
        let p = constant(Literal::Bool(true), DType::Bool);
        assert!(check_source(&reduce(Combine::Any, p.clone())).is_ok());
        assert!(check_source(&reduce(Combine::Max, p)).is_err());
    }
}
