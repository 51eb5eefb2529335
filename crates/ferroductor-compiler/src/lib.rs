//! The compiler proper: from the imported graph to kernels and a program.
//!
//! Reads neither environment nor disk, and knows neither Python nor torch.

pub mod arena;
pub mod aten;
mod describe;
pub mod error;
pub mod fuse;
pub mod graph;
pub mod layout;
pub mod lower;
pub mod math;
mod order;
mod overwrite;
pub mod plan;
pub mod release;
pub mod schedule;
pub mod sizes;

pub use error::CompileError;
pub use plan::{Class, Compiled, CompilerOptions, compile};
