//! The graph as AOTAutograd hands it over: FX nodes with the metadata of their values.
//!
//! Nothing is interpreted here. Node arguments refer to earlier nodes by position; symbolic sizes
//! are already expressions over [`Graph::symbols`].

use crate::dtype::DType;
use crate::index::IExpr;

#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// Readable name, such as `inference_0`.
    pub name: String,
    pub phase: Phase,
    /// Size symbols; `Atom::Size(i)` in every expression of the graph is `symbols[i]`.
    pub symbols: Vec<Symbol>,
    pub nodes: Vec<Node>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    #[default]
    Inference,
    Forward,
    Backward,
}

#[derive(Clone, Debug)]
pub struct Symbol {
    pub name: String,
    /// The example's value; `None` for a data-dependent size.
    pub hint: Option<i64>,
    /// Inclusive lower bound by the shape environment (never below 0 for sizes).
    pub min: i64,
    /// Inclusive upper bound, if finite.
    pub max: Option<i64>,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub name: String,
    pub kind: Kind,
    /// `aten.add.Tensor`, `prims.iota.default`, `<built-in function mul>`; for `GetAttr` the
    /// attribute; for `Placeholder` the name.
    pub target: String,
    pub args: Vec<Arg>,
    pub kwargs: Vec<(String, Arg)>,
    pub value: Value,
    /// Line of the user's program, if recorded: `file.py:12 in forward`.
    pub source: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Placeholder,
    GetAttr,
    Call,
    /// `args` are the outputs; `Arg::None` where autograd needs nothing.
    Output,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Arg {
    None,
    Node(usize),
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    DType(DType),
    Device(String),
    Layout(String),
    MemoryFormat(String),
    List(Vec<Arg>),
    /// A Python object we only pass on: its index in the host's table, and its `repr`.
    Object(usize, String),
}

/// What a node's metadata says of its value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    None,
    Tensor(TensorMeta),
    /// A symbolic integer.
    SymInt(IExpr),
    /// A symbolic float or bool: known only at run time.
    SymFloat,
    SymBool,
    List(Vec<Value>),
    /// Anything else (generators, script objects, an expression we cannot represent).
    Opaque(String),
}

#[derive(Clone, Debug, PartialEq)]
pub struct TensorMeta {
    pub dtype: DType,
    pub sizes: Vec<IExpr>,
    /// In elements.
    pub strides: Vec<IExpr>,
    pub offset: IExpr,
    /// `cpu` and a dense strided layout; anything else only passes through ATen.
    pub is_plain: bool,
    pub requires_grad: bool,
}

impl Value {
    pub fn tensor(&self) -> Option<&TensorMeta> {
        match self {
            Value::Tensor(t) => Some(t),
            _ => None,
        }
    }
}

impl Node {
    /// A keyword argument.
    pub fn kwarg(&self, name: &str) -> Option<&Arg> {
        self.kwargs.iter().find(|k| k.0 == name).map(|k| &k.1)
    }
}
