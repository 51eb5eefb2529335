//! Compiles printed text into a shared object with a given compiler, and loads it.
//!
//! This is the one place of the crate that touches the disk and starts a process; which compiler
//! and which directory is the caller's choice. A loaded object is never unloaded: its code may be
//! running on a thread nobody waits for.

use ferroductor_abi::KernelFn;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why text did not become loaded code.
#[derive(Debug)]
pub enum BuildError {
    /// A file could not be written or moved.
    File { path: PathBuf, error: io::Error },
    /// The compiler could not be started.
    Start { compiler: PathBuf, error: io::Error },
    /// The compiler refused, or crashed: its exit code (none after a signal) and what it printed.
    Compiler {
        command: String,
        code: Option<i32>,
        output: String,
    },
    /// The object could not be loaded.
    Load { path: PathBuf, message: String },
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildError::File { path, error } => write!(f, "{}: {error}", path.display()),
            BuildError::Start { compiler, error } => {
                write!(f, "{} could not be started: {error}", compiler.display())
            }
            BuildError::Compiler {
                command,
                code: Some(code),
                output,
            } => {
                write!(f, "exit code {code} of `{command}`:\n{output}")
            }
            BuildError::Compiler {
                command,
                code: None,
                output,
            } => {
                write!(f, "`{command}` was ended by a signal:\n{output}")
            }
            BuildError::Load { path, message } => write!(f, "{}: {message}", path.display()),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BuildError::File { error, .. } | BuildError::Start { error, .. } => Some(error),
            BuildError::Compiler { .. } | BuildError::Load { .. } => None,
        }
    }
}

/// Code in this process, to its end.
#[derive(Debug)]
pub struct Loaded {
    library: ManuallyDrop<libloading::Library>,
}

impl Loaded {
    /// The kernel of this name, if the object exports it.
    pub fn get(&self, symbol: &str) -> Option<KernelFn> {
        // SAFETY: the object was compiled from the printer's text, whose exported functions all
        // have this signature, and it stays loaded for as long as the process lives. The drivers
        // exported under OpenMP have another one, but `-fopenmp` is not among the options.
        unsafe {
            self.library
                .get::<KernelFn>(symbol.as_bytes())
                .ok()
                .map(|symbol| *symbol)
        }
    }
}

/// Writes `name.cpp` into the directory and compiles it to `name.so` beside it, which appears
/// only when it is complete. Gives the object's path.
pub fn compile(
    compiler: &Path,
    flags: &[&str],
    text: &str,
    directory: &Path,
    name: &str,
) -> Result<PathBuf, BuildError> {
    let source = directory.join(format!("{name}.cpp"));
    let object = directory.join(format!("{name}.so"));
    // Two processes may build the same object at once.
    let partial = directory.join(format!("{name}.{}.so", std::process::id()));
    std::fs::write(&source, text).map_err(|error| BuildError::File {
        path: source.clone(),
        error,
    })?;
    let mut command = Command::new(compiler);
    command
        .args(flags)
        .arg("-shared")
        .arg("-o")
        .arg(&partial)
        .arg(&source);
    // Messages in the language that their readers know.
    command.env("LC_ALL", "C");
    let result = command.output().map_err(|error| BuildError::Start {
        compiler: compiler.to_path_buf(),
        error,
    })?;
    if !result.status.success() {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
        let printed = [result.stdout.as_slice(), result.stderr.as_slice()].concat();
        return Err(BuildError::Compiler {
            command: words.join(" "),
            code: result.status.code(),
            output: String::from_utf8_lossy(&printed).into_owned(),
        });
    }
    std::fs::rename(&partial, &object).map_err(|error| BuildError::File {
        path: partial,
        error,
    })?;
    Ok(object)
}

/// Loads an object that [`compile`] made.
///
/// # Safety
/// The file was compiled from [`super::print`]'s text with [`super::flags`] for a target that
/// this processor is.
pub unsafe fn load(object: &Path) -> Result<Loaded, BuildError> {
    // SAFETY: the printer's text has no static constructors; the caller answers for the file.
    match unsafe { libloading::Library::new(object) } {
        Ok(library) => Ok(Loaded {
            library: ManuallyDrop::new(library),
        }),
        Err(error) => Err(BuildError::Load {
            path: object.to_path_buf(),
            message: error.to_string(),
        }),
    }
}
