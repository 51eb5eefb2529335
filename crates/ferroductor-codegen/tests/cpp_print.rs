//! What the printed C++ looks like and refuses: golden files, names, errors, warnings.
//!
//! The golden files are rewritten by
//! `FERRODUCTOR_UPDATE=1 cargo test -p ferroductor-codegen --test cpp_print`.

// Settings of the tests themselves.
#![allow(clippy::disallowed_methods)]

mod cpp_common;

use cpp_common::*;
use ferroductor_codegen::cpp::compile::{BuildError, compile, load};
use ferroductor_codegen::cpp::{self, CppError};
use ferroductor_ir::kernel::{Isa, Kernel, Target};
use ferroductor_ir::random::{Case, Rng};
use ferroductor_ir::{text, verify};
use std::path::{Path, PathBuf};

fn golden_directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The golden kernels with their names.
fn golden_kernels() -> Vec<(String, Kernel)> {
    let mut kernels = Vec::new();
    for entry in std::fs::read_dir(golden_directory()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "kernel") {
            let source = std::fs::read_to_string(&path).unwrap();
            let kernel = text::parse(&source).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
            assert_eq!(verify::kernel(&kernel), Ok(()), "{}", path.display());
            kernels.push((
                path.file_stem().unwrap().to_string_lossy().into_owned(),
                kernel,
            ));
        }
    }
    kernels.sort_by(|a, b| a.0.cmp(&b.0));
    assert!(kernels.len() >= 4);
    kernels
}

#[test]
fn golden_files() {
    for (name, kernel) in golden_kernels() {
        let target = Target::of(Isa::Avx512);
        let printed = cpp::print(&[(name.clone(), &kernel)], &target).unwrap();
        let path = golden_directory().join(format!("{name}.cpp"));
        if std::env::var_os("FERRODUCTOR_UPDATE").is_some() {
            std::fs::write(&path, &printed).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            printed == golden,
            "{} differs; FERRODUCTOR_UPDATE=1 cargo test -p ferroductor-codegen --test cpp_print \
             rewrites it. Printed now:\n{printed}",
            path.display()
        );
    }
}

#[test]
fn golden_kernels_compile_without_a_warning_and_alone() {
    for compiler in compilers_for("golden_kernels_compile_without_a_warning_and_alone") {
        for (name, kernel) in golden_kernels() {
            for isa in [Isa::Avx2, Isa::Avx512] {
                let target = Target::of(isa);
                let printed = cpp::print(&[(name.clone(), &kernel)], &target).unwrap();
                let mut flags = cpp::flags(&target);
                flags.extend(["-Wall", "-Wextra", "-Werror"]);
                let directory = Scratch::new();
                let built = compile(&compiler, &flags, &printed, &directory.0, "golden");
                assert!(built.is_ok(), "{}", built.unwrap_err());
            }
        }
    }
}

/// A kernel of one float buffer and this body.
fn kernel_with(params: &str, body: &str) -> Kernel {
    text::parse(&format!(
        "kernel k {{ {params} tiles 1 body {{ {body} }} }}"
    ))
    .unwrap()
}

fn text_of(kernel: &Kernel) -> String {
    cpp::print(&[("k".into(), kernel)], &Target::of(Isa::Avx2)).unwrap()
}

/// Runs a kernel of one buffer through every compiler, and the interpreter.
fn check(test: &str, kernel: &Kernel, buffers: Vec<Vec<u8>>) {
    let case = Case {
        kernel: kernel.clone(),
        sizes: vec![],
        buffers,
        begin: 0,
        end: 1,
    };
    let want = expected(kernel, &case);
    for compiler in compilers_for(test) {
        let target = &targets()[0];
        let loaded = build(
            &compiler,
            &[("k".into(), kernel)],
            target,
            &["-Wall", "-Werror"],
        );
        let got = call(loaded.get("k").unwrap(), kernel, &case);
        assert_eq!(difference(kernel, &got, &want), None, "{}", text_of(kernel));
    }
}

fn noise(bytes: usize) -> Vec<u8> {
    let mut rng = Rng::new(1);
    (0..bytes).map(|_| rng.bits() as u8 & 0x3f).collect()
}

#[test]
fn loads_stay_before_the_stores_that_follow_them() {
    let kernel = kernel_with(
        "param p0 x: f32 readwrite",
        "%0 = load x4 p0[0]
         %1 = load x1 p0[1]
         %2 = const f32x4 5.0
         store p0[0] = %2
         %3 = splat %1 x4
         %4 = add %0, %3
         store p0[4] = %4
         %5 = load x4 p0[0]
         %6 = const i64x4 1
         scatter p0[%6] = %4
         store p0[8] = %5",
    );
    check(
        "loads_stay_before_the_stores_that_follow_them",
        &kernel,
        vec![noise(48)],
    );
}

