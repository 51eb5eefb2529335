//! The languages Ferroductor's stages speak: element types, index algebra, the imported FX graph
//! and the loop IR, with text forms, verifiers and the reference interpreter.
//!
//! This crate depends on nothing of the project and reads neither environment nor disk.

pub mod dtype;
pub mod fx;
pub mod index;
pub mod interp;
pub mod kernel;
pub mod prim;
#[cfg(feature = "random")]
pub mod random;
pub mod text;
pub mod verify;

pub use dtype::DType;
pub use index::{Atom, Extents, IExpr, NoRanges, Ranges};
pub use prim::{Literal, Prim, Scalar};
