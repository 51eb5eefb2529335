//! Statements, and which values become variables.
//!
//! A value with one use in its own block is printed where it is used, if the line stays short. It
//! waits as *pending* until then; what reads memory or a register is printed before a statement
//! that could change what it reads, so no load ever moves across a store or is done twice.

use super::ctype::{CType, Lane};
use super::expr::Expr;
use super::names::{self, Names};
use super::ops::{Context, Pending};
use ferroductor_ir::kernel::*;
use ferroductor_ir::{Atom, DType, IExpr};
use std::collections::{BTreeSet, HashMap};

/// Folded expressions stay within this many characters and operators.
const MAX_TEXT: usize = 80;
const MAX_WEIGHT: usize = 8;

/// Prints blocks of one kernel or function.
pub(super) struct Writer<'u> {
    pub context: Context<'u>,
    pub names: Names,
    pub text: String,
    pub depth: usize,
    uses: HashMap<ValueId, usize>,
}

impl<'u> Writer<'u> {
    pub fn new(context: Context<'u>, names: Names, uses: HashMap<ValueId, usize>) -> Writer<'u> {
        Writer {
            context,
            names,
            text: String::new(),
            depth: 1,
            uses,
        }
    }

    pub fn line(&mut self, text: &str) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
        self.text.push_str(text);
        self.text.push('\n');
    }

    /// The entries of the size table as variables.
    pub fn sizes(&mut self, sizes: &BTreeSet<u32>) {
        for size in sizes {
            self.line(&format!("const int64_t s{size} = sizes[{size}];"));
        }
    }

    pub fn block(&mut self, block: &[Stmt]) {
        for stmt in block {
            self.statement(stmt);
        }
        // Nothing is left but what a use did without.
        self.print_pending(&|_| true);
    }

    /// The other result of a function, in a branch that is skipped where no lane needs it.
    pub fn rare(&mut self, function: &Function, rare: &Rare) {
        let any = self.context.any(rare.lanes);
        self.line(&format!("if ({}) {{", any.text));
        self.depth += 1;
        for (id, op) in &rare.body {
            self.define(*id, op);
        }
        let choice = self.context.choice(rare, function.result);
        self.line(&format!("return {};", choice.text));
        self.depth -= 1;
        self.line("}");
    }

    fn statement(&mut self, stmt: &Stmt) {
        match stmt {
            Stmt::Let { id, op } => self.define(*id, op),
            Stmt::For {
                var,
                begin,
                end,
                step,
                body,
            } => self.for_loop(*var, begin, end, *step, body),
            Stmt::If {
                cond,
                then,
                otherwise,
            } => self.branch(*cond, then, otherwise),
            Stmt::Reg { id, init } => {
                let value = self.register_value(*id, *init);
                let ty = self.register_type(*id);
                self.line(&format!("{ty} {} = {};", names::register(*id), value.text));
            }
            Stmt::Set { id, value } => self.set(*id, *value),
            Stmt::Store { buf, index, value } => self.store(*buf, index, *value),
            Stmt::StoreMasked {
                buf,
                index,
                value,
                mask,
            } => self.store_where((*buf, index), *value, *mask),
            Stmt::Scatter { buf, index, value } => self.scatter(*buf, *index, *value),
            Stmt::Stream { buf, index, value } => self.stream(*buf, index, *value),
            Stmt::Prefetch { buf, index, near } => self.prefetch(*buf, index, *near),
            Stmt::Fail { cond, code } => {
                let cond = self.context.operand(*cond);
                self.line(&format!("if ({}) return {code};", cond.text));
            }
            Stmt::Comment(text) => self.line(&comment(text)),
        }
    }

    /// Prints a value's declaration, or keeps it for its use.
    pub fn define(&mut self, id: ValueId, op: &Op) {
        let uses = self.uses.get(&id).copied().unwrap_or(0);
        if uses == 0 {
            return;
        }
        let expr = self.context.op(id, op);
        let is_name = matches!(op, Op::Index { .. }) && expr.weight == 0;
        if is_name || matches!(op, Op::Const { .. }) {
            self.context.constants.insert(id, expr);
        } else if uses == 1 && expr.text.len() <= MAX_TEXT && expr.weight <= MAX_WEIGHT {
            let name = self.name_of(id, op);
            self.context.names.insert(id, name);
            self.context.pending.push(Pending { id, expr });
        } else {
            let name = self.name_of(id, op);
            self.context.names.insert(id, name);
            self.declare(id, &expr);
        }
    }

    fn name_of(&mut self, id: ValueId, op: &Op) -> String {
        let buffer = match op {
            Op::Load { buf, .. }
            | Op::LoadMasked { buf, .. }
            | Op::LoadStrided { buf, .. }
            | Op::Gather { buf, .. } => Some(self.context.pointer(*buf).text),
            _ => None,
        };
        self.names.claim(&names::value(id, op, buffer.as_deref()))
    }

