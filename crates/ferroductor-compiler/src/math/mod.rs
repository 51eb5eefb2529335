//! Definitions of the scalar functions by basic prims.
//!
//! [`function`] gives straight-line code for a prim that is not basic, one type and lane count.
//! Every emitter and the interpreter run the same instructions, so they agree bit for bit. Each
//! definition keeps C's special cases (zeros with sign, subnormal numbers, infinities, NaN) and an
//! error bound that its documentation states and `tests/math_accuracy.rs` checks.
//!
//! What must hold: no instruction whose result is undefined on some CPU; a fused multiply-add only
//! where the target has one.

mod builder;
mod compare;
mod division;
mod erf;
mod exp;
mod format;
mod hyperbolic;
mod inverse_trig;
mod log;
mod pow;
mod trig;
mod trig_double;
mod two;

pub use builder::{Builder, Operand, Value};

use ferroductor_ir::dtype::DType;
use ferroductor_ir::kernel::{Function, Target, Ty};
use ferroductor_ir::prim::Prim;

/// How a definition is written: from operands to result, in the builder.
enum Code {
    Unary(for<'b> fn(Value<'b>) -> Value<'b>),
    Binary(for<'b> fn(Value<'b>, Value<'b>) -> Value<'b>),
}

/// A definition and the error it promises.
struct Definition {
    code: Code,
    /// Units in the last place of the correctly rounded result; zero: the result is exact.
    ulp: f64,
}

fn unary(code: for<'b> fn(Value<'b>) -> Value<'b>, ulp: f64) -> Option<Definition> {
    let code = Code::Unary(code);
    Some(Definition { code, ulp })
}

fn binary(code: for<'b> fn(Value<'b>, Value<'b>) -> Value<'b>, ulp: f64) -> Option<Definition> {
    let code = Code::Binary(code);
    Some(Definition { code, ulp })
}

fn definition(prim: Prim, scalar: DType) -> Option<Definition> {
    match scalar {
        DType::F32 => single(prim),
        DType::F64 => double(prim),
        _ if scalar.is_int() => integer(prim),
        _ => None,
    }
}

fn single(prim: Prim) -> Option<Definition> {
    match prim {
        Prim::Minimum => binary(compare::minimum, 0.0),
        Prim::Maximum => binary(compare::maximum, 0.0),
        Prim::Sign => unary(compare::sign, 0.0),
        Prim::Exp => unary(exp::exp, 1.1),
        Prim::Exp2 => unary(exp::exp2, 1.1),
        Prim::Expm1 => unary(exp::expm1, 1.3),
        Prim::Sigmoid => unary(exp::sigmoid, 1.9),
        Prim::Log => unary(log::log, 1.0),
        Prim::Log2 => unary(log::log2, 1.5),
        Prim::Log10 => unary(log::log10, 1.3),
        Prim::Log1p => unary(log::log1p, 1.6),
        Prim::Tanh => unary(hyperbolic::tanh, 1.4),
        Prim::Erf => unary(erf::erf, 1.5),
        Prim::Sin => unary(trig::sin_f32, 1.6),
        Prim::Cos => unary(trig::cos_f32, 1.6),
        Prim::Pow => binary(pow::pow_f32, 1.0),
        Prim::Tan => unary(trig::tan_f32, 0.6),
        Prim::Asin => unary(|x| in_double(x, inverse_trig::asin), 0.6),
        Prim::Acos => unary(|x| in_double(x, inverse_trig::acos), 0.6),
        Prim::Atan => unary(|x| in_double(x, inverse_trig::atan), 0.6),
        Prim::Atan2 => binary(atan2_f32, 0.6),
        Prim::Sinh => unary(|x| in_double(x, hyperbolic::sinh), 0.6),
        Prim::Cosh => unary(|x| in_double(x, hyperbolic::cosh), 0.6),
        Prim::Asinh => unary(|x| in_double(x, hyperbolic::asinh), 0.6),
        Prim::Acosh => unary(|x| in_double(x, hyperbolic::acosh), 0.6),
        Prim::Atanh => unary(|x| in_double(x, hyperbolic::atanh), 0.6),
        Prim::Erfc => unary(|x| in_double(x, erf::erfc), 0.6),
        Prim::Fmod => binary(division::fmod_f32, 0.0),
        Prim::Remainder => binary(division::remainder_f32, 0.5),
        Prim::FloorDivide => binary(division::floor_divide_f32, 0.5),
        _ => None,
    }
}

