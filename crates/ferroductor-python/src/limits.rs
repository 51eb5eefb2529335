//! The machine's limits, for the benchmark.

use pyo3::prelude::*;
use pyo3::types::PyDict;

/// What this machine can do at best with so many threads: `fma_gflops`, `read_gbs`, `copy_gbs`,
/// `stream_gbs`.
#[pyfunction]
pub fn bench_limits(py: Python<'_>, threads: usize) -> PyResult<Bound<'_, PyDict>> {
    let limits = py.detach(|| ferroductor_runtime::measure_limits(threads));
    let dict = PyDict::new(py);
    dict.set_item("fma_gflops", limits.fma_gflops)?;
    dict.set_item("read_gbs", limits.read_gbs)?;
    dict.set_item("copy_gbs", limits.copy_gbs)?;
    dict.set_item("stream_gbs", limits.stream_gbs)?;
    Ok(dict)
}
