//! What compilation costs, and what the matrix micro-kernel reaches.

mod llvm_common;

use std::time::Instant;

use ferroductor_codegen::llvm::{self, Options};
use ferroductor_ir::kernel::*;
use ferroductor_ir::prim::{Literal, Prim};
use ferroductor_ir::{DType, IExpr};
use llvm_common::*;

const ROWS: u32 = 8;
const PANELS: u32 = 3;
const LANES: u32 = 16;

/// One tile is an 8×48 block of C: `C = A B`, with A row by row (`a_row` apart along rows,
/// `a_step` along k) and B in panels of 48 columns.
fn matrix_tile(depth: IExpr, a_row: IExpr, a_step: IExpr) -> Kernel {
    let mut kernel = empty_kernel();
    kernel.size_count = 1;
    kernel.params = vec![
        param(DType::F32, Access::Read),
        param(DType::F32, Access::Read),
        param(DType::F32, Access::Write),
    ];
    let tile_columns = PANELS * LANES;
    let body = &mut kernel.body;
    body.push(let_(0, constant(Literal::Float(0.0), DType::F32, LANES)));
    for reg in 0..ROWS * PANELS {
        body.push(Stmt::Reg {
            id: RegId(reg),
            init: ValueId(0),
        });
    }
    let k = IExpr::var(1);
    let mut inner = Vec::new();
    let mut next = 1;
    let mut fresh = |inner: &mut Vec<Stmt>, op| {
        inner.push(let_(next, op));
        next += 1;
        next - 1
    };
    let row_of_b = &k * &int(i64::from(tile_columns));
    let b: Vec<u32> = (0..PANELS)
        .map(|p| {
            let at = &row_of_b + &int(i64::from(p * LANES));
            fresh(&mut inner, load(1, at, LANES))
        })
        .collect();
    for row in 0..ROWS {
        let at = &(&a_row * &int(i64::from(row))) + &(&k * &a_step);
        let a = fresh(&mut inner, load(0, at, 1));
        let splat = Op::Splat {
            value: ValueId(a),
            lanes: LANES,
        };
        let a = fresh(&mut inner, splat);
        for panel in 0..PANELS {
            let reg = RegId(row * PANELS + panel);
            let old = fresh(&mut inner, Op::Get { id: reg });
            let new = fresh(&mut inner, prim(Prim::Fma, &[a, b[panel as usize], old]));
            inner.push(Stmt::Set {
                id: reg,
                value: ValueId(new),
            });
        }
    }
    body.push(Stmt::For {
        var: VarId(1),
        begin: IExpr::zero(),
        end: depth,
        step: 1,
        body: inner,
    });
    for reg in 0..ROWS * PANELS {
        let value = 1000 + reg;
        body.push(let_(value, Op::Get { id: RegId(reg) }));
        let at = (reg / PANELS) * tile_columns + (reg % PANELS) * LANES;
        body.push(store(2, int(i64::from(at)), value));
    }
    kernel
}

/// The same micro-kernel for three ways in which A may lie in memory.
fn forms() -> Vec<(&'static str, Kernel)> {
    let depth = IExpr::size(0);
    vec![
        ("packed A", matrix_tile(depth.clone(), int(1), int(8))),
        (
            "rows of A, literal stride",
            matrix_tile(int(768), int(768), int(1)),
        ),
        (
            "rows of A, symbolic stride",
            matrix_tile(depth.clone(), depth, int(1)),
        ),
    ]
}

/// The loop that holds the multiply-adds, without what is around it.
fn inner_loop(assembly: &str) -> &str {
    let first = assembly
        .find("vfmadd")
        .expect("the loop multiplies and adds");
    let last = assembly.rfind("vfmadd").unwrap_or(first);
    let start = assembly[..first].rfind(".LBB").unwrap_or(0);
    let end = assembly[last..]
        .find("\n\tj")
        .map_or(assembly.len(), |n| last + n);
    &assembly[start..end]
}

