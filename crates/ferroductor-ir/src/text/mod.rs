//! The text form of the loop IR: print, parse, and the text that identifies a kernel.
//!
//! ```text
//! kernel add_relu {
//!   doc "aten.add.Tensor"
//!   param p0 x: f32 read
//!   param p1 out: f32 write noalias
//!   sizes 1
//!   tiles div(15 + s0, 16)
//!   body {
//!     %0 = load x16 p0[i0*16]
//!     %1 = const f32x16 0.0
//!     %2 = maximum %0, %1
//!     store p1[i0*16] = %2
//!   }
//! }
//! ```
//!
//! What must hold: `parse(&print(k)) == Ok(k)` for every kernel, verified or not, whose index
//! expressions are canonical. Neither checks what [`crate::verify`] checks.

mod identity;
mod lex;
mod parse;
mod print;

pub use identity::{canonical, identity};
pub use lex::ParseError;
pub use parse::parse;
pub use print::print;

use crate::kernel::Ty;
use crate::prim::Scalar;
use std::fmt;

/// Scalar types and their short names, as in `f32x16`.
const SCALARS: [(Scalar, &str); 10] = [
    (Scalar::Bool, "bool"),
    (Scalar::U8, "u8"),
    (Scalar::I8, "i8"),
    (Scalar::I16, "i16"),
    (Scalar::I32, "i32"),
    (Scalar::I64, "i64"),
    (Scalar::F16, "f16"),
    (Scalar::BF16, "bf16"),
    (Scalar::F32, "f32"),
    (Scalar::F64, "f64"),
];

/// The short name of a scalar type; `opaque` for one without native code.
pub fn scalar_name(scalar: Scalar) -> &'static str {
    SCALARS
        .iter()
        .find(|row| row.0 == scalar)
        .map_or("opaque", |row| row.1)
}

/// The scalar type of a short name.
pub fn scalar_from_name(name: &str) -> Option<Scalar> {
    SCALARS.iter().find(|row| row.1 == name).map(|row| row.0)
}

impl fmt::Display for Ty {
    /// `f32` for a scalar, `f32x16` for a vector.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(scalar_name(self.scalar))?;
        if self.lanes == 1 {
            Ok(())
        } else {
            write!(f, "x{}", self.lanes)
        }
    }
}

#[cfg(test)]
mod tests;
