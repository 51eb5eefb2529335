//! The Python extension module `ferroductor._ferroductor`: conversion and exceptions only.

mod calls;
mod compiled;
mod convert;
mod doctor;
mod errors;
mod import;
mod limits;
mod report;

use pyo3::prelude::*;

#[pymodule]
fn _ferroductor(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("__version__", env!("CARGO_PKG_VERSION"))?;
    module.add_class::<compiled::CompiledGraph>()?;
    module.add_class::<report::Options>()?;
    module.add_class::<report::GraphReport>()?;
    module.add_function(wrap_pyfunction!(compiled::compile_graph, module)?)?;
    module.add_function(wrap_pyfunction!(report::resolve_options, module)?)?;
    module.add_function(wrap_pyfunction!(report::known_options, module)?)?;
    module.add_function(wrap_pyfunction!(report::failed_report, module)?)?;
    module.add_function(wrap_pyfunction!(report::report_totals, module)?)?;
    module.add_function(wrap_pyfunction!(
        convert::roundtrip_through_handles,
        module
    )?)?;
    module.add_function(wrap_pyfunction!(limits::bench_limits, module)?)?;
    module.add_function(wrap_pyfunction!(doctor::explain_text, module)?)?;
    module.add_function(wrap_pyfunction!(doctor::command_line, module)?)?;
    module.add(
        "CompileError",
        module.py().get_type::<errors::CompileError>(),
    )?;
    Ok(())
}
