//! Loops, branches, registers, failures, functions and index expressions; and what is refused.

mod llvm_common;

use ferroductor_codegen::llvm::{self, CodegenError, Options};
use ferroductor_ir::kernel::*;
use ferroductor_ir::prim::{Literal, Prim};
use ferroductor_ir::{Atom, DType, IExpr};
use llvm_common::*;

fn index(expr: IExpr) -> Op {
    Op::Index { expr }
}

fn get(reg: u32) -> Op {
    Op::Get { id: RegId(reg) }
}

fn set(reg: u32, value: u32) -> Stmt {
    Stmt::Set {
        id: RegId(reg),
        value: ValueId(value),
    }
}

fn reg(id: u32, init: u32) -> Stmt {
    Stmt::Reg {
        id: RegId(id),
        init: ValueId(init),
    }
}

/// A kernel that writes `i64`s to its only parameter.
fn integers(size_count: u32, setup: Block, body: Block) -> Kernel {
    let mut kernel = empty_kernel();
    kernel.params = vec![param(DType::I64, Access::ReadWrite)];
    kernel.size_count = size_count;
    kernel.setup = setup;
    kernel.body = body;
    kernel
}

/// Status and output on every target, which must agree.
fn run(kernel: &Kernel, sizes: &[i64], range: (i64, i64), count: usize) -> (u32, Vec<i64>) {
    let one = |target: &Target| {
        let code = compile(kernel, target);
        let mut buffers = vec![vec![0; 8 * count]];
        let status = call(&code, kernel, &mut buffers, sizes, range);
        (status, values::<i64>(&buffers[0]))
    };
    let mut results: Vec<_> = runnable_targets().iter().map(one).collect();
    results.dedup();
    assert_eq!(results.len(), 1, "targets differ: {results:?}");
    results.remove(0)
}

/// Sum over a triangle by two registers in two loops, branch inside.
#[test]
fn registers_through_loops_and_branches() {
    let inner = vec![
        let_(3, get(0)),
        let_(
            4,
            index(&IExpr::value(3) + &(&IExpr::var(1) * &IExpr::var(2))),
        ),
        let_(5, index(IExpr::var(2).modulo(&int(2)))),
        let_(6, index(int(0))),
        let_(7, prim(Prim::Eq, &[5, 6])),
        Stmt::If {
            cond: ValueId(7),
            then: vec![set(0, 4)],
            otherwise: vec![
                let_(8, get(1)),
                let_(9, index(&IExpr::value(8) + &int(1))),
                set(1, 9),
            ],
        },
    ];
    let outer = vec![Stmt::For {
        var: VarId(2),
        begin: IExpr::var(1),
        end: IExpr::size(0),
        step: 3,
        body: inner,
    }];
    let body = vec![
        let_(1, index(int(0))),
        reg(0, 1),
        reg(1, 1),
        Stmt::For {
            var: VarId(1),
            begin: int(-2),
            end: IExpr::size(1),
            step: 2,
            body: outer,
        },
        let_(10, get(0)),
        store(0, int(0), 10),
        let_(11, get(1)),
        store(0, int(1), 11),
    ];
    let kernel = integers(2, vec![], body);
    for sizes in [[0, 0], [5, 5], [1, 9], [30, 17], [7, -5]] {
        let (mut sum, mut odd) = (0i64, 0i64);
        for i in (-2i64..sizes[1]).step_by(2) {
            for j in (i..sizes[0]).step_by(3) {
                if j.rem_euclid(2) == 0 {
                    sum += i * j
                } else {
                    odd += 1
                }
            }
        }
        assert_eq!(
            run(&kernel, &sizes, (0, 1), 2),
            (0, vec![sum, odd]),
            "{sizes:?}"
        );
    }
}

/// A register of `setup` lives through all tiles of a call, values of it are in scope.
#[test]
fn setup_is_run_once() {
    let setup = vec![let_(0, index(&IExpr::size(0) * &int(10))), reg(0, 0)];
    let body = vec![
        let_(1, get(0)),
        let_(2, index(&IExpr::value(1) + &IExpr::value(0))),
        set(0, 2),
        store(0, IExpr::var(0), 1),
    ];
    let kernel = integers(1, setup, body);
    assert_eq!(run(&kernel, &[1], (0, 4), 4), (0, vec![10, 20, 30, 40]));
    assert_eq!(run(&kernel, &[1], (2, 4), 4), (0, vec![0, 0, 10, 20]));
    assert_eq!(run(&kernel, &[1], (2, 2), 4), (0, vec![0; 4]));
}

#[test]
fn a_failed_check_ends_the_call() {
    let body = vec![
        let_(0, index(IExpr::var(0))),
        let_(1, index(IExpr::size(0))),
        let_(2, prim(Prim::Ge, &[0, 1])),
        Stmt::Fail {
            cond: ValueId(2),
            code: 7,
        },
        let_(3, index(int(1))),
        store(0, IExpr::var(0), 3),
    ];
    let kernel = integers(1, vec![], body);
    assert_eq!(run(&kernel, &[9], (0, 3), 3), (0, vec![1, 1, 1]));
    assert_eq!(run(&kernel, &[2], (0, 3), 3), (7, vec![1, 1, 0]));
}

