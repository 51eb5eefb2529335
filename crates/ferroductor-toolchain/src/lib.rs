//! The toolchain as the rest of the project sees it: a machine behind the
//! [`System`] trait, the search for a working C++ compiler, and the meaning of
//! what compilers, linkers and loaders print.
//!
//! What must hold: nothing in this crate reads the environment, the disk or a
//! process except through a [`System`], so that every broken setup can be a
//! unit test with [`fake::FakeSystem`]; every external process has a time
//! limit; text from outside never causes a panic.

pub mod command;
pub mod compiler;
pub mod fake;
pub mod flags;
pub mod localised;
pub mod message;
pub mod pattern;
pub mod real;
pub mod system;

pub use command::CompileCommand;
pub use compiler::{Attempt, AttemptResult, CompilerFamily, Cxx, CxxSearch, find_cc, find_cxx};
pub use flags::{FlagRole, role_of};
pub use message::{Message, classify_line};
pub use real::RealSystem;
pub use system::{Command, Outcome, Platform, Run, Space, Stat, System, User};
