//! From kernels of the loop IR to loaded machine code.
//!
//! Equal kernels (by their canonical text) are compiled once, within a graph and across the graphs
//! of the process; what has to be compiled by LLVM is split over threads, a context each. Code
//! lives as long as a program holds it.

use std::any::Any;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, Weak};

use ferroductor_abi::KernelFn;
use ferroductor_codegen::llvm;
use ferroductor_ir::kernel::{Kernel, Target};
use ferroductor_ir::text::identity;
use ferroductor_loader::{LoadedObject, host_target, supports};
use ferroductor_runtime::Kernels;

use crate::cpp;
use crate::dump::Dump;
use crate::error::DriverError;
use crate::options::{Codegen, Options};

/// The machine to generate for: this CPU, or less of it if the option says so.
pub(crate) fn target(options: &Options) -> Result<Target, DriverError> {
    let host = host_target().ok_or_else(|| {
        DriverError::Target("no code generator for this CPU (SSE4.2 or NEON is the least)".into())
    })?;
    let Some(isa) = options.isa else {
        return Ok(host);
    };
    let mut target = Target::of(isa);
    (target.l1_bytes, target.l2_bytes) = (host.l1_bytes, host.l2_bytes);
    target.last_cache_bytes = host.last_cache_bytes;
    target.has_bf16 = isa == host.isa && host.has_bf16;
    if supports(&target) {
        return Ok(target);
    }
    Err(DriverError::Target(format!(
        "this CPU has no {}; its best is {}",
        isa.name(),
        host.isa.name()
    )))
}

/// Machine code of a program's kernels.
pub(crate) struct Built {
    pub(crate) kernels: Kernels,
    /// Kernels that differ from each other.
    pub(crate) different: usize,
    /// Kernels that had to be compiled now.
    pub(crate) fresh: usize,
}

/// Compiles and loads, or finds, the code of every kernel.
pub(crate) fn build(
    kernels: &[Kernel],
    target: &Target,
    options: &Options,
) -> Result<Built, DriverError> {
    let settings = format!(
        "{} {target:?} {:?}\n",
        options.codegen.name(),
        llvm::Options::default()
    );
    let keys: Vec<String> = kernels
        .iter()
        .map(|k| settings.clone() + &identity(k))
        .collect();
    let mut code: HashMap<&str, Option<Code>> = HashMap::new();
    let mut missing: Vec<(&str, &Kernel)> = Vec::new();
    for (key, kernel) in keys.iter().zip(kernels) {
        code.entry(key).or_insert_with(|| {
            let found = find(key);
            if found.is_none() {
                missing.push((key, kernel));
            }
            found
        });
    }
    let fresh = missing.len();
    let compiled = match options.codegen {
        _ if missing.is_empty() => Vec::new(),
        Codegen::Cpp => cpp::compile(&missing, target, options)?,
        Codegen::Llvm | Codegen::Aten => compile_all(&missing, target)?,
    };
    for (key, compiled) in compiled {
        remember(key, &compiled);
        code.insert(key, Some(compiled));
    }
    let functions = keys
        .iter()
        .map(|key| code.get(key.as_str())?.as_ref().map(|c| c.function))
        .collect::<Option<_>>()
        .ok_or_else(|| DriverError::Internal("a kernel was not compiled".into()))?;
    let different = code.len();
    let owner: Vec<Owner> = code.into_values().flatten().map(|c| c.owner).collect();
    Ok(Built {
        kernels: Kernels {
            functions,
            owner: Box::new(owner),
        },
        different,
        fresh,
    })
}

