//! Loads, stores and moves of lanes, for every element type.

mod llvm_common;

use ferroductor_ir::kernel::*;
use ferroductor_ir::prim::Prim;
use ferroductor_ir::{DType, IExpr};
use llvm_common::*;

const COUNT: usize = 256;

/// Bytes that are no two alike, and 0 or 1 where a bool is meant.
fn distinct(dtype: DType) -> Vec<u8> {
    let byte = |i: usize| match dtype {
        DType::Bool => u8::from(i.is_multiple_of(3)),
        _ => (i * 37 + 11) as u8,
    };
    (0..COUNT * dtype.size()).map(byte).collect()
}

fn element(bytes: &[u8], dtype: DType, at: i64) -> &[u8] {
    let at = at as usize * dtype.size();
    &bytes[at..at + dtype.size()]
}

/// A kernel of one tile that stores value 100 at the start of its output.
fn one_shot(dtype: DType, body: Vec<Stmt>) -> Kernel {
    let mut kernel = empty_kernel();
    kernel.size_count = 2;
    kernel.params = vec![
        param(dtype, Access::Read),
        param(dtype, Access::ReadWrite),
        param(DType::I64, Access::Read),
    ];
    kernel.body = body;
    kernel.body.push(store(1, int(0), 100));
    kernel
}

fn run_one_shot(kernel: &Kernel, sizes: &[i64], index: &[i64]) -> Vec<Vec<u8>> {
    let dtype = kernel.params[0].dtype;
    let run = |target: &Target| {
        let code = compile(kernel, target);
        let mut buffers = vec![
            distinct(dtype),
            vec![0xEE; COUNT * dtype.size()],
            bytes(index),
        ];
        assert_eq!(call(&code, kernel, &mut buffers, sizes, (0, 1)), 0);
        buffers.swap_remove(1)
    };
    runnable_targets().iter().map(run).collect()
}

fn check_picks(kernel: &Kernel, sizes: &[i64], index: &[i64], picks: &[i64]) {
    let dtype = kernel.params[0].dtype;
    let input = distinct(dtype);
    for output in run_one_shot(kernel, sizes, index) {
        for (lane, pick) in picks.iter().enumerate() {
            let got = element(&output, dtype, lane as i64);
            assert_eq!(
                got,
                element(&input, dtype, *pick),
                "{dtype} lane {lane}\n{kernel:#?}"
            );
        }
        let rest = &output[picks.len() * dtype.size()..];
        assert!(
            rest.iter().all(|b| *b == 0xEE),
            "wrote beyond its lanes\n{kernel:#?}"
        );
    }
}

#[test]
fn consecutive_and_strided_loads() {
    for dtype in DType::native() {
        for lanes in [1u32, 2, 4, 16, 32] {
            let body = vec![let_(100, load(0, int(3), lanes))];
            let picks: Vec<i64> = (0..i64::from(lanes)).map(|l| 3 + l).collect();
            check_picks(&one_shot(dtype, body), &[0, 0], &[0], &picks);
            for step in [0i64, 1, 2, 3, 7, -1, -3] {
                for stride in [int(step), IExpr::size(0)] {
                    let op = Op::LoadStrided {
                        buf: Buf::Param(0),
                        index: &IExpr::size(1) + &int(1),
                        stride,
                        lanes,
                    };
                    let picks: Vec<i64> = (0..i64::from(lanes)).map(|l| 101 + l * step).collect();
                    if picks.iter().all(|p| (0..COUNT as i64).contains(p)) {
                        let kernel = one_shot(dtype, vec![let_(100, op)]);
                        check_picks(&kernel, &[step, 100], &[0], &picks);
                    }
                }
            }
        }
    }
}

