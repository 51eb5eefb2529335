//! ATen calls of a program through the operators' Python objects.
//!
//! Arguments that do not change from call to call are converted once. A call then costs one tuple,
//! the tensors' Python objects and the operator itself.

use ferroductor_abi::{AtenArg, AtenCall, Bind, BufferId, Dim, Program};
use ferroductor_runtime::{AtenCalls, Frame, RunError};
use ferroductor_torch::TorchTensor;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyFloat, PyList, PyString, PyTuple};

use crate::convert::{PyHost, tensor_from, tensor_to};
use crate::errors::{CompileError, from_run, to_run};

/// Python objects that arguments refer to.
pub struct Tables<'py> {
    /// By FX node: what a `Call` node calls.
    pub targets: Bound<'py, PyList>,
    pub objects: Bound<'py, PyList>,
    /// `torch.dtype` by code.
    pub dtypes: Bound<'py, PyDict>,
}

/// An argument, as far as it is known before the call.
enum Prepared {
    Fixed(Py<PyAny>),
    Tensor(BufferId),
    Int(Dim),
    List(Vec<Prepared>),
    Opaque(u32),
    Result { call: u32, index: u32 },
}

struct PreparedCall {
    target: Py<PyAny>,
    args: Vec<Prepared>,
    kwargs: Vec<(Py<PyString>, Prepared)>,
    /// The keyword arguments, where none of them changes.
    fixed_kwargs: Option<Py<PyDict>>,
    results: Vec<Option<BufferId>>,
    /// By result: is it kept as a Python object?
    kept: Vec<bool>,
    binds: Vec<Bind>,
    returns_list: bool,
    name: String,
}

/// All calls of one program.
pub struct PythonCalls {
    calls: Vec<PreparedCall>,
}

impl PythonCalls {
    pub fn new(program: &Program, tables: &Tables<'_>) -> PyResult<PythonCalls> {
        let used = used_results(program);
        let calls = program
            .aten
            .iter()
            .enumerate()
            .map(|(at, call)| prepare(call, at as u32, tables, &used))
            .collect::<PyResult<_>>()?;
        Ok(PythonCalls { calls })
    }
}

/// Results that are needed as Python objects, as `(call, index)`.
fn used_results(program: &Program) -> std::collections::HashSet<(u32, u32)> {
    let mut used = std::collections::HashSet::new();
    for call in &program.aten {
        call.args
            .iter()
            .chain(call.kwargs.iter().map(|k| &k.1))
            .for_each(|a| collect(a, &mut used));
    }
    for output in &program.outputs {
        if let ferroductor_abi::Output::Result { call, index } = output {
            used.insert((*call, *index));
        }
    }
    used
}

fn collect(arg: &AtenArg, used: &mut std::collections::HashSet<(u32, u32)>) {
    match arg {
        AtenArg::Result { call, index } => {
            used.insert((*call, *index));
        }
        AtenArg::List(items) => items.iter().for_each(|i| collect(i, used)),
        _ => {}
    }
}

fn prepare(
    call: &AtenCall,
    at: u32,
    tables: &Tables<'_>,
    used: &std::collections::HashSet<(u32, u32)>,
) -> PyResult<PreparedCall> {
    let py = tables.targets.py();
    let target = tables.targets.get_item(call.node as usize)?;
    if target.is_none() {
        return Err(CompileError::new_err(format!(
            "`{}` has no target to call",
            call.target
        )));
    }
    let args = call
        .args
        .iter()
        .map(|a| prepare_arg(a, tables))
        .collect::<PyResult<_>>()?;
    let kwargs: Vec<(Py<PyString>, Prepared)> = call
        .kwargs
        .iter()
        .map(|(name, arg)| {
            Ok((
                PyString::intern(py, name).unbind(),
                prepare_arg(arg, tables)?,
            ))
        })
        .collect::<PyResult<_>>()?;
    let fixed_kwargs =
        if !kwargs.is_empty() && kwargs.iter().all(|k| matches!(k.1, Prepared::Fixed(_))) {
            let dict = PyDict::new(py);
            for (name, arg) in &kwargs {
                if let Prepared::Fixed(object) = arg {
                    dict.set_item(name, object)?;
                }
            }
            Some(dict.unbind())
        } else {
            None
        };
    Ok(PreparedCall {
        target: target.unbind(),
        args,
        kwargs,
        fixed_kwargs,
        results: call.results.clone(),
        kept: (0..call.results.len() as u32)
            .map(|index| used.contains(&(at, index)))
            .collect(),
        binds: call.binds.clone(),
        returns_list: call.returns_list,
        name: call.target.clone(),
    })
}

