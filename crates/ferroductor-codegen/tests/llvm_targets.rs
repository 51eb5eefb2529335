//! Emission for instruction sets that this machine may not have: the objects are whole, need no
//! symbol from outside, can be linked by our loader, and use the instructions that the target is chosen for.

mod llvm_common;

use ferroductor_codegen::llvm::{self, Options};
use ferroductor_ir::DType;
use ferroductor_ir::kernel::*;
use ferroductor_ir::prim::Prim;
use ferroductor_ir::random::{self, Limits};
use ferroductor_ir::verify;
use llvm_common::*;

fn all_targets() -> Vec<Target> {
    let mut targets = [Isa::Sse42, Isa::Avx2, Isa::Avx512, Isa::Neon]
        .map(Target::of)
        .to_vec();
    let mut with_products = Target::of(Isa::Avx512);
    with_products.has_bf16 = true;
    targets.push(with_products);
    let mut bare = Target::of(Isa::Avx2);
    (bare.has_fma, bare.has_f16c) = (false, false);
    targets.push(bare);
    targets
}

/// Compiles the kernels into one object and checks that it asks for nothing outside itself and
/// can be loaded.
fn check(kernels: &[Kernel], target: &Target) {
    let named = |(n, kernel)| (format!("k{n}"), kernel);
    let list: Vec<(String, &Kernel)> = kernels.iter().enumerate().map(named).collect();
    let object = llvm::compile(&list, target, &Options::default())
        .unwrap_or_else(|e| panic!("{e} on {target:?}"));
    if let Err(error) = ferroductor_loader::check(&object) {
        panic!("{error} on {target:?}\n{kernels:#?}");
    }
}

/// The kernels of one prim or conversion each that are sound for the target.
fn elementary_kernels(target: &Target, lanes: u32) -> Vec<Kernel> {
    let mut kernels = Vec::new();
    for dtype in DType::native() {
        for op in Prim::all().filter(|p| p.is_basic() && *p != Prim::Select) {
            let operands: Vec<u32> = (0..op.arity() as u32).collect();
            let output = if op.is_comparison() {
                DType::Bool
            } else {
                dtype
            };
            kernels.push(map_kernel(
                &vec![dtype; op.arity()],
                output,
                lanes,
                |body| {
                    body.push(let_(100, prim(op, &operands)));
                },
            ));
        }
        for to in DType::native() {
            kernels.push(map_kernel(&[dtype], to, lanes, |body| {
                let value = ValueId(0);
                body.push(let_(100, Op::Convert { value, to }));
            }));
        }
    }
    kernels.retain(|k| verify::kernel(k).is_ok() && verify::for_target(k, target).is_ok());
    kernels
}

#[test]
fn every_prim_and_conversion_at_every_width() {
    for target in all_targets() {
        for lanes in [1, 2, 4, 8, 16, 32] {
            let kernels = elementary_kernels(&target, lanes);
            assert!(kernels.len() > 200, "{}", kernels.len());
            check(&kernels, &target);
        }
    }
}

#[test]
fn random_kernels() {
    for target in all_targets() {
        let limits = Limits {
            fma: target.has_fma,
            scale: target.has_scale(),
            dot_bf16: target.has_bf16,
            max_lanes: 64,
            ..Limits::default()
        };
        let kernels: Vec<Kernel> = (0..80)
            .map(|seed| random::case(seed, &limits).kernel)
            .collect();
        check(&kernels, &target);
    }
}

#[test]
fn the_instructions_of_the_target_are_used() {
    let multiply_add = map_kernel(&[DType::F32; 3], DType::F32, 16, |body| {
        body.push(let_(100, prim(Prim::Fma, &[0, 1, 2])));
    });
    let add = map_kernel(&[DType::F32; 2], DType::F32, 16, |body| {
        body.push(let_(100, prim(Prim::Add, &[0, 1])));
    });
    let text = |kernel: &Kernel, isa| {
        let list = [("k".to_string(), kernel)];
        llvm::assembly(&list, &Target::of(isa), &Options::default()).unwrap()
    };
    for (kernel, isa, instruction, count) in [
        (&multiply_add, Isa::Avx512, "%zmm", 1),
        (&multiply_add, Isa::Avx2, "vfmadd", 2),
        (&multiply_add, Isa::Neon, "fmla", 4),
        (&add, Isa::Sse42, "addps", 4),
        (&add, Isa::Avx2, "%ymm", 2),
        (&add, Isa::Neon, "fadd", 4),
    ] {
        let text = text(kernel, isa);
        assert!(
            text.matches(instruction).count() >= count,
            "{instruction}\n{text}"
        );
    }
    let ir = llvm::llvm_ir(
        &[("k".into(), &add)],
        &Target::of(Isa::Avx512),
        &Options::default(),
        false,
    );
    assert!(ir.unwrap().contains("fadd <16 x float>"));
}
