//! A thin layer over inkwell's builder: values with their loop-IR type, constants, and one method
//! per LLVM instruction that takes scalars and vectors alike.
//!
//! What must hold: the kernel was verified, for LLVM itself checks operand types only afterwards.
//! A value of one lane is an LLVM scalar, of more lanes an LLVM vector; `Bool` is `i1`; `F16` and
//! `BF16` travel as `i16`, so that nothing but the conversions ever interprets their bits.

use std::num::NonZero;

use ferroductor_ir::kernel::{Isa, Target, Ty};
use ferroductor_ir::{DType, Literal, Scalar};
use inkwell::builder::Builder;
use inkwell::context::Context;
use inkwell::intrinsics::Intrinsic;
use inkwell::module::Module;
use inkwell::types::{BasicType, BasicTypeEnum, IntType, VectorType};
use inkwell::values::{
    AnyValue, BasicMetadataValueEnum, BasicValueEnum, CallSiteValue, InstructionOpcode, IntValue,
    VectorValue,
};
use inkwell::{FloatPredicate, IntPredicate};

use super::error::{CodegenError, malformed, unsupported};

/// An LLVM value of a known loop-IR type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'c> {
    pub llvm: BasicValueEnum<'c>,
    pub ty: Ty,
    /// Set where every lane is this constant.
    pub literal: Option<Literal>,
}

impl<'c> Value<'c> {
    pub fn new(llvm: BasicValueEnum<'c>, ty: Ty) -> Value<'c> {
        Value {
            llvm,
            ty,
            literal: None,
        }
    }
}

/// Everything an instruction needs to be built.
pub(super) struct Build<'c, 'm> {
    pub context: &'c Context,
    pub module: &'m Module<'c>,
    pub builder: Builder<'c>,
    pub target: &'m Target,
}

pub(super) type Built<'c> = Result<BasicValueEnum<'c>, CodegenError>;

impl<'c, 'm> Build<'c, 'm> {
    pub fn new(context: &'c Context, module: &'m Module<'c>, target: &'m Target) -> Build<'c, 'm> {
        Build {
            context,
            module,
            builder: context.create_builder(),
            target,
        }
    }

    pub fn is_x86(&self) -> bool {
        self.target.isa != Isa::Neon
    }

    // Types.

    /// The LLVM type of one lane.
    pub fn lane_type(&self, scalar: Scalar) -> Result<BasicTypeEnum<'c>, CodegenError> {
        Ok(match scalar {
            DType::Bool => self.context.bool_type().into(),
            DType::U8 | DType::I8 => self.context.i8_type().into(),
            DType::I16 | DType::F16 | DType::BF16 => self.context.i16_type().into(),
            DType::I32 => self.context.i32_type().into(),
            DType::I64 => self.context.i64_type().into(),
            DType::F32 => self.context.f32_type().into(),
            DType::F64 => self.context.f64_type().into(),
            DType::Opaque(_) => return unsupported(format!("values of type {scalar}")),
        })
    }

