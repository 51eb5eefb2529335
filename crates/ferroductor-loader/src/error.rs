//! Why an object was not loaded.

use std::fmt;

/// A refused object, or memory the system did not give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// Not an ELF relocatable object we can read.
    Malformed(String),
    /// Made for another architecture than this machine's.
    WrongArchitecture,
    /// A relocation type we do not know.
    UnknownRelocation { kind: u32 },
    /// A relocation whose target is too far away.
    OutOfRange { kind: u32 },
    /// The object needs something that it does not define.
    UndefinedSymbol(String),
    /// The system refused memory, or to make it executable.
    Memory(String),
}

impl LoadError {
    pub(crate) fn malformed(what: impl Into<String>) -> LoadError {
        LoadError::Malformed(what.into())
    }

    pub(crate) fn memory(error: std::io::Error) -> LoadError {
        LoadError::Memory(error.to_string())
    }
}

impl From<object::Error> for LoadError {
    fn from(error: object::Error) -> LoadError {
        LoadError::Malformed(error.to_string())
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Malformed(what) => write!(f, "malformed object: {what}"),
            LoadError::WrongArchitecture => f.write_str("object of another architecture"),
            LoadError::UnknownRelocation { kind } => write!(f, "unknown relocation type {kind}"),
            LoadError::OutOfRange { kind } => write!(f, "relocation type {kind} out of range"),
            LoadError::UndefinedSymbol(name) => write!(f, "undefined symbol {name}"),
            LoadError::Memory(why) => write!(f, "no executable memory: {why}"),
        }
    }
}

impl std::error::Error for LoadError {}
