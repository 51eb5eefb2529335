//! FX nodes to tensor IR. One file a family of operators; each lowering either defines what the
//! elements of its results are, or says in words why the node goes to ATen.
//!
//! Lowering never looks at values, only at metadata, and treats static and symbolic sizes alike.

mod activation;
mod args;
mod attention;
mod attention_pattern;
mod check;
mod convolution;
mod convolution_backward;
mod create;
mod indexing;
mod matmul;
mod pointwise;
mod pooling;
mod reduction;
mod views;
mod windows;

use crate::graph::E;
use crate::graph::{Graph, Source, Tensor, TensorId, View, contiguous_strides};
use crate::layout::{argument_nodes, copy_of, has_geometry};
use ferroductor_ir::{DType, IExpr, fx};
use std::collections::HashMap;

pub use args::Args;
pub use reduction::neutral;

/// Why a node is not native.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason(pub String);

impl Reason {
    pub fn new(text: impl Into<String>) -> Reason {
        Reason(text.into())
    }
}

pub type Lowered<T> = Result<T, Reason>;

/// What an FX node stands for after lowering.
#[derive(Clone, Debug)]
pub enum Meaning {
    Tensor(View),
    Size(IExpr),
    /// Several results; `None` for one that is no tensor.
    Tuple(Vec<Meaning>),
    /// A value only ATen sees: result `index` of node `node`.
    Foreign {
        node: usize,
        index: usize,
    },
    None,
}

/// Work in graph order that is not a definition.
#[derive(Clone, Debug)]
pub enum Item {
    /// The node runs in ATen: its tensor arguments get memory with the metadata's geometry.
    Aten { node: usize, reason: Reason },
    /// The input's memory is overwritten by `copy`, whose elements are those of a tensor computed
    /// before, after everything that reads the input.
    Mutate { input: usize, copy: TensorId },
}

/// A graph in tensor IR.
#[derive(Debug, Default)]
pub struct Module {
    pub graph: Graph,
    pub items: Vec<Item>,
    pub meanings: Vec<Meaning>,
    /// The calls that have native definitions.
    pub native: Vec<usize>,
    /// Where each external tensor comes from: FX node and position among its results.
    pub externals: Vec<(TensorId, usize, usize)>,
    /// For the nodes that ATen calls take: a view that lies in memory as the metadata promise.
    pub arguments: HashMap<usize, View>,
}

/// Options that change what code means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Numerics {
    /// Round after every half precision operator, as eager does.
    pub eager_rounding: bool,
}

pub struct Lowerer<'a> {
    pub fx: &'a fx::Graph,
    pub module: Module,
    pub numerics: Numerics,
    /// The node being lowered.
    node: usize,
}

/// A lowering for one node.
type Rule = fn(&mut Lowerer<'_>, &Args<'_>) -> Lowered<Meaning>;

/// Finds the family that knows a target.
fn rule(target: &str) -> Option<Rule> {
    let name = target.strip_suffix(".default").unwrap_or(target);
    pointwise::rule(name)
        .or_else(|| activation::rule(name))
        .or_else(|| create::rule(name))
        .or_else(|| views::rule(name))
        .or_else(|| reduction::rule(name))
        .or_else(|| indexing::rule(name))
        .or_else(|| matmul::rule(name))
        .or_else(|| attention::rule(name))
        .or_else(|| convolution::rule(name))
        .or_else(|| convolution_backward::rule(name))
        .or_else(|| pooling::rule(name))
}

/// Lowers a whole graph.
pub fn lower(fx: &fx::Graph, numerics: Numerics) -> Module {
    let mut lowerer = Lowerer {
        fx,
        module: Module::default(),
        numerics,
        node: 0,
    };
    lowerer.module.graph.hints = fx.symbols.iter().map(|s| s.hint.unwrap_or(64)).collect();
    for at in 0..fx.nodes.len() {
        lowerer.node = at;
        let meaning = lowerer.lower_node(at);
        lowerer.module.meanings.push(meaning);
    }
    lowerer.module
}

impl<'a> Lowerer<'a> {
    /// Is a multiplication, element by element, all that reads the node?
    fn feeds_one_product(&self) -> bool {
        let reads = |n: &&fx::Node| crate::layout::argument_nodes(n).contains(&self.node);
        let mut readers = self.fx.nodes.iter().filter(reads);
        let only = (readers.next(), readers.next());
        matches!(only, (Some(reader), None) if reader.target == "aten.mul.Tensor")
    }

    fn lower_node(&mut self, at: usize) -> Meaning {
        let node = &self.fx.nodes[at];
        match node.kind {
            fx::Kind::Placeholder | fx::Kind::GetAttr => self.external(&node.value, at, 0),
            fx::Kind::Output => Meaning::None,
            fx::Kind::Call => self.lower_call(at),
        }
    }

