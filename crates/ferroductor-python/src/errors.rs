//! Our errors as Python exceptions, all in one place.

use ferroductor_driver::{DriverError, OptionError};
use ferroductor_runtime::{ProgramError, RunError};
use ferroductor_torch::TorchError;
use pyo3::exceptions::{PyIndexError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

pyo3::create_exception!(
    _ferroductor,
    CompileError,
    PyRuntimeError,
    "Ferroductor could not compile a graph."
);

pub fn from_run(error: RunError) -> PyErr {
    match error {
        RunError::Index(text) => PyIndexError::new_err(text),
        RunError::Runtime(text) => PyRuntimeError::new_err(text),
        RunError::Host(error) => match error.downcast::<PyErr>() {
            Ok(error) => *error,
            Err(error) => PyRuntimeError::new_err(error.to_string()),
        },
    }
}

/// A Python exception on its way through the runtime.
pub fn to_run(error: PyErr) -> RunError {
    RunError::Host(Box::new(error))
}

pub fn from_driver(error: DriverError) -> PyErr {
    match error {
        DriverError::Dump(_) => PyOSError::new_err(error.to_string()),
        _ => CompileError::new_err(error.to_string()),
    }
}

pub fn from_program(error: ProgramError) -> PyErr {
    CompileError::new_err(format!("internal error: {error}"))
}

pub fn from_torch(error: TorchError) -> PyErr {
    PyRuntimeError::new_err(error.to_string())
}

pub fn from_option(error: OptionError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
