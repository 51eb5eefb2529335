//! Loads and stores.
//!
//! What must hold: no alignment beyond the element's is claimed; two buffers are said not to
//! overlap only where the kernel says so, or where one is a local array; `Bool` is a byte in
//! memory, read by comparing with 0 and written as 0 or 1.

use ferroductor_ir::kernel::{Buf, Isa, Kernel, Ty};
use ferroductor_ir::{DType, IExpr};
use inkwell::IntPredicate;
use inkwell::context::Context;
use inkwell::types::BasicTypeEnum;
use inkwell::values::{
    BasicValueEnum, InstructionOpcode as I, InstructionValue, IntValue, MetadataValue,
    PointerValue, ValueKind,
};

use super::build::{Build, Built, Value, vector_of};
use super::error::{CodegenError, malformed};
use super::index::Scope;

/// A parameter or local array, ready to be accessed.
pub(super) struct Place<'c> {
    pub base: PointerValue<'c>,
    pub dtype: DType,
    tags: Tags<'c>,
}

/// Alias metadata of every access to one buffer.
#[derive(Clone, Copy, Default)]
struct Tags<'c> {
    scope: Option<MetadataValue<'c>>,
    others: Option<MetadataValue<'c>>,
}

/// All buffers of a kernel.
pub(super) struct Places<'c> {
    params: Vec<Place<'c>>,
    locals: Vec<Place<'c>>,
    scope_kind: u32,
    noalias_kind: u32,
}

impl<'c> Places<'c> {
    /// `params` and `locals` point to the kernel's buffers, in order.
    pub fn new(
        context: &'c Context,
        kernel: &Kernel,
        symbol: &str,
        params: &[PointerValue<'c>],
        locals: &[PointerValue<'c>],
    ) -> Places<'c> {
        let apart = kernel.params.iter().map(|p| p.noalias);
        let apart: Vec<bool> = apart.chain(kernel.locals.iter().map(|_| true)).collect();
        let tags = alias_tags(context, symbol, &apart);
        let place = |base, dtype, tags| Place { base, dtype, tags };
        Places {
            params: (kernel.params.iter().zip(params).zip(&tags))
                .map(|((p, base), tags)| place(*base, p.dtype, *tags))
                .collect(),
            locals: (kernel
                .locals
                .iter()
                .zip(locals)
                .zip(&tags[kernel.params.len()..]))
            .map(|((l, base), tags)| place(*base, l.dtype, *tags))
            .collect(),
            scope_kind: context.get_kind_id("alias.scope"),
            noalias_kind: context.get_kind_id("noalias"),
        }
    }

    fn get(&self, buf: Buf) -> Result<&Place<'c>, CodegenError> {
        let found = match buf {
            Buf::Param(p) => self.params.get(p as usize),
            Buf::Local(l) => self.locals.get(l as usize),
        };
        match found {
            Some(place) => Ok(place),
            None => malformed(format!("{buf:?} is not declared")),
        }
    }

    fn tag(&self, place: &Place<'c>, access: InstructionValue<'c>) -> Result<(), CodegenError> {
        let refused = |_| CodegenError::Llvm("metadata refused".into());
        if let Some(scope) = place.tags.scope {
            access
                .set_metadata(scope, self.scope_kind)
                .map_err(refused)?;
        }
        if let Some(others) = place.tags.others {
            access
                .set_metadata(others, self.noalias_kind)
                .map_err(refused)?;
        }
        Ok(())
    }
}

/// One alias scope for each buffer that is apart from all others.
fn alias_tags<'c>(context: &'c Context, symbol: &str, apart: &[bool]) -> Vec<Tags<'c>> {
    let domain = context.metadata_node(&[context.metadata_string(symbol).into()]);
    let scopes: Vec<Option<MetadataValue<'c>>> = (apart.iter().enumerate())
        .map(|(at, is_apart)| {
            is_apart.then(|| {
                let name = context.metadata_string(&format!("{symbol}.{at}"));
                context.metadata_node(&[name.into(), domain.into()])
            })
        })
        .collect();
    (0..apart.len())
        .map(|own| {
            let others: Vec<_> = (scopes.iter().enumerate())
                .filter(|(at, _)| *at != own)
                .filter_map(|(_, scope)| scope.map(Into::into))
                .collect();
            Tags {
                scope: scopes[own].map(|scope| context.metadata_node(&[scope.into()])),
                others: (!others.is_empty()).then(|| context.metadata_node(&others)),
            }
        })
        .collect()
}

