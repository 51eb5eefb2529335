//! Why a graph could not be compiled, and whose fault it is.

use std::fmt;

/// What went wrong while a graph was compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileError {
    /// The graph contradicts itself or its metadata; the importer should have refused it.
    Malformed { node: String, reason: String },
    /// The graph is sound but uses something this compiler cannot express, not even through ATen.
    Unsupported { node: String, reason: String },
    /// A bug of ours.
    Internal { stage: &'static str, reason: String },
}

impl CompileError {
    pub fn malformed(node: &str, reason: impl Into<String>) -> CompileError {
        CompileError::Malformed {
            node: node.to_owned(),
            reason: reason.into(),
        }
    }

    pub fn unsupported(node: &str, reason: impl Into<String>) -> CompileError {
        CompileError::Unsupported {
            node: node.to_owned(),
            reason: reason.into(),
        }
    }

    pub fn internal(stage: &'static str, reason: impl Into<String>) -> CompileError {
        CompileError::Internal {
            stage,
            reason: reason.into(),
        }
    }
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CompileError::Malformed { node, reason } => {
                write!(f, "the graph is malformed at `{node}`: {reason}")
            }
            CompileError::Unsupported { node, reason } => {
                write!(f, "`{node}` is not supported: {reason}")
            }
            CompileError::Internal { stage, reason } => {
                write!(f, "internal error in stage {stage}: {reason}")
            }
        }
    }
}

impl std::error::Error for CompileError {}
