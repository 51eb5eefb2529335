//! Writes straight-line code as ordinary Rust expressions.
//!
//! A [`Value`] is a handle into its [`Builder`]; arithmetic on values appends instructions. Equal
//! instructions are appended once, so a formula may repeat a subexpression freely. Types are the
//! author's duty: operands of one instruction have one type, numbers take the other operand's.
//!
//! Fused multiply-add exists only on some targets. [`Value::fma`] is a multiplication and an
//! addition elsewhere, with two roundings; a formula that needs the exact product asks for
//! [`Value::exact_product`].

use ferroductor_ir::dtype::DType;
use ferroductor_ir::kernel::{Function, Op, Rare, Target, Ty, ValueId};
use ferroductor_ir::prim::{Literal, Prim};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops;

/// Collects the instructions of one function.
pub struct Builder {
    lanes: u32,
    has_fma: bool,
    has_scale: bool,
    code: RefCell<Code>,
}

#[derive(Default)]
struct Code {
    params: Vec<ValueId>,
    body: Vec<(ValueId, Op)>,
    /// Indexed by value id.
    scalars: Vec<DType>,
    known: HashMap<Op, ValueId>,
    /// The predicate of the lanes that take another result, and that result.
    rare: Option<(ValueId, ValueId)>,
}

impl Code {
    fn new_value(&mut self, scalar: DType) -> ValueId {
        let id = ValueId(self.scalars.len() as u32);
        self.scalars.push(scalar);
        id
    }

    /// Which values the given ones need, themselves included.
    fn needed(&self, wanted: Vec<ValueId>) -> Vec<bool> {
        let mut needed = vec![false; self.scalars.len()];
        for id in wanted {
            needed[id.0 as usize] = true;
        }
        for (id, op) in self.body.iter().rev() {
            if needed[id.0 as usize] {
                for operand in operands(op) {
                    needed[operand.0 as usize] = true;
                }
            }
        }
        needed
    }
}

/// A value of the function under construction.
#[derive(Clone, Copy)]
pub struct Value<'b> {
    builder: &'b Builder,
    id: ValueId,
}

impl Builder {
    pub fn new(lanes: u32, target: &Target) -> Builder {
        Builder {
            lanes,
            has_fma: target.has_fma,
            has_scale: target.has_scale(),
            code: RefCell::default(),
        }
    }

    pub fn has_fma(&self) -> bool {
        self.has_fma
    }

    /// Is there [`Prim::Scale`]?
    pub fn has_scale(&self) -> bool {
        self.has_scale
    }

    /// The next operand of the function.
    pub fn param(&self, scalar: DType) -> Value<'_> {
        let mut code = self.code.borrow_mut();
        let id = code.new_value(scalar);
        code.params.push(id);
        Value { builder: self, id }
    }

    pub fn constant(&self, scalar: DType, value: Literal) -> Value<'_> {
        let ty = Ty::new(scalar, self.lanes);
        self.append(Op::Const { value, ty }, scalar)
    }

    fn append(&self, op: Op, scalar: DType) -> Value<'_> {
        let mut code = self.code.borrow_mut();
        if let Some(&id) = code.known.get(&op) {
            return Value { builder: self, id };
        }
        let id = code.new_value(scalar);
        code.known.insert(op.clone(), id);
        code.body.push((id, op));
        Value { builder: self, id }
    }

    /// Ends the function: everything that its results do not need is dropped, what only the rare one
    /// needs is set apart, ids are dense again.
    pub fn finish(&self, prim: Prim, result: Value<'_>, doc: String) -> Function {
        let code = self.code.borrow();
        let mut usual = vec![result.id];
        usual.extend(code.rare.map(|(lanes, _)| lanes));
        let usual = code.needed(usual);
        let all = code.needed(code.rare.map(|(_, other)| other).into_iter().collect());
        let mut renamed: HashMap<ValueId, ValueId> = HashMap::new();
        for &param in &code.params {
            renamed.insert(param, ValueId(renamed.len() as u32));
        }
        let mut chosen = |is_wanted: &dyn Fn(usize) -> bool| {
            let mut body = Vec::new();
            for (id, op) in &code.body {
                if is_wanted(id.0 as usize) {
                    let op = with_operands(op, &|old| renamed[&old]);
                    let new = ValueId(renamed.len() as u32);
                    renamed.insert(*id, new);
                    body.push((new, op));
                }
            }
            body
        };
        let body = chosen(&|id| usual[id]);
        let apart = chosen(&|id| all[id] && !usual[id]);
        Function {
            prim,
            ty: Ty::new(result.scalar(), self.lanes),
            params: code.params.iter().map(|param| renamed[param]).collect(),
            body,
            result: renamed[&result.id],
            rare: code.rare.map(|(lanes, other)| Rare {
                lanes: renamed[&lanes],
                body: apart,
                result: renamed[&other],
            }),
            doc,
        }
    }
}

