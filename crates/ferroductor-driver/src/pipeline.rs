//! The stages in their order.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use ferroductor_abi::{Dim, Program, Step};
use ferroductor_compiler::lower::Numerics;
use ferroductor_compiler::{Class as CompilerClass, CompilerOptions};
use ferroductor_ir::fx::{Graph, Kind, Phase};
use ferroductor_ir::kernel::Kernel;
use ferroductor_runtime::Kernels;

use crate::dump::{Dump, graph_text, program_text};
use crate::error::DriverError;
use crate::kernels;
use crate::options::{Codegen, Options};
use crate::report::{Class, GraphReport, NodeReport, Stage, StepReport};

/// A graph ready for the runtime.
pub struct CompiledGraph {
    pub program: Program,
    pub kernels: Kernels,
    pub report: GraphReport,
}

/// Measures the stages one after the other.
struct Stages {
    stages: Vec<Stage>,
    since: Instant,
}

impl Stages {
    fn start() -> Stages {
        Stages {
            stages: Vec::new(),
            since: Instant::now(),
        }
    }

    fn done(&mut self, name: &'static str) {
        let now = Instant::now();
        self.stages.push(Stage {
            name,
            time: now - self.since,
        });
        self.since = now;
    }
}

/// Compiles a graph.
pub fn compile(graph: &Graph, options: &Options) -> Result<CompiledGraph, DriverError> {
    let dump = match &options.dump {
        Some(root) => Some(Dump::create(root, &graph.name).map_err(DriverError::Dump)?),
        None => None,
    };
    let write = |file: &str, text: &dyn Fn() -> String| match &dump {
        Some(dump) => dump.write(file, &text()).map_err(DriverError::Dump),
        None => Ok(()),
    };
    let mut stages = Stages::start();
    write("0-graph.txt", &|| graph_text(graph))?;
    if options.codegen == Codegen::Aten {
        let program = ferroductor_compiler::aten::identity(graph)?;
        stages.done("plan");
        write("4-program.txt", &|| program_text(&program))?;
        let classes = HashMap::new();
        let report = report(
            graph,
            &program,
            &classes,
            "left to ATen by an option",
            stages.stages,
        );
        return Ok(CompiledGraph {
            program,
            kernels: Kernels::none(),
            report,
        });
    }
    let target = kernels::target(options)?;
    let compiler_options = CompilerOptions {
        target: target.clone(),
        numerics: Numerics {
            eager_rounding: options.numerics == crate::options::Numerics::Eager,
        },
    };
    let compiled = ferroductor_compiler::compile(graph, &compiler_options)?;
    stages.done("compile");
    write("1-tensors.txt", &|| compiled.tensor_ir.clone())?;
    write("2-groups.txt", &|| compiled.groups.clone())?;
    write("3-kernels.txt", &|| {
        compiled
            .kernels
            .iter()
            .map(ferroductor_ir::text::print)
            .collect::<Vec<_>>()
            .join("\n")
    })?;
    write("4-program.txt", &|| program_text(&compiled.program))?;
    if let Some(dump) = &dump {
        kernels::dump(&compiled.kernels, &target, dump)?;
    }
    stages.done("dump");
    let built = kernels::build(&compiled.kernels, &target, options)?;
    stages.done("codegen");
    if dump.is_none() {
        stages.stages.retain(|s| s.name != "dump");
    }
    let classes: HashMap<usize, &CompilerClass> = compiled
        .classes
        .iter()
        .map(|(node, class)| (*node, class))
        .collect();
    let mut report = report(
        graph,
        &compiled.program,
        &classes,
        "no native code",
        stages.stages,
    );
    report.kernels = built.different;
    report.steps = steps(&compiled.program, &compiled.kernels);
    report.notes = compiled.refusals;
    if built.fresh < built.different {
        let found = built.different - built.fresh;
        report
            .notes
            .push(format!("{found} kernels were known from other graphs"));
    }
    Ok(CompiledGraph {
        program: compiled.program,
        kernels: built.kernels,
        report,
    })
}

fn report(
    graph: &Graph,
    program: &Program,
    classes: &HashMap<usize, &CompilerClass>,
    default_reason: &str,
    stages: Vec<Stage>,
) -> GraphReport {
    let called: HashSet<u32> = program.aten.iter().map(|c| c.node).collect();
    let nodes = graph
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, n)| n.kind == Kind::Call);
    GraphReport {
        name: graph.name.clone(),
        phase: match graph.phase {
            Phase::Inference => "inference",
            Phase::Forward => "forward",
            Phase::Backward => "backward",
        },
        nodes: nodes
            .map(|(at, node)| {
                let (class, reason) = match (called.contains(&(at as u32)), classes.get(&at)) {
                    (true, Some(CompilerClass::Aten(reason))) => (Class::Aten, reason.as_str()),
                    (true, _) => (Class::Aten, default_reason),
                    (false, Some(CompilerClass::Native)) => (Class::Native, ""),
                    (false, _) => (Class::Free, ""),
                };
                NodeReport {
                    name: node.name.clone(),
                    target: node.target.clone(),
                    class,
                    reason: reason.to_owned(),
                }
            })
            .collect(),
        launches: program
            .steps
            .iter()
            .filter(|s| matches!(s, Step::Kernel(_)))
            .count(),
        kernels: 0,
        calls: program.aten.len(),
        arena_bytes: match program.arena {
            Some(Dim::Const(bytes)) => u64::try_from(bytes).ok(),
            _ => None,
        },
        stages,
        steps: steps(program, &[]),
        notes: Vec::new(),
        failure: None,
    }
}

/// One entry for each step of the program, with nothing measured yet.
fn steps(program: &Program, kernels: &[Kernel]) -> Vec<StepReport> {
    let kernel = |at: u32| kernels.get(at as usize).map_or("", |k| k.name.as_str());
    let target = |at: u32| {
        program
            .aten
            .get(at as usize)
            .map_or("", |c| c.target.as_str())
    };
    let steps = program.steps.iter().map(|step| match step {
        Step::Kernel(launch) => (kernel(launch.kernel.0), Class::Native),
        Step::Aten { call } => (target(*call), Class::Aten),
        Step::Sizes { .. } => ("sizes", Class::Free),
        Step::Release { .. } => ("release", Class::Free),
    });
    steps
        .map(|(name, class)| StepReport {
            name: name.to_owned(),
            class,
            calls: 0,
            time: Duration::ZERO,
        })
        .collect()
}
