//! A compiled graph as a Python callable, in two conventions.
//!
//! `graph(args)` takes AOTAutograd's one list, empties it and returns a list. The object of
//! [`CompiledGraph::direct`] takes the inputs one by one and returns a tuple; nothing stands
//! between it and the caller.

use std::ffi::c_int;
use std::time::Instant;

use ferroductor_abi::Input;
use ferroductor_driver as driver;
use ferroductor_runtime::{Executable, InputValue, OutputValue, RunError};
use ferroductor_torch::TorchCalls;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::calls::{PythonCalls, Tables};
use crate::convert::{PyHost, host, tensor_from, tensor_to};
use crate::errors::{from_driver, from_program, from_run, to_run};
use crate::report::{GraphReport, Options};

/// One compiled graph.
#[pyclass(dict, weakref, frozen)]
pub struct CompiledGraph {
    executable: Executable<PyHost>,
    report: driver::GraphReport,
}

/// Compiles a graph given as plain data.
///
/// `targets` has the object to call for each node, `objects` what arguments refer to,
/// `constants` the tensor of each attribute by name, `dtypes` each `torch.dtype` by its code.
#[pyfunction]
pub fn compile_graph(
    data: &Bound<'_, PyAny>,
    targets: Bound<'_, PyList>,
    objects: Bound<'_, PyList>,
    constants: &Bound<'_, PyDict>,
    dtypes: Bound<'_, PyDict>,
    options: &Options,
) -> PyResult<CompiledGraph> {
    let host = host()?;
    let start = Instant::now();
    let graph = crate::import::graph(data)?;
    let import = driver::Stage {
        name: "import",
        time: start.elapsed(),
    };
    let mut compiled = targets
        .py()
        .detach(|| driver::compile(&graph, &options.options))
        .map_err(from_driver)?;
    compiled.report.stages.insert(0, import);
    let tables = Tables {
        targets,
        objects,
        dtypes,
    };
    let calls = PythonCalls::new(&compiled.program, &tables)?;
    let calls = TorchCalls::new(host.shim(), &compiled.program, Box::new(calls));
    let constants = compiled
        .program
        .constants
        .iter()
        .map(|name| match constants.get_item(name)? {
            Some(tensor) => tensor_from(&tensor, host.shim()),
            None => Err(crate::errors::CompileError::new_err(format!(
                "no constant {name:?}"
            ))),
        })
        .collect::<PyResult<_>>()?;
    let executable = Executable::new(
        compiled.program,
        compiled.kernels,
        Box::new(calls),
        constants,
    )
    .map_err(from_program)?;
    let executable = if options.options.profile {
        executable.profiled()
    } else {
        executable
    };
    Ok(CompiledGraph {
        executable,
        report: compiled.report,
    })
}

impl CompiledGraph {
    /// Runs the program on borrowed inputs; outputs are appended to `outputs`.
    fn run<'py>(
        &self,
        py: Python<'py>,
        input: &dyn Fn(usize) -> Option<Bound<'py, PyAny>>,
        outputs: &mut Vec<Bound<'py, PyAny>>,
    ) -> PyResult<()> {
        let host = host()?;
        let mut read = |at: usize, kind: &Input| {
            let Some(object) = input(at) else {
                return Err(RunError::runtime(format!("input {at} is missing")));
            };
            Ok(match kind {
                Input::Tensor { .. } => {
                    InputValue::Tensor(tensor_from(&object, host.shim()).map_err(to_run)?)
                }
                Input::Size { .. } => InputValue::Size(object.extract().map_err(to_run)?),
                Input::Opaque { .. } => InputValue::Opaque(object.unbind()),
            })
        };
        let mut write = |value: OutputValue<PyHost>| {
            outputs.push(match value {
                OutputValue::None => py.None().into_bound(py),
                OutputValue::Tensor(tensor) => tensor_to(py, tensor).map_err(to_run)?,
                OutputValue::Value(object) => object.into_bound(py),
                OutputValue::Size(value) => value
                    .into_pyobject(py)
                    .map_err(|e| to_run(e.into()))?
                    .into_any(),
            });
            Ok(())
        };
        self.executable
            .run(host, &mut read, &mut write)
            .map_err(from_run)
    }

    fn check_count(&self, found: usize) -> PyResult<()> {
        let expected = self.executable.program().inputs.len();
        if found == expected {
            return Ok(());
        }
        Err(pyo3::exceptions::PyTypeError::new_err(format!(
            "the compiled graph takes {expected} inputs, not {found}"
        )))
    }
}