/// The operands of the instructions that a builder appends.
fn operands(op: &Op) -> Vec<ValueId> {
    match op {
        Op::Prim { args, .. } => args.clone(),
        Op::Convert { value, .. } | Op::Bitcast { value, .. } => vec![*value],
        _ => Vec::new(),
    }
}

fn with_operands(op: &Op, rename: &dyn Fn(ValueId) -> ValueId) -> Op {
    match op {
        Op::Prim { prim, args } => Op::Prim {
            prim: *prim,
            args: args.iter().map(|&arg| rename(arg)).collect(),
        },
        Op::Convert { value, to } => Op::Convert {
            value: rename(*value),
            to: *to,
        },
        Op::Bitcast { value, to } => Op::Bitcast {
            value: rename(*value),
            to: *to,
        },
        other => other.clone(),
    }
}

/// What may stand beside a value in an expression: another value, or a number of its type.
pub trait Operand<'b> {
    fn beside(self, value: Value<'b>) -> Value<'b>;
}

impl<'b> Operand<'b> for Value<'b> {
    fn beside(self, _: Value<'b>) -> Value<'b> {
        self
    }
}

impl<'b> Operand<'b> for f64 {
    fn beside(self, value: Value<'b>) -> Value<'b> {
        value.builder.constant(value.scalar(), Literal::Float(self))
    }
}

impl<'b> Operand<'b> for i64 {
    fn beside(self, value: Value<'b>) -> Value<'b> {
        value.builder.constant(value.scalar(), Literal::Int(self))
    }
}

macro_rules! binary_methods {
    ($($name:ident $prim:ident;)*) => {
        $(pub fn $name(self, other: impl Operand<'b>) -> Value<'b> {
            self.binary(Prim::$prim, other)
        })*
    };
}

macro_rules! unary_methods {
    ($($name:ident $prim:ident;)*) => {
        $(pub fn $name(self) -> Value<'b> {
            self.prim(Prim::$prim, &[], self.scalar())
        })*
    };
}

impl<'b> Value<'b> {
    pub fn scalar(self) -> DType {
        self.builder.code.borrow().scalars[self.id.0 as usize]
    }

    pub fn builder(self) -> &'b Builder {
        self.builder
    }

    /// A constant of this value's type.
    pub fn number(self, number: impl Operand<'b>) -> Value<'b> {
        number.beside(self)
    }

    fn prim(self, prim: Prim, others: &[Value<'b>], scalar: DType) -> Value<'b> {
        let mut args = vec![self.id];
        args.extend(others.iter().map(|other| other.id));
        self.builder.append(Op::Prim { prim, args }, scalar)
    }

    fn binary(self, prim: Prim, other: impl Operand<'b>) -> Value<'b> {
        let scalar = if prim.is_comparison() {
            DType::Bool
        } else {
            self.scalar()
        };
        self.prim(prim, &[other.beside(self)], scalar)
    }

    unary_methods! {
        abs Abs; sqrt Sqrt; floor Floor; ceil Ceil; trunc Trunc; round Round;
    }

    binary_methods! {
        min_num MinNum; max_num MaxNum; copy_sign CopySign; scale_by Scale;
        eq Eq; ne Ne; lt Lt; le Le; gt Gt; ge Ge;
    }

    /// `self * factor + summand`: one rounding where the target has the instruction, else two.
    pub fn fma(self, factor: impl Operand<'b>, summand: impl Operand<'b>) -> Value<'b> {
        let (factor, summand) = (factor.beside(self), summand.beside(self));
        if self.builder.has_fma {
            self.prim(Prim::Fma, &[factor, summand], self.scalar())
        } else {
            self * factor + summand
        }
    }

    /// `summand - self * factor`, rounded like [`Value::fma`].
    pub fn fnma(self, factor: impl Operand<'b>, summand: impl Operand<'b>) -> Value<'b> {
        let factor = factor.beside(self);
        if self.builder.has_fma {
            (-factor).fma(self, summand)
        } else {
            summand.beside(self) - self * factor
        }
    }

    /// The product as an unevaluated sum `high + low`, exact unless a part underflows or
    /// overflows.
    pub fn exact_product(self, factor: Value<'b>) -> (Value<'b>, Value<'b>) {
        let high = self * factor;
        if self.builder.has_fma {
            return (high, self.fma(factor, -high));
        }
        let ((a, b), (c, d)) = (self.halves(), factor.halves());
        let low = ((a * c - high) + a * d + b * c) + b * d;
        (high, low)
    }

    /// Two summands of half as many significant bits each, so that their products are exact.
    /// Masking the bits, unlike Veltkamp's multiplication, cannot overflow.
    fn halves(self) -> (Value<'b>, Value<'b>) {
        let low_bits: i64 = if self.scalar() == DType::F64 { 27 } else { 12 };
        let high = (self.bits() & -(1i64 << low_bits)).float();
        (high, self - high)
    }

    /// `self` where the predicate holds, else `otherwise`.
    pub fn where_(self, predicate: Value<'b>, otherwise: impl Operand<'b>) -> Value<'b> {
        predicate.select(self, otherwise.beside(self))
    }

    /// On a predicate: `then` where it holds, else `otherwise`.
    pub fn select(self, then: Value<'b>, otherwise: Value<'b>) -> Value<'b> {
        self.prim(Prim::Select, &[then, otherwise], then.scalar())
    }