#[test]
fn registers_are_read_before_the_assignments_that_follow() {
    let kernel = kernel_with(
        "param p0 x: f32 readwrite",
        "%0 = load x1 p0[0]
         reg r0 = %0
         %1 = get r0
         %2 = add %1, %0
         set r0 = %2
         %3 = get r0
         %4 = mul %3, %1
         store p0[1] = %4
         for i1 in 0..2 {
           %5 = get r0
           %6 = mul %3, %5
           set r0 = %6
         }
         %7 = get r0
         store p0[2] = %7",
    );
    check(
        "registers_are_read_before_the_assignments_that_follow",
        &kernel,
        vec![noise(16)],
    );
}

#[test]
fn values_without_effect_are_not_printed() {
    let printed = text_of(&kernel_with(
        "param p0 x: f32 read param p1 y: f32 write",
        "%0 = load x1 p0[0] %1 = sqrt %0 %2 = const f32 1.0 store p1[0] = %2",
    ));
    assert!(
        !printed.contains("sqrt") && !printed.contains("static_cast<const float"),
        "{printed}"
    );
    assert!(printed.contains("y[0] = 1.0f;"), "{printed}");
}

#[test]
fn names_are_made_fit_for_cpp() {
    let kernel = text::parse(
        "kernel k {
           doc \"first \\n#error \\\\\"
           param p0 \"class\": f32 read
           param p1 \"a b-c\": f32 read
           param p2 \"a_b_c\": f32 read
           param p3 \"2nd\": f32 read
           param p4 i0: f32 read
           param p5 load: f32 read
           param p6 f32x4: f32 read
           param p7: f32 write
           local l0 free: f32[4]
           tiles 1
           body {
             comment \"back\\\\\"
             %0 = load x4 p0[0] %1 = load x4 p1[0] %2 = load x4 p2[0] %3 = load x4 p3[0]
             %4 = load x4 p4[0] %5 = load x4 p5[0] %6 = load x4 p6[0]
             %10 = add %0, %1 %11 = add %10, %2 %12 = add %11, %3 %13 = add %12, %4
             %14 = add %13, %5 %15 = add %14, %6
             store l0[0] = %15
             %16 = load x4 l0[0]
             store p7[0] = %16
           }
         }",
    )
    .unwrap();
    let printed = text_of(&kernel);
    for name in [
        "class_ =",
        "a_b_c =",
        "a_b_c_2 =",
        "v2nd =",
        "i0_ =",
        "load_ =",
        "f32x4_ =",
    ] {
        assert!(printed.contains(name), "{name} is not in\n{printed}");
    }
    check("names_are_made_fit_for_cpp", &kernel, vec![noise(16); 8]);
}

#[test]
fn symbols_must_be_names_and_different() {
    let kernel = kernel_with("", "");
    let print = |symbols: &[&str]| {
        let kernels: Vec<_> = symbols.iter().map(|s| (s.to_string(), &kernel)).collect();
        cpp::print(&kernels, &Target::of(Isa::Avx2)).map(drop)
    };
    assert_eq!(print(&["a", "b_2"]), Ok(()));
    assert_eq!(print(&["a", "a"]), Err(CppError::SymbolTwice("a".into())));
    for refused in ["", "2", "a b", "a;", "ä", "int", "log", "free", "load"] {
        assert_eq!(print(&[refused]), Err(CppError::Symbol(refused.into())));
        let accepted = cpp::symbol(refused);
        assert_eq!(print(&[&accepted]), Ok(()), "{accepted}");
    }
    assert_eq!(cpp::symbol("add_gelu"), "add_gelu");
}

#[test]
fn kernels_that_break_an_invariant_or_ask_too_much_are_refused() {
    let undefined = kernel_with("param p0: f32 write", "store p0[0] = %0");
    let print = |kernel: &Kernel, isa| cpp::print(&[("k".into(), kernel)], &Target::of(isa));
    let error = print(&undefined, Isa::Avx2).unwrap_err().to_string();
    assert_eq!(error, "kernel k: body: store: %0 is not defined here");
    let fused = kernel_with(
        "param p0: f32 write",
        "%0 = const f32 1.0 %1 = fma %0, %0, %0 store p0[0] = %1",
    );
    assert!(print(&fused, Isa::Avx2).is_ok());
    let error = print(&fused, Isa::Sse42).unwrap_err().to_string();
    assert_eq!(
        error,
        "kernel k: body: %1: the target has no fused multiply-add"
    );
}

