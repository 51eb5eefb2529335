//! Random kernels through the interpreter, the LLVM emitter and the C++ emitter: all three give
//! the same bits, on every instruction set that this machine has.
//!
//! C++ is compiled in batches, so that one run of the compiler checks many kernels.
//! `FERRODUCTOR_SEEDS=20000` tries more; `FERRODUCTOR_CXX` names the compiler.

// Settings of the tests themselves.
#![allow(clippy::disallowed_methods)]

mod cpp_common;

use cpp_common::*;
use ferroductor_codegen::llvm::{self, Options};
use ferroductor_ir::kernel::{Kernel, Target};
use ferroductor_ir::random::{self, Case, Limits};
use ferroductor_ir::text;
use ferroductor_loader::LoadedObject;
use std::path::Path;

/// Kernels of one translation unit.
const BATCH: u64 = 100;

fn seeds(ordinary: u64) -> u64 {
    std::env::var("FERRODUCTOR_SEEDS").map_or(ordinary, |n| n.parse().unwrap())
}

/// Kernels that reach the target's widest vectors and twice that.
fn limits(target: &Target) -> Limits {
    Limits {
        max_lanes: 2 * target.isa.vector_bytes() as u32 / 4,
        fma: target.has_fma,
        scale: target.has_scale(),
        dot_bf16: target.has_bf16,
        ..Limits::default()
    }
}

fn cases(target: &Target, seeds: std::ops::Range<u64>) -> Vec<(u64, Case)> {
    seeds
        .map(|seed| (seed, random::case(seed, &limits(target))))
        .collect()
}

fn named(cases: &[(u64, Case)]) -> Vec<(String, &Kernel)> {
    cases
        .iter()
        .map(|(seed, case)| (format!("random_{seed}"), &case.kernel))
        .collect()
}

fn llvm_object(kernels: &[(String, &Kernel)], target: &Target) -> LoadedObject {
    let object = llvm::compile(kernels, target, &Options::default()).unwrap();
    LoadedObject::load(&object).unwrap()
}

/// Shrinks a kernel that differs, and panics with what is left.
fn report(
    what: &str,
    seed: u64,
    case: &Case,
    differs: &mut dyn FnMut(&Kernel) -> Option<String>,
) -> ! {
    let smaller = random::reduce(&case.kernel, &mut |kernel| differs(kernel).is_some());
    let difference = differs(&smaller).unwrap_or_default();
    panic!(
        "seed {seed}, {what}: {difference}\n{}",
        text::print(&smaller)
    );
}

#[test]
fn llvm_agrees_with_the_interpreter() {
    for target in targets() {
        let count = seeds(2400 / targets().len() as u64);
        for begin in (0..count).step_by(BATCH as usize) {
            let cases = cases(&target, begin..count.min(begin + BATCH));
            let object = llvm_object(&named(&cases), &target);
            for (seed, case) in &cases {
                let function = object.get(&format!("random_{seed}")).unwrap();
                let want = expected(&case.kernel, case);
                let got = call(function, &case.kernel, case);
                if difference(&case.kernel, &got, &want).is_some() {
                    report(&format!("LLVM, {target:?}"), *seed, case, &mut |kernel| {
                        let object = llvm_object(&[("k".into(), kernel)], &target);
                        let got = call(object.get("k").unwrap(), kernel, case);
                        difference(kernel, &got, &expected(kernel, case))
                    });
                }
            }
        }
    }
}

fn check_cpp(compiler: &Path, target: &Target, cases: &[(u64, Case)]) {
    let loaded = build(compiler, &named(cases), target, &["-w"]);
    for (seed, case) in cases {
        let function = loaded.get(&format!("random_{seed}")).unwrap();
        let want = expected(&case.kernel, case);
        let got = call(function, &case.kernel, case);
        if difference(&case.kernel, &got, &want).is_some() {
            let what = format!("{}, {target:?}", compiler.display());
            report(&what, *seed, case, &mut |kernel| {
                let loaded = build(compiler, &[("k".into(), kernel)], target, &[]);
                let got = call(loaded.get("k").unwrap(), kernel, case);
                difference(kernel, &got, &expected(kernel, case))
            });
        }
    }
}

#[test]
fn cpp_agrees_with_the_interpreter() {
    for compiler in compilers_for("cpp_agrees_with_the_interpreter") {
        for target in targets() {
            let count = seeds(BATCH);
            for begin in (0..count).step_by(BATCH as usize) {
                check_cpp(
                    &compiler,
                    &target,
                    &cases(&target, begin..count.min(begin + BATCH)),
                );
            }
        }
    }
}