fn double(prim: Prim) -> Option<Definition> {
    match prim {
        Prim::Minimum => binary(compare::minimum, 0.0),
        Prim::Maximum => binary(compare::maximum, 0.0),
        Prim::Sign => unary(compare::sign, 0.0),
        Prim::Exp => unary(exp::exp, 1.1),
        Prim::Exp2 => unary(exp::exp2, 1.2),
        Prim::Expm1 => unary(exp::expm1, 1.2),
        Prim::Sigmoid => unary(exp::sigmoid, 1.9),
        Prim::Log => unary(log::log, 1.0),
        Prim::Log2 => unary(log::log2, 1.4),
        Prim::Log10 => unary(log::log10, 1.4),
        Prim::Log1p => unary(log::log1p, 1.5),
        Prim::Tanh => unary(hyperbolic::tanh, 1.4),
        Prim::Asin => unary(inverse_trig::asin, 0.7),
        Prim::Acos => unary(inverse_trig::acos, 1.1),
        Prim::Atan => unary(inverse_trig::atan, 1.6),
        Prim::Atan2 => binary(inverse_trig::atan2, 2.0),
        Prim::Sinh => unary(hyperbolic::sinh, 2.0),
        Prim::Cosh => unary(hyperbolic::cosh, 1.5),
        Prim::Asinh => unary(hyperbolic::asinh, 1.7),
        Prim::Acosh => unary(hyperbolic::acosh, 2.1),
        Prim::Atanh => unary(hyperbolic::atanh, 1.6),
        Prim::Erf => unary(erf::erf, 1.4),
        Prim::Erfc => unary(erf::erfc, 3.5),
        Prim::Pow => binary(pow::pow_f64, 1.1),
        Prim::Sin => unary(trig_double::sin_f64, 1.0),
        Prim::Cos => unary(trig_double::cos_f64, 1.0),
        Prim::Tan => unary(trig_double::tan_f64, 1.0),
        _ => None,
    }
}

fn integer(prim: Prim) -> Option<Definition> {
    match prim {
        Prim::Minimum => binary(compare::minimum, 0.0),
        Prim::Maximum => binary(compare::maximum, 0.0),
        Prim::Sign => unary(compare::sign, 0.0),
        Prim::Pow => binary(pow::pow_int, 0.0),
        Prim::Fmod => binary(division::fmod_int, 0.0),
        Prim::Remainder => binary(division::remainder_int, 0.0),
        Prim::FloorDivide => binary(division::floor_divide_int, 0.0),
        _ => None,
    }
}

/// A single-precision function by a double-precision one.
fn in_double<'b>(x: Value<'b>, code: fn(Value<'b>) -> Value<'b>) -> Value<'b> {
    code(x.convert(DType::F64)).convert(DType::F32)
}

fn atan2_f32<'b>(y: Value<'b>, x: Value<'b>) -> Value<'b> {
    let wide = inverse_trig::atan2(y.convert(DType::F64), x.convert(DType::F64));
    wide.convert(DType::F32)
}

/// Is there a definition of the prim for this scalar type?
pub fn has_function(prim: Prim, scalar: DType) -> bool {
    definition(prim, scalar).is_some()
}

/// The stated error bound in units in the last place; zero where results are exact.
pub fn error_bound(prim: Prim, scalar: DType) -> Option<f64> {
    definition(prim, scalar).map(|definition| definition.ulp)
}

/// The definition of `prim` on values of type `ty`; `None` where there is none, so that the
/// operator is left to ATen.
pub fn function(prim: Prim, ty: Ty, target: &Target) -> Option<Function> {
    let definition = definition(prim, ty.scalar)?;
    let builder = Builder::new(ty.lanes, target);
    let first = builder.param(ty.scalar);
    let result = match definition.code {
        Code::Unary(code) => code(first),
        Code::Binary(code) => code(first, builder.param(ty.scalar)),
    };
    Some(builder.finish(prim, result, describe(definition.ulp)))
}

fn describe(ulp: f64) -> String {
    if ulp == 0.0 {
        "exact".to_string()
    } else {
        format!("error at most {ulp} ULP")
    }
}