/// The address of element `index`; literal parts last, for the instruction's displacement.
fn address<'c>(
    b: &Build<'c, '_>,
    scope: &Scope<'c>,
    place: &Place<'c>,
    index: &IExpr,
) -> Result<PointerValue<'c>, CodegenError> {
    let (sum, constant) = scope.emit_split(b, index)?;
    let mut pointer = place.base;
    if let Some(sum) = sum {
        pointer = offset(b, place, pointer, sum)?;
    }
    if constant != 0 {
        pointer = offset(b, place, pointer, b.i64(constant))?;
    }
    Ok(pointer)
}

fn offset<'c>(
    b: &Build<'c, '_>,
    place: &Place<'c>,
    pointer: PointerValue<'c>,
    elements: IntValue<'c>,
) -> Result<PointerValue<'c>, CodegenError> {
    let element = b.memory_type(Ty::scalar(place.dtype))?;
    // SAFETY: without the `inbounds` flag the result is plain address arithmetic, defined for
    // every index; the element type is sized.
    Ok(unsafe { b.builder.build_gep(element, pointer, &[elements], "")? })
}

/// Reads `ty` at an address.
fn read<'c>(
    b: &Build<'c, '_>,
    places: &Places<'c>,
    place: &Place<'c>,
    at: PointerValue<'c>,
    lanes: u32,
) -> Result<BasicValueEnum<'c>, CodegenError> {
    let ty = b.memory_type(Ty::new(place.dtype, lanes))?;
    let loaded = b.builder.build_load(ty, at, "")?;
    let instruction = as_instruction(loaded)?;
    align_to_element(instruction, place.dtype)?;
    places.tag(place, instruction)?;
    Ok(loaded)
}

fn write<'c>(
    b: &Build<'c, '_>,
    places: &Places<'c>,
    place: &Place<'c>,
    at: PointerValue<'c>,
    stored: BasicValueEnum<'c>,
) -> Result<(), CodegenError> {
    let instruction = b.builder.build_store(at, stored)?;
    align_to_element(instruction, place.dtype)?;
    places.tag(place, instruction)
}

fn as_instruction<'c>(value: BasicValueEnum<'c>) -> Result<InstructionValue<'c>, CodegenError> {
    let instruction = match value {
        BasicValueEnum::IntValue(v) => v.as_instruction(),
        BasicValueEnum::FloatValue(v) => v.as_instruction(),
        BasicValueEnum::VectorValue(v) => v.as_instruction(),
        BasicValueEnum::PointerValue(v) => v.as_instruction(),
        _ => None,
    };
    instruction.ok_or_else(|| CodegenError::Llvm("a load is no instruction".into()))
}

fn align_to_element(instruction: InstructionValue<'_>, dtype: DType) -> Result<(), CodegenError> {
    instruction
        .set_alignment(dtype.size() as u32)
        .map_err(|e| CodegenError::Llvm(e.to_string()))
}

/// What was read, as the value it stands for.
fn from_memory<'c>(
    b: &Build<'c, '_>,
    loaded: BasicValueEnum<'c>,
    ty: Ty,
) -> Result<Value<'c>, CodegenError> {
    let llvm = match ty.scalar {
        DType::Bool => b.compare_ints(IntPredicate::NE, loaded, b.int_like(loaded, 0))?,
        _ => loaded,
    };
    Ok(Value::new(llvm, ty))
}

/// The value as memory holds it.
fn to_memory<'c>(b: &Build<'c, '_>, value: Value<'c>) -> Result<BasicValueEnum<'c>, CodegenError> {
    match value.ty.scalar {
        DType::Bool => b.cast(I::ZExt, value.llvm, b.memory_type(value.ty)?),
        _ => Ok(value.llvm),
    }
}

/// `lanes` consecutive elements.
pub(super) fn load<'c>(
    b: &Build<'c, '_>,
    scope: &Scope<'c>,
    places: &Places<'c>,
    (buf, index): (Buf, &IExpr),
    lanes: u32,
) -> Result<Value<'c>, CodegenError> {
    let place = places.get(buf)?;
    let at = address(b, scope, place, index)?;
    let loaded = read(b, places, place, at, lanes)?;
    from_memory(b, loaded, Ty::new(place.dtype, lanes))
}