#[test]
fn gathers_ramps_and_moves() {
    let index: Vec<i64> = (0..32).map(|i| (i * 29 + 5) % COUNT as i64).collect();
    for dtype in DType::native() {
        for lanes in [1u32, 4, 16, 32] {
            let gather = |index| Op::Gather {
                buf: Buf::Param(0),
                index: ValueId(index),
            };
            let body = vec![let_(0, load(2, int(0), lanes)), let_(100, gather(0))];
            check_picks(
                &one_shot(dtype, body),
                &[0, 0],
                &index,
                &index[..lanes as usize],
            );

            let ramp = Op::Ramp {
                base: &IExpr::size(0) + &int(1),
                stride: IExpr::size(1),
                lanes,
            };
            let body = vec![let_(0, ramp), let_(100, gather(0))];
            let picks: Vec<i64> = (0..i64::from(lanes)).map(|l| 6 + 3 * l).collect();
            check_picks(&one_shot(dtype, body), &[5, 3], &[0], &picks);

            let picks: Vec<u32> = (0..lanes).map(|l| (l * 5 + 3) % (2 * lanes)).collect();
            let shuffle = Op::Shuffle {
                a: ValueId(0),
                b: ValueId(1),
                lanes: picks.clone(),
            };
            let body = vec![
                let_(0, load(0, int(0), lanes)),
                let_(1, load(0, int(64), lanes)),
                let_(100, shuffle),
            ];
            let source = |p: &u32| i64::from(if *p < lanes { *p } else { 64 + p - lanes });
            let picks: Vec<i64> = picks.iter().map(source).collect();
            check_picks(&one_shot(dtype, body), &[0, 0], &[0], &picks);

            let lane = lanes - 1;
            let body = vec![
                let_(0, load(0, int(9), lanes)),
                let_(
                    1,
                    Op::Extract {
                        value: ValueId(0),
                        lane,
                    },
                ),
                let_(
                    100,
                    Op::Splat {
                        value: ValueId(1),
                        lanes: 8,
                    },
                ),
            ];
            check_picks(
                &one_shot(dtype, body),
                &[0, 0],
                &[0],
                &[9 + i64::from(lane); 8],
            );
        }
    }
}

#[test]
fn the_last_of_equal_indices_stays() {
    let index: Vec<i64> = (0..16).map(|i| i / 4).collect();
    for dtype in DType::native() {
        let mut kernel = one_shot(dtype, vec![]);
        kernel.body = vec![
            let_(0, load(2, int(0), 16)),
            let_(1, load(0, int(0), 16)),
            Stmt::Scatter {
                buf: Buf::Param(1),
                index: ValueId(0),
                value: ValueId(1),
            },
        ];
        check_picks(&kernel, &[0, 0], &index, &[3, 7, 11, 15]);
    }
}

/// Any byte but 0 is true, and only 0 and 1 are written.
#[test]
fn bools_are_normalised() {
    for lanes in [1, 2, 8, 16, 32] {
        let kernel = map_kernel(&[DType::Bool], DType::Bool, lanes, |body| {
            body.push(let_(100, prim(Prim::Or, &[0, 0])));
        });
        let input: Vec<u8> = (0..=255).collect();
        let got = run_map(&kernel, &[input], lanes);
        let want: Vec<u8> = (0..=255u8).map(|b| u8::from(b != 0)).collect();
        assert_eq!(got, want, "× {lanes}");
    }
}

/// No alignment beyond the element's is assumed.
#[test]
fn odd_addresses() {
    let kernel = map_kernel(&[DType::F32], DType::F32, 16, |body| {
        body.push(let_(100, prim(Prim::Neg, &[0])));
    });
    for target in runnable_targets() {
        let code = compile(&kernel, &target);
        let mut memory: Vec<f32> = (0..64).map(|i| i as f32).collect();
        let function = code.get("k").unwrap();
        for skip in 0..16 {
            let base = memory.as_mut_ptr();
            let pointers = [
                base.wrapping_add(skip).cast::<u8>(),
                base.wrapping_add(skip + 16).cast(),
            ];
            // SAFETY: both vectors lie inside `memory`, and the kernel uses neither sizes nor
            // scratch.
            let status = unsafe {
                function(
                    pointers.as_ptr(),
                    std::ptr::null(),
                    std::ptr::null_mut(),
                    0,
                    1,
                )
            };
            assert_eq!(status, 0);
            for lane in 0..16 {
                assert_eq!(
                    memory[skip + 16 + lane],
                    -memory[skip + lane],
                    "skip {skip}"
                );
            }
        }
    }
}

/// Parameters that are not declared apart may be one buffer: a store is seen by a later load.
#[test]
fn overlapping_parameters() {
    let mut kernel = empty_kernel();
    kernel.params = vec![
        param(DType::I32, Access::Read),
        param(DType::I32, Access::ReadWrite),
    ];
    for p in &mut kernel.params {
        p.noalias = false;
    }
    kernel.body = vec![
        let_(0, load(0, int(0), 1)),
        store(1, int(1), 0),
        let_(1, load(0, int(1), 1)),
        store(1, int(2), 1),
    ];
    for target in runnable_targets() {
        let code = compile(&kernel, &target);
        let mut memory = [7i32, 8, 9];
        let pointers = [memory.as_mut_ptr().cast::<u8>(); 2];
        // SAFETY: the kernel touches three elements of the one array.
        let status = unsafe {
            code.get("k").unwrap()(
                pointers.as_ptr(),
                std::ptr::null(),
                std::ptr::null_mut(),
                0,
                1,
            )
        };
        assert_eq!((status, memory), (0, [7, 7, 7]));
    }
}

