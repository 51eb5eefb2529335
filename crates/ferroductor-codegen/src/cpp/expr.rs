//! Expressions as text with their precedence, so that only needed parentheses are printed.

use super::ctype::{CType, Lane};
use ferroductor_ir::kernel::RegId;
use ferroductor_ir::{DType, Literal, Scalar};

/// How tightly an expression binds; an operand of a tighter operator is put in parentheses.
/// Shifts, comparisons and bit operators share `Loose`: nobody remembers their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Binds {
    Choice,
    Loose,
    Sum,
    Product,
    Unary,
    Primary,
}

/// An expression of C++.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub text: String,
    pub binds: Binds,
    /// For a vector with equal lanes, the scalar: `x * 2.0f` reads better than a splat. For a
    /// literal, the literal without its type. Only for one operand of an infix operator.
    pub plain: Option<Box<Expr>>,
    /// Does it read memory? Then it may not move across a store.
    pub reads_memory: bool,
    /// The registers it reads: it may not move across their assignments.
    pub registers: Vec<RegId>,
    /// How many operators it holds.
    pub weight: usize,
}

impl Expr {
    pub fn new(text: impl Into<String>, binds: Binds) -> Expr {
        Expr {
            text: text.into(),
            binds,
            plain: None,
            reads_memory: false,
            registers: Vec::new(),
            weight: 0,
        }
    }

    pub fn primary(text: impl Into<String>) -> Expr {
        Expr::new(text, Binds::Primary)
    }

    /// A literal that leaves the other operand of an infix operator as it is: if that has a plain
    /// form too, not both operands may take it.
    pub fn beside_anything(self) -> Expr {
        Expr {
            plain: Some(Box::new(self.clone())),
            ..self
        }
    }

    /// The text, in parentheses if it binds less tightly than this.
    pub fn at_least(&self, binds: Binds) -> String {
        if self.binds < binds {
            format!("({})", self.text)
        } else {
            self.text.clone()
        }
    }

    /// Takes over what the operands read; one operator heavier than they.
    pub fn with_operands<'e>(mut self, operands: impl IntoIterator<Item = &'e Expr>) -> Expr {
        self.weight += 1;
        for operand in operands {
            self.reads_memory |= operand.reads_memory;
            self.registers.extend(&operand.registers);
            self.weight += operand.weight;
        }
        self
    }

    pub fn reading_memory(mut self) -> Expr {
        self.reads_memory = true;
        self
    }

    pub fn call(function: &str, operands: &[&Expr]) -> Expr {
        let texts: Vec<&str> = operands.iter().map(|e| e.text.as_str()).collect();
        let text = format!("{function}({})", texts.join(", "));
        Expr::primary(text).with_operands(operands.iter().copied())
    }

    pub fn unary(operator: &str, operand: &Expr) -> Expr {
        let text = format!("{operator}{}", operand.at_least(Binds::Primary));
        Expr::new(text, Binds::Unary).with_operands([operand])
    }

    /// `a op b`; one of them may be plain.
    pub fn infix(a: &Expr, operator: &str, b: &Expr) -> Expr {
        let (binds, left, right) = match operator {
            "+" | "-" => (Binds::Sum, Binds::Sum, Binds::Product),
            "*" | "/" => (Binds::Product, Binds::Product, Binds::Unary),
            "<" | ">" | "<=" | ">=" | "==" | "!=" => (Binds::Loose, Binds::Sum, Binds::Sum),
            _ => (Binds::Loose, Binds::Unary, Binds::Unary),
        };
        let (a, b) = match (&a.plain, &b.plain) {
            (None, Some(plain)) => (a, &**plain),
            (Some(plain), None) => (&**plain, b),
            _ => (a, b),
        };
        let text = format!("{} {operator} {}", a.at_least(left), b.at_least(right));
        Expr::new(text, binds).with_operands([a, b])
    }

    pub fn choice(condition: &Expr, a: &Expr, b: &Expr) -> Expr {
        let text = format!(
            "{} ? {} : {}",
            condition.at_least(Binds::Loose),
            a.at_least(Binds::Loose),
            b.at_least(Binds::Loose)
        );
        Expr::new(text, Binds::Choice).with_operands([condition, a, b])
    }

    /// `(type)operand`, the same bits of another vector type.
    pub fn reinterpret(ty: CType, operand: &Expr) -> Expr {
        Expr::unary(&format!("({})", ty.name()), operand)
    }
}

/// A scalar literal; narrow types carry their type, which an infix operator does without.
pub(super) fn literal(value: Literal, scalar: Scalar) -> Expr {
    match scalar {
        DType::Bool => Expr::primary(if value.as_bool() { "true" } else { "false" }),
        DType::F32 => {
            let value = value.as_f64() as f32;
            float_literal(f64::from(value), format!("{value:?}f"), ["NAN", "INFINITY"])
        }
        DType::F64 => {
            let value = value.as_f64();
            float_literal(
                value,
                format!("{value:?}"),
                ["double(NAN)", "double(INFINITY)"],
            )
        }
        int => int_literal(value.as_i64(), Lane::of(int)),
    }
}

fn float_literal(value: f64, digits: String, [nan, infinity]: [&str; 2]) -> Expr {
    if value.is_nan() {
        return Expr::primary(nan);
    }
    let magnitude = if value.is_infinite() {
        infinity.to_string()
    } else {
        digits.trim_start_matches('-').to_string()
    };
    if value.is_sign_negative() {
        Expr::new(format!("-{magnitude}"), Binds::Unary)
    } else {
        Expr::primary(magnitude)
    }
}

fn int_literal(value: i64, lane: Lane) -> Expr {
    let value = match lane {
        Lane::I8 => i64::from(value as i8),
        Lane::I16 => i64::from(value as i16),
        Lane::I32 => i64::from(value as i32),
        Lane::U8 => i64::from(value as u8),
        _ => value,
    };
    let plain = plain_int(value);
    match lane {
        // The type of the plain literal.
        Lane::I32 => plain,
        _ => {
            let mut typed = Expr::primary(format!("{}({})", lane.scalar_name(), plain.text));
            typed.plain = Some(Box::new(plain));
            typed
        }
    }
}

/// Digits, or a name where the digits of the smallest integer would not do.
pub(super) fn plain_int(value: i64) -> Expr {
    if value == i64::MIN {
        Expr::primary("INT64_MIN")
    } else if value == i64::from(i32::MIN) {
        Expr::primary("INT32_MIN")
    } else if value < 0 {
        Expr::new(value.to_string(), Binds::Unary)
    } else {
        Expr::primary(value.to_string())
    }
}