#[test]
fn functions_are_inlined_with_names_of_their_own() {
    let ty = Ty::new(DType::F32, 4);
    let mut kernel = map_kernel(&[DType::F32, DType::F32], DType::F32, 4, |body| {
        // Ids 0 and 1 also name values of the function.
        body.push(let_(2, prim(Prim::Maximum, &[0, 1])));
        body.push(let_(100, prim(Prim::Maximum, &[2, 0])));
    });
    kernel.functions = vec![Function {
        prim: Prim::Maximum,
        ty,
        params: vec![ValueId(1), ValueId(0)],
        body: vec![
            (ValueId(2), prim(Prim::Gt, &[1, 0])),
            (ValueId(3), prim(Prim::Select, &[2, 1, 0])),
        ],
        result: ValueId(3),
        rare: None,
        doc: String::new(),
    }];
    let a = [1.0f32, -2.0, 3.0, f32::INFINITY];
    let b = [0.5f32, 7.0, 3.0, 1.0];
    let got: Vec<f32> = values(&run_map(&kernel, &[bytes(&a), bytes(&b)], 4));
    assert_eq!(got, [1.0, 7.0, 3.0, f32::INFINITY]);
}

/// Index expressions against their own evaluator, with divisions of every sign.
#[test]
fn index_expressions_follow_their_evaluator() {
    let sizes = [5i64, 12, 1, 1000];
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut random = move |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % bound) as i64
    };
    for _ in 0..60 {
        let expressions: Vec<IExpr> = (0..12).map(|_| expression(&mut random, 3)).collect();
        let mut inner = Vec::new();
        for (n, expr) in expressions.iter().enumerate() {
            let value = 10 + n as u32;
            inner.push(let_(value, index(expr.clone())));
            let row = &(&IExpr::var(0) * &int(7)) + &(&IExpr::var(1) + &int(3));
            let at = &(&row * &int(12)) + &int(n as i64);
            inner.push(store(0, at, value));
        }
        let body = vec![
            let_(0, index(&IExpr::var(0) * &int(-37))),
            Stmt::For {
                var: VarId(1),
                begin: int(-3),
                end: int(4),
                step: 1,
                body: inner,
            },
        ];
        let kernel = integers(4, vec![], body);
        let (status, got) = run(&kernel, &sizes, (0, 3), 3 * 7 * 12);
        assert_eq!(status, 0);
        for (at, got) in got.iter().enumerate() {
            let expr = &expressions[at % 12];
            let (tile, var) = (at as i64 / 84, at as i64 / 12 % 7 - 3);
            let want = expr.eval(&|atom| match atom {
                Atom::Size(s) => sizes.get(*s as usize).copied(),
                Atom::Var(0) => Some(tile),
                Atom::Var(_) => Some(var),
                Atom::Value(_) => Some(tile * -37),
                _ => None,
            });
            // A division by zero has no value; the code must only not trap.
            if let Some(want) = want {
                assert_eq!(*got, want, "{expr:?} at tile {tile}, var {var}");
            }
        }
    }
}

/// What seems never negative is, once data make it overflow: the division must still round down.
#[test]
fn data_may_overflow_an_index() {
    let huge = IExpr::size(0).larger(&IExpr::value(0));
    let scaled = &(&huge * &int(8)) + &int(4);
    let quotients = [
        scaled.floor_div(&IExpr::size(0)),
        scaled.modulo(&IExpr::size(0)),
        scaled.floor_div(&int(3)),
        scaled.floor_div(&int(64)),
    ];
    let mut body = vec![let_(0, load(0, int(0), 1))];
    for (n, expr) in quotients.iter().enumerate() {
        let value = 1 + n as u32;
        body.push(let_(value, index(expr.clone())));
        body.push(store(0, int(1 + n as i64), value));
    }
    let kernel = integers(1, vec![], body);
    for data in [i64::MAX / 3, i64::MAX, 1 << 60, 5, -1] {
        for target in runnable_targets() {
            let code = compile(&kernel, &target);
            let mut buffers = vec![bytes(&[data, 0, 0, 0, 0])];
            assert_eq!(call(&code, &kernel, &mut buffers, &[7], (0, 1)), 0);
            let got: Vec<i64> = values(&buffers[0]);
            for (expr, got) in quotients.iter().zip(&got[1..]) {
                let want = expr.eval(&|atom| match atom {
                    Atom::Size(_) => Some(7),
                    _ => Some(data),
                });
                assert_eq!(Some(*got), want, "{expr:?} of {data}");
            }
        }
    }
}

