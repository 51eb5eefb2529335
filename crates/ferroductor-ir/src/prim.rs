//! Scalar operators: the one table that nests, kernels, emitters and the interpreter share.
//!
//! A [`Prim`] is *basic* when an emitter has one instruction for it (or a short fixed sequence);
//! the others are *functions*, which the compiler's math library defines by basic prims, so that
//! every emitter and the interpreter give the same bits.
//!
//! Semantics hold for every operand: no prim has undefined behaviour.

use crate::dtype::DType;
use std::fmt;

/// The type of a computed value. `Bool` is a predicate, not a byte.
///
/// `F16` and `BF16` values only exist between a load or store and the conversion beside it.
pub type Scalar = DType;

macro_rules! prims {
    ($($(#[$doc:meta])* $name:ident $text:literal $arity:literal $basic:literal;)*) => {
        /// A scalar operator.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Prim { $($(#[$doc])* $name,)* }

        const TABLE: &[(Prim, &str, usize, bool)] = &[$((Prim::$name, $text, $arity, $basic),)*];
    };
}

prims! {
    // Basic, arithmetic. Integers wrap; floats follow IEEE 754, round to nearest even.
    Add "add" 2 true;
    Sub "sub" 2 true;
    Mul "mul" 2 true;
    /// Floats: IEEE. Integers: towards zero; by zero gives 0, `MIN / -1` gives `MIN`.
    Div "div" 2 true;
    /// Integers only: `a - b * (a div b)`, sign of the dividend; by zero gives 0.
    Rem "rem" 2 true;
    Neg "neg" 1 true;
    Abs "abs" 1 true;
    /// One rounding. Only where the target has the instruction; else the compiler emits mul, add.
    Fma "fma" 3 true;
    /// `a * 2^floor(b)`, rounded once. A quiet NaN times an infinite power is that power; otherwise
    /// NaN stays. Only where the target has the instruction.
    Scale "scale" 2 true;
    Sqrt "sqrt" 1 true;
    Floor "floor" 1 true;
    Ceil "ceil" 1 true;
    Trunc "trunc" 1 true;
    /// To nearest, ties to even.
    Round "round" 1 true;
    /// `a < b ? a : b` exactly: the second operand where either is NaN or both are zeros.
    MinNum "minnum" 2 true;
    /// `a > b ? a : b` exactly: the second operand where either is NaN or both are zeros.
    MaxNum "maxnum" 2 true;
    /// Magnitude of the first operand, sign bit of the second.
    CopySign "copysign" 2 true;
    // Basic, bits: integers and (And, Or, Xor, Not) predicates.
    And "and" 2 true;
    Or "or" 2 true;
    Xor "xor" 2 true;
    Not "not" 1 true;
    /// Shift counts outside `0..bits` give 0.
    Shl "shl" 2 true;
    /// Arithmetic for signed types; counts outside `0..bits` give the sign (0 if unsigned).
    Shr "shr" 2 true;
    // Basic, comparisons: predicate result. Ordered, except `Ne`, which is true on NaN.
    Eq "eq" 2 true;
    Ne "ne" 2 true;
    Lt "lt" 2 true;
    Le "le" 2 true;
    Gt "gt" 2 true;
    Ge "ge" 2 true;
    /// `select(p, a, b)`: `a` where the predicate holds.
    Select "select" 3 true;
    // Functions, for f32 and f64 unless said otherwise.
    /// Like ATen's `minimum`/`amin`: NaN if either is NaN. Also integers.
    Minimum "minimum" 2 false;
    /// Like ATen's `maximum`/`amax`: NaN if either is NaN. Also integers.
    Maximum "maximum" 2 false;
    Exp "exp" 1 false;
    Exp2 "exp2" 1 false;
    Expm1 "expm1" 1 false;
    Log "log" 1 false;
    Log2 "log2" 1 false;
    Log10 "log10" 1 false;
    Log1p "log1p" 1 false;
    Sin "sin" 1 false;
    Cos "cos" 1 false;
    Tan "tan" 1 false;
    Asin "asin" 1 false;
    Acos "acos" 1 false;
    Atan "atan" 1 false;
    Atan2 "atan2" 2 false;
    Sinh "sinh" 1 false;
    Cosh "cosh" 1 false;
    Tanh "tanh" 1 false;
    Asinh "asinh" 1 false;
    Acosh "acosh" 1 false;
    Atanh "atanh" 1 false;
    Erf "erf" 1 false;
    Erfc "erfc" 1 false;
    Sigmoid "sigmoid" 1 false;
    Pow "pow" 2 false;
    /// C's `fmod`: sign of the dividend. Also integers.
    Fmod "fmod" 2 false;
    /// Python's `%` (ATen `remainder`): sign of the divisor. Also integers.
    Remainder "remainder" 2 false;
    /// ATen's `div(rounding_mode="floor")`. Also integers.
    FloorDivide "floor_divide" 2 false;
    /// -1, 0 or 1; 0 (never -0) for zeros and NaN, like ATen's `sign` and `sgn`. Also integers.
    Sign "sign" 1 false;
}

impl Prim {
    pub fn all() -> impl Iterator<Item = Prim> {
        TABLE.iter().map(|row| row.0)
    }
    fn row(self) -> &'static (Prim, &'static str, usize, bool) {
        &TABLE[self as usize]
    }
    /// The name in the text form.
    pub fn name(self) -> &'static str {
        self.row().1
    }
    pub fn arity(self) -> usize {
        self.row().2
    }
    pub fn is_basic(self) -> bool {
        self.row().3
    }
    pub fn from_name(name: &str) -> Option<Prim> {
        TABLE.iter().find(|row| row.1 == name).map(|row| row.0)
    }
    /// Does the result have predicate type whatever the operands' type?
    pub fn is_comparison(self) -> bool {
        use Prim::*;
        matches!(self, Eq | Ne | Lt | Le | Gt | Ge)
    }
    /// Is the value expensive enough that recomputing it per use loses against a store?
    pub fn is_costly(self) -> bool {
        !self.is_basic()
            && !matches!(
                self,
                Prim::Minimum | Prim::Maximum | Prim::Sign | Prim::FloorDivide
            )
            || matches!(self, Prim::Div | Prim::Rem | Prim::Sqrt)
    }
}

