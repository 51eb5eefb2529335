//! From an FX graph to a program: lower, fuse, schedule, order, place in memory.
//!
//! What must hold of the order: a kernel or call runs after everything it reads; calls with
//! effects keep the graph's order; inputs are overwritten last.

use crate::aten::{Builder, Slot, keeps_arguments};
use crate::describe;
use crate::error::CompileError;
use crate::fuse::group::{Fusion, fuse};
use crate::fuse::nest::Work;
use crate::fuse::{Nests, realize};
use crate::graph::{Expr, Source, Tensor, TensorId, View};
use crate::layout::{argument_nodes, copy_of, geometry, has_geometry};
use crate::lower::{Item, Meaning, Module, Numerics, lower};
use crate::order::AtenOrder;
use crate::overwrite;
use crate::schedule::{Overlay, Scheduled, schedule, stream};
use ferroductor_abi::{BufferId, Dim, KernelError, KernelId, Launch, Place, Program, Step};
use ferroductor_ir::fx::{Arg, Graph as Fx, Kind, TensorMeta};
use ferroductor_ir::kernel::{Buf, Kernel, Target};
use ferroductor_ir::{Atom, IExpr};
use std::collections::{HashMap, HashSet};

/// What code is generated for.
#[derive(Clone, Debug)]
pub struct CompilerOptions {
    pub target: Target,
    pub numerics: Numerics,
}

/// How a call of the graph is executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    Native,
    /// With the reason.
    Aten(String),
}

/// A compiled graph.
#[derive(Debug)]
pub struct Compiled {
    pub program: Program,
    /// `Launch::kernel` is a position here. Equal kernels have been merged.
    pub kernels: Vec<Kernel>,
    /// Call nodes and how they run.
    pub classes: Vec<(usize, Class)>,
    pub refusals: Vec<String>,
    /// Text of the tensor IR and of the fused groups, for dumps.
    pub tensor_ir: String,
    pub groups: String,
}

/// Compiles a graph.
pub fn compile(fx: &Fx, options: &CompilerOptions) -> Result<Compiled, CompileError> {
    let mut module = lower(fx, options.numerics);
    let demands = Demands::collect(fx, &mut module);
    let realized = realize::realize(&module.graph, &demands.required);
    let nests = Nests::build(&module.graph, &|t| realized.contains(&t));
    let order = AtenOrder::new(fx, &module, &demands.views);
    let copies: HashSet<TensorId> = copies(&module).collect();
    let fusion = fuse(&module.graph, &nests, &|t| order.reads(t), &|t| {
        copies.contains(&t)
    });
    let mut planner = Planner::new(fx, &module, &demands, &nests, &fusion, &order, options)?;
    planner.run()?;
    let classes = classes(fx, &module);
    let refusals = fusion
        .refusals
        .iter()
        .map(|r| describe::refusal(&module.graph, r))
        .collect();
    let groups = describe::groups(&module.graph, &nests, &fusion);
    let (program, kernels) = planner.finish()?;
    Ok(Compiled {
        program,
        kernels,
        classes,
        refusals,
        tensor_ir: describe::tensors(&module.graph),
        groups,
    })
}

fn classes(fx: &Fx, module: &Module) -> Vec<(usize, Class)> {
    let mut classes: Vec<(usize, Class)> =
        module.native.iter().map(|n| (*n, Class::Native)).collect();
    for item in &module.items {
        if let Item::Aten { node, reason } = item {
            classes.push((*node, Class::Aten(reason.0.clone())));
        }
    }
    classes.sort_by_key(|c| c.0);
    debug_assert!(classes.iter().all(|c| c.0 < fx.nodes.len()));
    classes
}

/// Who needs memory, and with which geometry.
#[derive(Debug, Default)]
struct Demands {
    required: HashSet<TensorId>,
    /// The view through which a call or an output takes a node's value.
    views: HashMap<usize, View>,
    /// The same for outputs, which may need a copy of their own.
    outputs: HashMap<usize, View>,
    /// Tensors whose memory leaves the program or is kept by a call.
    owned: HashSet<TensorId>,
}

