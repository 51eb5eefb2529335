//! Every stage as text, in a folder for each graph.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use ferroductor_abi::{Program, Step};
use ferroductor_ir::fx::{Arg, Graph, Kind, Value};

/// Writes the stages of one graph.
pub(crate) struct Dump {
    folder: PathBuf,
}

impl Dump {
    /// A folder of its own below `root`: graphs of equal name get a number.
    pub(crate) fn create(root: &Path, graph: &str) -> std::io::Result<Dump> {
        std::fs::create_dir_all(root)?;
        let name: String = graph
            .chars()
            .map(|c| {
                if c.is_alphanumeric() || c == '_' {
                    c
                } else {
                    '_'
                }
            })
            .collect();
        for number in 0..10_000 {
            let suffix = if number == 0 {
                String::new()
            } else {
                format!("_{number}")
            };
            let folder = root.join(format!("{name}{suffix}"));
            match std::fs::create_dir(&folder) {
                Ok(()) => return Ok(Dump { folder }),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(std::io::Error::other("too many dumps of one name"))
    }

    pub(crate) fn write(&self, file: &str, text: &str) -> std::io::Result<()> {
        std::fs::write(self.folder.join(file), text)
    }
}

/// The imported graph, one node a line.
pub(crate) fn graph_text(graph: &Graph) -> String {
    let mut text = format!("graph {} ({:?})\n", graph.name, graph.phase);
    for (at, symbol) in graph.symbols.iter().enumerate() {
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "  s{at} = {} in {}..={} (example {})",
            symbol.name,
            symbol.min,
            symbol.max.map_or("inf".into(), |m| m.to_string()),
            symbol.hint.map_or("unknown".into(), |h| h.to_string()),
        );
    }
    for node in &graph.nodes {
        let mut args: Vec<String> = node.args.iter().map(|a| arg_text(graph, a)).collect();
        args.extend(
            node.kwargs
                .iter()
                .map(|(k, a)| format!("{k}={}", arg_text(graph, a))),
        );
        let head = match node.kind {
            Kind::Placeholder => "placeholder".to_owned(),
            Kind::GetAttr => format!("get_attr {}", node.target),
            Kind::Call => format!("{}({})", node.target, args.join(", ")),
            Kind::Output => format!("return ({})", args.join(", ")),
        };
        let source = node
            .source
            .as_ref()
            .map_or(String::new(), |s| format!("  # {s}"));
        let _ = writeln!(
            text,
            "  {}: {} = {head}{source}",
            node.name,
            value_text(&node.value)
        );
    }
    text
}

fn value_text(value: &Value) -> String {
    match value {
        Value::None => "()".into(),
        Value::Tensor(t) => {
            let offset = if t.offset.is_zero() {
                String::new()
            } else {
                format!(" + {}", t.offset)
            };
            let plain = if t.is_plain { "" } else { " (not plain)" };
            format!(
                "{}{:?} strides {:?}{offset}{plain}",
                t.dtype, t.sizes, t.strides
            )
        }
        Value::SymInt(e) => format!("int {e}"),
        Value::SymFloat => "float".into(),
        Value::SymBool => "bool".into(),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(value_text).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Opaque(text) => text.clone(),
    }
}

fn arg_text(graph: &Graph, arg: &Arg) -> String {
    match arg {
        Arg::None => "None".into(),
        Arg::Node(at) => graph
            .nodes
            .get(*at)
            .map_or("?".into(), |n| format!("%{}", n.name)),
        Arg::Bool(v) => v.to_string(),
        Arg::Int(v) => v.to_string(),
        Arg::Float(v) => format!("{v:?}"),
        Arg::Str(v) => format!("{v:?}"),
        Arg::DType(v) => v.to_string(),
        Arg::Device(v) | Arg::Layout(v) | Arg::MemoryFormat(v) => v.clone(),
        Arg::List(items) => {
            let items: Vec<String> = items.iter().map(|i| arg_text(graph, i)).collect();
            format!("[{}]", items.join(", "))
        }
        Arg::Object(_, text) => text.clone(),
    }
}

/// The program: sizes, buffers, steps.
pub(crate) fn program_text(program: &Program) -> String {
    let mut text = format!("program {}\n", program.name);
    let mut line = |head: &str, at: usize, body: String| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {head} {at}: {body}");
    };
    program
        .inputs
        .iter()
        .enumerate()
        .for_each(|(i, v)| line("input", i, format!("{v:?}")));
    program
        .sizes
        .iter()
        .enumerate()
        .for_each(|(i, v)| line("size", i, format!("{v:?}")));
    for (i, b) in program.buffers.iter().enumerate() {
        let body = format!(
            "dtype {} {:?} strides {:?} {:?}",
            b.dtype, b.sizes, b.strides, b.place
        );
        line("buffer", i, body);
    }
    for (i, step) in program.steps.iter().enumerate() {
        let body = match step {
            Step::Aten { call } => program.aten.get(*call as usize).map_or_else(
                || "call that does not exist".to_owned(),
                |c| {
                    format!(
                        "{} {:?} {:?} -> {:?} {:?}",
                        c.target, c.args, c.kwargs, c.results, c.binds
                    )
                },
            ),
            other => format!("{other:?}"),
        };
        line("step", i, body);
    }
    program
        .outputs
        .iter()
        .enumerate()
        .for_each(|(i, v)| line("output", i, format!("{v:?}")));
    text
}
