//! The LLVM emitter: kernels of the loop IR become one relocatable object.
//!
//! Each call builds its own context and module, and each thread has its own target machine, so
//! calls may run on any number of threads at once. A call costs about a millisecond however little
//! it compiles, so small kernels are best compiled several to a call.
//!
//! What comes out is position-independent, exports one function of type
//! `ferroductor_abi::KernelFn` per kernel and needs no other symbol.
//!
//! LLVM aborts the process on errors it calls fatal. Therefore kernels are verified before they
//! are emitted, only a closed set of types and intrinsics is used, and LLVM's own verifier sees
//! the module before any pass does, in release builds too.

mod build;
mod convert;
mod error;
mod function;
mod index;
mod machine;
mod memory;
mod ops;
mod prims;

use ferroductor_ir::kernel::{Kernel, Target};
use ferroductor_ir::verify;
use inkwell::context::Context;
use inkwell::module::Module;
use inkwell::targets::{FileType, TargetMachine};

pub use error::CodegenError;

/// How kernels are optimised; part of a cache key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Options {
    /// LLVM's textual pass pipeline; none if empty. The default costs a tenth of a compilation,
    /// and its code is as fast as that of `default<O2>`, which triples it: the loop IR leaves
    /// little to find, and most of what there is, instruction selection finds by itself.
    pub passes: String,
    /// The effort of instruction selection and register allocation, 0 to 3.
    pub codegen_level: u8,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            passes:
                "function(early-cse,loop-mssa(licm),instcombine<no-verify-fixpoint>,simplifycfg)"
                    .into(),
            codegen_level: 2,
        }
    }
}

/// Compiles kernels, each under its symbol, to an ELF object.
pub fn compile(
    kernels: &[(String, &Kernel)],
    target: &Target,
    options: &Options,
) -> Result<Vec<u8>, CodegenError> {
    with_module(kernels, target, options, |module, machine| {
        machine::optimize(module, machine, options)?;
        machine::write(module, machine, FileType::Object)
    })
}

/// LLVM IR as text: as emitted, or after the passes.
pub fn llvm_ir(
    kernels: &[(String, &Kernel)],
    target: &Target,
    options: &Options,
    optimized: bool,
) -> Result<String, CodegenError> {
    with_module(kernels, target, options, |module, machine| {
        if optimized {
            machine::optimize(module, machine, options)?;
        }
        Ok(module.print_to_string().to_string_lossy().into_owned())
    })
}

/// The assembly text of the machine code that [`compile`] gives.
pub fn assembly(
    kernels: &[(String, &Kernel)],
    target: &Target,
    options: &Options,
) -> Result<String, CodegenError> {
    with_module(kernels, target, options, |module, machine| {
        machine::optimize(module, machine, options)?;
        let text = machine::write(module, machine, FileType::Assembly)?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    })
}

fn with_module<R>(
    kernels: &[(String, &Kernel)],
    target: &Target,
    options: &Options,
    then: impl FnOnce(&Module<'_>, &TargetMachine) -> Result<R, CodegenError>,
) -> Result<R, CodegenError> {
    let machine = machine::machine(target, options)?;
    let context = Context::create();
    let module = context.create_module("kernels");
    module.set_triple(&machine.get_triple());
    module.set_data_layout(&machine.get_target_data().get_data_layout());
    for (symbol, kernel) in kernels {
        check_symbol(symbol, &module)?;
        check_kernel(kernel, target)
            .and_then(|()| function::emit(&context, &module, target, symbol, kernel))
            .map_err(|error| error.in_kernel(symbol))?;
    }
    module
        .verify()
        .map_err(|e| CodegenError::Llvm(format!("the module does not verify: {e}")))?;
    then(&module, &machine)
}

/// Everything the emitter relies on: operand types, lanes, scopes.
fn check_kernel(kernel: &Kernel, target: &Target) -> Result<(), CodegenError> {
    verify::kernel(kernel).map_err(|e| CodegenError::Malformed(e.to_string()))?;
    verify::for_target(kernel, target).map_err(|e| CodegenError::Unsupported(e.to_string()))
}

/// A symbol is a C identifier and new to the module: LLVM gives its own names a meaning.
fn check_symbol(symbol: &str, module: &Module<'_>) -> Result<(), CodegenError> {
    let mut chars = symbol.chars();
    let starts = chars
        .next()
        .is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    if !starts || !chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return error::malformed(format!("{symbol:?} is no symbol"));
    }
    if module.get_function(symbol).is_some() {
        return error::malformed(format!("two kernels named {symbol}"));
    }
    Ok(())
}
