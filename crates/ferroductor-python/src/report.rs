//! Options and reports as Python objects.

use std::sync::Arc;

use ferroductor_driver as driver;
use ferroductor_runtime::Profile;
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyList};

use crate::errors::from_option;

/// Resolved options of one compilation.
#[pyclass(frozen)]
pub struct Options {
    pub(crate) options: driver::Options,
}

#[pymethods]
impl Options {
    /// Does a failed compilation raise, rather than fall back to eager?
    #[getter]
    fn raises(&self) -> bool {
        self.options.on_error == driver::OnError::Raise
    }

    #[getter]
    fn cache_key(&self) -> String {
        self.options.cache_key()
    }

    /// Every option with its value, as text.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let values = PyDict::new(py);
        for (name, text) in self.options.values() {
            values.set_item(name, text)?;
        }
        Ok(values)
    }
}

/// Options from `mode=`, `options=` and the environment.
#[pyfunction]
#[pyo3(signature = (mode=None, options=None))]
pub fn resolve_options(
    mode: Option<&str>,
    options: Option<&Bound<'_, PyDict>>,
) -> PyResult<Options> {
    let mut given = Vec::new();
    for (name, value) in options.into_iter().flat_map(|o| o.iter()) {
        given.push((name.str()?.to_string(), option_text(&value)?));
    }
    let options = driver::Options::resolve(mode, &given).map_err(from_option)?;
    Ok(Options { options })
}

fn option_text(value: &Bound<'_, PyAny>) -> PyResult<String> {
    if value.is_none() {
        return Ok(String::new());
    }
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(flag.is_true().to_string());
    }
    Ok(value.str()?.to_string())
}

/// One dict for each option: name, values, default, environment variable, doc.
#[pyfunction]
pub fn known_options(py: Python<'_>) -> PyResult<Bound<'_, PyList>> {
    let rows = PyList::empty(py);
    for setting in driver::known_options() {
        let row = PyDict::new(py);
        row.set_item("name", setting.name)?;
        row.set_item("values", setting.values)?;
        row.set_item("default", setting.default_text())?;
        row.set_item("environment", setting.variable())?;
        row.set_item("doc", setting.doc)?;
        row.set_item("changes_code", setting.changes_code)?;
        rows.append(row)?;
    }
    Ok(rows)
}

/// What became of one graph.
#[pyclass(frozen)]
pub struct GraphReport {
    pub(crate) report: driver::GraphReport,
    /// Goes on counting while the graph is in use.
    pub(crate) profile: Option<Arc<Profile>>,
}

impl GraphReport {
    /// The report with the times measured so far.
    fn present(&self) -> driver::GraphReport {
        let mut report = self.report.clone();
        let times = self.profile.iter().flat_map(|profile| profile.times());
        for (step, time) in report.steps.iter_mut().zip(times) {
            (step.calls, step.time) = (time.calls, time.total);
        }
        report
    }
}

#[pymethods]
impl GraphReport {
    #[getter]
    fn name(&self) -> &str {
        &self.report.name
    }

    #[getter]
    fn failure(&self) -> Option<&str> {
        self.report.failure.as_deref()
    }

    fn __str__(&self) -> String {
        self.present().text()
    }

    /// The report as plain data.
    fn as_dict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let report = &self.present();
        let dict = PyDict::new(py);
        dict.set_item("name", &report.name)?;
        dict.set_item("phase", report.phase)?;
        dict.set_item("failure", report.failure.as_deref())?;
        dict.set_item("launches", report.launches)?;
        dict.set_item("kernels", report.kernels)?;
        dict.set_item("calls", report.calls)?;
        dict.set_item("arena_bytes", report.arena_bytes)?;
        dict.set_item("notes", &report.notes)?;
        let stages = PyDict::new(py);
        for stage in &report.stages {
            stages.set_item(stage.name, stage.time.as_secs_f64() * 1e3)?;
        }
        dict.set_item("milliseconds", stages)?;
        let steps = PyList::empty(py);
        for step in &report.steps {
            let time = step.time.as_secs_f64() * 1e3;
            steps.append((&step.name, step.class.name(), step.calls, time))?;
        }
        dict.set_item("steps", steps)?;
        let nodes = PyList::empty(py);
        for node in &report.nodes {
            nodes.append((&node.name, &node.target, node.class.name(), &node.reason))?;
        }
        dict.set_item("nodes", nodes)?;
        Ok(dict)
    }
}

/// The report of a graph that runs in eager.
#[pyfunction]
pub fn failed_report(name: String, phase: &str, failure: String) -> GraphReport {
    let phase = match phase {
        "forward" => "forward",
        "backward" => "backward",
        _ => "inference",
    };
    let report = driver::GraphReport {
        name,
        phase,
        failure: Some(failure),
        ..Default::default()
    };
    GraphReport {
        report,
        profile: None,
    }
}

/// One line over several graphs.
#[pyfunction]
pub fn report_totals(reports: Vec<PyRef<'_, GraphReport>>) -> String {
    driver::totals(reports.iter().map(|r| &r.report))
}
