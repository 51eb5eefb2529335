//! One kernel as one LLVM function: blocks, loops, registers.
//!
//! Registers become SSA values at once: structured control flow tells where they merge, so no
//! `alloca` and no pass to remove it. Loops are emitted with their test at the bottom behind one
//! guard, the form in which LLVM hoists what does not vary.

use std::collections::HashMap;

use ferroductor_ir::IExpr;
use ferroductor_ir::kernel::{Block, Kernel, RegId, Stmt, TILE, Target, ValueId, VarId};
use inkwell::attributes::AttributeLoc;
use inkwell::basic_block::BasicBlock;
use inkwell::context::Context;
use inkwell::module::Module;
use inkwell::types::BasicType;
use inkwell::values::{
    BasicValue, BasicValueEnum, FunctionValue, InstructionOpcode as I, IntValue, PhiValue,
    PointerValue,
};
use inkwell::{AddressSpace, IntPredicate};

use super::build::{Build, Built, Value, lanes_of};
use super::error::{CodegenError, malformed};
use super::index::{Defined, Interval, Scope, Variable, integer};
use super::memory::{self, Places};
use super::ops::Emitted;

type Done = Result<(), CodegenError>;
type Registers<'c> = HashMap<RegId, Value<'c>>;

/// Adds the kernel to the module under its symbol.
pub(super) fn emit<'c>(
    context: &'c Context,
    module: &Module<'c>,
    target: &Target,
    symbol: &str,
    kernel: &Kernel,
) -> Done {
    let build = Build::new(context, module, target);
    let function = declare(&build, symbol);
    let entry = context.append_basic_block(function, "entry");
    build.builder.position_at_end(entry);
    let frame = Frame::of(function)?;
    let sizes = load_sizes(&build, kernel, frame.sizes)?;
    let scope = Scope {
        sizes,
        variables: HashMap::new(),
        values: HashMap::new(),
    };
    let params = load_params(&build, kernel, frame.pointers)?;
    let locals = place_locals(&build, &scope, kernel, frame.scratch)?;
    let places = Places::new(context, kernel, symbol, &params, &locals);
    let mut emitter = Emitter {
        b: build,
        kernel,
        function,
        places,
        scope,
        registers: HashMap::new(),
        depth: 0,
        has_streamed: false,
    };
    emitter.run(frame.begin, frame.end)
}

/// `fn(ptr pointers, ptr sizes, ptr scratch, i64 begin, i64 end) -> i32`, as in the ABI crate.
fn declare<'c>(b: &Build<'c, '_>, symbol: &str) -> FunctionValue<'c> {
    let pointer = b.context.ptr_type(AddressSpace::default());
    let int = b.context.i64_type();
    let params = [
        pointer.into(),
        pointer.into(),
        pointer.into(),
        int.into(),
        int.into(),
    ];
    let ty = b.context.i32_type().fn_type(&params, false);
    let function = b.module.add_function(symbol, ty, None);
    let width = (8 * b.target.isa.vector_bytes()).to_string();
    for (key, value) in [
        ("prefer-vector-width", width.as_str()),
        ("min-legal-vector-width", width.as_str()),
        // No call of a library function may be inferred from plain loads and stores.
        ("no-builtins", ""),
    ] {
        let attribute = b.context.create_string_attribute(key, value);
        function.add_attribute(AttributeLoc::Function, attribute);
    }
    let kind = inkwell::attributes::Attribute::get_named_enum_kind_id("nounwind");
    let attribute = b.context.create_enum_attribute(kind, 0);
    function.add_attribute(AttributeLoc::Function, attribute);
    function
}

/// The arguments of the call.
struct Frame<'c> {
    pointers: PointerValue<'c>,
    sizes: PointerValue<'c>,
    scratch: PointerValue<'c>,
    begin: IntValue<'c>,
    end: IntValue<'c>,
}

