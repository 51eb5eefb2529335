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
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write;

/// Collects kernels.
#[derive(Default)]
pub(super) struct Unit {
    prelude: Prelude,
    pub names: Names,
    /// Names of the printed functions, by what they compute.
    functions: HashMap<String, String>,
    text: String,
    has_drivers: bool,
    drivers_need_memory: bool,
}

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
        let name = self.names.claim(&format!("{}_{}", function.prim, function.ty));
        let mut names = self.names.inner();
        let ty = self.prelude.name(CType::in_memory(function.ty));
        let mut context = Context::new(&mut self.prelude, Masks::of_function(function, &types), types);
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
        let result = writer.context.operand(function.result);
        writer.line(&format!("return {};", result.text));
        let body = writer.text;
        if !function.doc.is_empty() {
            let _ = writeln!(self.text, "{}", comment(&function.doc));
        }
        let _ = write!(self.text, "INLINE {ty} {name}({}) {{\n{body}}}\n\n", params.join(", "));
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
            let wish = if local.name.is_empty() { format!("local{at}") } else { local.name.clone() };
            context.buffers.push((Buf::Local(at as u32), names.claim(&wish)));
        }
        let tile_bounds = (IExpr::zero(), &kernel.tiles - &IExpr::one());
        context.bounds.insert(TILE.0, tile_bounds);
        let uses = count_uses(&[&kernel.setup, &kernel.body]);
        let mut writer = Writer::new(context, names, uses);
        let used_sizes = sizes_of_code(kernel);
        for size in &used_sizes {
            writer.line(&format!("const int64_t s{size} = sizes[{size}];"));
        }
        for (at, param) in kernel.params.iter().enumerate() {
            let line = parameter_line(param, at, &writer.context.pointer(Buf::Param(at as u32)).text);
            writer.line(&line);
        }
        locals(&mut writer, kernel);
        writer.block(&kernel.setup);
        writer.line("for (int64_t i0 = begin; i0 < end; ++i0) {");
        writer.depth += 1;
        writer.block(&kernel.body);
        writer.depth -= 1;
        writer.line("}");
        writer.line("return 0;");
        let body = writer.text;
        for doc in &kernel.doc {
            let _ = writeln!(self.text, "{}", comment(doc));
        }
        let named = |used: bool, name: &str| if used { name.into() } else { format!("/*{name}*/") };
        let pointers = named(!kernel.params.is_empty(), "pointers");
        let sizes = named(!used_sizes.is_empty(), "sizes");
        let scratch = named(!kernel.locals.is_empty(), "scratch");
        let _ = write!(
            self.text,
            "extern \"C\" uint32_t {symbol}(void *const *{pointers}, const int64_t *{sizes},\n    \
             void *{scratch}, int64_t begin, int64_t end) {{\n{body}}}\n\n"
        );
    }

    /// Runs all tiles on OpenMP's threads, for programs that use the text on its own.
    fn driver(&mut self, symbol: &str, kernel: &Kernel) {
        let name = self.names.claim(&format!("{symbol}_run"));
        let masks = Masks::default();
        let context = Context::new(&mut self.prelude, masks, Types::default());
        let mut writer = Writer::new(context, Names::default(), HashMap::new());
        let mut used_sizes = BTreeSet::new();
        let lengths = kernel.locals.iter().map(|l| &l.elements);
        for expr in lengths.chain([&kernel.tiles]) {
            note_sizes(expr, &mut used_sizes);
        }
        for size in used_sizes {
            writer.line(&format!("const int64_t s{size} = sizes[{size}];"));
        }
        let tiles = writer.context.index(&kernel.tiles);
        writer.line(&format!("const int64_t tiles = {};", tiles.text));
        writer.line("uint32_t failed = 0;");
        if !kernel.locals.is_empty() {
            let bytes: Vec<String> = kernel
                .locals
                .iter()
                .map(|local| {
                    let elements = writer.context.index(&local.elements).text;
                    format!("(({elements}) * {} + 63) / 64 * 64", local.dtype.size())
                })
                .collect();
            writer.line(&format!("const size_t bytes = {};", bytes.join(" + ")));
        }
        let scratch = if kernel.locals.is_empty() { "nullptr" } else { "scratch" };
        writer.text.push_str("#pragma omp parallel\n");
        writer.line("{");
        writer.depth += 1;
        writer.line("const int64_t thread = omp_get_thread_num(), threads = omp_get_num_threads();");
        if !kernel.locals.is_empty() {
            writer.line("void *const scratch = std::aligned_alloc(64, bytes);");
        }
        writer.line(&format!(
            "const uint32_t code = {symbol}(pointers, sizes, {scratch}, tiles * thread / threads,"
        ));
        writer.line("    tiles * (thread + 1) / threads);");
        if !kernel.locals.is_empty() {
            writer.line("std::free(scratch);");
        }
        writer.text.push_str("#pragma omp critical\n");
        writer.line("if (code != 0) failed = code;");
        writer.depth -= 1;
        writer.line("}");
        writer.line("return failed;");
        let body = writer.text;
        self.has_drivers = true;
        self.drivers_need_memory |= !kernel.locals.is_empty();
        let _ = write!(
            self.text,
            "#ifdef _OPENMP\n// Runs every tile; gives 0 or the code of a failed check.\n\
             extern \"C\" uint32_t {name}(void *const *pointers, const int64_t *sizes) {{\n{body}}}\n\
             #endif\n\n"
        );
    }

    pub fn print(&self, flags: &[&str]) -> String {
        let mut text = String::from(
            "// Printed by Ferroductor. These options are part of the meaning:\n//   c++ ",
        );
        text.push_str(&flags.join(" "));
        text.push_str("\n\n");
        text.push_str(&self.prelude.print());
        if self.has_drivers {
            let memory = if self.drivers_need_memory { "#include <cstdlib>\n" } else { "" };
            let _ = write!(text, "#ifdef _OPENMP\n{memory}#include <omp.h>\n#endif\n\n");
        }
        text.push_str(self.text.trim_end());
        text.push('\n');
        text
    }
}

