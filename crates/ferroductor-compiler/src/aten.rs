//! ATen calls: FX nodes as steps of a program, and the identity compiler made of nothing else.
//!
//! [`Builder`] turns FX arguments and results into what a [`Program`] holds. A planner that has
//! native code for some nodes tells the builder where their values are ([`Builder::define`]) and
//! asks it to place the calls between ([`Builder::call`]).
//!
//! What must hold: nodes are called in an order in which their arguments are defined, effects in
//! the graph's order; integers are never computed by steps where the metadata's expression gives
//! them.

use ferroductor_abi::{
    AtenArg, AtenCall, Bind, Buffer, BufferId, Input, Output, Place, Program, Step,
};
use ferroductor_ir::fx::{Arg, Graph, Kind, Node, TensorMeta, Value};
use ferroductor_ir::{Atom, IExpr};

use crate::error::CompileError;
use crate::release::insert_releases;
use crate::sizes::SizeTable;

/// Where a node's value is found while the program runs.
#[derive(Clone, Debug, PartialEq)]
pub enum Slot {
    /// Not defined yet, or without a value.
    Absent,
    Tensor(BufferId),
    Size(IExpr),
    /// A result of an ATen call that is neither tensor nor integer.
    Result {
        call: u32,
        index: u32,
    },
    Opaque(u32),
    List(Vec<Slot>),
}

/// Builds a program around the values of an FX graph.
pub struct Builder<'g> {
    pub graph: &'g Graph,
    pub program: Program,
    pub sizes: SizeTable,
    slots: Vec<Slot>,
}

/// Every operator as an ATen call, in the graph's order.
pub fn identity(graph: &Graph) -> Result<Program, CompileError> {
    let mut builder = Builder::new(graph)?;
    for at in 0..graph.nodes.len() {
        if graph.nodes[at].kind == Kind::Call {
            builder.call(at)?;
        }
    }
    builder.finish()
}

/// The target of a node that picks one result of another.
const GETITEM: &str = "<built-in function getitem>";

