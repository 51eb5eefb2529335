//! The translation unit: functions, kernels' entry points, and the parallel drivers.

use super::ctype::{CType, Lane, scalar_name};
use super::masks::Masks;
use super::names::{self, Names};
use super::ops::Context;
use super::prelude::Prelude;
use super::statements::{Writer, comment, count_function_uses, count_uses};
use ferroductor_ir::kernel::*;
use ferroductor_ir::verify::{self, Types, VerifyError};
use ferroductor_ir::{Atom, DType, IExpr, Prim, text};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt::Write;

/// Collects kernels.
#[derive(Default)]
pub(super) struct Unit {
    prelude: Prelude,
    pub names: Names,
    /// Names of the printed functions, by what they compute.
    functions: HashMap<String, String>,
    text: String,
    drivers: String,
}

/// Helpers of the parallel drivers.
const DRIVER_PRELUDE: &str = "#ifdef _OPENMP
#include <cstdlib>
#include <omp.h>

typedef uint32_t Kernel(void *const *, const int64_t *, void *, int64_t, int64_t);

static inline int64_t padded(int64_t bytes) {
  return (bytes + 63) / 64 * 64;
}

// Runs every tile on OpenMP's threads. Gives 0, or the code of a failed check.
static uint32_t run_tiles(Kernel *kernel, void *const *pointers, const int64_t *sizes, int64_t tiles,
    int64_t scratch_bytes) {
  const int64_t chunks = omp_get_max_threads();
  uint32_t failed = 0;
#pragma omp parallel for schedule(static) reduction(max : failed)
  for (int64_t chunk = 0; chunk < chunks; ++chunk) {
    void *const scratch = scratch_bytes > 0 ? std::aligned_alloc(64, scratch_bytes) : nullptr;
    const int64_t begin = tiles * chunk / chunks, end = tiles * (chunk + 1) / chunks;
    const bool has_memory = scratch_bytes <= 0 || scratch != nullptr;
    const uint32_t code = has_memory ? kernel(pointers, sizes, scratch, begin, end) : UINT32_MAX;
    failed = code > failed ? code : failed;
    std::free(scratch);
  }
  return failed;
}
";

impl Unit {
    pub fn kernel(&mut self, symbol: &str, kernel: &Kernel) -> Result<(), VerifyError> {
        let types = verify::types(kernel)?;
        let mut functions = HashMap::new();
        let canonical = text::canonical(kernel);
        for (function, canonical) in kernel.functions.iter().zip(&canonical.functions) {
            // Functions of the same code are printed once for all kernels.
            let identity = format!("{canonical:?}");
            let name = match self.functions.get(&identity) {
                Some(name) => name.clone(),
                None => {
                    let name = self.function(function)?;
                    self.functions.insert(identity, name.clone());
                    name
                }
            };
            functions.insert((function.prim, function.ty), name);
        }
        self.entry(symbol, kernel, types, functions);
        self.driver(symbol, kernel);
        Ok(())
    }

    fn function(&mut self, function: &Function) -> Result<String, VerifyError> {
        let types = verify::function_types(function)?;
        let name = self
            .names
            .claim(&format!("{}_{}", function.prim, function.ty));
        let mut names = self.names.inner();
        let ty = self.prelude.name(CType::in_memory(function.ty));
        let mut context = Context::new(
            &mut self.prelude,
            Masks::of_function(function, &types),
            types,
        );
        let mut params = Vec::new();
        for (at, id) in function.params.iter().enumerate() {
            let param = names.claim(["x", "y", "z"][at.min(2)]);
            params.push(format!("{ty} {param}"));
            context.names.insert(*id, param);
        }
        let mut writer = Writer::new(context, names, count_function_uses(function));
        for (id, op) in &function.body {
            writer.define(*id, op);
        }
        if let Some(rare) = &function.rare {
            writer.rare(function, rare);
        }
        let result = writer.context.operand(function.result);
        writer.line(&format!("return {};", result.text));
        let body = writer.text;
        if !function.doc.is_empty() {
            let _ = writeln!(self.text, "{}", comment(&function.doc));
        }
        let _ = write!(
            self.text,
            "INLINE {ty} {name}({}) {{\n{body}}}\n\n",
            params.join(", ")
        );
        Ok(name)
    }