/// Asks for an element's line: to be read, kept in the first-level cache or the second.
pub(super) fn prefetch<'c>(
    b: &Build<'c, '_>,
    scope: &Scope<'c>,
    places: &Places<'c>,
    (buf, index): (Buf, &IExpr),
    near: bool,
) -> Result<(), CodegenError> {
    let place = places.get(buf)?;
    let at = address(b, scope, place, index)?;
    let flag = |value| b.context.i32_type().const_int(value, false).into();
    let (read, level, data) = (flag(0), flag(if near { 3 } else { 2 }), flag(1));
    b.effect(
        "llvm.prefetch",
        &[at.get_type().into()],
        &[at.into(), read, level, data],
    )
}

/// `lanes` elements, `stride` apart.
pub(super) fn load_strided<'c>(
    b: &Build<'c, '_>,
    scope: &Scope<'c>,
    places: &Places<'c>,
    (buf, index): (Buf, &IExpr),
    stride: &IExpr,
    lanes: u32,
) -> Result<Value<'c>, CodegenError> {
    if stride.is_one() || lanes == 1 {
        return load(b, scope, places, (buf, index), lanes);
    }
    let place = places.get(buf)?;
    let ty = Ty::new(place.dtype, lanes);
    let mut at = address(b, scope, place, index)?;
    if stride.is_zero() {
        let one = read(b, places, place, at, 1)?;
        return from_memory(b, b.splat(one, lanes)?, ty);
    }
    let literal = stride.as_const();
    let step = scope.emit(b, stride)?;
    let first = at;
    let mut elements = Vec::with_capacity(lanes as usize);
    for lane in 0..lanes {
        if lane > 0 {
            // A literal stride gives displacements from the first address, another one a chain.
            at = match literal {
                Some(step) => {
                    let distance = b.i64(step.wrapping_mul(i64::from(lane)));
                    offset(b, place, first, distance)?
                }
                None => offset(b, place, at, step)?,
            };
        }
        elements.push(read(b, places, place, at, 1)?);
    }
    from_memory(b, b.collect(&elements)?, ty)
}

/// One element for each lane of an `i64` vector.
pub(super) fn gather<'c>(
    b: &Build<'c, '_>,
    places: &Places<'c>,
    buf: Buf,
    index: Value<'c>,
) -> Result<Value<'c>, CodegenError> {
    let place = places.get(buf)?;
    let mut elements = Vec::with_capacity(index.ty.lanes as usize);
    for lane in 0..index.ty.lanes {
        let at = lane_address(b, place, index, lane)?;
        elements.push(read(b, places, place, at, 1)?);
    }
    let loaded = b.collect(&elements)?;
    from_memory(b, loaded, index.ty.with(place.dtype))
}

fn lane_address<'c>(
    b: &Build<'c, '_>,
    place: &Place<'c>,
    index: Value<'c>,
    lane: u32,
) -> Result<PointerValue<'c>, CodegenError> {
    let element = super::index::integer(b.extract(index.llvm, lane)?)?;
    offset(b, place, place.base, element)
}

/// Writes the lanes to consecutive elements.
pub(super) fn store<'c>(
    b: &Build<'c, '_>,
    scope: &Scope<'c>,
    places: &Places<'c>,
    (buf, index): (Buf, &IExpr),
    value: Value<'c>,
) -> Result<(), CodegenError> {
    let place = places.get(buf)?;
    let at = address(b, scope, place, index)?;
    write(b, places, place, at, to_memory(b, value)?)
}

/// Consecutive elements where the mask holds, 0 elsewhere.
pub(super) fn load_masked<'c>(
    b: &Build<'c, '_>,
    scope: &Scope<'c>,
    places: &Places<'c>,
    (buf, index): (Buf, &IExpr),
    mask: Value<'c>,
) -> Result<Value<'c>, CodegenError> {
    let place = places.get(buf)?;
    let at: BasicValueEnum<'c> = address(b, scope, place, index)?.into();
    let ty = mask.ty.with(place.dtype);
    let zeros = b.as_vector(b.memory_type(ty)?.const_zero())?;
    let lanes = b.as_vector(mask.llvm)?;
    let vector = zeros.get_type();
    let align = alignment(b, place.dtype);
    let overloads = [vector, at.get_type()];
    let call = b.call_intrinsic("llvm.masked.load", &overloads, &[at, align, lanes, zeros])?;
    let ValueKind::Basic(loaded) = call.try_as_basic_value() else {
        return Err(CodegenError::Llvm("a masked load gives no value".into()));
    };
    places.tag(place, as_instruction(loaded)?)?;
    let loaded = match ty.lanes {
        1 => b.extract(loaded, 0)?,
        _ => loaded,
    };
    from_memory(b, loaded, ty)
}

