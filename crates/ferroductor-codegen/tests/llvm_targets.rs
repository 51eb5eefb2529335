//! Emission for instruction sets that this machine may not have: the objects are whole, need no
//! symbol from outside, can be linked by our loader, and use the instructions that the target is chosen for.

mod llvm_common;

use ferroductor_codegen::llvm::{self, Options};
use ferroductor_ir::DType;
use ferroductor_ir::kernel::*;
use ferroductor_ir::prim::Prim;
use ferroductor_ir::random::{self, Limits};
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

/// Compiles and checks that nothing outside the object is asked for, and that it can be loaded.
fn check(kernel: &Kernel, target: &Target) {
    let object = llvm::compile(&[("k".into(), kernel)], target, &Options::default())
        .unwrap_or_else(|e| panic!("{e} on {target:?}"));
    if let Err(error) = ferroductor_loader::check(&object) {
        panic!("{error} on {target:?}\n{kernel:#?}");
    }
}

#[test]
fn every_prim_and_conversion_at_every_width() {
    let floats = [DType::F32, DType::F64];
    let ints = [DType::U8, DType::I8, DType::I16, DType::I32, DType::I64];
    for target in all_targets() {
        for lanes in [1u32, 2, 4, 8, 16, 32, 64] {
            for dtype in floats.iter().chain(&ints).chain(&[DType::Bool]) {
                for op in Prim::all().filter(|p| p.is_basic() && *p != Prim::Select) {
                    let operands: Vec<u32> = (0..op.arity() as u32).collect();
                    let output = if op.is_comparison() {
                        DType::Bool
                    } else {
                        *dtype
                    };
                    let kernel = map_kernel(&vec![*dtype; op.arity()], output, lanes, |body| {
                        body.push(let_(100, prim(op, &operands)));
                    });
                    let sound = ferroductor_ir::verify::kernel(&kernel).is_ok()
                        && ferroductor_ir::verify::for_target(&kernel, &target).is_ok();
                    if sound {
                        check(&kernel, &target);
                    }
                }
            }
            for from in DType::native() {
                for to in DType::native() {
                    let kernel = map_kernel(&[from], to, lanes, |body| {
                        let value = ValueId(0);
                        body.push(let_(100, Op::Convert { value, to }));
                    });
                    check(&kernel, &target);
                }
            }
        }
    }
}

#[test]
fn random_kernels() {
    for target in all_targets() {
        for seed in 0..100 {
            let limits = Limits {
                fma: target.has_fma,
                dot_bf16: target.has_bf16,
                max_lanes: 64,
                ..Limits::default()
            };
            check(&random::case(seed, &limits).kernel, &target);
        }
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
