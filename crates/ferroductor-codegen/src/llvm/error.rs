//! What can go wrong when a kernel is emitted. None of it is the user's fault: a malformed kernel
//! is a bug of the stages before, a refused construct a gap of this emitter.

use std::fmt;

/// Why no machine code came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CodegenError {
    /// The kernel breaks a rule of the loop IR.
    Malformed(String),
    /// The kernel is sound, but asks for something that the target or the emitter does not have.
    Unsupported(String),
    /// The target description contradicts itself.
    Target(String),
    /// LLVM refused what we built: a bug of the emitter.
    Llvm(String),
}

impl CodegenError {
    /// Puts the kernel's symbol before the message.
    pub(super) fn in_kernel(self, symbol: &str) -> CodegenError {
        let at = |message: String| format!("kernel {symbol}: {message}");
        match self {
            CodegenError::Malformed(m) => CodegenError::Malformed(at(m)),
            CodegenError::Unsupported(m) => CodegenError::Unsupported(at(m)),
            CodegenError::Target(m) => CodegenError::Target(at(m)),
            CodegenError::Llvm(m) => CodegenError::Llvm(at(m)),
        }
    }
}

impl fmt::Display for CodegenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CodegenError::Malformed(m) => write!(f, "malformed kernel: {m}"),
            CodegenError::Unsupported(m) => write!(f, "no native code: {m}"),
            CodegenError::Target(m) => write!(f, "target: {m}"),
            CodegenError::Llvm(m) => write!(f, "LLVM: {m}"),
        }
    }
}

impl std::error::Error for CodegenError {}

impl From<inkwell::builder::BuilderError> for CodegenError {
    fn from(error: inkwell::builder::BuilderError) -> CodegenError {
        CodegenError::Llvm(error.to_string())
    }
}

/// Shorthand for a broken rule of the loop IR.
pub(super) fn malformed<T>(message: impl Into<String>) -> Result<T, CodegenError> {
    Err(CodegenError::Malformed(message.into()))
}

/// Shorthand for what this emitter does not offer.
pub(super) fn unsupported<T>(message: impl Into<String>) -> Result<T, CodegenError> {
    Err(CodegenError::Unsupported(message.into()))
}
