//! Element types of tensors.
//!
//! [`DType`] names what lies in memory. The numeric codes are `c10::ScalarType`'s, which are part
//! of PyTorch's stable C ABI; a dtype without native code travels as [`DType::Opaque`] and may
//! only be handed from one ATen op to another.

use std::fmt;

/// An element type as stored in a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    Bool,
    U8,
    I8,
    I16,
    I32,
    I64,
    F16,
    BF16,
    F32,
    F64,
    /// A `c10::ScalarType` we generate no code for (complex, float8, quantised, …), by its code.
    Opaque(i32),
}

/// One row per dtype with native code: type, c10 code, size in bytes, PyTorch's name.
const TABLE: [(DType, i32, usize, &str); 10] = [
    (DType::U8, 0, 1, "uint8"),
    (DType::I8, 1, 1, "int8"),
    (DType::I16, 2, 2, "int16"),
    (DType::I32, 3, 4, "int32"),
    (DType::I64, 4, 8, "int64"),
    (DType::F16, 5, 2, "float16"),
    (DType::F32, 6, 4, "float32"),
    (DType::F64, 7, 8, "float64"),
    (DType::Bool, 11, 1, "bool"),
    (DType::BF16, 15, 2, "bfloat16"),
];

impl DType {
    /// Every dtype that has native code.
    pub fn native() -> impl Iterator<Item = DType> {
        TABLE.iter().map(|row| row.0)
    }

    /// From a `c10::ScalarType` code.
    pub fn from_code(code: i32) -> DType {
        TABLE
            .iter()
            .find(|row| row.1 == code)
            .map_or(DType::Opaque(code), |row| row.0)
    }

    /// From PyTorch's short name (`"float32"`); `None` for a name without native code.
    pub fn from_name(name: &str) -> Option<DType> {
        TABLE.iter().find(|row| row.3 == name).map(|row| row.0)
    }

    fn row(self) -> Option<&'static (DType, i32, usize, &'static str)> {
        TABLE.iter().find(|row| row.0 == self)
    }

    /// The `c10::ScalarType` code.
    pub fn code(self) -> i32 {
        match self {
            DType::Opaque(code) => code,
            _ => self.row().map_or(-1, |row| row.1),
        }
    }

    /// Bytes of one element; 0 for an opaque dtype.
    pub fn size(self) -> usize {
        self.row().map_or(0, |row| row.2)
    }

    pub fn name(self) -> &'static str {
        self.row().map_or("opaque", |row| row.3)
    }

    pub fn is_float(self) -> bool {
        matches!(self, DType::F16 | DType::BF16 | DType::F32 | DType::F64)
    }

    /// Half precision: stored in 16 bits, computed in `f32`.
    pub fn is_half(self) -> bool {
        matches!(self, DType::F16 | DType::BF16)
    }

    /// An integer type; `bool` is not one.
    pub fn is_int(self) -> bool {
        matches!(
            self,
            DType::U8 | DType::I8 | DType::I16 | DType::I32 | DType::I64
        )
    }

    pub fn is_native(self) -> bool {
        !matches!(self, DType::Opaque(_))
    }

    /// The type in which arithmetic on this dtype is done: `f32` for half precision, else itself.
    pub fn compute(self) -> DType {
        if self.is_half() { DType::F32 } else { self }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DType::Opaque(code) => write!(f, "opaque{code}"),
            _ => f.write_str(self.name()),
        }
    }
}