/// Writes every kernel as LLVM IR, assembly and C++, whichever emitter is in use.
pub(crate) fn dump(kernels: &[Kernel], target: &Target, dump: &Dump) -> Result<(), DriverError> {
    let options = llvm::Options::default();
    let named: Vec<(String, &Kernel)> = kernels
        .iter()
        .enumerate()
        .map(|(at, k)| (format!("k{at}_{}", k.name), k))
        .collect();
    for (file, text) in [
        ("5-llvm.ll", llvm::llvm_ir(&named, target, &options, false)?),
        (
            "6-llvm-optimized.ll",
            llvm::llvm_ir(&named, target, &options, true)?,
        ),
        ("7-assembly.s", llvm::assembly(&named, target, &options)?),
        ("8-kernels.cpp", cpp::text(kernels, target)?),
    ] {
        dump.write(file, &text).map_err(DriverError::Dump)?;
    }
    Ok(())
}

/// What keeps code loaded.
pub(crate) type Owner = Arc<dyn Any + Send + Sync>;

/// One kernel's code and what keeps it loaded.
#[derive(Clone)]
pub(crate) struct Code {
    pub(crate) owner: Owner,
    pub(crate) function: KernelFn,
}

/// Kernels of the process by key. A function is good while its owner lives.
static KNOWN: Mutex<Option<HashMap<String, Known>>> = Mutex::new(None);
type Known = (Weak<dyn Any + Send + Sync>, KernelFn);
/// Entries whose code is gone are swept out when the table has grown to this.
const SWEEP_AT: usize = 4096;

fn find(key: &str) -> Option<Code> {
    let known = KNOWN.lock().ok()?;
    let (owner, function) = known.as_ref()?.get(key)?;
    Some(Code {
        owner: owner.upgrade()?,
        function: *function,
    })
}

fn remember(key: &str, code: &Code) {
    if let Ok(mut known) = KNOWN.lock() {
        let known = known.get_or_insert_default();
        if known.len() >= SWEEP_AT {
            known.retain(|_, (owner, _)| owner.strong_count() > 0);
        }
        known.insert(key.to_owned(), (Arc::downgrade(&code.owner), code.function));
    }
}