impl fmt::Display for Prim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A constant of any scalar type. Floats compare by bits, so NaN equals itself and -0 is not 0.
#[derive(Clone, Copy, Debug)]
pub enum Literal {
    Bool(bool),
    Int(i64),
    Float(f64),
}

impl PartialEq for Literal {
    fn eq(&self, other: &Literal) -> bool {
        match (self, other) {
            (Literal::Bool(a), Literal::Bool(b)) => a == b,
            (Literal::Int(a), Literal::Int(b)) => a == b,
            (Literal::Float(a), Literal::Float(b)) => a.to_bits() == b.to_bits(),
            _ => false,
        }
    }
}
impl Eq for Literal {}
impl std::hash::Hash for Literal {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        match self {
            Literal::Bool(b) => (0u8, u64::from(*b)).hash(state),
            Literal::Int(i) => (1u8, *i as u64).hash(state),
            Literal::Float(x) => (2u8, x.to_bits()).hash(state),
        }
    }
}

impl Literal {
    pub fn as_f64(self) -> f64 {
        match self {
            Literal::Bool(b) => f64::from(u8::from(b)),
            Literal::Int(i) => i as f64,
            Literal::Float(x) => x,
        }
    }
    /// Towards zero, saturating; NaN is 0.
    pub fn as_i64(self) -> i64 {
        match self {
            Literal::Bool(b) => i64::from(b),
            Literal::Int(i) => i,
            Literal::Float(x) => x as i64,
        }
    }
    pub fn as_bool(self) -> bool {
        match self {
            Literal::Bool(b) => b,
            Literal::Int(i) => i != 0,
            Literal::Float(x) => x != 0.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table_rows_stand_in_declaration_order_and_names_are_unique() {
        let mut names = std::collections::HashSet::new();
        for (at, prim) in Prim::all().enumerate() {
            assert_eq!(prim as usize, at);
            assert!(names.insert(prim.name()), "{prim} twice");
            assert_eq!(Prim::from_name(prim.name()), Some(prim));
        }
    }
}