impl Demands {
    fn collect(fx: &Fx, module: &mut Module) -> Demands {
        let mut demands = Demands::default();
        let items = module.items.clone();
        for item in &items {
            match item {
                Item::Aten { node, .. } => {
                    let keeps = keeps_arguments(&fx.nodes[*node].target);
                    for n in argument_nodes(&fx.nodes[*node]) {
                        demands.argument(module, n, keeps);
                    }
                }
                Item::Mutate { copy, .. } => {
                    demands.required.insert(*copy);
                    demands.required.extend(copied(module, *copy));
                }
            }
        }
        let outputs: Vec<usize> = fx
            .nodes
            .iter()
            .filter(|n| n.kind == Kind::Output)
            .flat_map(argument_nodes)
            .collect();
        let mut taken: HashMap<TensorId, usize> = HashMap::new();
        for n in outputs {
            demands.output(fx, module, n, &mut taken);
        }
        demands
    }

    fn argument(&mut self, module: &Module, node: usize, keeps: bool) {
        let Some(Meaning::Tensor(view)) = module.meanings.get(node).cloned() else {
            return;
        };
        let view = module.arguments.get(&node).cloned().unwrap_or(view);
        self.required.insert(view.tensor);
        if keeps {
            self.owned.insert(view.tensor);
        }
        self.views.insert(node, view);
    }

    /// An output needs memory that nothing else in the program hands out, except where eager's
    /// outputs share memory too.
    fn output(
        &mut self,
        fx: &Fx,
        module: &mut Module,
        node: usize,
        taken: &mut HashMap<TensorId, usize>,
    ) {
        let Some(Meaning::Tensor(view)) = module.meanings.get(node).cloned() else {
            return;
        };
        let Some(meta) = fx.nodes[node].value.tensor() else {
            return;
        };
        if self.outputs.contains_key(&node) {
            return;
        }
        let root = alias_root(fx, node);
        let source = &module.graph.tensor(view.tensor).source;
        let is_input = matches!(source, Source::External)
            && module
                .externals
                .iter()
                .any(|e| e.0 == view.tensor && fx.nodes[e.1].kind != Kind::Call);
        let foreign_root = taken.get(&view.tensor).is_some_and(|r| *r != root);
        let escapes_input = is_input && fx.nodes[root].kind == Kind::Call;
        let fits = has_geometry(&module.graph, &view, meta);
        let view = if !fits || foreign_root || escapes_input {
            copy_of(&mut module.graph, &view, meta, &fx.nodes[node].name)
        } else {
            view
        };
        taken.insert(view.tensor, root);
        self.required.insert(view.tensor);
        self.owned.insert(view.tensor);
        self.outputs.insert(node, view);
    }
}

/// Operators whose result shares its argument's memory in eager.
const VIEWS: &[&str] = &[
    "view",
    "permute",
    "t",
    "transpose",
    "unsqueeze",
    "squeeze",
    "expand",
    "slice",
    "select",
    "split",
    "split_with_sizes",
    "unbind",
    "diagonal",
    "unfold",
    "alias",
    "detach",
    "as_strided",
    "reshape",
    "_unsafe_view",
];

/// The node whose memory eager's result of `node` lies in.
fn alias_root(fx: &Fx, mut node: usize) -> usize {
    loop {
        let n = &fx.nodes[node];
        let name = n.target.split('.').nth(1).unwrap_or("");
        let through = n.kind == Kind::Call
            && (n.target.contains("getitem")
                || n.target.starts_with("aten.") && VIEWS.contains(&name));
        match n.args.first() {
            Some(Arg::Node(from)) if through && *from < node => node = *from,
            _ => return node,
        }
    }
}

/// The kernel of a launch.
pub struct Launched {
    pub kernel: Kernel,
    pub overlays: Vec<Overlay>,
}

/// Puts kernels and calls in order and their tensors into memory.
struct Planner<'a> {
    fx: &'a Fx,
    module: &'a Module,
    demands: &'a Demands,
    nests: &'a Nests,
    fusion: &'a Fusion,
    order: &'a AtenOrder,
    builder: Builder<'a>,
    scheduled: Vec<Option<Scheduled>>,
    /// Which groups still have to be placed.
    placed: Vec<Placed>,
    called: HashSet<usize>,
    buffers: HashMap<TensorId, BufferId>,
    /// One for each launch, until equal ones are merged.
    kernels: Vec<Launched>,
    /// Arena buffers in the order of their first use.
    arena: Vec<BufferId>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Placed {
    No,
    Open,
    Yes,
}