    fn declare(&mut self, id: ValueId, expr: &Expr) {
        let ty = self.context.type_name(id);
        let name = self.context.names.get(&id).cloned().unwrap_or_default();
        self.line(&format!("const {ty} {name} = {};", expr.text));
    }

    /// Declares the pending values that satisfy the predicate, in order of definition.
    fn print_pending(&mut self, must_print: &dyn Fn(&Expr) -> bool) {
        let pending = std::mem::take(&mut self.context.pending);
        for value in pending {
            if must_print(&value.expr) {
                self.declare(value.id, &value.expr);
            } else {
                self.context.pending.push(value);
            }
        }
    }

    fn register_type(&mut self, id: RegId) -> String {
        let ty = self.context.types[id];
        let lane = match ty.scalar {
            DType::Bool if ty.lanes > 1 => Lane::signed(self.context.masks.register(id)),
            DType::Bool => return "bool".into(),
            scalar => Lane::of(scalar),
        };
        self.context.prelude.name(CType::new(lane, ty.lanes))
    }

    /// A value as the register holds it.
    fn register_value(&mut self, id: RegId, value: ValueId) -> Expr {
        match self.context.types[id] {
            Ty {
                scalar: DType::Bool,
                lanes: 2..,
            } => {
                let width = self.context.masks.register(id);
                self.context.mask(value, width)
            }
            _ => self.context.operand(value),
        }
    }

    fn set(&mut self, id: RegId, value: ValueId) {
        let value = self.register_value(id, value);
        self.print_pending(&|expr| expr.registers.contains(&id));
        self.line(&format!("{} = {};", names::register(id), value.text));
    }

    fn store(&mut self, buf: Buf, index: &IExpr, value: ValueId) {
        let is_vector = self.context.types[value].lanes > 1;
        let value = self.context.as_stored(value);
        let line = if is_vector {
            let address = self.context.address(buf, index);
            let store = self.context.prelude.template("store");
            format!("{store}({}, {});", address.text, value.text)
        } else {
            let place = self.context.place(buf, index);
            format!("{} = {};", place.text, value.text)
        };
        self.print_pending(&|expr| expr.reads_memory);
        self.line(&line);
    }

    fn stream(&mut self, buf: Buf, index: &IExpr, value: ValueId) {
        let value = self.context.as_stored(value);
        let address = self.context.address(buf, index);
        let stream = self.context.prelude.template("stream");
        self.print_pending(&|expr| expr.reads_memory);
        self.line(&format!("{stream}({}, {});", address.text, value.text));
    }

    /// By way of an integer, since the address may lie outside the array.
    fn prefetch(&mut self, buf: Buf, index: &IExpr, near: bool) {
        let pointer = self.context.pointer(buf).text;
        let index = self.context.index(index);
        let name = if near { "prefetch_near" } else { "prefetch" };
        let prefetch = self.context.prelude.template(name);
        self.line(&format!("{prefetch}({pointer}, {});", index.text));
    }

    fn store_where(&mut self, (buf, index): (Buf, &IExpr), value: ValueId, mask: ValueId) {
        let ty = self.context.types[value];
        let value = self.context.as_stored(value);
        let line = if ty.lanes > 1 {
            let address = self.context.address(buf, index);
            let mask = self.context.mask_of_elements(mask, CType::in_memory(ty));
            let store = self.context.prelude.template("store_where");
            format!("{store}({}, {}, {});", address.text, value.text, mask.text)
        } else {
            let mask = self.context.operand(mask);
            let place = self.context.place(buf, index);
            format!("if ({}) {} = {};", mask.text, place.text, value.text)
        };
        self.print_pending(&|expr| expr.reads_memory);
        self.line(&line);
    }

    fn scatter(&mut self, buf: Buf, index: ValueId, value: ValueId) {
        let is_vector = self.context.types[value].lanes > 1;
        let index = self.context.operand(index);
        let value = self.context.as_stored(value);
        let buffer = self.context.pointer(buf).text;
        let line = if is_vector {
            let scatter = self.context.prelude.template("scatter");
            format!("{scatter}({buffer}, {}, {});", index.text, value.text)
        } else {
            format!("{buffer}[{}] = {};", index.text, value.text)
        };
        self.print_pending(&|expr| expr.reads_memory);
        self.line(&line);
    }

    fn for_loop(&mut self, var: VarId, begin: &IExpr, end: &IExpr, step: i64, body: &[Stmt]) {
        let (first, last) = (self.context.index(begin), self.context.index(end));
        // What is used inside is computed once, before the loop; so is the bound if it takes work.
        self.print_pending(&|_| true);
        let i = format!("i{}", var.0);
        let step = if step == 1 {
            format!("++{i}")
        } else {
            format!("{i} += {step}")
        };
        let bound = if last.reads_memory || !last.registers.is_empty() {
            let name = self.names.claim(&format!("end_{i}"));
            self.line(&format!("const int64_t {name} = {};", last.text));
            name
        } else {
            last.text
        };
        self.line(&format!(
            "for (int64_t {i} = {}; {i} < {bound}; {step}) {{",
            first.text
        ));
        if begin.as_const().is_some() {
            let most = end - &IExpr::one();
            self.context.bounds.insert(var.0, (begin.clone(), most));
        }
        self.depth += 1;
        self.block(body);
        self.depth -= 1;
        self.context.bounds.remove(&var.0);
        self.line("}");
    }