    pub fn llvm_type(&self, ty: Ty) -> Result<BasicTypeEnum<'c>, CodegenError> {
        Ok(vector_of(self.lane_type(ty.scalar)?, ty.lanes))
    }

    /// As [`Build::llvm_type`], but as stored: `Bool` is a byte.
    pub fn memory_type(&self, ty: Ty) -> Result<BasicTypeEnum<'c>, CodegenError> {
        match ty.scalar {
            DType::Bool => self.llvm_type(ty.with(DType::U8)),
            _ => self.llvm_type(ty),
        }
    }

    /// The integer type of `bits` bits with as many lanes as `like`.
    pub fn int_type(&self, bits: u32, like: BasicValueEnum<'c>) -> BasicTypeEnum<'c> {
        let lane: BasicTypeEnum<'c> = match bits {
            8 => self.context.i8_type().into(),
            16 => self.context.i16_type().into(),
            32 => self.context.i32_type().into(),
            _ => self.context.i64_type().into(),
        };
        vector_of(lane, lanes_of(like))
    }

    /// The integer of as many bits as asked: a vector of predicates, or the mask of an instruction.
    pub fn bits_type(&self, bits: u32) -> Result<IntType<'c>, CodegenError> {
        let refused = |e: &str| CodegenError::Llvm(e.into());
        let bits = NonZero::new(bits).ok_or_else(|| refused("no bits"))?;
        self.context.custom_width_int_type(bits).map_err(refused)
    }

    /// `f32` with as many lanes as `like`.
    pub fn f32_type(&self, like: BasicValueEnum<'c>) -> BasicTypeEnum<'c> {
        vector_of(self.context.f32_type().into(), lanes_of(like))
    }

    // Constants.

    pub fn i64(&self, value: i64) -> IntValue<'c> {
        self.context.i64_type().const_int(value as u64, true)
    }

    /// The integer in every lane of a value shaped like `like`, which is of integer type.
    pub fn int_like(&self, like: BasicValueEnum<'c>, value: i64) -> BasicValueEnum<'c> {
        self.int_of(like.get_type(), value)
    }

    /// The integer in every lane of an integer type.
    pub fn int_of(&self, ty: BasicTypeEnum<'c>, value: i64) -> BasicValueEnum<'c> {
        match ty {
            BasicTypeEnum::VectorType(v) => {
                let lane = v.get_element_type().into_int_type();
                splat_constant(lane.const_int(value as u64, true).into(), v.get_size())
            }
            other => other.into_int_type().const_int(value as u64, true).into(),
        }
    }

    /// A literal of the given type, every bit as asked.
    pub fn constant(&self, value: Literal, ty: Ty) -> Result<Value<'c>, CodegenError> {
        let lane: BasicValueEnum<'c> = match ty.scalar {
            DType::Bool => {
                let bit = u64::from(value.as_bool());
                self.context.bool_type().const_int(bit, false).into()
            }
            DType::U8 | DType::I8 | DType::I16 | DType::I32 | DType::I64 => self
                .lane_type(ty.scalar)?
                .into_int_type()
                .const_int(value.as_i64() as u64, true)
                .into(),
            DType::F32 => {
                let bits = (value.as_f64() as f32).to_bits();
                self.float_from_bits(u64::from(bits), DType::F32)?
            }
            DType::F64 => self.float_from_bits(value.as_f64().to_bits(), DType::F64)?,
            DType::F16 | DType::BF16 | DType::Opaque(_) => {
                return malformed(format!("a constant of type {}", ty.scalar));
            }
        };
        let llvm = splat_constant(lane, ty.lanes);
        let literal = Some(wrapped(value, ty.scalar));
        Ok(Value { llvm, ty, literal })
    }

    /// By way of an integer, for LLVM's own constructor loses the payload of a NaN.
    fn float_from_bits(&self, bits: u64, scalar: Scalar) -> Built<'c> {
        let integer = match scalar {
            DType::F32 => self.context.i32_type().const_int(bits, false),
            _ => self.context.i64_type().const_int(bits, false),
        };
        let ty = self.lane_type(scalar)?;
        Ok(self.builder.build_bit_cast(integer, ty, "")?)
    }

    /// The number in every lane of a float type.
    pub fn float_of(&self, ty: BasicTypeEnum<'c>, value: f64) -> BasicValueEnum<'c> {
        match ty {
            BasicTypeEnum::VectorType(v) => {
                let lane = v.get_element_type().into_float_type().const_float(value);
                splat_constant(lane.into(), v.get_size())
            }
            other => other.into_float_type().const_float(value).into(),
        }
    }

    // Instructions.

    pub fn binary(
        &self,
        op: InstructionOpcode,
        a: BasicValueEnum<'c>,
        b: BasicValueEnum<'c>,
    ) -> Built<'c> {
        Ok(self.builder.build_binop(op, a, b, "")?)
    }

    pub fn cast(
        &self,
        op: InstructionOpcode,
        value: BasicValueEnum<'c>,
        to: BasicTypeEnum<'c>,
    ) -> Built<'c> {
        if value.get_type() == to {
            return Ok(value);
        }
        Ok(self.builder.build_cast(op, value, to, "")?)
    }

    pub fn compare_ints(
        &self,
        predicate: IntPredicate,
        a: BasicValueEnum<'c>,
        b: BasicValueEnum<'c>,
    ) -> Built<'c> {
        match (a, b) {
            (BasicValueEnum::IntValue(a), BasicValueEnum::IntValue(b)) => {
                Ok(self.builder.build_int_compare(predicate, a, b, "")?.into())
            }
            (BasicValueEnum::VectorValue(a), BasicValueEnum::VectorValue(b)) => {
                Ok(self.builder.build_int_compare(predicate, a, b, "")?.into())
            }
            _ => Err(CodegenError::Llvm("icmp of mixed shapes".into())),
        }
    }

    pub fn compare_floats(
        &self,
        predicate: FloatPredicate,
        a: BasicValueEnum<'c>,
        b: BasicValueEnum<'c>,
    ) -> Built<'c> {
        match (a, b) {
            (BasicValueEnum::FloatValue(a), BasicValueEnum::FloatValue(b)) => Ok(self
                .builder
                .build_float_compare(predicate, a, b, "")?
                .into()),
            (BasicValueEnum::VectorValue(a), BasicValueEnum::VectorValue(b)) => Ok(self
                .builder
                .build_float_compare(predicate, a, b, "")?
                .into()),
            _ => Err(CodegenError::Llvm("fcmp of mixed shapes".into())),
        }
    }

    pub fn select(
        &self,
        condition: BasicValueEnum<'c>,
        then: BasicValueEnum<'c>,
        otherwise: BasicValueEnum<'c>,
    ) -> Built<'c> {
        match condition {
            BasicValueEnum::IntValue(c) => Ok(self.builder.build_select(c, then, otherwise, "")?),
            BasicValueEnum::VectorValue(c) => {
                Ok(self.builder.build_select(c, then, otherwise, "")?)
            }
            _ => Err(CodegenError::Llvm("select by a float".into())),
        }
    }

    /// Calls an intrinsic; `overloads` are the types that name the overload.
    pub fn intrinsic(
        &self,
        name: &'static str,
        overloads: &[BasicTypeEnum<'c>],
        args: &[BasicValueEnum<'c>],
    ) -> Built<'c> {
        let call = self.call_intrinsic(name, overloads, args)?;
        BasicValueEnum::try_from(call.as_any_value_enum())
            .map_err(|()| CodegenError::Llvm(format!("{name} gives no value")))
    }

    /// Calls an intrinsic that gives no value.
    pub fn effect(
        &self,
        name: &'static str,
        overloads: &[BasicTypeEnum<'c>],
        args: &[BasicValueEnum<'c>],
    ) -> Result<(), CodegenError> {
        self.call_intrinsic(name, overloads, args).map(|_| ())
    }

    /// The call of an intrinsic, whether it gives a value or not.
    pub fn call_intrinsic(
        &self,
        name: &'static str,
        overloads: &[BasicTypeEnum<'c>],
        args: &[BasicValueEnum<'c>],
    ) -> Result<CallSiteValue<'c>, CodegenError> {
        let function = Intrinsic::find(name)
            .and_then(|i| i.get_declaration(self.module, overloads))
            .ok_or_else(|| CodegenError::Llvm(format!("no intrinsic {name}")))?;
        let args: Vec<BasicMetadataValueEnum<'c>> = args.iter().map(|a| (*a).into()).collect();
        Ok(self.builder.build_call(function, &args, "")?)
    }

    // Lanes.

    /// A scalar in every lane.
    pub fn splat(&self, scalar: BasicValueEnum<'c>, lanes: u32) -> Built<'c> {
        if lanes == 1 {
            return Ok(scalar);
        }
        let VectorShape { ty, mask } = self.shape(scalar.get_type(), lanes)?;
        let first = self.context.i32_type().const_zero();
        let one = self
            .builder
            .build_insert_element(ty.get_poison(), scalar, first, "")?;
        Ok(self
            .builder
            .build_shuffle_vector(one, ty.get_poison(), mask, "")?
            .into())
    }

    fn shape(&self, lane: BasicTypeEnum<'c>, lanes: u32) -> Result<VectorShape<'c>, CodegenError> {
        match vector_of(lane, lanes) {
            BasicTypeEnum::VectorType(ty) => Ok(VectorShape {
                ty,
                mask: self.context.i32_type().vec_type(lanes).const_zero(),
            }),
            _ => Err(CodegenError::Llvm("splat to one lane".into())),
        }
    }

    /// A value as a vector: a scalar has a lane of zero beside it. (LLVM does not lower all that
    /// vectors of one lane can meet.)
    pub fn as_vector(&self, value: BasicValueEnum<'c>) -> Built<'c> {
        let ty = match value.get_type() {
            BasicTypeEnum::IntType(ty) => ty.vec_type(2),
            BasicTypeEnum::FloatType(ty) => ty.vec_type(2),
            _ => return Ok(value),
        };
        let first = self.context.i32_type().const_zero();
        let vector = self
            .builder
            .build_insert_element(ty.const_zero(), value, first, "")?;
        Ok(vector.into())
    }

    /// One lane of a value; the lane exists.
    pub fn extract(&self, value: BasicValueEnum<'c>, lane: u32) -> Built<'c> {
        match value {
            BasicValueEnum::VectorValue(v) => {
                let at = self.context.i32_type().const_int(u64::from(lane), false);
                Ok(self.builder.build_extract_element(v, at, "")?)
            }
            scalar => Ok(scalar),
        }
    }

    /// A value of the given scalars, in order.
    pub fn collect(&self, scalars: &[BasicValueEnum<'c>]) -> Built<'c> {
        let Some((first, rest)) = scalars.split_first() else {
            return malformed("a vector without lanes");
        };
        if rest.is_empty() {
            return Ok(*first);
        }
        let mut vector = self
            .shape(first.get_type(), scalars.len() as u32)?
            .ty
            .get_poison();
        for (lane, scalar) in scalars.iter().enumerate() {
            let at = self.context.i32_type().const_int(lane as u64, false);
            vector = self.builder.build_insert_element(vector, *scalar, at, "")?;
        }
        Ok(vector.into())
    }

    /// Lanes picked from `a ++ b`, both vectors of one type; every pick exists.
    pub fn shuffle(&self, a: VectorValue<'c>, b: VectorValue<'c>, picks: &[u32]) -> Built<'c> {
        let index = self.context.i32_type();
        let mask: Vec<IntValue<'c>> = picks
            .iter()
            .map(|p| index.const_int(u64::from(*p), false))
            .collect();
        let mask = VectorType::const_vector(&mask);
        let vector = self.builder.build_shuffle_vector(a, b, mask, "")?;
        if picks.len() == 1 {
            return self.extract(vector.into(), 0);
        }
        Ok(vector.into())
    }
}

/// The literal as a lane of an integer type holds it; others as they are.
fn wrapped(value: Literal, scalar: Scalar) -> Literal {
    let integer = value.as_i64();
    Literal::Int(match scalar {
        DType::U8 => i64::from(integer as u8),
        DType::I8 => i64::from(integer as i8),
        DType::I16 => i64::from(integer as i16),
        DType::I32 => i64::from(integer as i32),
        DType::I64 => integer,
        _ => return value,
    })
}

struct VectorShape<'c> {
    ty: VectorType<'c>,
    /// All zero: every lane is the first.
    mask: VectorValue<'c>,
}

/// The vector type of this many lanes; the lane's own type for one.
pub(super) fn vector_of(lane: BasicTypeEnum<'_>, lanes: u32) -> BasicTypeEnum<'_> {
    match lane {
        _ if lanes == 1 => lane,
        BasicTypeEnum::IntType(t) => t.vec_type(lanes).as_basic_type_enum(),
        BasicTypeEnum::FloatType(t) => t.vec_type(lanes).as_basic_type_enum(),
        other => other,
    }
}

pub(super) fn lanes_of(value: BasicValueEnum<'_>) -> u32 {
    match value {
        BasicValueEnum::VectorValue(v) => v.get_type().get_size(),
        _ => 1,
    }
}

fn splat_constant(lane: BasicValueEnum<'_>, lanes: u32) -> BasicValueEnum<'_> {
    if lanes == 1 {
        lane
    } else {
        VectorType::const_vector(&vec![lane; lanes as usize]).into()
    }
}
