//! Why a graph was not compiled, and whose fault it is.

use std::fmt;

use ferroductor_codegen::llvm::CodegenError;
use ferroductor_compiler::CompileError;
use ferroductor_loader::LoadError;

#[derive(Debug)]
pub enum DriverError {
    Compile(CompileError),
    Codegen(CodegenError),
    Load(LoadError),
    /// The CPU cannot run what was asked for: the user's choice, or a machine we do not know.
    Target(String),
    /// A dump could not be written: the user's disk or path.
    Dump(std::io::Error),
}

impl fmt::Display for DriverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DriverError::Compile(error) => error.fmt(f),
            DriverError::Codegen(error) => error.fmt(f),
            DriverError::Load(error) => write!(f, "the compiled code was not loaded: {error}"),
            DriverError::Target(text) => f.write_str(text),
            DriverError::Dump(error) => write!(f, "the dump could not be written: {error}"),
        }
    }
}

impl std::error::Error for DriverError {}

impl From<CompileError> for DriverError {
    fn from(error: CompileError) -> DriverError {
        DriverError::Compile(error)
    }
}

impl From<CodegenError> for DriverError {
    fn from(error: CodegenError) -> DriverError {
        DriverError::Codegen(error)
    }
}

impl From<LoadError> for DriverError {
    fn from(error: LoadError) -> DriverError {
        DriverError::Load(error)
    }
}
