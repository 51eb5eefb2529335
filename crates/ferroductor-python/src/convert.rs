//! Tensors between Python and handles, and the process's torch host.

use std::ffi::c_void;
use std::sync::OnceLock;

use ferroductor_torch::{Interpreter, Shim, TorchHost, TorchTensor};
use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyList};

use crate::errors::from_torch;

/// A Python object that is no tensor.
pub type Value = Py<PyAny>;
pub type PyHost = TorchHost<Value>;

fn suspend() -> *mut c_void {
    // SAFETY: the runtime suspends only while it holds the interpreter lock, and touches no Python
    // object until it resumes.
    unsafe { ffi::PyEval_SaveThread().cast() }
}

fn resume(state: *mut c_void) {
    // SAFETY: `state` comes from `suspend` on this thread.
    unsafe { ffi::PyEval_RestoreThread(state.cast()) }
}

fn share(value: &Value) -> Value {
    Python::attach(|py| value.clone_ref(py))
}

/// The host of this process.
pub fn host() -> PyResult<&'static PyHost> {
    static HOST: OnceLock<PyHost> = OnceLock::new();
    if let Some(host) = HOST.get() {
        return Ok(host);
    }
    let host = TorchHost::new(Some(Interpreter { suspend, resume }), share).map_err(from_torch)?;
    Ok(HOST.get_or_init(|| host))
}

/// The tensor of a Python object.
pub fn tensor_from(object: &Bound<'_, PyAny>, shim: &'static Shim) -> PyResult<TorchTensor> {
    // SAFETY: the object is alive and this thread holds the interpreter lock.
    match unsafe { TorchTensor::from_python(shim, object.as_ptr().cast()) } {
        Some(tensor) => tensor.map_err(from_torch),
        None => tensor_from_capsule(object),
    }
}

/// The Python object of a tensor.
pub fn tensor_to<'py>(py: Python<'py>, tensor: TorchTensor) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: this thread holds the interpreter lock.
    match unsafe { tensor.to_python() } {
        Some(object) => {
            let object = object.map_err(from_torch)?;
            // SAFETY: on success the function returns a new reference.
            Ok(unsafe { Bound::from_owned_ptr(py, object.cast()) })
        }
        None => tensor_to_capsule(py, tensor),
    }
}

/// Before torch 2.14: handles travel as capsules in a list.
fn tensor_from_capsule(object: &Bound<'_, PyAny>) -> PyResult<TorchTensor> {
    let py = object.py();
    let capsules = handles_module(py)?.call_method1(
        intern!(py, "unsafe_alloc_void_ptrs_from_tensors"),
        (PyList::new(py, [object])?,),
    )?;
    let capsule = capsules.get_item(0)?.cast_into::<PyCapsule>()?;
    // SAFETY: torch made the capsule around an owning handle that is ours from here; the capsule
    // has no name and no destructor.
    unsafe { TorchTensor::from_handle(capsule_pointer(&capsule)?) }.map_err(from_torch)
}

fn tensor_to_capsule<'py>(py: Python<'py>, tensor: TorchTensor) -> PyResult<Bound<'py, PyAny>> {
    // SAFETY: a capsule without name and destructor around a pointer that is not null; the
    // function called next takes the handle over.
    let capsule = unsafe {
        Bound::from_owned_ptr_or_err(
            py,
            ffi::PyCapsule_New(tensor.into_handle(), std::ptr::null(), None),
        )?
    };
    handles_module(py)?
        .call_method1(
            intern!(py, "alloc_tensors_by_stealing_from_void_ptrs"),
            (PyList::new(py, [capsule])?,),
        )?
        .get_item(0)
}

fn capsule_pointer(capsule: &Bound<'_, PyCapsule>) -> PyResult<*mut c_void> {
    // SAFETY: the object is a capsule; a wrong name sets a Python error.
    let pointer = unsafe {
        let name = ffi::PyCapsule_GetName(capsule.as_ptr());
        ffi::PyCapsule_GetPointer(capsule.as_ptr(), name)
    };
    if pointer.is_null() {
        Err(PyErr::fetch(capsule.py()))
    } else {
        Ok(pointer)
    }
}

fn handles_module(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    py.import(intern!(py, "torch._C"))?
        .getattr(intern!(py, "_aoti"))
}

/// The tensor again, by the way that torch before 2.14 needs.
#[pyfunction]
pub fn roundtrip_through_handles<'py>(tensor: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    tensor_to_capsule(tensor.py(), tensor_from_capsule(tensor)?)
}