    fn entry(
        &mut self,
        symbol: &str,
        kernel: &Kernel,
        types: Types,
        functions: HashMap<(Prim, Ty), String>,
    ) {
        let mut names = self.names.inner();
        let masks = Masks::of_kernel(kernel, &types);
        let mut context = Context::new(&mut self.prelude, masks, types);
        context.functions = functions;
        for (at, param) in kernel.params.iter().enumerate() {
            let name = names.claim(&names::parameter(param, at));
            context.buffers.push((Buf::Param(at as u32), name));
        }
        for (at, local) in kernel.locals.iter().enumerate() {
            let wish = if local.name.is_empty() {
                format!("local{at}")
            } else {
                local.name.clone()
            };
            context
                .buffers
                .push((Buf::Local(at as u32), names.claim(&wish)));
        }
        let tile_bounds = (IExpr::zero(), &kernel.tiles - &IExpr::one());
        context.bounds.insert(TILE.0, tile_bounds);
        let uses = count_uses(&[&kernel.setup, &kernel.body]);
        let used = Used::of(kernel, &uses);
        let mut writer = Writer::new(context, names, uses);
        writer.sizes(&used.sizes);
        for (at, param) in kernel.params.iter().enumerate() {
            let buf = Buf::Param(at as u32);
            if used.buffers.contains(&buf) {
                let line = parameter_line(param, at, &writer.context.pointer(buf).text);
                writer.line(&line);
            }
        }
        locals(&mut writer, kernel, &used);
        writer.block(&kernel.setup);
        writer.line("for (int64_t i0 = begin; i0 < end; ++i0) {");
        writer.depth += 1;
        writer.block(&kernel.body);
        writer.depth -= 1;
        writer.line("}");
        if !kernel.streamed().is_empty() {
            let fence = writer.context.prelude.template("fence");
            writer.line(&format!("{fence}();"));
        }
        writer.line("return 0;");
        let body = writer.text;
        for doc in &kernel.doc {
            let _ = writeln!(self.text, "{}", comment(doc));
        }
        let named = |used: bool, name: &str| {
            if used {
                name.into()
            } else {
                format!(" /*{name}*/")
            }
        };
        let is_param = |buf: &Buf| matches!(buf, Buf::Param(_));
        let pointers = named(used.buffers.iter().any(is_param), "pointers");
        let sizes = named(!used.sizes.is_empty(), "sizes");
        let scratch = named(used.buffers.iter().any(|buf| !is_param(buf)), "scratch");
        let _ = write!(
            self.text,
            "extern \"C\" uint32_t {symbol}(void *const *{pointers}, const int64_t *{sizes},\n    \
             void *{scratch}, int64_t begin, int64_t end) {{\n{body}}}\n\n"
        );
    }

    /// A function that runs all tiles on OpenMP's threads, for programs that use the text alone.
    fn driver(&mut self, symbol: &str, kernel: &Kernel) {
        let name = self.names.claim(&format!("{symbol}_run"));
        let context = Context::new(&mut self.prelude, Masks::default(), Types::default());
        let mut writer = Writer::new(context, Names::default(), HashMap::new());
        let mut used_sizes = BTreeSet::new();
        let lengths = kernel.locals.iter().map(|local| &local.elements);
        lengths
            .chain([&kernel.tiles])
            .for_each(|expr| note_sizes(expr, &mut used_sizes));
        writer.sizes(&used_sizes);
        let tiles = writer.context.index(&kernel.tiles).text;
        let mut bytes: Vec<String> = Vec::new();
        for local in &kernel.locals {
            let one = IExpr::constant(local.dtype.size() as i64);
            let length = writer.context.index(&(&local.elements * &one)).text;
            bytes.push(format!("padded({length})"));
        }
        let bytes = if bytes.is_empty() {
            "0".into()
        } else {
            bytes.join(" + ")
        };
        writer.line(&format!(
            "return run_tiles({symbol}, pointers, sizes, {tiles}, {bytes});"
        ));
        let body = writer.text;
        let _ = write!(
            self.drivers,
            "extern \"C\" uint32_t {name}(void *const *pointers, const int64_t *sizes) {{\n{body}}}\n\n"
        );
    }

    pub fn print(&self, flags: &[&str]) -> String {
        let mut text = String::from(
            "// Printed by Ferroductor. These options are part of the meaning:\n//   c++ ",
        );
        text.push_str(&flags.join(" "));
        text.push_str("\n\n");
        text.push_str(&self.prelude.print());
        text.push_str(&self.text);
        let _ = writeln!(
            text,
            "{DRIVER_PRELUDE}\n{}\n#endif",
            self.drivers.trim_end()
        );
        text
    }
}