impl<'c> Frame<'c> {
    fn of(function: FunctionValue<'c>) -> Result<Frame<'c>, CodegenError> {
        let missing = || CodegenError::Llvm("a kernel without its parameters".into());
        let pointer = |at| match function.get_nth_param(at) {
            Some(BasicValueEnum::PointerValue(p)) => Ok(p),
            _ => Err(missing()),
        };
        let int = |at| match function.get_nth_param(at) {
            Some(BasicValueEnum::IntValue(p)) => Ok(p),
            _ => Err(missing()),
        };
        Ok(Frame {
            pointers: pointer(0)?,
            sizes: pointer(1)?,
            scratch: pointer(2)?,
            begin: int(3)?,
            end: int(4)?,
        })
    }
}

fn load_sizes<'c>(
    b: &Build<'c, '_>,
    kernel: &Kernel,
    table: PointerValue<'c>,
) -> Result<Vec<IntValue<'c>>, CodegenError> {
    let entry = b.context.i64_type().as_basic_type_enum();
    (0..kernel.size_count as usize)
        .map(|at| integer(memory::table_entry(b, table, entry, at)?))
        .collect()
}

fn load_params<'c>(
    b: &Build<'c, '_>,
    kernel: &Kernel,
    table: PointerValue<'c>,
) -> Result<Vec<PointerValue<'c>>, CodegenError> {
    let entry = b
        .context
        .ptr_type(AddressSpace::default())
        .as_basic_type_enum();
    (0..kernel.params.len())
        .map(|at| match memory::table_entry(b, table, entry, at)? {
            BasicValueEnum::PointerValue(p) => Ok(p),
            _ => Err(CodegenError::Llvm("a parameter that is no pointer".into())),
        })
        .collect()
}

/// The addresses of the local arrays: as `Kernel::local_offsets` counts, each a multiple of 64.
fn place_locals<'c>(
    b: &Build<'c, '_>,
    scope: &Scope<'c>,
    kernel: &Kernel,
    scratch: PointerValue<'c>,
) -> Result<Vec<PointerValue<'c>>, CodegenError> {
    let byte = b.context.i8_type();
    let mut at: BasicValueEnum<'c> = b.i64(0).into();
    let mut pointers = Vec::with_capacity(kernel.locals.len());
    for local in &kernel.locals {
        // SAFETY: plain address arithmetic in bytes; no flag claims more.
        let pointer = unsafe { b.builder.build_gep(byte, scratch, &[integer(at)?], "")? };
        pointers.push(pointer);
        let elements = scope.emit(b, &local.elements)?;
        let item = b.i64(local.dtype.size() as i64);
        let bytes = b.binary(I::Mul, elements.into(), item.into())?;
        let end = b.binary(I::Add, at, bytes)?;
        let end = b.binary(I::Add, end, b.i64(63).into())?;
        at = b.binary(I::And, end, b.i64(-64).into())?;
    }
    Ok(pointers)
}

/// The state of emission: where we are, and what everything in scope stands for.
pub(super) struct Emitter<'c, 'm> {
    pub b: Build<'c, 'm>,
    pub kernel: &'m Kernel,
    function: FunctionValue<'c>,
    pub places: Places<'c>,
    pub scope: Scope<'c>,
    /// The present value of every register in scope.
    pub registers: Registers<'c>,
    /// Number of loops around the present position.
    depth: usize,
    has_streamed: bool,
}

/// What a block declared, to be forgotten behind it.
#[derive(Default)]
struct Declared {
    values: Vec<ValueId>,
    registers: Vec<RegId>,
}

/// A loop under construction.
struct Loop<'c> {
    body: BasicBlock<'c>,
    exit: BasicBlock<'c>,
    counter: PhiValue<'c>,
    end: IntValue<'c>,
    /// Registers that the body sets, with their phis.
    carried: Vec<(RegId, PhiValue<'c>)>,
    /// The block before the loop, and the registers' values there.
    before: BasicBlock<'c>,
    initial: Vec<Value<'c>>,
}