    fn lower_call(&mut self, at: usize) -> Meaning {
        let node = &self.fx.nodes[at];
        match &node.value {
            // Sizes are known from the metadata; the node itself need not run.
            fx::Value::SymInt(e) if !is_data_dependent(self.fx, node) => {
                return Meaning::Size(e.clone());
            }
            _ => {}
        }
        if let Some(meaning) = self.lower_getitem(node) {
            return meaning;
        }
        let tensors = self.module.graph.tensors.len();
        let errors = self.module.graph.errors.len();
        let items = self.module.items.len();
        match self.native(at) {
            Ok(meaning) => {
                self.module.native.push(at);
                meaning
            }
            Err(reason) => {
                // Half-built definitions of a refused lowering must leave no trace.
                self.module.graph.tensors.truncate(tensors);
                self.module.graph.errors.truncate(errors);
                self.module.items.truncate(items);
                self.materialize_arguments(at);
                self.module.items.push(Item::Aten { node: at, reason });
                self.external(&node.value, at, 0)
            }
        }
    }

    /// ATen takes strided tensors only: any other view is copied, here, so that tensors stay in the
    /// order in which they can be computed.
    fn materialize_arguments(&mut self, at: usize) {
        for node in argument_nodes(&self.fx.nodes[at]) {
            let (Some(Meaning::Tensor(view)), Some(meta)) = (
                self.module.meanings.get(node),
                self.fx.nodes[node].value.tensor(),
            ) else {
                continue;
            };
            let view = view.clone();
            if !self.module.arguments.contains_key(&node) {
                let graph = &mut self.module.graph;
                let view = if has_geometry(graph, &view, meta) {
                    view
                } else {
                    copy_of(graph, &view, meta, &self.fx.nodes[node].name)
                };
                self.module.arguments.insert(node, view);
            }
        }
    }

    fn native(&mut self, at: usize) -> Lowered<Meaning> {
        let node = &self.fx.nodes[at];
        let Some(rule) = rule(&node.target) else {
            return Err(Reason::new("no native lowering"));
        };
        check_plain(&node.value)?;
        let args = Args::new(node);
        let first = self.module.graph.tensors.len();
        let meaning = rule(self, &args)?;
        for tensor in &self.module.graph.tensors[first..] {
            check::check_source(&tensor.source)?;
        }
        Ok(meaning)
    }

    /// `getitem` on a tuple is resolved here; on anything else it is an ordinary call.
    fn lower_getitem(&self, node: &fx::Node) -> Option<Meaning> {
        if !node.target.contains("getitem") {
            return None;
        }
        let (Some(fx::Arg::Node(of)), Some(fx::Arg::Int(at))) =
            (node.args.first(), node.args.get(1))
        else {
            return None;
        };
        match self.module.meanings.get(*of)? {
            Meaning::Tuple(parts) => parts.get(usize::try_from(*at).ok()?).cloned(),
            Meaning::Foreign { node, .. } => Some(Meaning::Foreign {
                node: *node,
                index: usize::try_from(*at).ok()?,
            }),
            _ => None,
        }
    }

    /// A value from outside: tensors in memory with the metadata's geometry.
    fn external(&mut self, value: &fx::Value, node: usize, index: usize) -> Meaning {
        match value {
            fx::Value::Tensor(meta) => {
                let name = self.fx.nodes[node].name.clone();
                let id = self.module.graph.add(Tensor {
                    dtype: meta.dtype,
                    sizes: meta.sizes.clone(),
                    strides: meta.strides.clone(),
                    source: Source::External,
                    op: String::new(),
                    name: if index == 0 {
                        name
                    } else {
                        format!("{name}_{index}")
                    },
                });
                self.module.externals.push((id, node, index));
                Meaning::Tensor(self.module.graph.view(id))
            }
            fx::Value::SymInt(e) => Meaning::Size(e.clone()),
            fx::Value::List(values) => Meaning::Tuple(
                values
                    .iter()
                    .enumerate()
                    .map(|(i, v)| match v {
                        fx::Value::Tensor(_) => self.external(v, node, i),
                        fx::Value::SymInt(e) => Meaning::Size(e.clone()),
                        _ => Meaning::Foreign { node, index: i },
                    })
                    .collect(),
            ),
            fx::Value::None => Meaning::None,
            fx::Value::SymFloat | fx::Value::SymBool | fx::Value::Opaque(_) => {
                Meaning::Foreign { node, index }
            }
        }
    }

    /// The node being lowered.
    pub(crate) fn current_node(&self) -> usize {
        self.node
    }