fn parameter_line(param: &Param, at: usize, name: &str) -> String {
    let constant = if param.access == Access::Read {
        "const "
    } else {
        ""
    };
    let element = match param.dtype {
        DType::Bool => Lane::U8.scalar_name(),
        other => scalar_name(other),
    };
    let restrict = if param.noalias { "__restrict " } else { "" };
    format!(
        "{constant}{element} *{restrict}{name} = static_cast<{constant}{element} *>(pointers[{at}]);"
    )
}

/// Local arrays one after the other in scratch.
fn locals(writer: &mut Writer<'_>, kernel: &Kernel, used: &Used) {
    let numbered = kernel.locals.iter().enumerate();
    let locals: Vec<(Buf, &Local)> = numbered
        .map(|(at, local)| (Buf::Local(at as u32), local))
        .filter(|(buf, _)| used.buffers.contains(buf))
        .collect();
    if locals.is_empty() {
        return;
    }
    let free = writer.names.claim("free");
    writer.line(&format!("char *{free} = static_cast<char *>(scratch);"));
    for (buf, local) in locals {
        let take = writer.context.prelude.template("take");
        let name = writer.context.pointer(buf).text;
        let elements = writer.context.index(&local.elements).text;
        let element = Lane::of(local.dtype).scalar_name();
        writer.line(&format!(
            "{element} *__restrict {name} = {take}<{element}>({free}, {elements});"
        ));
    }
}

fn note_sizes(expr: &IExpr, sizes: &mut BTreeSet<u32>) {
    expr.visit(&mut |atom| {
        if let Atom::Size(size) = atom {
            sizes.insert(*size);
        }
    });
}

/// What the entry point reads.
#[derive(Default)]
struct Used {
    sizes: BTreeSet<u32>,
    buffers: HashSet<Buf>,
}

impl Used {
    fn of(kernel: &Kernel, uses: &HashMap<ValueId, usize>) -> Used {
        let mut used = Used::default();
        used.block(&kernel.setup, uses);
        used.block(&kernel.body, uses);
        for (at, local) in kernel.locals.iter().enumerate() {
            if used.buffers.contains(&Buf::Local(at as u32)) {
                note_sizes(&local.elements, &mut used.sizes);
            }
        }
        used
    }

    fn block(&mut self, block: &[Stmt], uses: &HashMap<ValueId, usize>) {
        for stmt in block {
            match stmt {
                Stmt::Let { id, op } if uses.contains_key(id) => self.op(op),
                Stmt::Let { .. } => {}
                Stmt::For {
                    begin, end, body, ..
                } => {
                    note_sizes(begin, &mut self.sizes);
                    note_sizes(end, &mut self.sizes);
                    self.block(body, uses);
                }
                Stmt::If {
                    then, otherwise, ..
                } => {
                    self.block(then, uses);
                    self.block(otherwise, uses);
                }
                Stmt::Store { buf, index, .. }
                | Stmt::StoreMasked { buf, index, .. }
                | Stmt::Stream { buf, index, .. }
                | Stmt::Prefetch { buf, index, .. } => {
                    self.buffers.insert(*buf);
                    note_sizes(index, &mut self.sizes);
                }
                Stmt::Scatter { buf, .. } => {
                    self.buffers.insert(*buf);
                }
                Stmt::Reg { .. } | Stmt::Set { .. } | Stmt::Fail { .. } | Stmt::Comment(_) => {}
            }
        }
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::Index { expr } => note_sizes(expr, &mut self.sizes),
            Op::Ramp { base, stride, .. } => {
                note_sizes(base, &mut self.sizes);
                note_sizes(stride, &mut self.sizes);
            }
            Op::Load { buf, index, .. } | Op::LoadMasked { buf, index, .. } => {
                self.buffers.insert(*buf);
                note_sizes(index, &mut self.sizes);
            }
            Op::LoadStrided {
                buf, index, stride, ..
            } => {
                self.buffers.insert(*buf);
                note_sizes(index, &mut self.sizes);
                note_sizes(stride, &mut self.sizes);
            }
            Op::Gather { buf, .. } => {
                self.buffers.insert(*buf);
            }
            _ => {}
        }
    }
}