/// Locals are apart from each other, sized by the table, and keep their contents between tiles.
#[test]
fn locals() {
    let mut kernel = empty_kernel();
    kernel.size_count = 2;
    kernel.params = vec![param(DType::I64, Access::Write)];
    let local = |dtype, elements| Local {
        dtype,
        elements,
        name: "l".into(),
    };
    kernel.locals = vec![
        local(DType::U8, IExpr::size(0)),
        local(DType::I64, &IExpr::size(1) * &int(2)),
        local(DType::Bool, int(3)),
        local(DType::I64, int(1)),
    ];
    let at = |buf, index, value| Stmt::Store {
        buf: Buf::Local(buf),
        index,
        value: ValueId(value),
    };
    let from = |buf, index| Op::Load {
        buf: Buf::Local(buf),
        index,
        lanes: 1,
    };
    let convert = |value, to| Op::Convert {
        value: ValueId(value),
        to,
    };
    let last_byte = &IExpr::size(0) - &int(1);
    let last_word = &(&IExpr::size(1) * &int(2)) - &int(1);
    kernel.setup = vec![
        let_(0, Op::Index { expr: int(40) }),
        at(3, int(0), 0),
        at(1, last_word.clone(), 0),
        let_(1, convert(0, DType::U8)),
        at(0, last_byte.clone(), 1),
        let_(2, convert(0, DType::Bool)),
        at(2, int(2), 2),
    ];
    kernel.body = vec![
        let_(3, from(3, int(0))),
        let_(
            4,
            Op::Index {
                expr: &IExpr::value(3) + &int(1),
            },
        ),
        at(3, int(0), 4),
        let_(5, from(1, last_word)),
        let_(6, from(0, last_byte)),
        let_(7, convert(6, DType::I64)),
        let_(8, from(2, int(2))),
        let_(9, convert(8, DType::I64)),
        let_(10, prim(Prim::Add, &[4, 5])),
        let_(11, prim(Prim::Add, &[10, 7])),
        let_(12, prim(Prim::Add, &[11, 9])),
        store(0, IExpr::var(0), 12),
    ];
    for target in runnable_targets() {
        let code = compile(&kernel, &target);
        for sizes in [[1, 1], [65, 9], [200, 3]] {
            let mut buffers = vec![vec![0; 24]];
            assert_eq!(call(&code, &kernel, &mut buffers, &sizes, (0, 3)), 0);
            assert_eq!(values::<i64>(&buffers[0]), [122, 123, 124], "{sizes:?}");
        }
    }
}

#[test]
fn bf16_products() {
    let target = ferroductor_loader::host_target().expect("the host is supported");
    if !target.has_bf16 {
        return;
    }
    let half = |x: i32| ((x as f32).to_bits() >> 16) as u16;
    for lanes in [4u32, 8, 16] {
        let mut kernel = empty_kernel();
        kernel.params = vec![
            param(DType::F32, Access::ReadWrite),
            param(DType::BF16, Access::Read),
            param(DType::BF16, Access::Read),
        ];
        kernel.body = vec![
            let_(0, load(0, int(0), lanes)),
            let_(1, load(1, int(0), 2 * lanes)),
            let_(2, load(2, int(0), 2 * lanes)),
            let_(
                100,
                Op::DotBf16 {
                    acc: ValueId(0),
                    a: ValueId(1),
                    b: ValueId(2),
                },
            ),
            store(0, int(0), 100),
        ];
        let n = lanes as i32;
        let acc: Vec<f32> = (0..n).map(|i| (100 * i) as f32).collect();
        let a: Vec<u16> = (0..2 * n).map(half).collect();
        let b: Vec<u16> = (0..2 * n).map(|i| half(7 - i)).collect();
        let mut buffers = vec![bytes(&acc), bytes(&a), bytes(&b)];
        let code = compile(&kernel, &target);
        assert_eq!(call(&code, &kernel, &mut buffers, &[], (0, 1)), 0);
        let product = |i: i32| i * (7 - i);
        let want: Vec<f32> = (0..n)
            .map(|i| (100 * i + product(2 * i) + product(2 * i + 1)) as f32)
            .collect();
        assert_eq!(values::<f32>(&buffers[0]), want, "× {lanes}");
    }
}
