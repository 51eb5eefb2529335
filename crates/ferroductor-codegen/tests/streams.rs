//! Streaming stores: from both emitters, on every target of this machine.

#[path = "cpp_common/mod.rs"]
mod cpp_common;
mod llvm_common;

use cpp_common::{build, compilers_for};
use ferroductor_abi::KernelFn;
use ferroductor_codegen::llvm::{self, Options};
use ferroductor_ir::DType;
use ferroductor_ir::kernel::{Isa, Kernel, Target};
use ferroductor_ir::text::parse;
use llvm_common::{compile, runnable_targets};

const COUNT: usize = 4096;

/// Doubles what it reads; stops at the first tile whose first element is negative.
fn kernel(dtype: DType, target: &Target) -> Kernel {
    let lanes = target.lanes(dtype);
    let ty = match dtype {
        DType::F32 => "f32",
        DType::I64 => "i64",
        DType::I32 => "i32",
        _ => "u8",
    };
    let zero = if dtype.is_float() { "0.0" } else { "0" };
    let text = format!(
        "kernel double {{
           param p0 x: {ty} read
           param p1 y: {ty} write noalias
           tiles {tiles}
           body {{
             %0 = load x1 p0[{lanes}*i0]
             %1 = const {ty} {zero}
             %2 = lt %0, %1
             fail 7 if %2
             %3 = load x{lanes} p0[{lanes}*i0]
             %4 = add %3, %3
             stream p1[{lanes}*i0] = %4
           }}
         }}",
        tiles = COUNT / lanes as usize
    );
    parse(&text).unwrap()
}

#[repr(align(64))]
#[derive(Clone)]
struct Aligned([i32; COUNT]);

fn run(function: KernelFn, kernel: &Kernel, input: &Aligned) -> (u32, Aligned) {
    let mut output = Aligned([0; COUNT]);
    let pointers = [
        input.0.as_ptr().cast_mut().cast::<u8>(),
        output.0.as_mut_ptr().cast(),
    ];
    let tiles = kernel.tiles.as_const().unwrap();
    // SAFETY: both buffers are aligned and have `COUNT` elements, as the kernel's tiles touch;
    // there are no sizes and no locals.
    let code = unsafe {
        function(
            pointers.as_ptr(),
            std::ptr::null(),
            std::ptr::null_mut(),
            0,
            tiles,
        )
    };
    (code, output)
}

fn check(function: KernelFn, kernel: &Kernel, lanes: usize) {
    let mut input = Aligned(std::array::from_fn(|at| at as i32));
    let (code, output) = run(function, kernel, &input);
    assert_eq!(code, 0);
    assert!((0..COUNT).all(|at| output.0[at] == 2 * at as i32));
    let stop = 64;
    input.0[stop] = -1;
    let (code, output) = run(function, kernel, &input);
    assert_eq!(code, 7);
    assert!((0..stop).all(|at| output.0[at] == 2 * at as i32));
    assert!(output.0[stop + lanes..].iter().all(|x| *x == 0));
}

#[test]
fn llvm_streams_on_every_target() {
    for target in runnable_targets() {
        let kernel = kernel(DType::I32, &target);
        let code = compile(&kernel, &target);
        check(
            code.get("k").unwrap(),
            &kernel,
            target.lanes(DType::I32) as usize,
        );
    }
}

#[test]
fn cpp_streams_on_every_target() {
    for compiler in compilers_for("cpp_streams_on_every_target") {
        for target in runnable_targets() {
            let kernel = kernel(DType::I32, &target);
            let named = [("k".to_owned(), &kernel)];
            let code = build(&compiler, &named, &target, &[]);
            check(
                code.get("k").unwrap(),
                &kernel,
                target.lanes(DType::I32) as usize,
            );
        }
    }
}

#[test]
fn x86_gets_the_instruction_and_a_fence() {
    for isa in [Isa::Sse42, Isa::Avx2, Isa::Avx512, Isa::Neon] {
        let target = Target::of(isa);
        for dtype in [DType::F32, DType::I64, DType::U8] {
            let kernel = kernel(dtype, &target);
            let named = [("k".to_owned(), &kernel)];
            let text = llvm::assembly(&named, &target, &Options::default()).unwrap();
            let is_x86 = isa != Isa::Neon;
            assert_eq!(text.contains("movnt"), is_x86, "{isa:?} {dtype}:\n{text}");
            assert_eq!(text.contains("sfence"), is_x86, "{isa:?} {dtype}:\n{text}");
        }
    }
}

/// Narrowing and storing must not become one instruction that goes through the caches.
#[test]
fn halves_go_past_the_caches() {
    let kernel = parse(
        "kernel narrow {
           param p0 x: f32 read
           param p1 y: bf16 write noalias
           tiles 64
           body {
             %0 = load x16 p0[16*i0]
             %1 = convert %0 to bf16
             stream p1[16*i0] = %1
           }
         }",
    )
    .unwrap();
    for isa in [Isa::Avx512, Isa::Avx2] {
        let kernels = [("k".to_string(), &kernel)];
        let text = llvm::assembly(&kernels, &Target::of(isa), &Options::default()).unwrap();
        assert!(text.contains("vmovnt"), "{text}");
    }
}