fn prepare_arg(arg: &AtenArg, tables: &Tables<'_>) -> PyResult<Prepared> {
    let py = tables.targets.py();
    let torch = |name: &str| -> PyResult<Prepared> {
        let short = name.rsplit('.').next().unwrap_or(name);
        Ok(Prepared::Fixed(
            py.import("torch")?.getattr(short)?.unbind(),
        ))
    };
    Ok(match arg {
        AtenArg::None => Prepared::Fixed(py.None()),
        AtenArg::Tensor(buffer) => Prepared::Tensor(*buffer),
        AtenArg::Int(Dim::Const(value)) => {
            Prepared::Fixed(value.into_pyobject(py)?.into_any().unbind())
        }
        AtenArg::Int(dim) => Prepared::Int(*dim),
        AtenArg::Float(value) => Prepared::Fixed(PyFloat::new(py, *value).into_any().unbind()),
        AtenArg::Bool(value) => {
            Prepared::Fixed(value.into_pyobject(py)?.to_owned().into_any().unbind())
        }
        AtenArg::Str(text) => Prepared::Fixed(PyString::new(py, text).into_any().unbind()),
        AtenArg::DType(code) => {
            let dtype = tables.dtypes.get_item(code)?;
            let missing = || CompileError::new_err(format!("no torch.dtype has code {code}"));
            Prepared::Fixed(dtype.ok_or_else(missing)?.unbind())
        }
        AtenArg::Device(name) => Prepared::Fixed(
            py.import("torch")?
                .getattr("device")?
                .call1((name,))?
                .unbind(),
        ),
        AtenArg::Layout(name) | AtenArg::MemoryFormat(name) => torch(name)?,
        AtenArg::Object(index) => {
            Prepared::Fixed(tables.objects.get_item(*index as usize)?.unbind())
        }
        AtenArg::Opaque(index) => Prepared::Opaque(*index),
        AtenArg::Result { call, index } => Prepared::Result {
            call: *call,
            index: *index,
        },
        AtenArg::List(items) => {
            let items: Vec<Prepared> = items
                .iter()
                .map(|i| prepare_arg(i, tables))
                .collect::<PyResult<_>>()?;
            fixed_list(py, &items)?.map_or(Prepared::List(items), Prepared::Fixed)
        }
    })
}

/// A list whose items are all fixed is fixed too. Operators do not change their lists.
fn fixed_list(py: Python<'_>, items: &[Prepared]) -> PyResult<Option<Py<PyAny>>> {
    let list = PyList::empty(py);
    for item in items {
        match item {
            Prepared::Fixed(object) => list.append(object)?,
            _ => return Ok(None),
        }
    }
    Ok(Some(list.into_any().unbind()))
}