/// Writes the lanes where the mask holds to consecutive elements.
pub(super) fn store_masked<'c>(
    b: &Build<'c, '_>,
    scope: &Scope<'c>,
    places: &Places<'c>,
    (buf, index): (Buf, &IExpr),
    value: Value<'c>,
    mask: Value<'c>,
) -> Result<(), CodegenError> {
    let place = places.get(buf)?;
    let at: BasicValueEnum<'c> = address(b, scope, place, index)?.into();
    let stored = b.as_vector(to_memory(b, value)?)?;
    let lanes = b.as_vector(mask.llvm)?;
    let align = alignment(b, place.dtype);
    let overloads = [stored.get_type(), at.get_type()];
    let call = b.call_intrinsic("llvm.masked.store", &overloads, &[stored, at, align, lanes])?;
    match call.try_as_basic_value() {
        ValueKind::Instruction(access) => places.tag(place, access),
        ValueKind::Basic(_) => Err(CodegenError::Llvm("a masked store gives a value".into())),
    }
}

/// The alignment that the intrinsics are told: the element's.
fn alignment<'c>(b: &Build<'c, '_>, dtype: DType) -> BasicValueEnum<'c> {
    let bytes = b.context.i32_type().const_int(dtype.size() as u64, false);
    bytes.into()
}

/// A vector as instruction selection may not take it apart: it would join the narrowing of lanes
/// with the store of them, and the joined instruction does not go past the caches.
fn whole<'c>(b: &Build<'c, '_>, vector: BasicValueEnum<'c>, bytes: u32) -> Built<'c> {
    let floats = vector_of(b.context.f32_type().into(), bytes / 4);
    let floats = b.cast(I::BitCast, vector, floats)?;
    b.intrinsic("llvm.arithmetic.fence", &[floats.get_type()], &[floats])
}

/// Writes a whole vector to an address that is a multiple of its size, past the caches.
pub(super) fn stream<'c>(
    b: &Build<'c, '_>,
    scope: &Scope<'c>,
    places: &Places<'c>,
    (buf, index): (Buf, &IExpr),
    value: Value<'c>,
) -> Result<(), CodegenError> {
    let place = places.get(buf)?;
    let at = address(b, scope, place, index)?;
    let bytes = place.dtype.size() as u32 * value.ty.lanes;
    let lanes = whole(b, to_memory(b, value)?, bytes)?;
    let instruction = b.builder.build_store(at, lanes)?;
    instruction
        .set_alignment(bytes)
        .map_err(|e| CodegenError::Llvm(e.to_string()))?;
    let one = b.context.i32_type().const_int(1, false);
    let hint = b.context.metadata_node(&[one.into()]);
    instruction
        .set_metadata(hint, b.context.get_kind_id("nontemporal"))
        .map_err(|_| CodegenError::Llvm("metadata refused".into()))?;
    places.tag(place, instruction)
}

/// Streaming stores are ordered like others from here on.
pub(super) fn fence(b: &Build<'_, '_>, isa: Isa) -> Result<(), CodegenError> {
    match isa {
        Isa::Neon => Ok(()),
        _ => b.effect("llvm.x86.sse.sfence", &[], &[]),
    }
}

/// Writes lane by lane, in lane order, so that the last of equal indices stays.
pub(super) fn scatter<'c>(
    b: &Build<'c, '_>,
    places: &Places<'c>,
    buf: Buf,
    index: Value<'c>,
    value: Value<'c>,
) -> Result<(), CodegenError> {
    let place = places.get(buf)?;
    let stored = to_memory(b, value)?;
    for lane in 0..index.ty.lanes {
        let at = lane_address(b, place, index, lane)?;
        write(b, places, place, at, b.extract(stored, lane)?)?;
    }
    Ok(())
}

/// An entry of a table the caller handed in.
pub(super) fn table_entry<'c>(
    b: &Build<'c, '_>,
    table: PointerValue<'c>,
    entry: BasicTypeEnum<'c>,
    at: usize,
) -> Result<BasicValueEnum<'c>, CodegenError> {
    // SAFETY: as in `offset`: plain address arithmetic over a sized type.
    let address = unsafe { b.builder.build_gep(entry, table, &[b.i64(at as i64)], "")? };
    let loaded = b.builder.build_load(entry, address, "")?;
    // Nothing writes the tables during a call.
    let node = b.context.metadata_node(&[]);
    as_instruction(loaded)?
        .set_metadata(node, b.context.get_kind_id("invariant.load"))
        .map_err(|_| CodegenError::Llvm("metadata refused".into()))?;
    Ok(loaded)
}