impl<'c, 'm> Emitter<'c, 'm> {
    /// `setup`, then `body` for each tile, then 0.
    fn run(&mut self, begin: IntValue<'c>, end: IntValue<'c>) -> Done {
        let kernel = self.kernel;
        let mut declared = Declared::default();
        for stmt in &kernel.setup {
            self.statement(stmt, &mut declared)?;
        }
        self.emit_loop(TILE, (begin, end, 1), Interval::count(), &kernel.body)?;
        self.fence()?;
        let success = self.b.context.i32_type().const_zero();
        self.b.builder.build_return(Some(&success))?;
        Ok(())
    }

    fn block(&mut self, block: &Block) -> Done {
        let mut declared = Declared::default();
        for stmt in block {
            self.statement(stmt, &mut declared)?;
        }
        for id in declared.values {
            self.scope.values.remove(&id);
        }
        for id in declared.registers {
            self.registers.remove(&id);
        }
        Ok(())
    }

    fn statement(&mut self, stmt: &Stmt, declared: &mut Declared) -> Done {
        match stmt {
            Stmt::Let { id, op } => {
                let value = self.op(op)?;
                declared.values.push(*id);
                let depth = self.depth;
                self.scope.values.insert(*id, Defined { value, depth });
                Ok(())
            }
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
                let value = self.value(*init)?;
                declared.registers.push(*id);
                self.registers.insert(*id, unnamed(value));
                Ok(())
            }
            Stmt::Set { id, value } => {
                let value = self.value(*value)?;
                self.set(*id, value)
            }
            Stmt::Store { buf, index, value } => {
                let value = self.value(*value)?;
                memory::store(&self.b, &self.scope, &self.places, (*buf, index), value)
            }
            Stmt::StoreMasked {
                buf,
                index,
                value,
                mask,
            } => {
                let (value, mask) = (self.value(*value)?, self.value(*mask)?);
                let place = (*buf, index);
                memory::store_masked(&self.b, &self.scope, &self.places, place, value, mask)
            }
            Stmt::Stream { buf, index, value } => {
                let value = self.value(*value)?;
                self.has_streamed = true;
                memory::stream(&self.b, &self.scope, &self.places, (*buf, index), value)
            }
            Stmt::Scatter { buf, index, value } => {
                let (index, value) = (self.value(*index)?, self.value(*value)?);
                memory::scatter(&self.b, &self.places, *buf, index, value)
            }
            Stmt::Prefetch { buf, index, near } => {
                memory::prefetch(&self.b, &self.scope, &self.places, (*buf, index), *near)
            }
            Stmt::Fail { cond, code } => self.fail(*cond, *code),
            Stmt::Comment(_) => Ok(()),
        }
    }

    pub fn value(&self, id: ValueId) -> Emitted<'c> {
        match self.scope.values.get(&id) {
            Some(defined) => Ok(defined.value),
            None => malformed(format!("value {} is not in scope", id.0)),
        }
    }

    fn set(&mut self, id: RegId, value: Value<'c>) -> Done {
        match self.registers.get_mut(&id) {
            Some(register) => {
                *register = unnamed(value);
                Ok(())
            }
            None => malformed(format!("register {} is not in scope", id.0)),
        }
    }

    fn condition(&self, id: ValueId) -> Result<IntValue<'c>, CodegenError> {
        integer(self.value(id)?.llvm)
    }

    fn append_block(&self, name: &str) -> BasicBlock<'c> {
        self.b.context.append_basic_block(self.function, name)
    }

    fn present_block(&self) -> Result<BasicBlock<'c>, CodegenError> {
        self.b
            .builder
            .get_insert_block()
            .ok_or_else(|| CodegenError::Llvm("no present block".into()))
    }

    /// What was streamed so far is visible to whoever learns that the call has ended.
    fn fence(&self) -> Done {
        if self.has_streamed {
            memory::fence(&self.b, self.b.target.isa)?;
        }
        Ok(())
    }

    // Control flow.

    fn fail(&mut self, cond: ValueId, code: u32) -> Done {
        let cond = self.condition(cond)?;
        let failed = self.append_block("failed");
        let passed = self.append_block("passed");
        self.b
            .builder
            .build_conditional_branch(cond, failed, passed)?;
        self.b.builder.position_at_end(failed);
        self.fence()?;
        let code = self.b.context.i32_type().const_int(u64::from(code), false);
        self.b.builder.build_return(Some(&code))?;
        self.b.builder.position_at_end(passed);
        Ok(())
    }

    fn branch(&mut self, cond: ValueId, then: &Block, otherwise: &Block) -> Done {
        let cond = self.condition(cond)?;
        let [yes, no, join] = ["then", "otherwise", "join"].map(|name| self.append_block(name));
        self.b.builder.build_conditional_branch(cond, yes, no)?;
        let before = self.registers.clone();
        let (yes_end, after_yes) = self.arm(yes, then, join)?;
        self.registers = before;
        let (no_end, after_no) = self.arm(no, otherwise, join)?;
        self.b.builder.position_at_end(join);
        let mut ids: Vec<RegId> = after_no.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            let (Some(a), Some(b)) = (after_yes.get(&id), after_no.get(&id)) else {
                return malformed(format!("register {} in one arm only", id.0));
            };
            if a.llvm == b.llvm {
                continue;
            }
            let phi = self.b.builder.build_phi(a.llvm.get_type(), "")?;
            phi.add_incoming(&[(&a.llvm, yes_end), (&b.llvm, no_end)]);
            let merged = Value::new(phi.as_basic_value(), a.ty);
            self.registers.insert(id, merged);
        }
        Ok(())
    }

    /// `value`, or what `otherwise` makes of it if the predicate holds in some lane, which is not
    /// expected.
    pub fn where_any(
        &self,
        predicate: BasicValueEnum<'c>,
        value: Value<'c>,
        otherwise: impl FnOnce() -> Built<'c>,
    ) -> Result<Value<'c>, CodegenError> {
        let b = &self.b;
        let bits = b.bits_type(lanes_of(predicate))?;
        let held = integer(b.cast(I::BitCast, predicate, bits.into())?)?;
        let any = (b.builder).build_int_compare(IntPredicate::NE, held, bits.const_zero(), "")?;
        let [rare, join] = ["rare", "usual"].map(|name| self.append_block(name));
        let before = self.present_block()?;
        let branch = b.builder.build_conditional_branch(any, rare, join)?;
        let weight = |n| b.context.i32_type().const_int(n, false).into();
        let kind = b.context.metadata_string("branch_weights").into();
        let weights = b.context.metadata_node(&[kind, weight(1), weight(2000)]);
        branch
            .set_metadata(weights, b.context.get_kind_id("prof"))
            .map_err(|_| CodegenError::Llvm("metadata refused".into()))?;
        b.builder.position_at_end(rare);
        let other = otherwise()?;
        let rare_end = self.present_block()?;
        b.builder.build_unconditional_branch(join)?;
        b.builder.position_at_end(join);
        let phi = b.builder.build_phi(value.llvm.get_type(), "")?;
        phi.add_incoming(&[(&value.llvm, before), (&other, rare_end)]);
        Ok(Value::new(phi.as_basic_value(), value.ty))
    }

    /// Emits one arm of a branch; gives its last block and the registers there.
    fn arm(
        &mut self,
        start: BasicBlock<'c>,
        block: &Block,
        join: BasicBlock<'c>,
    ) -> Result<(BasicBlock<'c>, Registers<'c>), CodegenError> {
        self.b.builder.position_at_end(start);
        self.block(block)?;
        let end = self.present_block()?;
        self.b.builder.build_unconditional_branch(join)?;
        Ok((end, self.registers.clone()))
    }

    fn for_loop(
        &mut self,
        var: VarId,
        begin: &IExpr,
        end: &IExpr,
        step: i64,
        body: &Block,
    ) -> Done {
        let bounds = Interval::between(self.scope.bounds(begin), self.scope.bounds(end));
        let begin = self.scope.emit(&self.b, begin)?;
        let end = self.scope.emit(&self.b, end)?;
        self.emit_loop(var, (begin, end, step), bounds, body)
    }

    fn emit_loop(
        &mut self,
        var: VarId,
        (begin, end, step): (IntValue<'c>, IntValue<'c>, i64),
        bounds: Interval,
        body: &Block,
    ) -> Done {
        let shape = self.open_loop(begin, end, body)?;
        let value = integer(shape.counter.as_basic_value())?;
        let depth = self.depth;
        let variable = Variable {
            value,
            bounds,
            depth,
        };
        self.scope.variables.insert(var, variable);
        self.depth += 1;
        self.block(body)?;
        self.depth -= 1;
        self.scope.variables.remove(&var);
        self.close_loop(shape, step)
    }

    fn open_loop(
        &mut self,
        begin: IntValue<'c>,
        end: IntValue<'c>,
        block: &Block,
    ) -> Result<Loop<'c>, CodegenError> {
        let body = self.append_block("loop");
        let exit = self.append_block("done");
        let before = self.present_block()?;
        let enters = self
            .b
            .compare_ints(IntPredicate::SLT, begin.into(), end.into())?;
        self.b
            .builder
            .build_conditional_branch(integer(enters)?, body, exit)?;
        self.b.builder.position_at_end(body);
        let counter = self.b.builder.build_phi(self.b.context.i64_type(), "")?;
        counter.add_incoming(&[(&begin, before)]);
        let mut carried = Vec::new();
        let mut initial = Vec::new();
        for id in self.registers_set_in(block) {
            let Some(value) = self.registers.get(&id).copied() else {
                continue;
            };
            let phi = self.b.builder.build_phi(value.llvm.get_type(), "")?;
            phi.add_incoming(&[(&value.llvm, before)]);
            let inside = Value::new(phi.as_basic_value(), value.ty);
            self.registers.insert(id, inside);
            carried.push((id, phi));
            initial.push(value);
        }
        Ok(Loop {
            body,
            exit,
            counter,
            end,
            carried,
            before,
            initial,
        })
    }

    fn close_loop(&mut self, shape: Loop<'c>, step: i64) -> Done {
        let latch = self.present_block()?;
        let step = self.b.i64(step);
        let next = self
            .b
            .binary(I::Add, shape.counter.as_basic_value(), step.into())?;
        let again = self
            .b
            .compare_ints(IntPredicate::SLT, next, shape.end.into())?;
        self.b
            .builder
            .build_conditional_branch(integer(again)?, shape.body, shape.exit)?;
        shape.counter.add_incoming(&[(&next, latch)]);
        self.b.builder.position_at_end(shape.exit);
        for ((id, phi), initial) in shape.carried.into_iter().zip(shape.initial) {
            let Some(last) = self.registers.get(&id).copied() else {
                return malformed(format!("register {} lost in a loop", id.0));
            };
            phi.add_incoming(&[(&last.llvm as &dyn BasicValue<'c>, latch)]);
            let after = self.b.builder.build_phi(last.llvm.get_type(), "")?;
            after.add_incoming(&[(&initial.llvm, shape.before), (&last.llvm, latch)]);
            let after = Value::new(after.as_basic_value(), last.ty);
            self.registers.insert(id, after);
        }
        Ok(())
    }

    /// The registers in scope that a block may set, in a fixed order.
    fn registers_set_in(&self, block: &Block) -> Vec<RegId> {
        let mut found = Vec::new();
        collect_sets(block, &mut found);
        found.sort_unstable();
        found.dedup();
        found
    }
}

/// A register's value is not known to be the literal once it can be set again.
fn unnamed(value: Value<'_>) -> Value<'_> {
    Value {
        literal: None,
        ..value
    }
}

fn collect_sets(block: &Block, found: &mut Vec<RegId>) {
    for stmt in block {
        match stmt {
            Stmt::Set { id, .. } => found.push(*id),
            Stmt::For { body, .. } => collect_sets(body, found),
            Stmt::If {
                then, otherwise, ..
            } => {
                collect_sets(then, found);
                collect_sets(otherwise, found);
            }
            _ => {}
        }
    }
}
