//! Printing.

use crate::kernel::*;
use crate::prim::Literal;
use std::fmt::Write;

/// The kernel as text.
pub fn print(kernel: &Kernel) -> String {
    let mut printer = Printer {
        text: String::new(),
        depth: 1,
    };
    printer.kernel(kernel);
    printer.text
}

struct Printer {
    text: String,
    depth: usize,
}

/// Writes one indented line.
macro_rules! line {
    ($printer:expr, $($format:tt)*) => {{
        let text = format!($($format)*);
        $printer.line(&text);
    }};
}

impl Printer {
    fn line(&mut self, text: &str) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn kernel(&mut self, kernel: &Kernel) {
        let _ = writeln!(self.text, "kernel{} {{", name(&kernel.name));
        for doc in &kernel.doc {
            line!(self, "doc {}", quoted(doc));
        }
        for (at, p) in kernel.params.iter().enumerate() {
            let noalias = if p.noalias { " noalias" } else { "" };
            let (name, ty) = (name(&p.name), Ty::scalar(p.dtype));
            line!(
                self,
                "param p{at}{name}: {ty} {}{noalias}",
                access_name(p.access)
            );
        }
        if kernel.size_count > 0 {
            line!(self, "sizes {}", kernel.size_count);
        }
        for (at, l) in kernel.locals.iter().enumerate() {
            line!(
                self,
                "local l{at}{}: {}[{}]",
                name(&l.name),
                Ty::scalar(l.dtype),
                l.elements
            );
        }
        line!(self, "tiles {}", kernel.tiles);
        for function in &kernel.functions {
            self.function(function);
        }
        if !kernel.setup.is_empty() {
            self.section("setup {", &kernel.setup);
        }
        self.section("body {", &kernel.body);
        self.text.push_str("}\n");
    }

    fn function(&mut self, function: &Function) {
        let params = ids(&function.params);
        let doc = if function.doc.is_empty() {
            String::new()
        } else {
            format!(" {}", quoted(&function.doc))
        };
        line!(
            self,
            "function {} {}({params}){doc} {{",
            function.prim,
            function.ty
        );
        self.depth += 1;
        for (id, op) in &function.body {
            line!(self, "%{} = {}", id.0, op_text(op));
        }
        if let Some(rare) = &function.rare {
            line!(self, "rare %{} {{", rare.lanes.0);
            self.depth += 1;
            for (id, op) in &rare.body {
                line!(self, "%{} = {}", id.0, op_text(op));
            }
            line!(self, "return %{}", rare.result.0);
            self.depth -= 1;
            self.line("}");
        }
        line!(self, "return %{}", function.result.0);
        self.depth -= 1;
        self.line("}");
    }

    fn section(&mut self, head: &str, block: &[Stmt]) {
        self.line(head);
        self.depth += 1;
        for stmt in block {
            self.statement(stmt);
        }
        self.depth -= 1;
        self.line("}");
    }

    fn statement(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Let { id, op } => line!(self, "%{} = {}", id.0, op_text(op)),
            Stmt::For {
                var,
                begin,
                end,
                step,
                body,
            } => {
                let step = if *step == 1 {
                    String::new()
                } else {
                    format!(" step {step}")
                };
                self.section(&format!("for i{} in {begin}..{end}{step} {{", var.0), body);
            }
            Stmt::If {
                cond,
                then,
                otherwise,
            } => {
                self.section(&format!("if %{} {{", cond.0), then);
                if !otherwise.is_empty() {
                    // `else` stands on the line of the brace that closes `then`.
                    self.text.pop();
                    self.text.push_str(" else {\n");
                    self.depth += 1;
                    otherwise.iter().for_each(|stmt| self.statement(stmt));
                    self.depth -= 1;
                    self.line("}");
                }
            }
            Stmt::Reg { id, init } => line!(self, "reg r{} = %{}", id.0, init.0),
            Stmt::Set { id, value } => line!(self, "set r{} = %{}", id.0, value.0),
            Stmt::Store { buf, index, value } => {
                line!(self, "store {}[{index}] = %{}", buffer_name(*buf), value.0);
            }
            Stmt::StoreMasked {
                buf,
                index,
                value,
                mask,
            } => {
                line!(
                    self,
                    "store {}[{index}] = %{} where %{}",
                    buffer_name(*buf),
                    value.0,
                    mask.0
                );
            }
            Stmt::Stream { buf, index, value } => {
                line!(self, "stream {}[{index}] = %{}", buffer_name(*buf), value.0);
            }
            Stmt::Scatter { buf, index, value } => {
                line!(
                    self,
                    "scatter {}[%{}] = %{}",
                    buffer_name(*buf),
                    index.0,
                    value.0
                );
            }
            Stmt::Prefetch { buf, index, near } => {
                let word = if *near { "prefetch_near" } else { "prefetch" };
                line!(self, "{word} {}[{index}]", buffer_name(*buf));
            }
            Stmt::Fail { cond, code } => line!(self, "fail {code} if %{}", cond.0),
            Stmt::Comment(text) if text.chars().any(char::is_control) => {
                line!(self, "comment {}", quoted(text));
            }
            Stmt::Comment(text) => line!(self, "// {text}"),
        }
    }
}