fn expression(random: &mut impl FnMut(u64) -> i64, depth: u32) -> IExpr {
    if depth == 0 {
        return match random(5) {
            0 => IExpr::var(0),
            1 => IExpr::var(1),
            2 => IExpr::size(random(4) as u32),
            3 => IExpr::value(0),
            _ => int(random(41) - 20),
        };
    }
    let a = expression(random, depth - 1);
    let b = expression(random, depth - 1);
    match random(8) {
        0 => &a + &b,
        1 => &a - &b,
        2 => &a * &b,
        3 => a.floor_div(&int(1 << random(5))),
        4 => a.floor_div(&b),
        5 => a.modulo(&int(1 + random(20))),
        6 => a.modulo(&b),
        _ => a.smaller(&b).larger(&int(-50)),
    }
}

fn refused(kernel: &Kernel, target: &Target) -> CodegenError {
    llvm::compile(&[("k".into(), kernel)], target, &Options::default())
        .expect_err("the kernel is not sound")
}

#[test]
fn unsound_kernels_are_errors() {
    let target = Target::of(Isa::Avx512);
    let bodies: Vec<Block> = vec![
        vec![store(0, int(0), 5)],
        vec![let_(0, index(IExpr::var(3)))],
        vec![let_(0, index(IExpr::size(3)))],
        vec![let_(0, get(2))],
        vec![let_(0, load(9, int(0), 4))],
        vec![let_(0, load(0, int(0), 0))],
        vec![let_(0, load(0, int(0), 1 << 20))],
        vec![let_(0, index(int(1))), let_(0, index(int(1)))],
        vec![let_(0, index(int(1))), let_(1, prim(Prim::Exp, &[0]))],
        vec![let_(0, index(int(1))), let_(1, prim(Prim::Floor, &[0]))],
        vec![let_(0, index(int(1))), let_(1, prim(Prim::Add, &[0]))],
        vec![
            let_(0, constant(Literal::Int(1), DType::F32, 4)),
            store(0, int(0), 0),
        ],
        vec![let_(0, constant(Literal::Int(1), DType::BF16, 4))],
        vec![let_(0, constant(Literal::Int(1), DType::Opaque(9), 4))],
        vec![Stmt::For {
            var: VarId(1),
            begin: int(0),
            end: int(4),
            step: 0,
            body: vec![],
        }],
        vec![
            let_(0, index(int(1))),
            Stmt::Fail {
                cond: ValueId(0),
                code: 1,
            },
        ],
    ];
    for body in bodies {
        let kernel = integers(1, vec![], body);
        let error = refused(&kernel, &target);
        assert!(matches!(error, CodegenError::Malformed(_)), "{error}");
        assert!(error.to_string().contains("kernel k"), "{error}");
    }
}

#[test]
fn what_the_target_lacks_is_an_error() {
    let fma = map_kernel(&[DType::F32; 3], DType::F32, 4, |body| {
        body.push(let_(100, prim(Prim::Fma, &[0, 1, 2])));
    });
    let error = refused(&fma, &Target::of(Isa::Sse42));
    assert!(matches!(error, CodegenError::Unsupported(_)), "{error}");
    let plain = empty_kernel();
    let mut impossible = vec![
        Target::of(Isa::Sse42),
        Target::of(Isa::Avx512),
        Target::of(Isa::Neon),
    ];
    impossible[0].has_fma = true;
    impossible[1].has_f16c = false;
    impossible[2].has_bf16 = true;
    for target in impossible {
        let error = refused(&plain, &target);
        assert!(matches!(error, CodegenError::Target(_)), "{error}");
    }
}

#[test]
fn symbols_and_passes_are_checked() {
    let kernel = empty_kernel();
    let target = Target::of(Isa::Avx512);
    let compile = |symbols: &[&str], passes: &str| {
        let list: Vec<_> = symbols.iter().map(|s| (s.to_string(), &kernel)).collect();
        let options = Options {
            passes: passes.into(),
            ..Options::default()
        };
        llvm::compile(&list, &target, &options)
    };
    assert!(compile(&["a", "b"], "").is_ok());
    for symbols in [
        &["a", "a"][..],
        &["llvm.fma.f32"],
        &[""],
        &["1a"],
        &["a\0b"],
    ] {
        let error = compile(symbols, "").expect_err("a bad symbol");
        assert!(matches!(error, CodegenError::Malformed(_)), "{error}");
    }
    let error = compile(&["a"], "no-such-pass").expect_err("a bad pipeline");
    assert!(matches!(error, CodegenError::Llvm(_)), "{error}");
}

/// Several threads compile at once, each for another target.
#[test]
fn compilation_is_thread_safe() {
    let kernel = map_kernel(&[DType::F32; 2], DType::F32, 16, |body| {
        body.push(let_(100, prim(Prim::Mul, &[0, 1])));
    });
    let compile = |isa| {
        llvm::compile(
            &[("k".into(), &kernel)],
            &Target::of(isa),
            &Options::default(),
        )
        .unwrap()
    };
    let isas = [Isa::Sse42, Isa::Avx2, Isa::Avx512, Isa::Neon];
    let alone = isas.map(compile);
    std::thread::scope(|scope| {
        for round in 0..8 {
            let (alone, compile) = (&alone, &compile);
            scope.spawn(move || {
                for n in 0..8 {
                    let at = (round + n) % 4;
                    assert_eq!(compile(isas[at]), alone[at], "same input, same object");
                }
            });
        }
    });
}