#[test]
fn equal_functions_of_several_kernels_are_printed_once() {
    let with = |constant: &str| {
        text::parse(&format!(
            "kernel k {{ param p0: f32 readwrite tiles 1
               function exp f32(%9) {{ %3 = const f32 {constant} %4 = mul %9, %3 return %4 }}
               body {{ %0 = load x1 p0[0] %1 = exp %0 store p0[0] = %1 }} }}"
        ))
        .unwrap()
    };
    let (a, b, c) = (with("2.0"), with("2.0"), with("3.0"));
    let kernels = [("a".into(), &a), ("b".into(), &b), ("c".into(), &c)];
    let printed = cpp::print(&kernels, &Target::of(Isa::Avx2)).unwrap();
    assert_eq!(
        printed.matches("INLINE float exp_f32(").count(),
        1,
        "{printed}"
    );
    assert_eq!(
        printed.matches("INLINE float exp_f32_2(").count(),
        1,
        "{printed}"
    );
    assert_eq!(printed.matches("= exp_f32(").count(), 2, "{printed}");
}

#[test]
fn a_missing_compiler_and_a_refusal_are_told_apart() {
    let directory = Scratch::new();
    let absent = compile(Path::new("/nonexistent/g++"), &[], "", &directory.0, "x");
    assert!(
        matches!(absent, Err(BuildError::Start { .. })),
        "{absent:?}"
    );
    let nowhere = compile(Path::new("g++"), &[], "", &directory.0.join("no"), "x");
    assert!(
        matches!(nowhere, Err(BuildError::File { .. })),
        "{nowhere:?}"
    );
    // SAFETY: there is no such file.
    let unloaded = unsafe { load(&directory.0.join("no.so")) };
    assert!(
        matches!(unloaded, Err(BuildError::Load { .. })),
        "{unloaded:?}"
    );
    for compiler in compilers_for("a_missing_compiler_and_a_refusal_are_told_apart") {
        match compile(&compiler, &["-std=c++17"], "int x = y;", &directory.0, "x") {
            Err(BuildError::Compiler {
                code: Some(1),
                output,
                command,
            }) => {
                assert!(output.contains("error"), "{output}");
                assert!(command.contains("-std=c++17"), "{command}");
            }
            other => panic!("{other:?}"),
        }
        assert!(!directory.0.join("x.so").exists());
    }
}

#[test]
fn the_parallel_driver_runs_every_tile() {
    let Some(compiler) = compilers_for("the_parallel_driver_runs_every_tile")
        .first()
        .cloned()
    else {
        return;
    };
    let kernel = text::parse(
        "kernel k {
           param p0 x: i64 readwrite
           sizes 2
           local l0 row: i64[s1]
           tiles s0
           body {
             for i1 in 0..s1 {
               %0 = load x1 p0[i0*s1 + i1]
               %1 = const i64 3
               %2 = mul %0, %1
               store l0[i1] = %2
               %3 = lt %0, %1
               fail 4 if %3
             }
             for i1 in 0..s1 {
               %4 = load x1 l0[i1]
               store p0[i0*s1 + i1] = %4
             }
           }
         }",
    )
    .unwrap();
    let target = &targets()[0];
    let text = cpp::print(&[("k".into(), &kernel)], target).unwrap();
    let mut flags = cpp::flags(target);
    flags.extend(["-fopenmp", "-Wall", "-Wextra", "-Werror"]);
    let directory = Scratch::new();
    let object = match compile(&compiler, &flags, &text, &directory.0, "k") {
        Ok(object) => object,
        Err(error) if error.to_string().contains("omp") => {
            return skipped(
                "the_parallel_driver_runs_every_tile",
                "the compiler has no OpenMP",
            );
        }
        Err(error) => panic!("{error}"),
    };
    type Driver = unsafe extern "C" fn(*const *mut u8, *const i64) -> u32;
    let (tiles, row) = (1000i64, 7i64);
    let mut data: Vec<i64> = (0..tiles * row).map(|i| i + 3).collect();
    let want: Vec<i64> = data.iter().map(|i| i * 3).collect();
    // SAFETY: the object was compiled from printed text; the driver has this signature and the
    // buffer holds what the sizes say.
    let code = unsafe {
        let library = std::mem::ManuallyDrop::new(libloading::Library::new(object).unwrap());
        let driver = library.get::<Driver>(b"k_run").unwrap();
        let sizes = [tiles, row];
        let code = driver([data.as_mut_ptr().cast()].as_ptr(), sizes.as_ptr());
        let mut failing = vec![0i64; 7];
        let sizes = [1, 7];
        assert_eq!(
            driver([failing.as_mut_ptr().cast()].as_ptr(), sizes.as_ptr()),
            4
        );
        code
    };
    assert_eq!(code, 0);
    assert_eq!(data, want);
}