#[test]
fn the_matrix_tile_stays_in_registers() {
    let target = Target::of(Isa::Avx512);
    for (name, kernel) in forms() {
        let text = llvm::assembly(&[("k".into(), &kernel)], &target, &Options::default()).unwrap();
        let body = inner_loop(&text);
        let count = |what: &str| body.matches(what).count();
        assert_eq!(count("vfmadd"), 24, "{name}\n{text}");
        let from_registers = body
            .lines()
            .filter(|l| l.contains("vbroadcast") && !l.contains('('));
        assert_eq!(from_registers.count(), 0, "{name}\n{text}");
        let broadcasts = count("vbroadcastss\t") + count("{1to16}");
        assert!((8..=24).contains(&broadcasts), "{name}\n{text}");
        assert!(
            count("vmov") <= 3,
            "more than the loads of B: {name}\n{text}"
        );
        assert!(!text.contains("%rsp"), "spills: {name}\n{text}");
    }
}

/// Multiply-adds on registers alone, as many chains as the micro-kernel has.
fn peak_kernel() -> Kernel {
    let mut kernel = empty_kernel();
    kernel.size_count = 1;
    kernel.params = vec![
        param(DType::F32, Access::Read),
        param(DType::F32, Access::Write),
    ];
    let chains = ROWS * PANELS;
    kernel.body = vec![
        let_(0, load(0, int(0), LANES)),
        let_(1, load(0, int(16), LANES)),
    ];
    let mut inner = Vec::new();
    for n in 0..chains {
        let id = RegId(n);
        let (old, new) = (10 + 2 * n, 11 + 2 * n);
        kernel.body.push(Stmt::Reg {
            id,
            init: ValueId(0),
        });
        inner.push(let_(old, Op::Get { id }));
        inner.push(let_(new, prim(Prim::Fma, &[old, 0, 1])));
        inner.push(Stmt::Set {
            id,
            value: ValueId(new),
        });
    }
    kernel.body.push(Stmt::For {
        var: VarId(1),
        begin: IExpr::zero(),
        end: IExpr::size(0),
        step: 1,
        body: inner,
    });
    for n in 0..chains {
        kernel.body.push(let_(1000 + n, Op::Get { id: RegId(n) }));
        kernel
            .body
            .push(store(1, int(i64::from(n * LANES)), 1000 + n));
    }
    kernel
}

/// The best of many runs, in GFLOP/s: 24 multiply-adds of 16 lanes per step.
fn gflops(kernel: &Kernel, target: &Target, buffers: &mut [Vec<u8>], depth: usize) -> f64 {
    let code = compile(kernel, target);
    let seconds = best_of(60, || {
        for _ in 0..100 {
            call(&code, kernel, buffers, &[depth as i64], (0, 1));
        }
    });
    2.0 * 24.0 * 16.0 * depth as f64 * 100.0 / seconds / 1e9
}

#[test]
fn the_matrix_tile_is_right_and_runs_near_the_peak() {
    let Some(target) = ferroductor_loader::host_target().filter(|t| t.isa == Isa::Avx512) else {
        return;
    };
    let depth = 768;
    let a: Vec<f32> = (0..8 * depth).map(|i| (i % 7) as f32).collect();
    let b: Vec<f32> = (0..48 * depth).map(|i| (i % 5) as f32).collect();
    let mut registers = vec![bytes(&a[..32]), vec![0; 4 * 8 * 48]];
    let peak = gflops(&peak_kernel(), &target, &mut registers, depth);
    println!("registers alone: {peak:.1} GFLOP/s");
    for (form, (name, kernel)) in forms().iter().enumerate() {
        let mut buffers = vec![bytes(&a), bytes(&b), vec![0; 4 * 8 * 48]];
        let reached = gflops(kernel, &target, &mut buffers, depth);
        println!("{name}: {reached:.1} GFLOP/s");
        // Far below what is reached on a quiet machine, far above what one spill would leave.
        assert!(reached > 0.7 * peak, "{name}: {reached:.1} of {peak:.1}");
        let got: Vec<f32> = values(&buffers[2]);
        for (at, got) in got.iter().enumerate() {
            let (row, column) = (at / 48, at % 48);
            let of_a = |k: usize| {
                if form == 0 {
                    a[8 * k + row]
                } else {
                    a[depth * row + k]
                }
            };
            let want: f32 = (0..depth).map(|k| of_a(k) * b[48 * k + column]).sum();
            assert_eq!(*got, want, "{name}: element {at}");
        }
    }
}

