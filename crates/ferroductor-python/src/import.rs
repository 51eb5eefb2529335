//! Plain Python data, as `ferroductor.graph` writes them, to [`fx::Graph`].
//!
//! A tuple is a tagged value (`("node", 3)`), a list is a list. Data that do not follow the format
//! are refused with the place where they stand; nothing is guessed.

use ferroductor_ir::fx::{Arg, Graph, Kind, Node, Phase, Symbol, TensorMeta, Value};
use ferroductor_ir::{DType, IExpr};
use pyo3::prelude::*;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyString, PyTuple};

use crate::errors::CompileError;

fn malformed(what: &str, found: &Bound<'_, PyAny>) -> PyErr {
    let shown = found
        .repr()
        .map_or_else(|_| "?".to_owned(), |r| r.to_string());
    CompileError::new_err(format!(
        "malformed graph data: {what} expected, not {shown}"
    ))
}

fn field<'py>(tuple: &Bound<'py, PyTuple>, at: usize, what: &str) -> PyResult<Bound<'py, PyAny>> {
    tuple
        .get_item(at)
        .map_err(|_| malformed(what, tuple.as_any()))
}

fn tuple<'a, 'py>(object: &'a Bound<'py, PyAny>, what: &str) -> PyResult<&'a Bound<'py, PyTuple>> {
    object
        .cast::<PyTuple>()
        .map_err(|_| malformed(what, object))
}

fn list<'a, 'py>(object: &'a Bound<'py, PyAny>, what: &str) -> PyResult<&'a Bound<'py, PyList>> {
    object.cast::<PyList>().map_err(|_| malformed(what, object))
}

fn integer(object: &Bound<'_, PyAny>, what: &str) -> PyResult<i64> {
    object.extract::<i64>().map_err(|_| malformed(what, object))
}

fn text(object: &Bound<'_, PyAny>, what: &str) -> PyResult<String> {
    object
        .extract::<String>()
        .map_err(|_| malformed(what, object))
}

/// The graph of `(name, phase, symbols, nodes)`.
pub fn graph(data: &Bound<'_, PyAny>) -> PyResult<Graph> {
    let data = tuple(data, "a graph")?;
    let symbols = field(data, 2, "a list of symbols")?;
    let nodes = field(data, 3, "a list of nodes")?;
    let mut graph = Graph {
        name: text(&field(data, 0, "a name")?, "a name")?,
        phase: phase(&field(data, 1, "a phase")?)?,
        symbols: list(&symbols, "a list of symbols")?
            .iter()
            .map(|s| symbol(&s))
            .collect::<PyResult<_>>()?,
        nodes: Vec::new(),
    };
    let context = Context {
        symbols: graph.symbols.len(),
    };
    for item in list(&nodes, "a list of nodes")?.iter() {
        let node = context.node(&item, graph.nodes.len())?;
        graph.nodes.push(node);
    }
    Ok(graph)
}

fn phase(object: &Bound<'_, PyAny>) -> PyResult<Phase> {
    match text(object, "a phase")?.as_str() {
        "inference" => Ok(Phase::Inference),
        "forward" => Ok(Phase::Forward),
        "backward" => Ok(Phase::Backward),
        _ => Err(malformed("a phase", object)),
    }
}

/// `(name, hint | None, min, max | None)`.
fn symbol(object: &Bound<'_, PyAny>) -> PyResult<Symbol> {
    let fields = tuple(object, "a symbol")?;
    let optional = |at| -> PyResult<Option<i64>> {
        let value = field(fields, at, "a symbol")?;
        if value.is_none() {
            Ok(None)
        } else {
            integer(&value, "an integer").map(Some)
        }
    };
    Ok(Symbol {
        name: text(&field(fields, 0, "a symbol")?, "a name")?,
        hint: optional(1)?,
        min: integer(&field(fields, 2, "a symbol")?, "a lower bound")?,
        max: optional(3)?,
    })
}