    /// Metadata of the node's (first) tensor result.
    pub(crate) fn result(&self) -> Lowered<fx::TensorMeta> {
        match &self.fx.nodes[self.node].value {
            fx::Value::Tensor(meta) => Ok(meta.clone()),
            fx::Value::List(values) => values
                .iter()
                .find_map(|v| v.tensor().cloned())
                .ok_or_else(|| Reason::new("no tensor among the results")),
            _ => Err(Reason::new("the result is not a tensor")),
        }
    }

    /// Metadata of result `at` of several.
    pub(crate) fn result_at(&self, at: usize) -> Lowered<fx::TensorMeta> {
        match &self.fx.nodes[self.node].value {
            fx::Value::List(values) => values
                .get(at)
                .and_then(|v| v.tensor().cloned())
                .ok_or_else(|| Reason::new("a result is missing")),
            fx::Value::Tensor(meta) if at == 0 => Ok(meta.clone()),
            _ => Err(Reason::new("the result is not a tuple")),
        }
    }

    /// Defines a tensor with the given metadata.
    pub(crate) fn define(&mut self, meta: &fx::TensorMeta, source: Source) -> TensorId {
        let node = &self.fx.nodes[self.node];
        let strides = if self.module.graph.is_dense(&meta.sizes, &meta.strides) {
            meta.strides.clone()
        } else {
            contiguous_strides(&meta.sizes)
        };
        let source = match source {
            Source::Pointwise(e) if self.numerics.eager_rounding && meta.dtype.is_half() => {
                Source::Pointwise(std::sync::Arc::new(crate::graph::Expr::Round(
                    e, meta.dtype,
                )))
            }
            other => other,
        };
        self.module.graph.add(Tensor {
            dtype: meta.dtype,
            sizes: meta.sizes.clone(),
            strides,
            source,
            name: node.name.clone(),
            op: short_name(&node.target).to_string(),
        })
    }

    pub(crate) fn define_view(&mut self, meta: &fx::TensorMeta, source: Source) -> View {
        let id = self.define(meta, source);
        self.module.graph.view(id)
    }

    /// Defines a tensor of this shape element by element; the expression is in the compute type.
    pub(crate) fn pointwise(&mut self, meta: &fx::TensorMeta, value: E) -> Meaning {
        let value = crate::graph::convert(&value, meta.dtype);
        Meaning::Tensor(self.define_view(meta, Source::Pointwise(value)))
    }

    /// Defines a helper tensor that no FX node names: a row-major shape in a dtype.
    pub(crate) fn intermediate(&mut self, dtype: DType, sizes: Vec<IExpr>, source: Source) -> View {
        let meta = fx::TensorMeta {
            dtype,
            strides: contiguous_strides(&sizes),
            sizes,
            offset: IExpr::zero(),
            is_plain: true,
            requires_grad: false,
        };
        let id = self.define(&meta, source);
        self.module.graph.view(id)
    }

    /// Registers a check's message and returns its number.
    pub(crate) fn error(
        &mut self,
        kind: ferroductor_abi::ErrorKind,
        message: impl Into<String>,
    ) -> u32 {
        let error = ferroductor_abi::KernelError {
            kind,
            message: message.into(),
        };
        let errors = &mut self.module.graph.errors;
        if let Some(at) = errors.iter().position(|e| *e == error) {
            return at as u32;
        }
        errors.push(error);
        errors.len() as u32 - 1
    }
}

/// `aten.add.Tensor` -> `add`.
fn short_name(target: &str) -> &str {
    target.split('.').nth(1).unwrap_or(target)
}

/// A node whose integer result comes from tensor data, so that it must run.
fn is_data_dependent(graph: &fx::Graph, node: &fx::Node) -> bool {
    node.target.starts_with("aten.") && !node.target.starts_with("aten.sym_")
        || node.args.iter().any(|a| match a {
            fx::Arg::Node(n) => matches!(
                graph.nodes.get(*n).map(|n| &n.value),
                Some(fx::Value::SymFloat | fx::Value::SymBool | fx::Value::Opaque(_))
            ),
            _ => false,
        })
}

/// Native code takes plain CPU tensors of the dtypes it knows.
fn check_plain(value: &fx::Value) -> Lowered<()> {
    match value {
        fx::Value::Tensor(meta) if !meta.is_plain => {
            Err(Reason::new("a result is not a plain CPU tensor"))
        }
        fx::Value::Tensor(meta) if !meta.dtype.is_native() => Err(Reason::new(format!(
            "dtype {} has no native code",
            meta.dtype
        ))),
        fx::Value::List(values) => values.iter().try_for_each(check_plain),
        _ => Ok(()),
    }
}
