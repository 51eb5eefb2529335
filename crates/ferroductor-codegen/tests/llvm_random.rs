//! Random kernels: native code against the reference interpreter, on every instruction set that
//! this machine has.

// Settings of the tests themselves.
#![allow(clippy::disallowed_methods)]

mod llvm_common;

use ferroductor_codegen::llvm::{self, Options};
use ferroductor_ir::kernel::{Kernel, Target};
use ferroductor_ir::random::{self, Case, Limits};
use ferroductor_ir::{interp, text};
use ferroductor_loader::LoadedObject;
use llvm_common::*;

/// Seeds a run tries; `FERRODUCTOR_SEEDS=10000` tries more.
const SEEDS: u64 = 400;

fn limits(target: &Target) -> Limits {
    Limits {
        fma: target.has_fma,
        scale: target.has_scale(),
        dot_bf16: target.has_bf16,
        ..Limits::default()
    }
}

/// What differs between native code and the interpreter, if anything does.
fn difference(case: &Case, kernel: &Kernel, target: &Target) -> Option<String> {
    let mut want = case.buffers.clone();
    let mut views: Vec<&mut [u8]> = want.iter_mut().map(Vec::as_mut_slice).collect();
    let code = interp::run(kernel, &mut views, &case.sizes, case.begin, case.end).ok()?;
    let object = match llvm::compile(&[("k".into(), kernel)], target, &Options::default()) {
        Ok(object) => object,
        Err(error) => return Some(error.to_string()),
    };
    let loaded = match LoadedObject::load(&object) {
        Ok(loaded) => loaded,
        Err(error) => return Some(error.to_string()),
    };
    let mut got = case.buffers.clone();
    let returned = call(
        &loaded,
        kernel,
        &mut got,
        &case.sizes,
        (case.begin, case.end),
    );
    if returned != code {
        return Some(format!("returned {returned}, not {code}"));
    }
    let params = kernel.params.iter().zip(got.iter().zip(&want)).enumerate();
    params
        .filter(|(_, (p, (got, want)))| !random::same_elements(p.dtype, got, want))
        .map(|(at, _)| format!("buffer {at} differs"))
        .next()
}

#[test]
fn random_kernels_agree_with_the_interpreter() {
    let seeds = std::env::var("FERRODUCTOR_SEEDS").map_or(SEEDS, |n| n.parse().unwrap());
    for target in runnable_targets() {
        for seed in 0..seeds {
            let case = random::case(seed, &limits(&target));
            let Some(what) = difference(&case, &case.kernel, &target) else {
                continue;
            };
            let smaller = random::reduce(&case.kernel, &mut |k| {
                difference(&case, k, &target).is_some()
            });
            panic!(
                "seed {seed} on {target:?}: {what}\n{}",
                text::print(&smaller)
            );
        }
    }
}