/// Compiles kernels with LLVM, the work split evenly over threads.
fn compile_all<'k>(
    missing: &[(&'k str, &Kernel)],
    target: &Target,
) -> Result<Vec<(&'k str, Code)>, DriverError> {
    let workers = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(missing.len());
    if workers <= 1 {
        return compile_batch(missing, target);
    }
    let batches = split(missing, workers);
    let results: Vec<Result<_, DriverError>> = std::thread::scope(|scope| {
        let running: Vec<_> = batches
            .iter()
            .map(|batch| scope.spawn(|| compile_batch(batch, target)))
            .collect();
        let lost = || DriverError::Internal("a compiling thread panicked".into());
        running
            .into_iter()
            .map(|r| r.join().unwrap_or_else(|_| Err(lost())))
            .collect()
    });
    let mut compiled = Vec::with_capacity(missing.len());
    for result in results {
        compiled.extend(result?);
    }
    Ok(compiled)
}

/// Long kernels first, each to the batch with the least text so far.
fn split<'m, 'k>(
    missing: &'m [(&'k str, &'m Kernel)],
    workers: usize,
) -> Vec<Vec<(&'k str, &'m Kernel)>> {
    let mut order: Vec<(&'k str, &'m Kernel)> = missing.to_vec();
    order.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
    let mut batches = vec![(0usize, Vec::new()); workers];
    for item in order {
        if let Some(least) = batches.iter_mut().min_by_key(|b| b.0) {
            least.0 += item.0.len();
            least.1.push(item);
        }
    }
    batches.into_iter().map(|b| b.1).collect()
}

fn compile_batch<'k>(
    batch: &[(&'k str, &Kernel)],
    target: &Target,
) -> Result<Vec<(&'k str, Code)>, DriverError> {
    let named: Vec<(String, &Kernel)> = batch
        .iter()
        .enumerate()
        .map(|(at, (_, kernel))| (format!("k{at}"), *kernel))
        .collect();
    let bytes = llvm::compile(&named, target, &llvm::Options::default())?;
    let object = Arc::new(LoadedObject::load(&bytes)?);
    batch
        .iter()
        .zip(&named)
        .map(|((key, _), (symbol, _))| {
            let function = object
                .get(symbol)
                .ok_or_else(|| DriverError::Internal(format!("the object lacks {symbol}")))?;
            Ok((
                *key,
                Code {
                    owner: object.clone(),
                    function,
                },
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferroductor_ir::text::parse;

    fn add(name: &str, constant: &str) -> Kernel {
        parse(&format!(
            "kernel {name} {{
               param p0 x: f32 read
               param p1 y: f32 write
               sizes 1
               tiles s0
               body {{
                 %0 = load x1 p0[i0]
                 %1 = const f32 {constant}
                 %2 = add %0, %1
                 store p1[i0] = %2
               }}
             }}"
        ))
        .unwrap()
    }

    fn run(kernel: KernelFn, input: &[f32]) -> Vec<f32> {
        let mut output = vec![0.0f32; input.len()];
        let pointers = [
            input.as_ptr().cast_mut().cast::<u8>(),
            output.as_mut_ptr().cast(),
        ];
        let sizes = [input.len() as i64];
        // SAFETY: two buffers and one size, as the kernel declares; it has no locals.
        let code = unsafe {
            kernel(
                pointers.as_ptr(),
                sizes.as_ptr(),
                std::ptr::null_mut(),
                0,
                sizes[0],
            )
        };
        assert_eq!(code, 0);
        output
    }

    fn cache() -> std::path::PathBuf {
        std::env::temp_dir().join(format!("ferroductor-kernels-{}", std::process::id()))
    }

    #[test]
    fn both_emitters_give_the_same_code() {
        let kernels = [add("a", "1.5"), add("b", "2.5")];
        let options = |codegen| Options {
            codegen,
            cache_dir: Some(cache()),
            ..Options::default()
        };
        let target = target(&Options::default()).unwrap();
        let llvm = build(&kernels, &target, &options(Codegen::Llvm)).unwrap();
        let cpp = build(&kernels, &target, &options(Codegen::Cpp)).unwrap();
        assert_eq!((llvm.fresh, cpp.fresh), (2, 2));
        for (a, b) in llvm.kernels.functions.iter().zip(&cpp.kernels.functions) {
            assert_eq!(run(*a, &[0.1, -7.0, 1e30]), run(*b, &[0.1, -7.0, 1e30]));
        }
        std::fs::remove_dir_all(cache()).unwrap();
    }

    #[test]
    fn equal_kernels_are_compiled_once_and_all_run() {
        let options = Options::default();
        let target = target(&Options::default()).unwrap();
        let kernels = [
            add("a", "1.0"),
            add("b", "2.0"),
            add("c", "1.0"),
            add("d", "4.0"),
        ];
        let first = build(&kernels, &target, &options).unwrap();
        assert_eq!((first.different, first.fresh), (3, 3));
        for (function, constant) in first.kernels.functions.iter().zip([1.0, 2.0, 1.0, 4.0]) {
            assert_eq!(
                run(*function, &[0.5, -1.0]),
                [0.5 + constant, -1.0 + constant]
            );
        }
        let second = build(&kernels[1..], &target, &options).unwrap();
        assert_eq!((second.different, second.fresh), (3, 0));
        drop((first, second));
        // Code dies with its last owner, so now it is compiled again.
        assert_eq!(build(&kernels[..1], &target, &options).unwrap().fresh, 1);
    }

    #[test]
    fn an_instruction_set_beyond_this_cpu_is_refused() {
        let foreign = if cfg!(target_arch = "x86_64") {
            "neon"
        } else {
            "avx2"
        };
        let isa = ferroductor_ir::kernel::Isa::from_name(foreign);
        let error = target(&Options {
            isa,
            ..Options::default()
        })
        .unwrap_err();
        assert!(error.to_string().contains(foreign));
    }
}
