//! Runs functions of the math library over whole columns of operands, and measures errors.
//!
//! The columns are a faster form of the reference interpreter, which goes lane by lane through
//! one 64-bit representation; `math_special.rs` checks that both give the same bits.
#![allow(dead_code)]

pub mod exact;

use ferroductor_ir::DType;
use ferroductor_ir::interp::scalar;
use ferroductor_ir::kernel::{Function, Isa, Op, Target, Ty, ValueId};
use ferroductor_ir::prim::{Literal, Prim};

/// The lanes of a value.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    Bool(Vec<bool>),
}

/// What definitions differ by: everything, a fused multiply-add alone, nothing.
pub const KINDS: [Isa; 3] = [Isa::Avx512, Isa::Avx2, Isa::Sse42];

/// The function for `lanes` lanes; the test names a prim that has one.
pub fn function(prim: Prim, scalar: DType, lanes: usize, kind: Isa) -> Function {
    let ty = Ty::new(scalar, lanes as u32);
    ferroductor_compiler::math::function(prim, ty, &Target::of(kind))
        .unwrap_or_else(|| panic!("no {prim} for {scalar}"))
}

/// How many instructions run for each vector: constants stay in registers, bit casts are free, and
/// rare operands are not met.
pub fn instructions(function: &Function) -> usize {
    let is_free = |op: &Op| matches!(op, Op::Const { .. } | Op::Bitcast { .. });
    function.body.iter().filter(|(_, op)| !is_free(op)).count()
}

/// A row of a table in `docs/math.md`: errors and instructions for each kind of target.
pub fn row(prim: Prim, scalar: DType, bound: f64, errors: [f64; 3]) -> String {
    let errors = errors.map(|error| format!("{error:.3}")).join(" | ");
    let counts = KINDS.map(|kind| instructions(&function(prim, scalar, 1, kind)).to_string());
    format!("| {prim} | {bound} | {errors} | {} |", counts.join(" | "))
}

/// Runs the function's code on its operands' columns.
pub fn run(function: &Function, operands: &[Column]) -> Column {
    let count = function.params.len() + function.code().count();
    let mut values: Vec<Option<Column>> = vec![None; count];
    for (param, column) in function.params.iter().zip(operands) {
        values[param.0 as usize] = Some(column.clone());
    }
    let value = |values: &[Option<Column>], id: ValueId| -> Column {
        values[id.0 as usize]
            .clone()
            .expect("defined before its use")
    };
    for (id, op) in function.code() {
        let result = match op {
            Op::Const { value, ty } => constant(*value, *ty),
            Op::Prim { prim, args } => {
                let args: Vec<&Column> = args
                    .iter()
                    .map(|arg| {
                        values[arg.0 as usize]
                            .as_ref()
                            .expect("defined before its use")
                    })
                    .collect();
                apply(*prim, &args)
            }
            Op::Convert { value: from, to } => convert(&value(&values, *from), *to),
            Op::Bitcast { value: from, to } => bitcast(&value(&values, *from), *to),
            other => panic!("{other:?} in a function"),
        };
        values[id.0 as usize] = Some(result);
    }
    let usual = value(&values, function.result);
    match &function.rare {
        Some(rare) => {
            let (lanes, other) = (value(&values, rare.lanes), value(&values, rare.result));
            apply(Prim::Select, &[&lanes, &other, &usual])
        }
        None => usual,
    }
}

fn constant(value: Literal, ty: Ty) -> Column {
    let lanes = ty.lanes as usize;
    match ty.scalar {
        DType::F32 => Column::F32(vec![value.as_f64() as f32; lanes]),
        DType::F64 => Column::F64(vec![value.as_f64(); lanes]),
        DType::I32 => Column::I32(vec![value.as_i64() as i32; lanes]),
        DType::I64 => Column::I64(vec![value.as_i64(); lanes]),
        DType::Bool => Column::Bool(vec![value.as_bool(); lanes]),
        other => panic!("constant of {other}"),
    }
}

