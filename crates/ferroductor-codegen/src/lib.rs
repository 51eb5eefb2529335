//! The two emitters of the loop IR. Neither sees the other.

pub mod cpp;
pub mod llvm;