    fn branch(&mut self, cond: ValueId, then: &[Stmt], otherwise: &[Stmt]) {
        let cond = self.context.operand(cond);
        self.print_pending(&|_| true);
        self.line(&format!("if ({}) {{", cond.text));
        self.depth += 1;
        self.block(then);
        self.depth -= 1;
        if !otherwise.is_empty() {
            self.line("} else {");
            self.depth += 1;
            self.block(otherwise);
            self.depth -= 1;
        }
        self.line("}");
    }
}

/// A comment that ends with its line.
pub(super) fn comment(text: &str) -> String {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    format!("// {}", text.trim_end_matches(['\\', ' ']))
}

/// How often each value is used by what has an effect, directly or through other values.
pub(super) fn count_uses(blocks: &[&[Stmt]]) -> HashMap<ValueId, usize> {
    let mut uses = HashMap::new();
    for block in blocks.iter().rev() {
        count_block(block, &mut uses);
    }
    uses
}

/// The same for a function.
pub(super) fn count_function_uses(function: &Function) -> HashMap<ValueId, usize> {
    let mut uses = HashMap::from([(function.result, 1)]);
    if let Some(rare) = &function.rare {
        // The test and the choice use the predicate, the choice both results.
        for (id, count) in [(rare.lanes, 2), (rare.result, 1), (function.result, 1)] {
            *uses.entry(id).or_insert(0) += count;
        }
    }
    for (id, op) in function.code().rev() {
        if uses.contains_key(id) {
            count_op(op, &mut uses);
        }
    }
    uses
}

/// Backwards, so that users come before what they use.
fn count_block(block: &[Stmt], uses: &mut HashMap<ValueId, usize>) {
    for stmt in block.iter().rev() {
        match stmt {
            Stmt::Let { id, op } => {
                if uses.contains_key(id) {
                    count_op(op, uses);
                }
            }
            Stmt::For {
                begin, end, body, ..
            } => {
                count_block(body, uses);
                count_index(begin, uses);
                count_index(end, uses);
            }
            Stmt::If {
                cond,
                then,
                otherwise,
            } => {
                count_block(otherwise, uses);
                count_block(then, uses);
                count(*cond, uses);
            }
            Stmt::Reg { init: value, .. } | Stmt::Set { value, .. } => count(*value, uses),
            Stmt::Store { index, value, .. } | Stmt::Stream { index, value, .. } => {
                count_index(index, uses);
                count(*value, uses);
            }
            Stmt::StoreMasked {
                index, value, mask, ..
            } => {
                count_index(index, uses);
                count(*value, uses);
                count(*mask, uses);
            }
            Stmt::Scatter { index, value, .. } => {
                count(*index, uses);
                count(*value, uses);
            }
            Stmt::Prefetch { index, .. } => count_index(index, uses),
            Stmt::Fail { cond, .. } => count(*cond, uses),
            Stmt::Comment(_) => {}
        }
    }
}

fn count(id: ValueId, uses: &mut HashMap<ValueId, usize>) {
    *uses.entry(id).or_insert(0) += 1;
}

fn count_index(expr: &IExpr, uses: &mut HashMap<ValueId, usize>) {
    expr.visit(&mut |atom| {
        if let Atom::Value(id) = atom {
            count(ValueId(*id), uses);
        }
    });
}

fn count_op(op: &Op, uses: &mut HashMap<ValueId, usize>) {
    match op {
        Op::Const { .. } | Op::Get { .. } => {}
        Op::Index { expr } => count_index(expr, uses),
        Op::Ramp { base, stride, .. } => {
            count_index(base, uses);
            count_index(stride, uses);
        }
        Op::Load { index, .. } => count_index(index, uses),
        Op::LoadMasked { index, mask, .. } => {
            count_index(index, uses);
            count(*mask, uses);
        }
        Op::LoadStrided { index, stride, .. } => {
            count_index(index, uses);
            count_index(stride, uses);
        }
        Op::Gather { index, .. } => count(*index, uses),
        Op::Prim { args, .. } => args.iter().for_each(|id| count(*id, uses)),
        Op::Convert { value, .. }
        | Op::Bitcast { value, .. }
        | Op::Splat { value, .. }
        | Op::Extract { value, .. } => count(*value, uses),
        Op::Shuffle { a, b, .. } => {
            count(*a, uses);
            count(*b, uses);
        }
        Op::DotBf16 { acc, a, b } => [acc, a, b].into_iter().for_each(|id| count(*id, uses)),
    }
}