    /// On the function's result: lanes where the predicate holds take `other` instead. For operands
    /// that are seldom met: the code of `other` is skipped where no lane needs it.
    pub fn unless(self, predicate: Value<'b>, other: Value<'b>) -> Value<'b> {
        self.builder.code.borrow_mut().rare = Some((predicate.id, other.id));
        self
    }

    pub fn is_nan(self) -> Value<'b> {
        self.ne(self)
    }

    /// The bit pattern, as an integer as wide as this float.
    pub fn bits(self) -> Value<'b> {
        self.bitcast(match self.scalar() {
            DType::F64 => DType::I64,
            _ => DType::I32,
        })
    }

    /// The float with this bit pattern.
    pub fn float(self) -> Value<'b> {
        self.bitcast(match self.scalar() {
            DType::I64 => DType::F64,
            _ => DType::F32,
        })
    }

    fn bitcast(self, to: DType) -> Value<'b> {
        let value = self.id;
        self.builder.append(Op::Bitcast { value, to }, to)
    }

    pub fn convert(self, to: DType) -> Value<'b> {
        if self.scalar() == to {
            return self;
        }
        let value = self.id;
        self.builder.append(Op::Convert { value, to }, to)
    }

    /// A polynomial in `self` by Horner's rule, constant coefficient first.
    pub fn polynomial(self, coefficients: &[f64]) -> Value<'b> {
        let (last, rest) = coefficients
            .split_last()
            .expect("a polynomial has a coefficient");
        let start = self.number(*last);
        rest.iter().rev().fold(start, |sum, &c| sum.fma(self, c))
    }

    /// The same polynomial in pairs (Estrin's rule): a few more products, half the latency.
    pub fn polynomial_in_pairs(self, coefficients: &[f64]) -> Value<'b> {
        let mut terms: Vec<Value<'b>> = coefficients.iter().map(|&c| self.number(c)).collect();
        let mut power = self;
        while terms.len() > 1 {
            terms = terms
                .chunks(2)
                .map(|pair| match pair {
                    [low, high] => high.fma(power, *low),
                    _ => pair[0],
                })
                .collect();
            power = power * power;
        }
        terms[0]
    }

    fn literal(self) -> Option<Literal> {
        let code = self.builder.code.borrow();
        code.body
            .iter()
            .find(|(id, _)| *id == self.id)
            .and_then(|(_, op)| match op {
                Op::Const { value, .. } => Some(*value),
                _ => None,
            })
    }
}

macro_rules! operators {
    ($($trait:ident $method:ident;)*) => {
        $(impl<'b, R: Operand<'b>> ops::$trait<R> for Value<'b> {
            type Output = Value<'b>;
            fn $method(self, other: R) -> Value<'b> {
                self.binary(Prim::$trait, other)
            }
        }
        impl<'b> ops::$trait<Value<'b>> for f64 {
            type Output = Value<'b>;
            fn $method(self, other: Value<'b>) -> Value<'b> {
                other.number(self).binary(Prim::$trait, other)
            }
        }
        impl<'b> ops::$trait<Value<'b>> for i64 {
            type Output = Value<'b>;
            fn $method(self, other: Value<'b>) -> Value<'b> {
                other.number(self).binary(Prim::$trait, other)
            }
        })*
    };
}

operators! { Add add; Sub sub; Mul mul; Div div; }

macro_rules! value_operators {
    ($($trait:ident $method:ident $prim:ident;)*) => {
        $(impl<'b, R: Operand<'b>> ops::$trait<R> for Value<'b> {
            type Output = Value<'b>;
            fn $method(self, other: R) -> Value<'b> {
                self.binary(Prim::$prim, other)
            }
        })*
    };
}

value_operators! {
    Rem rem Rem; Shl shl Shl; Shr shr Shr;
    BitAnd bitand And; BitOr bitor Or; BitXor bitxor Xor;
}

impl<'b> ops::Not for Value<'b> {
    type Output = Value<'b>;
    fn not(self) -> Value<'b> {
        self.prim(Prim::Not, &[], self.scalar())
    }
}

impl<'b> ops::Neg for Value<'b> {
    type Output = Value<'b>;
    fn neg(self) -> Value<'b> {
        match self.literal() {
            Some(Literal::Float(x)) => self.number(-x),
            Some(Literal::Int(x)) => self.number(x.wrapping_neg()),
            _ => self.prim(Prim::Neg, &[], self.scalar()),
        }
    }
}