fn apply(prim: Prim, args: &[&Column]) -> Column {
    use Column::*;
    match args {
        [Bool(p), F32(a), F32(b)] => F32(select(p, a, b)),
        [Bool(p), F64(a), F64(b)] => F64(select(p, a, b)),
        [Bool(p), I32(a), I32(b)] => I32(select(p, a, b)),
        [Bool(p), I64(a), I64(b)] => I64(select(p, a, b)),
        [Bool(p), Bool(a), Bool(b)] => Bool(select(p, a, b)),
        [F32(a)] => F32(map(a, single::unary(prim))),
        [F64(a)] => F64(map(a, double::unary(prim))),
        [F32(a), F32(b)] => single::compare(prim).map_or_else(
            || F32(zip(a, b, single::binary(prim))),
            |compare| Bool(zip(a, b, compare)),
        ),
        [F64(a), F64(b)] => double::compare(prim).map_or_else(
            || F64(zip(a, b, double::binary(prim))),
            |compare| Bool(zip(a, b, compare)),
        ),
        [F32(a), F32(b), F32(c)] => F32(zip3(a, b, c, f32::mul_add)),
        [F64(a), F64(b), F64(c)] => F64(zip3(a, b, c, f64::mul_add)),
        [I32(a), I32(b)] => int32::compare(prim).map_or_else(
            || I32(zip(a, b, int32::binary(prim))),
            |compare| Bool(zip(a, b, compare)),
        ),
        [I64(a), I64(b)] => int64::compare(prim).map_or_else(
            || I64(zip(a, b, int64::binary(prim))),
            |compare| Bool(zip(a, b, compare)),
        ),
        [Bool(a), Bool(b)] => Bool(zip(a, b, predicate(prim))),
        [Bool(a)] => Bool(a.iter().map(|a| !a).collect()),
        [I32(a)] => I32(a
            .iter()
            .map(|&a| int_unary(prim, a.into()) as i32)
            .collect()),
        [I64(a)] => I64(a.iter().map(|&a| int_unary(prim, a)).collect()),
        _ => panic!("{prim} on these operands"),
    }
}

fn int_unary(prim: Prim, a: i64) -> i64 {
    match prim {
        Prim::Neg => a.wrapping_neg(),
        Prim::Abs => a.wrapping_abs(),
        Prim::Not => !a,
        _ => panic!("{prim} on integers"),
    }
}

fn select<T: Copy>(p: &[bool], a: &[T], b: &[T]) -> Vec<T> {
    p.iter()
        .zip(a.iter().zip(b))
        .map(|(&p, (&a, &b))| if p { a } else { b })
        .collect()
}

fn map<T: Copy, U>(a: &[T], f: impl Fn(T) -> U) -> Vec<U> {
    a.iter().map(|&a| f(a)).collect()
}

fn zip<T: Copy, U>(a: &[T], b: &[T], f: impl Fn(T, T) -> U) -> Vec<U> {
    a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
}

fn zip3<T: Copy>(a: &[T], b: &[T], c: &[T], f: impl Fn(T, T, T) -> T) -> Vec<T> {
    a.iter()
        .zip(b)
        .zip(c)
        .map(|((&a, &b), &c)| f(a, b, c))
        .collect()
}

fn predicate(prim: Prim) -> fn(bool, bool) -> bool {
    match prim {
        Prim::And => |a, b| a & b,
        Prim::Or => |a, b| a | b,
        Prim::Xor | Prim::Ne => |a, b| a ^ b,
        Prim::Eq => |a, b| a == b,
        _ => panic!("{prim} on predicates"),
    }
}

macro_rules! comparisons {
    ($ty:ty) => {
        pub fn compare(prim: Prim) -> Option<fn($ty, $ty) -> bool> {
            Some(match prim {
                Prim::Eq => |a, b| a == b,
                Prim::Ne => |a, b| a != b,
                Prim::Lt => |a, b| a < b,
                Prim::Le => |a, b| a <= b,
                Prim::Gt => |a, b| a > b,
                Prim::Ge => |a, b| a >= b,
                _ => return None,
            })
        }
    };
}

macro_rules! float_ops {
    ($module:ident $ty:ty, $scalar:ident) => {
        mod $module {
            use super::{DType, Prim, scalar};
            comparisons!($ty);
            pub fn unary(prim: Prim) -> fn($ty) -> $ty {
                match prim {
                    Prim::Neg => |a| -a,
                    Prim::Abs => <$ty>::abs,
                    Prim::Sqrt => <$ty>::sqrt,
                    Prim::Floor => <$ty>::floor,
                    Prim::Ceil => <$ty>::ceil,
                    Prim::Trunc => <$ty>::trunc,
                    Prim::Round => <$ty>::round_ties_even,
                    _ => panic!("{prim} on one float"),
                }
            }
            pub fn binary(prim: Prim) -> fn($ty, $ty) -> $ty {
                match prim {
                    Prim::Add => |a, b| a + b,
                    Prim::Sub => |a, b| a - b,
                    Prim::Mul => |a, b| a * b,
                    Prim::Div => |a, b| a / b,
                    Prim::MinNum => |a, b| if a < b { a } else { b },
                    Prim::MaxNum => |a, b| if a > b { a } else { b },
                    Prim::CopySign => <$ty>::copysign,
                    Prim::Scale => |a, b| {
                        let operands = [a.to_bits().into(), b.to_bits().into()];
                        let lane = scalar::prim(Prim::Scale, DType::$scalar, &operands);
                        <$ty>::from_bits(lane.expect("a basic prim") as _)
                    },
                    _ => panic!("{prim} on two floats"),
                }
            }
        }
    };
}