impl<'g> Builder<'g> {
    /// Starts a program: inputs, constants and the sizes that inputs give are in place.
    pub fn new(graph: &'g Graph) -> Result<Builder<'g>, CompileError> {
        let mut builder = Builder {
            graph,
            program: Program {
                name: graph.name.clone(),
                ..Program::default()
            },
            sizes: SizeTable::new(),
            slots: vec![Slot::Absent; graph.nodes.len()],
        };
        builder.bind_inputs()?;
        builder.bind_constants()?;
        Ok(builder)
    }

    fn bind_inputs(&mut self) -> Result<(), CompileError> {
        let graph = self.graph;
        let placeholders: Vec<usize> = nodes_of(graph, Kind::Placeholder).collect();
        // Integers first: a size given directly is better than one read off a tensor.
        for (input, at) in placeholders.iter().enumerate() {
            if let Value::SymInt(expr) = &graph.nodes[*at].value {
                self.sizes.bind_input(expr, input as u32);
            }
        }
        for (input, at) in placeholders.iter().enumerate() {
            if let Value::Tensor(meta) = &graph.nodes[*at].value {
                self.bind_geometry(meta, input as u32);
            }
        }
        let mut opaque = 0;
        for (input, at) in placeholders.into_iter().enumerate() {
            let (slot, input) = match &graph.nodes[at].value {
                Value::Tensor(meta) => {
                    let buffer = self.add_buffer(meta, Place::Input(input as u32));
                    (Slot::Tensor(buffer), Input::Tensor { buffer })
                }
                Value::SymInt(expr) => (
                    Slot::Size(expr.clone()),
                    Input::Size {
                        slot: self.slot_of_input(input)?,
                    },
                ),
                _ => {
                    opaque += 1;
                    (
                        Slot::Opaque(opaque - 1),
                        Input::Opaque { index: opaque - 1 },
                    )
                }
            };
            self.slots[at] = slot;
            self.program.inputs.push(input);
        }
        Ok(())
    }

    fn slot_of_input(&self, input: usize) -> Result<u32, CompileError> {
        self.sizes
            .slot_of_input(input as u32)
            .ok_or_else(|| CompileError::internal("aten", format!("input {input} has no slot")))
    }

    fn bind_geometry(&mut self, meta: &TensorMeta, input: u32) {
        if !meta.is_plain {
            return;
        }
        for (dim, expr) in meta.sizes.iter().enumerate() {
            self.sizes.bind_input_dim(expr, input, dim as u32);
        }
        for (dim, expr) in meta.strides.iter().enumerate() {
            self.sizes.bind_input_stride(expr, input, dim as u32);
        }
    }

    fn bind_constants(&mut self) -> Result<(), CompileError> {
        for at in nodes_of(self.graph, Kind::GetAttr) {
            let node = &self.graph.nodes[at];
            // An attribute that is no tensor (a sub-graph) reaches calls as an object.
            if let Value::Tensor(meta) = &node.value {
                let place = Place::Constant(self.program.constants.len() as u32);
                self.program.constants.push(node.target.clone());
                let buffer = self.add_buffer(meta, place);
                self.slots[at] = Slot::Tensor(buffer);
            }
        }
        Ok(())
    }

    /// Adds a buffer with the geometry of `meta`. A tensor that is not plain, or whose geometry is
    /// no expression over known sizes, gets an element size of 0: only ATen may look into it.
    pub fn add_buffer(&mut self, meta: &TensorMeta, place: Place) -> BufferId {
        let geometry = if meta.is_plain {
            self.sizes
                .dims(&meta.sizes)
                .and_then(|sizes| Ok((sizes, self.sizes.dims(&meta.strides)?)))
        } else {
            Ok((Vec::new(), Vec::new()))
        };
        let known = meta.is_plain && geometry.is_ok();
        let (sizes, strides) = geometry.unwrap_or_default();
        self.program.buffers.push(Buffer {
            dtype: if meta.is_plain { meta.dtype.code() } else { -1 },
            item: if known { meta.dtype.size() as u32 } else { 0 },
            sizes,
            strides,
            place,
        });
        BufferId((self.program.buffers.len() - 1) as u32)
    }

    /// Where the value of a node is.
    pub fn slot(&self, node: usize) -> &Slot {
        self.slots.get(node).unwrap_or(&Slot::Absent)
    }

    /// The buffer of a tensor node.
    pub fn buffer(&self, node: usize) -> Option<BufferId> {
        match self.slot(node) {
            Slot::Tensor(buffer) => Some(*buffer),
            _ => None,
        }
    }

    /// Declares where the value of a node is: the planner computes it natively.
    pub fn define(&mut self, node: usize, slot: Slot) {
        self.slots[node] = slot;
    }

    /// Appends a step, after whatever sizes it needs.
    pub fn push(&mut self, step: Step) {
        if let Some(sizes) = self.sizes.take_late() {
            self.program.steps.push(sizes);
        }
        self.program.steps.push(step);
    }

    /// Places a `Call` node as an ATen call with results in memory that ATen allocates. Nodes that
    /// need no call (`getitem`, integers that the metadata gives) only get a slot.
    pub fn call(&mut self, at: usize) -> Result<(), CompileError> {
        self.call_into(at, &[])
    }

    /// As [`Builder::call`]; tensor result `i` goes to `places[i]` where there is one. An arena or
    /// output place makes the host write into memory of ours.
    pub fn call_into(&mut self, at: usize, places: &[Option<Place>]) -> Result<(), CompileError> {
        let node = &self.graph.nodes[at];
        if node.target == GETITEM
            && let Some(slot) = self.getitem(node)?
        {
            self.slots[at] = slot;
            return Ok(());
        }
        if let Value::SymInt(expr) = &node.value
            && self.sizes.knows(expr)
        {
            self.slots[at] = Slot::Size(expr.clone());
            return Ok(());
        }
        let args = self.args(node, &node.args)?;
        let kwargs = node
            .kwargs
            .iter()
            .map(|(name, arg)| Ok((name.clone(), self.arg(node, arg)?)))
            .collect::<Result<_, CompileError>>()?;
        let call = self.program.aten.len() as u32;
        if !places.is_empty() {
            self.prepare_geometry(&node.value);
        }
        let mut results = Results {
            call,
            places,
            leaves: Vec::new(),
            binds: Vec::new(),
        };
        self.push(Step::Aten { call });
        self.slots[at] = self.result(node, &node.value, &mut results)?;
        let Results { leaves, binds, .. } = results;
        self.program.aten.push(AtenCall {
            target: node.target.clone(),
            args,
            kwargs,
            results: leaves,
            returns_list: matches!(node.value, Value::List(_)),
            binds,
            node: at as u32,
            keeps_arguments: keeps_arguments(&node.target),
        });
        Ok(())
    }

    /// Puts the sizes of results into the table ahead of the call that writes into our memory.
    fn prepare_geometry(&mut self, value: &Value) {
        match value {
            Value::Tensor(meta) if meta.is_plain => {
                for expr in meta.sizes.iter().chain(&meta.strides) {
                    // A size that the call itself gives is bound after it.
                    let _ = self.sizes.dim(expr);
                }
            }
            Value::List(items) => items.iter().for_each(|item| self.prepare_geometry(item)),
            _ => {}
        }
    }

    /// `getitem` of a list that is known element by element.
    fn getitem(&self, node: &Node) -> Result<Option<Slot>, CompileError> {
        let [Arg::Node(from), Arg::Int(index)] = node.args.as_slice() else {
            return Ok(None);
        };
        let Slot::List(items) = self.slot(*from) else {
            return Ok(None);
        };
        let index = if *index < 0 {
            *index + items.len() as i64
        } else {
            *index
        };
        usize::try_from(index)
            .ok()
            .and_then(|i| items.get(i))
            .map(|slot| Some(slot.clone()))
            .ok_or_else(|| {
                CompileError::malformed(&node.name, format!("item {index} of {}", items.len()))
            })
    }

    fn args(&mut self, node: &Node, args: &[Arg]) -> Result<Vec<AtenArg>, CompileError> {
        args.iter().map(|arg| self.arg(node, arg)).collect()
    }

    /// An FX argument as the host will read it.
    pub fn arg(&mut self, node: &Node, arg: &Arg) -> Result<AtenArg, CompileError> {
        Ok(match arg {
            Arg::None => AtenArg::None,
            Arg::Node(at) => {
                let slot = self.slot(*at).clone();
                self.slot_arg(node, *at, &slot)?
            }
            Arg::Bool(value) => AtenArg::Bool(*value),
            Arg::Int(value) => AtenArg::Int(ferroductor_abi::Dim::Const(*value)),
            Arg::Float(value) => AtenArg::Float(*value),
            Arg::Str(text) => AtenArg::Str(text.clone()),
            Arg::DType(dtype) => AtenArg::DType(dtype.code()),
            Arg::Device(name) => AtenArg::Device(name.clone()),
            Arg::Layout(name) => AtenArg::Layout(name.clone()),
            Arg::MemoryFormat(name) => AtenArg::MemoryFormat(name.clone()),
            Arg::List(items) => AtenArg::List(self.args(node, items)?),
            Arg::Object(index, _) => AtenArg::Object(*index as u32),
        })
    }

    fn slot_arg(&mut self, node: &Node, at: usize, slot: &Slot) -> Result<AtenArg, CompileError> {
        Ok(match slot {
            Slot::Absent => {
                let source = self.graph.nodes.get(at).ok_or_else(|| {
                    CompileError::malformed(&node.name, format!("argument {at} does not exist"))
                })?;
                if source.value != Value::None {
                    return Err(CompileError::malformed(
                        &node.name,
                        format!("`{}` is used before it has a value", source.name),
                    ));
                }
                AtenArg::None
            }
            Slot::Tensor(buffer) => AtenArg::Tensor(*buffer),
            Slot::Size(expr) => AtenArg::Int(self.dim(node, expr)?),
            Slot::Result { call, index } => AtenArg::Result {
                call: *call,
                index: *index,
            },
            Slot::Opaque(index) => AtenArg::Opaque(*index),
            Slot::List(items) => AtenArg::List(
                items
                    .iter()
                    .map(|item| self.slot_arg(node, at, item))
                    .collect::<Result<_, _>>()?,
            ),
        })
    }

    /// The place of a size expression, with an error that names the node.
    pub fn dim(&mut self, node: &Node, expr: &IExpr) -> Result<ferroductor_abi::Dim, CompileError> {
        self.sizes.dim(expr).map_err(|unbound| {
            let name = self
                .graph
                .symbols
                .get(unbound.0 as usize)
                .map_or("?", |s| s.name.as_str());
            CompileError::unsupported(&node.name, format!("nothing gives a value to size {name}"))
        })
    }

    /// The slot of a result, and what the call must store to fill it.
    fn result(
        &mut self,
        node: &Node,
        value: &Value,
        results: &mut Results<'_>,
    ) -> Result<Slot, CompileError> {
        let index = results.leaves.len() as u32;
        Ok(match value {
            Value::List(items) => Slot::List(
                items
                    .iter()
                    .map(|item| self.result(node, item, results))
                    .collect::<Result<_, _>>()?,
            ),
            Value::None => {
                results.leaves.push(None);
                Slot::Absent
            }
            Value::Tensor(meta) => {
                self.bind_result_dims(meta, index, results);
                let place = results.places.get(index as usize).cloned().flatten();
                let aten = Place::Aten {
                    call: results.call,
                    index,
                };
                let buffer = self.add_buffer(meta, place.unwrap_or(aten));
                results.leaves.push(Some(buffer));
                Slot::Tensor(buffer)
            }
            Value::SymInt(expr) => {
                results.leaves.push(None);
                if !self.sizes.knows(expr) {
                    if single_symbol(expr).is_none() {
                        return Err(CompileError::unsupported(
                            &node.name,
                            format!("its value {expr} depends on a size that nothing gives"),
                        ));
                    }
                    let slot = self.sizes.bind_by_step(expr);
                    results.binds.push(Bind::Int {
                        slot,
                        result: index,
                    });
                }
                Slot::Size(expr.clone())
            }
            Value::SymFloat | Value::SymBool | Value::Opaque(_) => {
                results.leaves.push(None);
                Slot::Result {
                    call: results.call,
                    index,
                }
            }
        })
    }

    /// A data-dependent symbol gets its value from the first tensor that has it as a size.
    fn bind_result_dims(&mut self, meta: &TensorMeta, result: u32, results: &mut Results<'_>) {
        if !meta.is_plain {
            return;
        }
        for (dim, expr) in meta.sizes.iter().enumerate() {
            if single_symbol(expr).is_some() && !self.sizes.knows(expr) {
                let slot = self.sizes.bind_by_step(expr);
                results.binds.push(Bind::Dim {
                    slot,
                    result,
                    dim: dim as u32,
                });
            }
        }
    }

    /// Closes the program: outputs, sizes, and the release of what is no longer needed.
    pub fn finish(mut self) -> Result<Program, CompileError> {
        let graph = self.graph;
        for at in nodes_of(graph, Kind::Output) {
            let node = &graph.nodes[at];
            for arg in &node.args {
                let output = self.output(node, arg)?;
                self.program.outputs.push(output);
            }
        }
        if let Some(sizes) = self.sizes.take_late() {
            self.program.steps.push(sizes);
        }
        self.program.sizes = self.sizes.finish();
        insert_releases(&mut self.program);
        Ok(self.program)
    }

    fn output(&mut self, node: &Node, arg: &Arg) -> Result<Output, CompileError> {
        Ok(match self.arg(node, arg)? {
            AtenArg::None => Output::None,
            AtenArg::Tensor(buffer) => Output::Tensor(buffer),
            AtenArg::Int(dim) => Output::Size(dim),
            AtenArg::Result { call, index } => Output::Result { call, index },
            AtenArg::Opaque(index) => Output::Opaque(index),
            other => {
                return Err(CompileError::unsupported(
                    &node.name,
                    format!("an output {other:?}"),
                ));
            }
        })
    }
}

/// What the results of one call are collected into.
struct Results<'p> {
    call: u32,
    places: &'p [Option<Place>],
    leaves: Vec<Option<BufferId>>,
    binds: Vec<Bind>,
}