fn op_text(op: &Op) -> String {
    match op {
        Op::Const { value, ty } => format!("const {ty} {}", literal_text(*value)),
        Op::Index { expr } => format!("index {expr}"),
        Op::Ramp {
            base,
            stride,
            lanes,
        } => format!("ramp x{lanes} from {base} by {stride}"),
        Op::Get { id } => format!("get r{}", id.0),
        Op::Load { buf, index, lanes } => {
            format!("load x{lanes} {}[{index}]", buffer_name(*buf))
        }
        Op::LoadMasked { buf, index, mask } => {
            format!("load {}[{index}] where %{}", buffer_name(*buf), mask.0)
        }
        Op::LoadStrided {
            buf,
            index,
            stride,
            lanes,
        } => {
            format!("load x{lanes} {}[{index} by {stride}]", buffer_name(*buf))
        }
        Op::Gather { buf, index } => format!("gather {}[%{}]", buffer_name(*buf), index.0),
        Op::Prim { prim, args } => format!("{prim} {}", ids(args)),
        Op::Convert { value, to } => format!("convert %{} to {}", value.0, Ty::scalar(*to)),
        Op::Bitcast { value, to } => format!("bitcast %{} to {}", value.0, Ty::scalar(*to)),
        Op::Splat { value, lanes } => format!("splat %{} x{lanes}", value.0),
        Op::Extract { value, lane } => format!("extract %{}[{lane}]", value.0),
        Op::Shuffle { a, b, lanes } => {
            let lanes: Vec<String> = lanes.iter().map(u32::to_string).collect();
            format!("shuffle %{}, %{} [{}]", a.0, b.0, lanes.join(", "))
        }
        Op::DotBf16 { acc, a, b } => format!("dotbf16 %{}, %{}, %{}", acc.0, a.0, b.0),
    }
}

/// A literal of which kind and bits can be read back.
fn literal_text(value: Literal) -> String {
    match value {
        Literal::Bool(b) => b.to_string(),
        Literal::Int(i) => i.to_string(),
        Literal::Float(x) if x.is_nan() => format!("nan {:#x}", x.to_bits()),
        // The shortest digits that read back as the same double; always with `.`, `e` or `inf`.
        Literal::Float(x) => format!("{x:?}"),
    }
}

pub(super) fn access_name(access: Access) -> &'static str {
    match access {
        Access::Read => "read",
        Access::Write => "write",
        Access::ReadWrite => "readwrite",
    }
}

fn buffer_name(buf: Buf) -> String {
    match buf {
        Buf::Param(at) => format!("p{at}"),
        Buf::Local(at) => format!("l{at}"),
    }
}

fn ids(values: &[ValueId]) -> String {
    let names: Vec<String> = values.iter().map(|v| format!("%{}", v.0)).collect();
    names.join(", ")
}

/// A space and the name, quoted unless it is a plain word; nothing for an empty name.
fn name(name: &str) -> String {
    let mut chars = name.chars();
    let plain_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    match chars.next() {
        None => String::new(),
        Some(first)
            if plain_start(first) && chars.all(|c| plain_start(c) || c.is_ascii_digit()) =>
        {
            format!(" {name}")
        }
        Some(_) => format!(" {}", quoted(name)),
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{{{:x}}}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