struct Context {
    symbols: usize,
}

impl Context {
    /// `(name, kind, target, args, kwargs, value, source | None)`.
    fn node(&self, object: &Bound<'_, PyAny>, position: usize) -> PyResult<Node> {
        let fields = tuple(object, "a node")?;
        let kind = field(fields, 1, "a kind")?;
        let source = field(fields, 6, "a source")?;
        let kwargs = field(fields, 4, "a dict")?;
        let kwargs = kwargs
            .cast::<PyDict>()
            .map_err(|_| malformed("a dict", &kwargs))?;
        Ok(Node {
            name: text(&field(fields, 0, "a name")?, "a name")?,
            kind: match text(&kind, "a kind")?.as_str() {
                "placeholder" => Kind::Placeholder,
                "get_attr" => Kind::GetAttr,
                "call" => Kind::Call,
                "output" => Kind::Output,
                _ => return Err(malformed("a kind of node", &kind)),
            },
            target: text(&field(fields, 2, "a target")?, "a target")?,
            args: self.args(&field(fields, 3, "a list")?, position)?,
            kwargs: kwargs
                .iter()
                .map(|(name, value)| Ok((text(&name, "a name")?, self.arg(&value, position)?)))
                .collect::<PyResult<_>>()?,
            value: self.value(&field(fields, 5, "a value")?)?,
            source: if source.is_none() {
                None
            } else {
                Some(text(&source, "a source")?)
            },
        })
    }

    fn args(&self, object: &Bound<'_, PyAny>, position: usize) -> PyResult<Vec<Arg>> {
        list(object, "a list of arguments")?
            .iter()
            .map(|a| self.arg(&a, position))
            .collect()
    }

    fn arg(&self, object: &Bound<'_, PyAny>, position: usize) -> PyResult<Arg> {
        if object.is_none() {
            return Ok(Arg::None);
        }
        if let Ok(tagged) = object.cast::<PyTuple>() {
            return self.tagged_arg(tagged, position);
        }
        if object.is_instance_of::<PyList>() {
            return self.args(object, position).map(Arg::List);
        }
        // `bool` before `int`: in Python it is a subclass.
        if let Ok(flag) = object.cast::<PyBool>() {
            return Ok(Arg::Bool(flag.is_true()));
        }
        if object.is_instance_of::<PyInt>() {
            return integer(object, "an integer of 64 bits").map(Arg::Int);
        }
        if object.is_instance_of::<PyFloat>() {
            return Ok(Arg::Float(object.extract()?));
        }
        if object.is_instance_of::<PyString>() {
            return text(object, "a text").map(Arg::Str);
        }
        Err(malformed("an argument", object))
    }

    fn tagged_arg(&self, tagged: &Bound<'_, PyTuple>, position: usize) -> PyResult<Arg> {
        let tag = text(&field(tagged, 0, "a tag")?, "a tag")?;
        let value = field(tagged, 1, "a tagged value")?;
        let name = |value: &Bound<'_, PyAny>| text(value, "a name");
        Ok(match tag.as_str() {
            "node" => {
                let at = value
                    .extract::<usize>()
                    .map_err(|_| malformed("a node", &value))?;
                if at >= position {
                    return Err(malformed("an earlier node", tagged.as_any()));
                }
                Arg::Node(at)
            }
            "dtype" => Arg::DType(dtype(&value)?),
            "device" => Arg::Device(name(&value)?),
            "layout" => Arg::Layout(name(&value)?),
            "memory_format" => Arg::MemoryFormat(name(&value)?),
            "object" => {
                let at = value
                    .extract::<usize>()
                    .map_err(|_| malformed("an object", &value))?;
                Arg::Object(at, name(&field(tagged, 2, "a text")?)?)
            }
            _ => return Err(malformed("a tagged argument", tagged.as_any())),
        })
    }

