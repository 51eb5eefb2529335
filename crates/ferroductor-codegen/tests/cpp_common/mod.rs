//! C++ compilers of this machine, and calls of compiled kernels on guarded memory.

// Settings of the tests themselves.
#![allow(clippy::disallowed_methods)]
#![allow(dead_code)] // Each test file uses a part.

use ferroductor_abi::KernelFn;
use ferroductor_codegen::cpp;
use ferroductor_codegen::cpp::compile::{Loaded, compile, load};
use ferroductor_ir::interp::{self, POISON};
use ferroductor_ir::kernel::{Isa, Kernel, Target};
use ferroductor_ir::random::{Case, same_elements};
use ferroductor_loader::{host_target, supports};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The compilers found: `FERRODUCTOR_CXX` alone if it is set, else every usual name in `PATH`.
pub fn compilers() -> Vec<PathBuf> {
    if let Some(compiler) = std::env::var_os("FERRODUCTOR_CXX") {
        return vec![compiler.into()];
    }
    let names = ["g++", "clang++", "clang++-19"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let find = |name: &str| {
        directories
            .iter()
            .map(|d| d.join(name))
            .find(|p| p.is_file())
    };
    names.into_iter().filter_map(find).collect()
}

/// Says on the terminal, past the test harness, what could not be tested.
pub fn skipped(test: &str, why: &str) {
    let line = format!("\n!!! SKIPPED {test}: {why}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// The compilers, or a loud line that there is none.
pub fn compilers_for(test: &str) -> Vec<PathBuf> {
    let compilers = compilers();
    if compilers.is_empty() {
        skipped(
            test,
            "no C++ compiler in PATH, and FERRODUCTOR_CXX is not set",
        );
    }
    compilers
}

/// The targets that this machine can run.
pub fn targets() -> Vec<Target> {
    let mut targets: Vec<Target> = [Isa::Sse42, Isa::Avx2, Isa::Avx512, Isa::Neon]
        .into_iter()
        .map(Target::of)
        .filter(supports)
        .collect();
    targets.extend(host_target());
    targets.dedup();
    assert!(!targets.is_empty());
    targets
}

/// A directory of this test's own, removed with the value unless `FERRODUCTOR_KEEP` is set.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new() -> Scratch {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("ferroductor-cpp-{}-{number}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&directory).unwrap();
        Scratch(directory)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::env::var_os("FERRODUCTOR_KEEP").is_none() {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

/// Prints, compiles and loads.
pub fn build(
    compiler: &Path,
    kernels: &[(String, &Kernel)],
    target: &Target,
    more_flags: &[&str],
) -> Loaded {
    let text = cpp::print(kernels, target).unwrap();
    let mut flags = cpp::flags(target);
    flags.extend_from_slice(more_flags);
    let directory = Scratch::new();
    let object = compile(compiler, &flags, &text, &directory.0, "kernels");
    let object = object.unwrap_or_else(|error| {
        let text: String = error.to_string().chars().take(6000).collect();
        panic!("{text}")
    });
    // SAFETY: the object was just compiled from printed text with the target's options, and
    // `targets` gives only what this machine runs.
    unsafe { load(&object).unwrap() }
}

/// Bytes around every buffer that a kernel must leave alone.
const GUARD: usize = 64;

/// Runs a kernel on copies of the buffers, each as badly aligned as its elements allow.
pub fn call(function: KernelFn, kernel: &Kernel, case: &Case) -> (u32, Vec<Vec<u8>>) {
    let mut blocks: Vec<(Vec<u8>, usize)> = (kernel.params.iter().zip(&case.buffers))
        .map(|(param, buffer)| {
            let mut block = vec![0xc3; buffer.len() + 3 * GUARD];
            let skip = GUARD + block.as_ptr().align_offset(64) + param.dtype.size();
            block[skip..skip + buffer.len()].copy_from_slice(buffer);
            (block, skip)
        })
        .collect();
    let pointers: Vec<*mut u8> = blocks
        .iter_mut()
        .map(|(block, skip)| block[*skip..].as_mut_ptr())
        .collect();
    let (_, scratch_bytes) = kernel.local_offsets(&case.sizes).expect("sizes evaluate");
    let mut scratch = vec![POISON; scratch_bytes + 64];
    let skip = scratch.as_ptr().align_offset(64);
    // SAFETY: the function was compiled from this kernel; random kernels stay inside their
    // buffers, and the scratch is aligned and as large as the locals need.
    let code = unsafe {
        function(
            pointers.as_ptr(),
            case.sizes.as_ptr(),
            scratch[skip..].as_mut_ptr(),
            case.begin,
            case.end,
        )
    };
    let mut results = Vec::new();
    for ((block, skip), buffer) in blocks.into_iter().zip(&case.buffers) {
        let end = skip + buffer.len();
        let guarded = block[..skip].iter().chain(&block[end..]);
        assert!(
            guarded.into_iter().all(|byte| *byte == 0xc3),
            "wrote outside a buffer"
        );
        results.push(block[skip..end].to_vec());
    }
    (code, results)
}

/// What the interpreter gives.
pub fn expected(kernel: &Kernel, case: &Case) -> (u32, Vec<Vec<u8>>) {
    let mut buffers = case.buffers.clone();
    let mut views: Vec<&mut [u8]> = buffers.iter_mut().map(Vec::as_mut_slice).collect();
    let code = interp::run(kernel, &mut views, &case.sizes, case.begin, case.end).unwrap();
    (code, buffers)
}

/// Where two results differ.
pub fn difference(
    kernel: &Kernel,
    got: &(u32, Vec<Vec<u8>>),
    want: &(u32, Vec<Vec<u8>>),
) -> Option<String> {
    if got.0 != want.0 {
        return Some(format!("returned {} instead of {}", got.0, want.0));
    }
    let buffers = kernel
        .params
        .iter()
        .zip(got.1.iter().zip(&want.1))
        .enumerate();
    for (at, (param, (got, want))) in buffers {
        let size = param.dtype.size();
        let elements = got.chunks(size).zip(want.chunks(size)).enumerate();
        for (element, (got, want)) in elements {
            if !same_elements(param.dtype, got, want) {
                let ty = param.dtype;
                return Some(format!(
                    "p{at}[{element}] ({ty}) is {got:02x?}, not {want:02x?}"
                ));
            }
        }
    }
    None
}

/// Does the compiler compile and link at all? The probe tells a broken compiler from our fault.
pub fn works(compiler: &Path) -> bool {
    Command::new(compiler)
        .arg("--version")
        .output()
        .is_ok_and(|out| out.status.success())
}