impl<'a> Planner<'a> {
    fn new(
        fx: &'a Fx,
        module: &'a Module,
        demands: &'a Demands,
        nests: &'a Nests,
        fusion: &'a Fusion,
        order: &'a AtenOrder,
        options: &CompilerOptions,
    ) -> Result<Planner<'a>, CompileError> {
        let external = external_tensors(nests, fusion, demands);
        // Their memory is an input's, which may start anywhere, or becomes one's.
        let overwrites: HashSet<TensorId> = copies(module)
            .flat_map(|copy| [Some(copy), copied(module, copy)])
            .flatten()
            .collect();
        let scheduled = fusion
            .groups
            .iter()
            .map(|group| {
                let graph = &module.graph;
                let target = &options.target;
                let mut scheduled =
                    schedule(graph, nests, group, target, &|t| external.contains(&t))?;
                stream(graph, target, &mut scheduled, &|t| !overwrites.contains(&t));
                // What is stored past the caches is not read in between.
                let streamed = scheduled.kernel.streamed();
                let is_cached = |o: &Overlay| !streamed.contains(&Buf::Param(o.written));
                scheduled.overlays.retain(is_cached);
                Ok(Some(scheduled))
            })
            .collect::<Result<Vec<_>, CompileError>>()?;
        let mut planner = Planner {
            fx,
            module,
            demands,
            nests,
            fusion,
            order,
            builder: Builder::new(fx)?,
            placed: vec![Placed::No; fusion.groups.len()],
            scheduled,
            called: HashSet::new(),
            buffers: HashMap::new(),
            kernels: Vec::new(),
            arena: Vec::new(),
        };
        planner.bind_externals();
        Ok(planner)
    }

    /// Buffers of inputs and constants.
    fn bind_externals(&mut self) {
        for (tensor, node, _) in &self.module.externals {
            if let Some(buffer) = self.builder.buffer(*node) {
                self.buffers.insert(*tensor, buffer);
            }
        }
    }

    fn run(&mut self) -> Result<(), CompileError> {
        let (last, calls): (Vec<usize>, Vec<usize>) = self
            .module
            .items
            .iter()
            .filter_map(|item| match item {
                Item::Aten { node, .. } => Some(*node),
                Item::Mutate { .. } => None,
            })
            .partition(|node| overwrites_input(self.fx, *node));
        for node in calls {
            self.call(node)?;
        }
        let outputs: Vec<usize> = self
            .fx
            .nodes
            .iter()
            .filter(|n| n.kind == Kind::Output)
            .flat_map(argument_nodes)
            .collect();
        for node in outputs {
            self.define_output(node)?;
        }
        let mut writes = Vec::new();
        for item in &self.module.items {
            if let Item::Mutate { input, copy } = item {
                // All new values are there before the first input changes under their readers.
                self.need(self.new_value(*copy)?)?;
                writes.push((*input, *copy));
            }
        }
        for (input, copy) in writes {
            let value = self.buffer(self.new_value(copy)?)?;
            let Some(target) = self.builder.buffer(input) else {
                return Err(CompileError::internal(
                    "plan",
                    "an overwritten input has no buffer",
                ));
            };
            if overwrite::in_place(&mut self.builder.program, &mut self.kernels, value, target) {
                self.arena.retain(|b| *b != value);
            } else {
                self.overwrite(target, copy)?;
            }
        }
        for node in last {
            self.call(node)?;
        }
        Ok(())
    }

    /// Makes a tensor's memory hold its value: places the kernels and calls it needs.
    fn need(&mut self, tensor: TensorId) -> Result<(), CompileError> {
        if let Some(ids) = self.nests.of_tensor.get(&tensor) {
            for id in ids {
                self.place_group(self.fusion.of_nest[id.0 as usize])?;
            }
            return Ok(());
        }
        let made = self.module.externals.iter().find(|e| e.0 == tensor);
        if let Some((_, node, _)) = made
            && self.fx.nodes[*node].kind == Kind::Call
        {
            self.call(*node)?;
        }
        Ok(())
    }

    fn need_sizes(&mut self, exprs: &[IExpr]) -> Result<(), CompileError> {
        for node in self.calls_behind(exprs) {
            self.call(node)?;
        }
        Ok(())
    }

    fn is_sized_by_call(&self, sizes: &[IExpr]) -> bool {
        !self.calls_behind(sizes).is_empty()
    }

    /// The calls that give the sizes in these expressions their values.
    fn calls_behind(&self, exprs: &[IExpr]) -> Vec<usize> {
        let mut nodes = Vec::new();
        for e in exprs {
            e.visit(&mut |a| {
                if let Atom::Size(s) = a
                    && let Some(node) = self.order.binds.get(s)
                {
                    nodes.push(*node);
                }
            });
        }
        nodes
    }

    /// Places an ATen call, after what it needs.
    fn call(&mut self, node: usize) -> Result<(), CompileError> {
        if !self.called.insert(node) {
            return Ok(());
        }
        if let Some(previous) = self.order.previous.get(&node).copied() {
            self.call(previous)?;
        }
        for n in argument_nodes(&self.fx.nodes[node]) {
            self.define_argument(n)?;
        }
        self.builder.call(node)?;
        for at in node + 1..self.fx.nodes.len() {
            let user = &self.fx.nodes[at];
            if user.target.contains("getitem") && user.args.first() == Some(&Arg::Node(node)) {
                self.builder.call(at)?;
            }
        }
        let results: Vec<(TensorId, usize)> = self
            .module
            .externals
            .iter()
            .filter(|e| e.1 == node)
            .map(|e| (e.0, e.2))
            .collect();
        for (tensor, index) in results {
            let buffer = match self.builder.slot(node) {
                Slot::Tensor(buffer) => Some(*buffer),
                Slot::List(items) => match items.get(index) {
                    Some(Slot::Tensor(buffer)) => Some(*buffer),
                    _ => None,
                },
                _ => None,
            };
            if let Some(buffer) = buffer {
                self.buffers.insert(tensor, buffer);
            }
        }
        Ok(())
    }

    fn define_argument(&mut self, node: usize) -> Result<(), CompileError> {
        if *self.builder.slot(node) != Slot::Absent {
            return Ok(());
        }
        match self.module.meanings.get(node) {
            Some(Meaning::Tensor(_)) => {
                let Some(view) = self.demands.views.get(&node).cloned() else {
                    return Ok(());
                };
                self.need(view.tensor)?;
                let buffer = self.view_buffer(&view, node)?;
                self.builder.define(node, Slot::Tensor(buffer));
            }
            Some(Meaning::Size(e)) => {
                let e = e.clone();
                self.need_sizes(std::slice::from_ref(&e))?;
                self.builder.define(node, Slot::Size(e));
            }
            Some(Meaning::Foreign { node: from, .. }) => self.call(*from)?,
            Some(Meaning::Tuple(_) | Meaning::None) | None => {}
        }
        Ok(())
    }

    fn define_output(&mut self, node: usize) -> Result<(), CompileError> {
        let Some(view) = self.demands.outputs.get(&node).cloned() else {
            return self.define_argument(node);
        };
        self.need(view.tensor)?;
        let buffer = self.view_buffer(&view, node)?;
        self.builder.define(node, Slot::Tensor(buffer));
        Ok(())
    }

    /// The buffer of a tensor, created at its first use.
    fn buffer(&mut self, tensor: TensorId) -> Result<BufferId, CompileError> {
        if let Some(buffer) = self.buffers.get(&tensor) {
            return Ok(*buffer);
        }
        let info = self.module.graph.tensor(tensor);
        if matches!(info.source, Source::External) {
            return Err(CompileError::internal(
                "plan",
                format!("`{}` is read before it exists", info.name),
            ));
        }
        // The arena is measured before the first step: what only a step gives a size is apart.
        let owned = self.demands.owned.contains(&tensor) || self.is_sized_by_call(&info.sizes);
        let place = if owned {
            Place::Output
        } else {
            Place::Arena {
                offset: Dim::Const(0),
            }
        };
        let buffer = self.builder.add_buffer(&meta_for(info), place);
        if !owned {
            self.arena.push(buffer);
        }
        self.buffers.insert(tensor, buffer);
        Ok(buffer)
    }

    /// A buffer for a view: the tensor's own where they coincide.
    fn view_buffer(&mut self, view: &View, node: usize) -> Result<BufferId, CompileError> {
        let base = self.buffer(view.tensor)?;
        let tensor = self.module.graph.tensor(view.tensor);
        if view.is_identity(&self.module.graph) {
            return Ok(base);
        }
        let Some((strides, offset)) = geometry(&self.module.graph, view) else {
            return Err(CompileError::internal(
                "plan",
                format!("`{}` is no strided view", self.fx.nodes[node].name),
            ));
        };
        let offset = self.builder.dim(&self.fx.nodes[node], &offset)?;
        let meta = TensorMeta {
            dtype: tensor.dtype,
            sizes: view.sizes.clone(),
            strides,
            offset: IExpr::zero(),
            is_plain: true,
            requires_grad: false,
        };
        Ok(self
            .builder
            .add_buffer(&meta, Place::View { of: base, offset }))
    }

    fn place_group(&mut self, at: usize) -> Result<(), CompileError> {
        match self.placed[at] {
            Placed::Yes => return Ok(()),
            Placed::Open => {
                return Err(CompileError::internal(
                    "plan",
                    "kernels depend on each other",
                ));
            }
            Placed::No => {}
        }
        self.placed[at] = Placed::Open;
        let own: HashSet<TensorId> = self.fusion.groups[at]
            .space
            .members
            .iter()
            .map(|m| self.nests.get(m.nest).tensor)
            .collect();
        let mut wanted = Vec::new();
        let mut sizes = Vec::new();
        for member in &self.fusion.groups[at].space.members {
            let nest = self.nests.get(member.nest);
            sizes.extend(nest.domain());
            // A scatter's base is copied before anything is scattered over it.
            if matches!(nest.work, Work::Scatter { .. }) {
                for id in &self.nests.of_tensor[&nest.tensor] {
                    if self.fusion.of_nest[id.0 as usize] != at {
                        wanted.push(Err(*id));
                    }
                }
            }
            for load in nest.loads() {
                if !own.contains(&load.tensor) {
                    wanted.push(Ok(load.tensor));
                }
            }
        }
        self.need_sizes(&sizes)?;
        for want in wanted {
            match want {
                Ok(tensor) => self.need(tensor)?,
                Err(nest) => self.place_group(self.fusion.of_nest[nest.0 as usize])?,
            }
        }
        self.launch(at, None)?;
        self.placed[at] = Placed::Yes;
        Ok(())
    }

    /// Appends the launch of a group; `target` replaces the memory of one tensor.
    fn launch(
        &mut self,
        at: usize,
        target: Option<(TensorId, BufferId)>,
    ) -> Result<(), CompileError> {
        let Some(scheduled) = self.scheduled[at].take() else {
            return Err(CompileError::internal("plan", "a kernel is launched twice"));
        };
        let mut buffers = Vec::new();
        for tensor in &scheduled.buffers {
            buffers.push(match target {
                Some((t, buffer)) if t == *tensor => buffer,
                _ => self.buffer(*tensor)?,
            });
        }
        let node = &self.fx.nodes[0];
        let mut sizes = Vec::new();
        for symbol in &scheduled.sizes {
            sizes.push(self.builder.dim(node, &IExpr::size(*symbol))?);
        }
        let over_symbols = |e: &IExpr| {
            e.substitute(
                &|a| match a {
                    Atom::Size(s) => scheduled.sizes.get(*s as usize).map(|x| IExpr::size(*x)),
                    _ => None,
                },
                &ferroductor_ir::NoRanges,
            )
        };
        let tiles = self
            .builder
            .dim(node, &over_symbols(&scheduled.kernel.tiles))?;
        let mut scratch = IExpr::zero();
        for local in &scheduled.kernel.locals {
            let bytes = &local.elements * &IExpr::constant(local.dtype.size() as i64);
            let padded = &bytes.ceil_div(64) * &IExpr::constant(64);
            scratch = &scratch + &over_symbols(&padded);
        }
        let scratch = self.builder.dim(node, &scratch)?;
        let errors: Vec<KernelError> = scheduled
            .errors
            .iter()
            .map(|e| self.module.graph.errors[*e as usize].clone())
            .collect();
        let aligned = scheduled.kernel.streamed().into_iter();
        let aligned = aligned.filter_map(|buf| match buf {
            Buf::Param(at) => Some(at),
            Buf::Local(_) => None,
        });
        let aligned = aligned.collect();
        let id = KernelId(self.kernels.len() as u32);
        self.kernels.push(Launched {
            kernel: scheduled.kernel,
            overlays: scheduled.overlays,
        });
        self.builder.push(Step::Kernel(Launch {
            kernel: id,
            buffers,
            aligned,
            sizes,
            tiles,
            scratch,
            tile_ns: scheduled.tile_ns,
            errors,
        }));
        Ok(())
    }

    /// The tensor that an overwrite copies.
    fn new_value(&self, copy: TensorId) -> Result<TensorId, CompileError> {
        copied(self.module, copy)
            .ok_or_else(|| CompileError::internal("plan", "an overwrite is no copy"))
    }

    /// Copies a new value, which is in memory, over an input.
    fn overwrite(&mut self, target: BufferId, copy: TensorId) -> Result<(), CompileError> {
        for id in self.nests.of_tensor.get(&copy).cloned().unwrap_or_default() {
            let group = self.fusion.of_nest[id.0 as usize];
            self.launch(group, Some((copy, target)))?;
            self.placed[group] = Placed::Yes;
        }
        Ok(())
    }

    fn finish(self) -> Result<(Program, Vec<Kernel>), CompileError> {
        let Planner {
            builder,
            mut kernels,
            arena,
            module,
            ..
        } = self;
        let hints = module.graph.hints.clone();
        let mut program = crate::arena::finish(builder, &arena, &mut kernels, &hints)?;
        let kernels = merge_equal(&mut program, kernels);
        Ok((program, kernels))
    }
}