fn parameter_line(param: &Param, at: usize, name: &str) -> String {
    let constant = if param.access == Access::Read { "const " } else { "" };
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
fn locals(writer: &mut Writer<'_>, kernel: &Kernel) {
    if kernel.locals.is_empty() {
        return;
    }
    let free = writer.names.claim("free");
    writer.line(&format!("char *{free} = static_cast<char *>(scratch);"));
    for (at, local) in kernel.locals.iter().enumerate() {
        let take = writer.context.prelude.template("take");
        let name = writer.context.pointer(Buf::Local(at as u32)).text;
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

/// The entries of the size table that the entry point reads.
fn sizes_of_code(kernel: &Kernel) -> BTreeSet<u32> {
    fn of_block(block: &[Stmt], sizes: &mut BTreeSet<u32>) {
        for stmt in block {
            match stmt {
                Stmt::Let { op, .. } => match op {
                    Op::Index { expr: index } | Op::Load { index, .. } => note_sizes(index, sizes),
                    Op::Ramp { base: index, stride, .. }
                    | Op::LoadStrided { index, stride, .. } => {
                        note_sizes(index, sizes);
                        note_sizes(stride, sizes);
                    }
                    _ => {}
                },
                Stmt::For { begin, end, body, .. } => {
                    note_sizes(begin, sizes);
                    note_sizes(end, sizes);
                    of_block(body, sizes);
                }
                Stmt::If { then, otherwise, .. } => {
                    of_block(then, sizes);
                    of_block(otherwise, sizes);
                }
                Stmt::Store { index, .. } => note_sizes(index, sizes),
                _ => {}
            }
        }
    }
    let mut sizes = BTreeSet::new();
    kernel.locals.iter().for_each(|local| note_sizes(&local.elements, &mut sizes));
    of_block(&kernel.setup, &mut sizes);
    of_block(&kernel.body, &mut sizes);
    sizes
}