#[pymethods]
impl CompiledGraph {
    fn __call__<'py>(&self, args: &Bound<'py, PyList>) -> PyResult<Bound<'py, PyList>> {
        let py = args.py();
        self.check_count(args.len())?;
        let mut outputs = Vec::with_capacity(self.executable.program().outputs.len());
        // Inputs are taken out of the list one by one, so that a tensor whose last use is here is
        // freed by the program's own releases.
        let take = |at: usize| {
            let item = args.get_item(at).ok()?;
            args.set_item(at, py.None()).ok()?;
            Some(item)
        };
        let result = self.run(py, &take, &mut outputs);
        args.del_slice(0, args.len())?;
        result?;
        PyList::new(py, outputs)
    }

    /// The same graph as a callable that takes its inputs one by one and returns a tuple.
    fn direct<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        // SAFETY: the definition is static and its function has the signature that
        // METH_FASTCALL asks for; the new object keeps `slf` alive.
        unsafe {
            let function = ffi::PyCFunction_NewEx(
                (&raw const DIRECT.0).cast_mut(),
                slf.as_ptr(),
                std::ptr::null_mut(),
            );
            Bound::from_owned_ptr_or_err(slf.py(), function)
        }
    }

    #[getter]
    fn report(&self) -> GraphReport {
        GraphReport {
            report: self.report.clone(),
            profile: self.executable.profile(),
        }
    }

    #[getter]
    fn input_count(&self) -> usize {
        self.executable.program().inputs.len()
    }

    #[getter]
    fn output_count(&self) -> usize {
        self.executable.program().outputs.len()
    }
}

/// A method definition that C reads and nobody writes.
struct Definition(ffi::PyMethodDef);
// SAFETY: it is never written.
unsafe impl Sync for Definition {}

static DIRECT: Definition = Definition(ffi::PyMethodDef {
    ml_name: c"compiled_graph".as_ptr(),
    ml_meth: ffi::PyMethodDefPointer {
        PyCFunctionFast: call_direct,
    },
    ml_flags: ffi::METH_FASTCALL,
    ml_doc: c"A graph compiled by Ferroductor.".as_ptr(),
});

unsafe extern "C" fn call_direct(
    slf: *mut ffi::PyObject,
    args: *mut *mut ffi::PyObject,
    count: ffi::Py_ssize_t,
) -> *mut ffi::PyObject {
    let result = std::panic::catch_unwind(|| {
        Python::attach(|py| {
            // SAFETY: `direct` made the function with a `CompiledGraph`.
            let graph = unsafe { Bound::from_borrowed_ptr(py, slf) };
            let args = if args.is_null() || count <= 0 {
                &[]
            } else {
                // SAFETY: the caller passes `count` borrowed objects.
                unsafe { std::slice::from_raw_parts(args, count as usize) }
            };
            run_direct(&graph, args)
        })
    });
    match result {
        Ok(Ok(tuple)) => tuple,
        Ok(Err(error)) => {
            Python::attach(|py| error.restore(py));
            std::ptr::null_mut()
        }
        Err(_) => {
            Python::attach(|py| {
                pyo3::exceptions::PyRuntimeError::new_err(
                    "internal error: a panic in a compiled graph",
                )
                .restore(py);
            });
            std::ptr::null_mut()
        }
    }
}

fn run_direct(
    graph: &Bound<'_, PyAny>,
    args: &[*mut ffi::PyObject],
) -> PyResult<*mut ffi::PyObject> {
    let py = graph.py();
    let graph = graph.cast::<CompiledGraph>()?.get();
    graph.check_count(args.len())?;
    let mut outputs = Vec::with_capacity(graph.executable.program().outputs.len());
    let input = |at: usize| {
        let object = *args.get(at)?;
        // SAFETY: the caller keeps its arguments alive during the call.
        Some(unsafe { Bound::from_borrowed_ptr(py, object) })
    };
    graph.run(py, &input, &mut outputs)?;
    // SAFETY: a fresh tuple of the right length, every place filled once with an own reference.
    unsafe {
        let tuple =
            Bound::from_owned_ptr_or_err(py, ffi::PyTuple_New(outputs.len() as ffi::Py_ssize_t))?;
        for (at, output) in outputs.into_iter().enumerate() {
            if ffi::PyTuple_SetItem(tuple.as_ptr(), at as ffi::Py_ssize_t, output.into_ptr())
                != 0 as c_int
            {
                return Err(PyErr::fetch(py));
            }
        }
        Ok(tuple.into_ptr())
    }
}
