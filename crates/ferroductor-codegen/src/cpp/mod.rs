//! The C++ emitter: prints kernels as one translation unit that needs no header but the standard
//! library's and no library but libm.
//!
//! The text is meant to be read: vectors are GCC's vector extensions (`f32x16`), index
//! expressions stand as they are, values with one use are folded into it, and the operators that
//! a kernel stands for are a comment above it. g++ 11 or later and clang++ 14 or later compile it
//! with [`flags`], without which it does not compute the same bits.
//!
//! What must hold: the compiled code gives the bits of [`ferroductor_ir::interp`] for every
//! operation (the payload of a NaN apart).

pub mod compile;
mod ctype;
mod entry;
mod expr;
mod masks;
mod names;
mod ops;
mod prelude;
mod prims;
mod statements;

use ferroductor_ir::kernel::{Isa, Kernel, Target};
use ferroductor_ir::verify::{self, VerifyError};
use std::fmt;

/// Why kernels cannot be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CppError {
    /// The kernel breaks an invariant of the loop IR, or uses what the target lacks.
    Verify { symbol: String, error: VerifyError },
    /// Not a name that an exported function can have.
    Symbol(String),
    /// Two kernels of the same name.
    SymbolTwice(String),
}

impl fmt::Display for CppError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CppError::Verify { symbol, error } => write!(f, "kernel {symbol}: {error}"),
            CppError::Symbol(symbol) => write!(f, "{symbol:?} cannot be a function's name"),
            CppError::SymbolTwice(symbol) => write!(f, "two kernels are called {symbol}"),
        }
    }
}

impl std::error::Error for CppError {}

/// A name for a kernel's function that [`print`] accepts: the wish where it can be, else close to
/// it (`log` becomes `log_kernel`, for the C library has a function of that name).
pub fn symbol(wish: &str) -> String {
    names::exportable(wish)
}

/// Options that both g++ and clang++ need for the same bits as the loop IR defines, and for the
/// target's instructions.
pub fn flags(target: &Target) -> Vec<&'static str> {
    let mut flags = vec![
        "-O3",
        "-std=c++17",
        // What the loop IR rounds twice is rounded twice.
        "-ffp-contract=off",
        // Integers wrap.
        "-fwrapv",
        // Buffers of different types may overlap.
        "-fno-strict-aliasing",
        // Nobody reads `errno` or the exception flags; `sqrt` and `floor` are instructions then.
        "-fno-math-errno",
        "-fno-trapping-math",
        // Vectors wider than the target's registers never leave the translation unit.
        "-Wno-psabi",
        "-fPIC",
    ];
    flags.extend_from_slice(match target.isa {
        Isa::Sse42 => &["-msse4.2"][..],
        Isa::Avx2 => &["-mavx2"],
        Isa::Avx512 => &[
            "-mavx512f",
            "-mavx512bw",
            "-mavx512dq",
            "-mavx512vl",
            "-mavx512cd",
            "-mprefer-vector-width=512",
        ],
        Isa::Neon => &["-march=armv8-a"],
    });
    if target.isa != Isa::Neon {
        let optional = [
            (target.has_fma, "-mfma"),
            (target.has_f16c, "-mf16c"),
            (target.has_bf16, "-mavx512bf16"),
        ];
        flags.extend(optional.iter().filter(|row| row.0).map(|row| row.1));
    }
    flags
}

/// Prints kernels, each with the name of its function, as one translation unit.
///
/// Each function has the signature of [`ferroductor_abi::KernelFn`]. Where the text is compiled
/// with `-fopenmp`, a function `<name>_run(pointers, sizes)` beside it runs all tiles in parallel.
pub fn print(kernels: &[(String, &Kernel)], target: &Target) -> Result<String, CppError> {
    let mut unit = entry::Unit::default();
    for (symbol, _) in kernels {
        if !names::is_exportable(symbol) {
            return Err(CppError::Symbol(symbol.clone()));
        }
        if !unit.names.take(symbol) {
            return Err(CppError::SymbolTwice(symbol.clone()));
        }
    }
    for (symbol, kernel) in kernels {
        let failed = |error| CppError::Verify {
            symbol: symbol.clone(),
            error,
        };
        verify::for_target(kernel, target).map_err(failed)?;
        unit.kernel(symbol, kernel).map_err(failed)?;
    }
    Ok(unit.print(&flags(target)))
}