fn nodes_of(graph: &Graph, kind: Kind) -> impl Iterator<Item = usize> + '_ {
    (0..graph.nodes.len()).filter(move |at| graph.nodes[*at].kind == kind)
}

/// The symbol, if the expression is exactly one.
fn single_symbol(expr: &IExpr) -> Option<u32> {
    match expr.terms() {
        [(monomial, 1)] => match monomial.as_slice() {
            [Atom::Size(s)] => Some(*s),
            _ => None,
        },
        _ => None,
    }
}

/// ATen operators of functional graphs whose result may share memory with an argument.
const ALIASING: &[&str] = &[
    "alias",
    "as_strided",
    "chunk",
    "conj",
    "contiguous",
    "detach",
    "diagonal",
    "expand",
    "expand_as",
    "flatten",
    "imag",
    "lift",
    "lift_fresh",
    "mT",
    "matrix_H",
    "movedim",
    "narrow",
    "neg_view",
    "_neg_view",
    "_conj",
    "permute",
    "positive",
    "ravel",
    "real",
    "reshape",
    "_reshape_alias",
    "resolve_conj",
    "resolve_neg",
    "select",
    "slice",
    "split",
    "split_with_sizes",
    "squeeze",
    "swapaxes",
    "swapdims",
    "t",
    "T",
    "to",
    "transpose",
    "unbind",
    "unflatten",
    "unfold",
    "unsqueeze",
    "_unsafe_view",
    "view",
    "view_as",
    "view_as_complex",
    "view_as_real",
    "values",
    "indices",
    "_values",
    "_indices",
    "unsafe_split",
    "unsafe_split_with_sizes",
    "unsafe_chunk",
    "broadcast_to",
    "type_as",
    "set_",
    "data",
];

/// May the operator keep its arguments' memory alive after the call, in a result or elsewhere?
/// Everything outside ATen may.
pub fn keeps_arguments(target: &str) -> bool {
    let mut parts = target.split('.');
    match (parts.next(), parts.next()) {
        (Some("aten"), Some(name)) => ALIASING.contains(&name),
        (Some("prims"), Some(name)) => !matches!(name, "iota" | "convert_element_type"),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