/// Leaves one of each kind of kernel that is launched.
fn merge_equal(program: &mut Program, launched: Vec<Launched>) -> Vec<Kernel> {
    let mut kernels = Vec::new();
    let mut known: HashMap<String, KernelId> = HashMap::new();
    let mut launched: Vec<Option<Kernel>> = launched.into_iter().map(|l| Some(l.kernel)).collect();
    for step in &mut program.steps {
        if let Step::Kernel(launch) = step
            && let Some(kernel) = launched[launch.kernel.0 as usize].take()
        {
            let identity = ferroductor_ir::text::identity(&kernel);
            launch.kernel = *known.entry(identity).or_insert_with(|| {
                kernels.push(kernel);
                KernelId(kernels.len() as u32 - 1)
            });
        }
    }
    kernels
}

/// The copies that overwrite inputs.
fn copies(module: &Module) -> impl Iterator<Item = TensorId> + '_ {
    module.items.iter().filter_map(|item| match item {
        Item::Mutate { copy, .. } => Some(*copy),
        Item::Aten { .. } => None,
    })
}

/// The tensor that a copy is one of.
fn copied(module: &Module, copy: TensorId) -> Option<TensorId> {
    match &module.graph.tensor(copy).source {
        Source::Pointwise(e) => match &**e {
            Expr::Load(l) => Some(l.tensor),
            _ => None,
        },
        _ => None,
    }
}