/// Forty operations on three inputs, in a vector loop and a loop over what is left.
fn pointwise_kernel() -> Kernel {
    let mut kernel = empty_kernel();
    kernel.size_count = 2;
    kernel.params = (0..3).map(|_| param(DType::F32, Access::Read)).collect();
    kernel.params.push(param(DType::F32, Access::Write));
    let tile = int(4096);
    let begin = &IExpr::var(0) * &tile;
    let end = (&begin + &tile).smaller(&IExpr::size(0));
    let count = &end - &begin;
    let whole = &begin + &(&count.floor_div(&int(16)) * &int(16));
    let mut next = 0;
    for (var, lanes, begin, end) in [(1, 16, begin, whole.clone()), (2, 1, whole, end)] {
        let mut body = Vec::new();
        let at = IExpr::var(var);
        let mut fresh = |op| {
            body.push(let_(next, op));
            next += 1;
            next - 1
        };
        let mut live: Vec<u32> = (0..3).map(|p| fresh(load(p, at.clone(), lanes))).collect();
        let column = at.modulo(&IExpr::size(1));
        live.push(fresh(load(0, column, lanes)));
        for n in 0..10 {
            let c = fresh(constant(
                Literal::Float(0.3 + f64::from(n)),
                DType::F32,
                lanes,
            ));
            let a = fresh(prim(
                Prim::Fma,
                &[live[live.len() - 1], live[live.len() - 2], c],
            ));
            let b = fresh(prim(Prim::MaxNum, &[a, live[live.len() - 3]]));
            let d = fresh(prim(Prim::Mul, &[b, live[live.len() - 1]]));
            let e = fresh(prim(Prim::Lt, &[d, c]));
            let f = fresh(prim(Prim::Select, &[e, b, d]));
            live.push(f);
        }
        let result = live[live.len() - 1];
        body.push(store(3, at, result));
        kernel.body.push(Stmt::For {
            var: VarId(var),
            begin,
            end,
            step: i64::from(lanes),
            body,
        });
    }
    kernel
}

/// Seconds of the fastest run.
fn best_of<R>(runs: usize, mut f: impl FnMut() -> R) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..runs {
        let start = Instant::now();
        std::hint::black_box(f());
        best = best.min(start.elapsed().as_secs_f64());
    }
    best
}

/// A table for people: `cargo test --release --test llvm_speed -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement"]
fn compile_times() {
    let target = Target::of(Isa::Avx512);
    let mut kernels = vec![("empty", empty_kernel()), ("pointwise", pointwise_kernel())];
    kernels.extend(forms().into_iter().take(1));
    let default = Options::default().passes;
    for (name, kernel) in &kernels {
        let list = [("k".to_string(), kernel)];
        for passes in ["", default.as_str(), "default<O2>"] {
            for codegen_level in [1, 2] {
                let options = Options {
                    passes: passes.into(),
                    codegen_level,
                };
                let time = best_of(30, || llvm::compile(&list, &target, &options).unwrap());
                println!(
                    "{name}: {:.2} ms at level {codegen_level}: {passes}",
                    1e3 * time
                );
            }
        }
    }
    let many: Vec<(String, &Kernel)> = (0..16).map(|n| (format!("k{n}"), &kernels[1].1)).collect();
    let time = best_of(10, || {
        llvm::compile(&many, &target, &Options::default()).unwrap()
    });
    println!(
        "pointwise, 16 in one call: {:.2} ms each",
        1e3 * time / 16.0
    );
}
