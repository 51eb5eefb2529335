//! Why a graph was not compiled, and whose fault it is.

use std::fmt;

use std::path::PathBuf;

use ferroductor_codegen::cpp::{self, CppError};
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
    Print(CppError),
    /// The C++ compiler failed, or what it made could not be loaded.
    Build(cpp::compile::BuildError),
    /// `codegen="cpp"` without a working C++ compiler; what was tried.
    NoCompiler(String),
    /// The cache folder cannot be used: the user's disk or path.
    Cache {
        path: PathBuf,
        error: std::io::Error,
    },
    /// A bug of ours.
    Internal(String),
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
            DriverError::Print(error) => error.fmt(f),
            DriverError::Build(error) => write!(
                f,
                "the C++ compiler did not do its work; `ferroductor doctor` finds out why\n{error}"
            ),
            DriverError::NoCompiler(tried) => write!(
                f,
                "codegen=\"cpp\" needs a working C++ compiler ({tried}); `ferroductor doctor` finds \
                 out why there is none. The default codegen needs no compiler."
            ),
            DriverError::Cache { path, error } => {
                write!(
                    f,
                    "the cache folder {} cannot be used: {error}",
                    path.display()
                )
            }
            DriverError::Internal(text) => write!(f, "internal error: {text}"),
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

impl From<CppError> for DriverError {
    fn from(error: CppError) -> DriverError {
        DriverError::Print(error)
    }
}

impl From<cpp::compile::BuildError> for DriverError {
    fn from(error: cpp::compile::BuildError) -> DriverError {
        DriverError::Build(error)
    }
}
