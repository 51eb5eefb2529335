//! The toolchain doctor for Python: its library function and its command line.

use pyo3::prelude::*;

/// Explains the text of an error; languages are tags such as `de` or `auto`, formats `human`,
/// `json` and the like.
#[pyfunction]
#[pyo3(signature = (text, language="auto", format="human"))]
pub fn explain_text(py: Python<'_>, text: &str, language: &str, format: &str) -> String {
    py.detach(|| ferroductor_doctor::explain_text(text, language, format))
}

/// Runs the command line `ferroductor …`; returns the exit code.
#[pyfunction]
pub fn command_line(py: Python<'_>, args: Vec<std::ffi::OsString>) -> i32 {
    py.detach(|| ferroductor_doctor::cli::main(args))
}
