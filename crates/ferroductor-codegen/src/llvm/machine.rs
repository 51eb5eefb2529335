//! Target machines: from a [`Target`] to LLVM's triple and feature list, and from a module to an
//! object or assembly.
//!
//! What must hold: the feature list names exactly what `Target` promises, so code never depends on
//! the machine that compiles it. The loader checks the same list before code is run.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Once;

use ferroductor_ir::kernel::{Isa, Target};
use inkwell::OptimizationLevel;
use inkwell::llvm_sys::support::LLVMParseCommandLineOptions;
use inkwell::module::Module;
use inkwell::passes::PassBuilderOptions;
use inkwell::targets::{
    CodeModel, FileType, InitializationConfig, RelocMode, Target as LlvmTarget, TargetMachine,
    TargetTriple,
};

use super::Options;
use super::error::CodegenError;

static INITIALIZE: Once = Once::new();

fn initialize() {
    INITIALIZE.call_once(|| {
        let config = InitializationConfig {
            asm_parser: false,
            asm_printer: true,
            base: true,
            disassembler: false,
            info: true,
            machine_code: true,
        };
        LlvmTarget::initialize_x86(&config);
        LlvmTarget::initialize_aarch64(&config);
        disable_store_forwarding_pass();
    });
}

/// LLVM 19 ends the process in its pass against blocked store forwarding where it meets a plain
/// load that was a masked one with a constant mask: the memory operand of a masked access has no
/// known size, and the pass asks for it. Nothing in the loop IR copies memory by way of smaller
/// stores just made, which is all that the pass improves.
fn disable_store_forwarding_pass() {
    let arguments = [c"ferroductor".as_ptr(), c"-x86-disable-avoid-SFB".as_ptr()];
    // SAFETY: the strings are static and end in zero, their count is right, and no other thread
    // uses LLVM yet: every use comes after `INITIALIZE`.
    unsafe {
        LLVMParseCommandLineOptions(arguments.len() as i32, arguments.as_ptr(), std::ptr::null());
    }
}

/// The operating system is that of the host; kernels use nothing of it but the calling convention.
fn triple(isa: Isa) -> &'static str {
    match isa {
        Isa::Sse42 | Isa::Avx2 | Isa::Avx512 => "x86_64-unknown-linux-gnu",
        Isa::Neon => "aarch64-unknown-linux-gnu",
    }
}

fn cpu(isa: Isa) -> &'static str {
    match isa {
        Isa::Sse42 | Isa::Avx2 | Isa::Avx512 => "x86-64",
        Isa::Neon => "generic",
    }
}

/// LLVM's feature list for a target.
pub(super) fn features(target: &Target) -> Result<String, CodegenError> {
    let refuse = |what: &str| {
        let isa = target.isa.name();
        Err(CodegenError::Target(format!("{isa} {what}")))
    };
    let mut features: Vec<&str> = match target.isa {
        Isa::Sse42 => vec!["+sse4.2", "+popcnt"],
        Isa::Avx2 => vec!["+avx2", "+popcnt", "+bmi", "+bmi2", "+lzcnt"],
        Isa::Avx512 => vec![
            "+avx512f",
            "+avx512bw",
            "+avx512dq",
            "+avx512vl",
            "+avx512cd",
            "+avx2",
            "+popcnt",
            "+bmi",
            "+bmi2",
            "+lzcnt",
        ],
        Isa::Neon => vec!["+neon"],
    };
    match target.isa {
        Isa::Sse42 if target.has_fma || target.has_f16c => {
            return refuse("has neither fma nor f16c");
        }
        Isa::Avx512 | Isa::Neon if !target.has_fma || !target.has_f16c => {
            return refuse("always has fma and f16c");
        }
        Isa::Sse42 | Isa::Neon => {}
        Isa::Avx2 | Isa::Avx512 => {
            features.extend(target.has_fma.then_some("+fma"));
            features.extend(target.has_f16c.then_some("+f16c"));
        }
    }
    match target.isa {
        Isa::Avx512 => features.extend(target.has_bf16.then_some("+avx512bf16")),
        _ if target.has_bf16 => return refuse("has no bf16 products"),
        _ => {}
    }
    Ok(features.join(","))
}

/// What determines a machine.
type Key = (Isa, String, u8);

thread_local! {
    /// The machine this thread used last. Most of what a machine costs is the subtarget's tables,
    /// built when it meets its first function; a compilation uses one target.
    static LAST: RefCell<Option<(Key, Rc<TargetMachine>)>> = const { RefCell::new(None) };
}

/// This thread's machine for a target; machines are not shared between threads.
pub(super) fn machine(
    target: &Target,
    options: &Options,
) -> Result<Rc<TargetMachine>, CodegenError> {
    let key = (target.isa, features(target)?, options.codegen_level);
    LAST.with_borrow_mut(|last| {
        if let Some((_, machine)) = last.as_ref().filter(|(made_for, _)| *made_for == key) {
            return Ok(machine.clone());
        }
        let machine = Rc::new(new_machine(&key)?);
        *last = Some((key, machine.clone()));
        Ok(machine)
    })
}

fn new_machine((isa, features, level): &Key) -> Result<TargetMachine, CodegenError> {
    initialize();
    let triple = TargetTriple::create(triple(*isa));
    let llvm = LlvmTarget::from_triple(&triple).map_err(|e| CodegenError::Target(e.to_string()))?;
    let level = match level {
        0 => OptimizationLevel::None,
        1 => OptimizationLevel::Less,
        2 => OptimizationLevel::Default,
        _ => OptimizationLevel::Aggressive,
    };
    llvm.create_target_machine(
        &triple,
        cpu(*isa),
        features,
        level,
        RelocMode::PIC,
        CodeModel::Small,
    )
    .ok_or_else(|| CodegenError::Target(format!("no machine for {}", isa.name())))
}

/// Runs the passes named in the options.
pub(super) fn optimize(
    module: &Module<'_>,
    machine: &TargetMachine,
    options: &Options,
) -> Result<(), CodegenError> {
    if options.passes.is_empty() {
        return Ok(());
    }
    module
        .run_passes(&options.passes, machine, PassBuilderOptions::create())
        .map_err(|e| CodegenError::Llvm(format!("passes: {e}")))
}

/// The module as an object or as assembly text.
pub(super) fn write(
    module: &Module<'_>,
    machine: &TargetMachine,
    kind: FileType,
) -> Result<Vec<u8>, CodegenError> {
    let buffer = machine
        .write_to_memory_buffer(module, kind)
        .map_err(|e| CodegenError::Llvm(e.to_string()))?;
    Ok(buffer.as_slice().to_vec())
}