/// The argument's Python object.
fn argument<'py>(
    py: Python<'py>,
    arg: &Prepared,
    frame: &mut Frame<'_, PyHost>,
) -> PyResult<Bound<'py, PyAny>> {
    let missing = || CompileError::new_err("internal error: an argument has no value");
    Ok(match arg {
        Prepared::Fixed(object) => object.bind(py).clone(),
        Prepared::Tensor(buffer) => {
            let tensor = frame.tensor(*buffer).map_err(from_run)?;
            let tensor = tensor.share().map_err(crate::errors::from_torch)?;
            tensor_to(py, tensor)?
        }
        Prepared::Int(dim) => frame.dim(*dim).into_pyobject(py)?.into_any(),
        Prepared::Opaque(index) => frame.opaque(*index).ok_or_else(missing)?.bind(py).clone(),
        Prepared::Result { call, index } => frame
            .result(*call, *index)
            .ok_or_else(missing)?
            .bind(py)
            .clone(),
        Prepared::List(items) => {
            let list = PyList::empty(py);
            for item in items {
                list.append(argument(py, item, frame)?)?;
            }
            list.into_any()
        }
    })
}

impl PreparedCall {
    fn run(&self, py: Python<'_>, at: u32, frame: &mut Frame<'_, PyHost>) -> PyResult<()> {
        let args: Vec<Bound<'_, PyAny>> = self
            .args
            .iter()
            .map(|a| argument(py, a, frame))
            .collect::<PyResult<_>>()?;
        let args = PyTuple::new(py, args)?;
        let kwargs = match &self.fixed_kwargs {
            // A copy: the operator may keep the dict it is given.
            Some(fixed) => Some(fixed.bind(py).copy()?),
            None if self.kwargs.is_empty() => None,
            None => {
                let dict = PyDict::new(py);
                for (name, arg) in &self.kwargs {
                    dict.set_item(name, argument(py, arg, frame)?)?;
                }
                Some(dict)
            }
        };
        let result = self.target.bind(py).call(args, kwargs.as_ref())?;
        let mut leaves = Vec::new();
        if self.returns_list {
            flatten(&result, &mut leaves)?
        } else {
            leaves.push(result)
        }
        if leaves.len() < self.results.len() {
            return Err(CompileError::new_err(format!(
                "`{}` returned {} results where the graph has {}",
                self.name,
                leaves.len(),
                self.results.len()
            )));
        }
        self.store(at, &leaves, frame)
    }

    fn store(
        &self,
        at: u32,
        leaves: &[Bound<'_, PyAny>],
        frame: &mut Frame<'_, PyHost>,
    ) -> PyResult<()> {
        for bind in &self.binds {
            match *bind {
                Bind::Int { slot, result } => {
                    frame.bind(slot, leaves[result as usize].extract::<i64>()?);
                }
                Bind::Dim { slot, result, dim } => {
                    let size = leaves[result as usize].call_method1("size", (dim,))?;
                    frame.bind(slot, size.extract::<i64>()?);
                }
            }
        }
        for (index, leaf) in leaves.iter().enumerate().take(self.results.len()) {
            if let Some(buffer) = self.results[index] {
                let tensor: TorchTensor = tensor_from(leaf, frame.host().shim())?;
                frame.set_tensor(buffer, tensor).map_err(from_run)?;
            } else if self.kept[index] {
                frame.set_result(at, index as u32, leaf.clone().unbind());
            }
        }
        Ok(())
    }
}

/// The leaves of nested lists and tuples, in order.
fn flatten<'py>(object: &Bound<'py, PyAny>, leaves: &mut Vec<Bound<'py, PyAny>>) -> PyResult<()> {
    if object.is_instance_of::<PyTuple>() || object.is_instance_of::<PyList>() {
        for item in object.try_iter()? {
            flatten(&item?, leaves)?;
        }
    } else {
        leaves.push(object.clone());
    }
    Ok(())
}

impl AtenCalls<PyHost> for PythonCalls {
    fn needs_interpreter(&self, _call: u32) -> bool {
        true
    }

    fn call(&self, call: u32, frame: &mut Frame<'_, PyHost>) -> Result<(), RunError> {
        let Some(prepared) = self.calls.get(call as usize) else {
            return Err(RunError::runtime("internal error: a call was not prepared"));
        };
        Python::attach(|py| prepared.run(py, call, frame)).map_err(to_run)
    }
}