    fn value(&self, object: &Bound<'_, PyAny>) -> PyResult<Value> {
        if object.is_none() {
            return Ok(Value::None);
        }
        if let Ok(items) = object.cast::<PyList>() {
            return items
                .iter()
                .map(|i| self.value(&i))
                .collect::<PyResult<_>>()
                .map(Value::List);
        }
        let tagged = tuple(object, "a value")?;
        let tag = text(&field(tagged, 0, "a tag")?, "a tag")?;
        Ok(match tag.as_str() {
            "tensor" => Value::Tensor(self.tensor(tagged)?),
            "int" => Value::SymInt(self.expr(&field(tagged, 1, "an expression")?)?),
            "float" => Value::SymFloat,
            "bool" => Value::SymBool,
            "opaque" => Value::Opaque(text(&field(tagged, 1, "a text")?, "a text")?),
            _ => return Err(malformed("a tagged value", object)),
        })
    }

    /// `("tensor", dtype, sizes, strides, offset, is_plain, requires_grad)`.
    fn tensor(&self, fields: &Bound<'_, PyTuple>) -> PyResult<TensorMeta> {
        let flag = |at| -> PyResult<bool> {
            let value = field(fields, at, "a flag")?;
            value.extract().map_err(|_| malformed("a flag", &value))
        };
        let sizes = self.exprs(&field(fields, 2, "sizes")?)?;
        let strides = self.exprs(&field(fields, 3, "strides")?)?;
        if sizes.len() != strides.len() {
            return Err(malformed("as many strides as sizes", fields.as_any()));
        }
        if sizes.iter().any(|s| s.as_const().is_some_and(|c| c < 0)) {
            return Err(malformed("sizes of at least zero", fields.as_any()));
        }
        Ok(TensorMeta {
            dtype: dtype(&field(fields, 1, "a dtype")?)?,
            sizes,
            strides,
            offset: self.expr(&field(fields, 4, "an offset")?)?,
            is_plain: flag(5)?,
            requires_grad: flag(6)?,
        })
    }

    fn exprs(&self, object: &Bound<'_, PyAny>) -> PyResult<Vec<IExpr>> {
        list(object, "a list of sizes")?
            .iter()
            .map(|e| self.expr(&e))
            .collect()
    }

    /// An integer, `("symbol", i)` or `(operator, operand, …)`.
    fn expr(&self, object: &Bound<'_, PyAny>) -> PyResult<IExpr> {
        if object.is_instance_of::<PyInt>() {
            return integer(object, "an integer of 64 bits").map(IExpr::constant);
        }
        let fields = tuple(object, "a size expression")?;
        let tag = text(&field(fields, 0, "an operator")?, "an operator")?;
        if tag == "symbol" {
            let at = integer(&field(fields, 1, "a symbol")?, "a symbol")?;
            return u32::try_from(at)
                .ok()
                .filter(|i| (*i as usize) < self.symbols)
                .map(IExpr::size)
                .ok_or_else(|| malformed("a known symbol", object));
        }
        let operands: Vec<IExpr> = (1..fields.len())
            .map(|at| self.expr(&fields.get_item(at)?))
            .collect::<PyResult<_>>()?;
        let Some((first, rest)) = operands.split_first() else {
            return Err(malformed("operands", object));
        };
        let fold =
            |f: fn(&IExpr, &IExpr) -> IExpr| Ok(rest.iter().fold(first.clone(), |a, b| f(&a, b)));
        match tag.as_str() {
            "+" => fold(|a, b| a + b),
            "*" => fold(|a, b| a * b),
            "//" => fold(IExpr::floor_div),
            "%" => fold(IExpr::modulo),
            "min" => fold(IExpr::smaller),
            "max" => fold(IExpr::larger),
            _ => Err(malformed("an operator on sizes", object)),
        }
    }
}

fn dtype(object: &Bound<'_, PyAny>) -> PyResult<DType> {
    let code = object
        .extract::<i32>()
        .map_err(|_| malformed("a dtype code", object))?;
    Ok(DType::from_code(code))
}
