//! The C++ types that lanes, vectors and masks of the loop IR become.
//!
//! Half precision lives in 16-bit unsigned integers. A vector of predicates is a *mask*: lanes of
//! 0 or -1, signed integers as wide as the elements that were compared, for that is what GCC's
//! vector comparisons give and its `?:` takes.

use ferroductor_ir::kernel::Ty;
use ferroductor_ir::{DType, Scalar};

/// What a lane is made of in C++.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Lane {
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    F32,
    F64,
}

/// A scalar or vector type of C++.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct CType {
    pub lane: Lane,
    pub lanes: u32,
}

impl Lane {
    pub fn size(self) -> u32 {
        match self {
            Lane::I8 | Lane::U8 => 1,
            Lane::I16 | Lane::U16 => 2,
            Lane::I32 | Lane::U32 | Lane::F32 => 4,
            Lane::I64 | Lane::F64 => 8,
        }
    }

    pub fn short(self) -> &'static str {
        match self {
            Lane::I8 => "i8",
            Lane::I16 => "i16",
            Lane::I32 => "i32",
            Lane::I64 => "i64",
            Lane::U8 => "u8",
            Lane::U16 => "u16",
            Lane::U32 => "u32",
            Lane::F32 => "f32",
            Lane::F64 => "f64",
        }
    }

    pub fn scalar_name(self) -> &'static str {
        match self {
            Lane::I8 => "int8_t",
            Lane::I16 => "int16_t",
            Lane::I32 => "int32_t",
            Lane::I64 => "int64_t",
            Lane::U8 => "uint8_t",
            Lane::U16 => "uint16_t",
            Lane::U32 => "uint32_t",
            Lane::F32 => "float",
            Lane::F64 => "double",
        }
    }

    pub fn is_float(self) -> bool {
        matches!(self, Lane::F32 | Lane::F64)
    }

    /// Operators on narrower integers compute in `int` and must be cut back.
    pub fn promotes(self) -> bool {
        self.size() < 4
    }

    /// The signed integer of a width in bytes.
    pub fn signed(bytes: u32) -> Lane {
        match bytes {
            1 => Lane::I8,
            2 => Lane::I16,
            4 => Lane::I32,
            _ => Lane::I64,
        }
    }

    /// What elements of a scalar type are in memory.
    pub fn of(scalar: Scalar) -> Lane {
        match scalar {
            DType::I8 => Lane::I8,
            DType::I16 => Lane::I16,
            DType::I32 => Lane::I32,
            DType::I64 => Lane::I64,
            DType::F16 | DType::BF16 => Lane::U16,
            DType::F32 => Lane::F32,
            DType::F64 => Lane::F64,
            DType::U8 | DType::Bool | DType::Opaque(_) => Lane::U8,
        }
    }
}

impl CType {
    pub fn new(lane: Lane, lanes: u32) -> CType {
        CType { lane, lanes }
    }

    /// The type in memory, which differs from the computed one for predicates.
    pub fn in_memory(ty: Ty) -> CType {
        CType::new(Lane::of(ty.scalar), ty.lanes)
    }

    pub fn with(self, lane: Lane) -> CType {
        CType { lane, ..self }
    }

    pub fn is_vector(self) -> bool {
        self.lanes > 1
    }

    pub fn name(self) -> String {
        if self.is_vector() {
            format!("{}x{}", self.lane.short(), self.lanes)
        } else {
            self.lane.scalar_name().to_string()
        }
    }

    /// The line that declares a vector type.
    pub fn declaration(self) -> String {
        let (element, bytes) = (self.lane.scalar_name(), self.lane.size() * self.lanes);
        let name = self.name();
        format!("typedef {element} {name} __attribute__((vector_size({bytes})));\n")
    }
}

/// The name of a scalar type, in a declaration.
pub(super) fn scalar_name(scalar: Scalar) -> &'static str {
    match scalar {
        DType::Bool => "bool",
        other => Lane::of(other).scalar_name(),
    }
}