macro_rules! int_ops {
    ($module:ident $ty:ty) => {
        mod $module {
            use super::Prim;
            comparisons!($ty);
            pub fn binary(prim: Prim) -> fn($ty, $ty) -> $ty {
                match prim {
                    Prim::Add => <$ty>::wrapping_add,
                    Prim::Sub => <$ty>::wrapping_sub,
                    Prim::Mul => <$ty>::wrapping_mul,
                    Prim::Div => |a, b| if b == 0 { 0 } else { a.wrapping_div(b) },
                    Prim::Rem => |a, b| if b == 0 { 0 } else { a.wrapping_rem(b) },
                    Prim::MinNum => <$ty>::min,
                    Prim::MaxNum => <$ty>::max,
                    Prim::And => |a, b| a & b,
                    Prim::Or => |a, b| a | b,
                    Prim::Xor => |a, b| a ^ b,
                    Prim::Shl => |a, b| match u32::try_from(b) {
                        Ok(b) if b < <$ty>::BITS => a << b,
                        _ => 0,
                    },
                    Prim::Shr => |a, b| match u32::try_from(b) {
                        Ok(b) if b < <$ty>::BITS => a >> b,
                        _ => a >> (<$ty>::BITS - 1),
                    },
                    _ => panic!("{prim} on two integers"),
                }
            }
        }
    };
}

float_ops!(single f32, F32);
float_ops!(double f64, F64);
int_ops!(int32 i32);
int_ops!(int64 i64);

fn convert(column: &Column, to: DType) -> Column {
    use Column::*;
    match (column, to) {
        (F32(a), DType::F64) => F64(map(a, f64::from)),
        (F64(a), DType::F32) => F32(map(a, |a| a as f32)),
        (F32(a), DType::I32) => I32(map(a, |a| to_i32(a.into()))),
        (F64(a), DType::I32) => I32(map(a, to_i32)),
        (I32(a), DType::F32) => F32(map(a, |a| a as f32)),
        (I32(a), DType::F64) => F64(map(a, f64::from)),
        (I64(a), DType::I32) => I32(map(a, |a| a as i32)),
        (I32(a), DType::I64) => I64(map(a, i64::from)),
        (Bool(a), DType::I32) => I32(map(a, i32::from)),
        (Bool(a), DType::I64) => I64(map(a, i64::from)),
        (column, to) => panic!("conversion to {to} of {column:?}"),
    }
}

fn to_i32(value: f64) -> i32 {
    if value.trunc() >= -2147483648.0 && value.trunc() < 2147483648.0 {
        value as i32
    } else {
        i32::MIN
    }
}

fn bitcast(column: &Column, to: DType) -> Column {
    use Column::*;
    match (column, to) {
        (F32(a), DType::I32) => I32(map(a, |a| a.to_bits() as i32)),
        (F64(a), DType::I64) => I64(map(a, |a| a.to_bits() as i64)),
        (I32(a), DType::F32) => F32(map(a, |a| f32::from_bits(a as u32))),
        (I64(a), DType::F64) => F64(map(a, |a| f64::from_bits(a as u64))),
        (column, to) => panic!("bit cast to {to} of {column:?}"),
    }
}

/// Error of an `f32` result in units of the last place of the exact value, which `exact`
/// approximates far better than `f32` does. Infinite where NaN, infinity or the sign of a zero
/// is wrong.
pub fn ulp_error_f32(got: f32, exact: f64) -> f64 {
    if exact.is_nan() || got.is_nan() {
        return if exact.is_nan() && got.is_nan() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    if exact.is_infinite() || exact == 0.0 {
        return if f64::from(got).to_bits() == exact.to_bits() {
            0.0
        } else {
            f64::INFINITY
        };
    }
    if got.is_sign_negative() != exact.is_sign_negative() {
        return f64::INFINITY;
    }
    // Beyond the greatest number the scale goes on as if the format had another exponent.
    let got = if got.is_infinite() {
        f64::from(got.signum()) * f64::powi(2.0, 128)
    } else {
        got.into()
    };
    let exact = exact.clamp(-f64::powi(2.0, 128), f64::powi(2.0, 128));
    (got - exact).abs() / ulp_f32(exact)
}

fn ulp_f32(exact: f64) -> f64 {
    let exponent = (exact.abs().to_bits() >> 52) as i32 - 1023;
    f64::powi(2.0, exponent.clamp(-126, 127) - 23)
}