fn meta_for(tensor: &Tensor) -> TensorMeta {
    TensorMeta {
        dtype: tensor.dtype,
        sizes: tensor.sizes.clone(),
        strides: tensor.strides.clone(),
        offset: IExpr::zero(),
        is_plain: true,
        requires_grad: false,
    }
}

/// Does a call put a new value into an input at the graph's end?
fn overwrites_input(fx: &Fx, node: usize) -> bool {
    let call = &fx.nodes[node];
    let is_input =
        |arg: &Arg| matches!(arg, Arg::Node(n) if fx.nodes[*n].kind == Kind::Placeholder);
    call.target == "aten.copy_.default" && call.args.first().is_some_and(is_input)
}

/// Computed tensors that something outside their own kernel reads.
fn external_tensors(nests: &Nests, fusion: &Fusion, demands: &Demands) -> HashSet<TensorId> {
    let mut external = demands.required.clone();
    let group_of = |t: TensorId| -> Option<usize> {
        let ids = nests.of_tensor.get(&t)?;
        let first = fusion.of_nest[ids[0].0 as usize];
        // Spread over several kernels, a tensor needs memory in any case.
        ids.iter()
            .all(|id| fusion.of_nest[id.0 as usize] == first)
            .then_some(first)
    };
    for (at, nest) in nests.list.iter().enumerate() {
        for load in nest.loads() {
            if group_of(load.tensor) != Some(fusion.of_nest[at]) {
                external.insert(load.tensor);
            }
        }
        if nests.of_tensor[&nest.tensor].len() > 1 {
            external.insert(nest.tensor);
        }
    }
    external
}
