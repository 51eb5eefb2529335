//! Programs with kernels, run on a host of plain vectors and threads.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use ferroductor_abi::*;
use ferroductor_runtime::*;

const F32: i32 = 6;

/// Element storage of the test's tensors.
enum Memory {
    Own(Vec<f32>),
    Recycled { _block: Block },
    Foreign,
}

struct Tensor {
    _memory: Arc<Memory>,
    data: usize,
    sizes: Vec<i64>,
    strides: Vec<i64>,
}

#[derive(Default)]
struct VecHost {
    threads: usize,
    adopted: AtomicUsize,
    suspended: Arc<AtomicBool>,
    copies: AtomicUsize,
}

struct Lock(Arc<AtomicBool>);

impl Drop for Lock {
    fn drop(&mut self) {
        assert!(self.0.swap(false, Ordering::SeqCst), "resumed twice");
    }
}

fn tensor(values: &[f32], sizes: &[i64], strides: &[i64]) -> Tensor {
    let own = Memory::Own(values.to_vec());
    let Memory::Own(vector) = &own else {
        unreachable!()
    };
    let data = vector.as_ptr() as usize;
    Tensor {
        data,
        _memory: Arc::new(own),
        sizes: sizes.to_vec(),
        strides: strides.to_vec(),
    }
}

fn elements(tensor: &Tensor) -> Vec<f32> {
    let mut index = vec![0i64; tensor.sizes.len()];
    let count: i64 = tensor.sizes.iter().product();
    (0..count)
        .map(|_| {
            let at: i64 = index.iter().zip(&tensor.strides).map(|(i, s)| i * s).sum();
            for d in (0..index.len()).rev() {
                index[d] += 1;
                if index[d] < tensor.sizes[d] {
                    break;
                }
                index[d] = 0;
            }
            // SAFETY: the tests' tensors hold what their geometry addresses.
            unsafe { *(tensor.data as *const f32).offset(at as isize) }
        })
        .collect()
}

impl Host for VecHost {
    type Tensor = Tensor;
    type Value = String;
    type Suspended = Lock;

    fn geometry<'t>(&self, t: &'t Tensor) -> Result<Geometry<'t>, RunError> {
        let (sizes, strides) = (&t.sizes, &t.strides);
        Ok(Geometry {
            data: t.data as *mut u8,
            dtype: F32,
            sizes,
            strides,
            on_cpu: true,
        })
    }

    fn allocate(&self, sizes: &[i64], strides: &[i64], _: i32) -> Result<Tensor, RunError> {
        let last: i64 = sizes
            .iter()
            .zip(strides)
            .map(|(s, t)| (s - 1).max(0) * t)
            .sum();
        Ok(tensor(&vec![f32::NAN; last as usize + 1], sizes, strides))
    }

    fn can_adopt(&self) -> bool {
        true
    }

    fn adopt(
        &self,
        block: Block,
        sizes: &[i64],
        strides: &[i64],
        _: i32,
    ) -> Result<Tensor, RunError> {
        self.adopted.fetch_add(1, Ordering::SeqCst);
        let data = block.data() as usize;
        let _memory = Arc::new(Memory::Recycled { _block: block });
        Ok(Tensor {
            _memory,
            data,
            sizes: sizes.to_vec(),
            strides: strides.to_vec(),
        })
    }

    unsafe fn borrow(
        &self,
        data: *mut u8,
        sizes: &[i64],
        strides: &[i64],
        _: i32,
    ) -> Result<Tensor, RunError> {
        let _memory = Arc::new(Memory::Foreign);
        Ok(Tensor {
            _memory,
            data: data as usize,
            sizes: sizes.to_vec(),
            strides: strides.to_vec(),
        })
    }

    fn view(
        &self,
        of: &Tensor,
        sizes: &[i64],
        strides: &[i64],
        offset: i64,
    ) -> Result<Tensor, RunError> {
        let data = of.data + offset as usize * 4;
        Ok(Tensor {
            _memory: of._memory.clone(),
            data,
            sizes: sizes.to_vec(),
            strides: strides.to_vec(),
        })
    }

    fn share(&self, t: &Tensor) -> Result<Tensor, RunError> {
        self.view(t, &t.sizes, &t.strides, 0)
    }

    fn share_value(&self, value: &String) -> String {
        value.clone()
    }

    fn copy(&self, to: &Tensor, from: &Tensor) -> Result<(), RunError> {
        self.copies.fetch_add(1, Ordering::SeqCst);
        assert_eq!(to.strides.last(), Some(&1));
        for (at, value) in elements(from).into_iter().enumerate() {
            // SAFETY: the tests copy into dense tensors of the same shape.
            unsafe { *(to.data as *mut f32).add(at) = value };
        }
        Ok(())
    }

    fn threads(&self) -> usize {
        self.threads.max(1)
    }

    fn parallel(&self, workers: usize, body: &(dyn Fn(usize) + Sync)) {
        std::thread::scope(|s| (0..workers).for_each(|w| drop(s.spawn(move || body(w)))));
    }

    fn suspend(&self) -> Lock {
        assert!(
            !self.suspended.swap(true, Ordering::SeqCst),
            "suspended twice"
        );
        Lock(self.suspended.clone())
    }
}

type Body = Box<dyn Fn(&mut Frame<'_, VecHost>) -> Result<(), RunError> + Send + Sync>;

struct Calls {
    bodies: Vec<Body>,
    suspended: Arc<AtomicBool>,
}

impl AtenCalls<VecHost> for Calls {
    fn needs_interpreter(&self, _: u32) -> bool {
        true
    }
    fn call(&self, call: u32, frame: &mut Frame<'_, VecHost>) -> Result<(), RunError> {
        assert!(
            !self.suspended.load(Ordering::SeqCst),
            "an operator without the interpreter"
        );
        (self.bodies[call as usize])(frame)
    }
}

/// `y[i] = x[i] + 1` over the tiles.
unsafe extern "C" fn add_one(p: *const *mut u8, _: *const i64, _: *mut u8, b: i64, e: i64) -> u32 {
    // SAFETY: the tests pass two buffers of at least `e` floats.
    unsafe {
        let (x, y) = ((*p).cast::<f32>(), (*p.add(1)).cast::<f32>());
        (b as usize..e as usize).for_each(|i| *y.add(i) = *x.add(i) + 1.0);
    }
    0
}

/// Fails with code 1 in the tile that the first size names.
unsafe extern "C" fn fail_at(_: *const *mut u8, s: *const i64, _: *mut u8, b: i64, e: i64) -> u32 {
    // SAFETY: the tests pass one size.
    let bad = unsafe { *s };
    u32::from((b..e).contains(&bad))
}

static SEEN: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Writes to its scratch and notes where it was.
unsafe extern "C" fn use_scratch(
    _: *const *mut u8,
    _: *const i64,
    scratch: *mut u8,
    b: i64,
    e: i64,
) -> u32 {
    // SAFETY: the tests ask for 4096 bytes.
    unsafe { std::ptr::write_bytes(scratch, b as u8, 4096) };
    SEEN.lock()
        .unwrap()
        .push(scratch as usize % 64 + (e - b) as usize);
    0
}

fn slot(slot: u32) -> Dim {
    Dim::Slot(slot)
}

fn vector(place: Place, size: Dim) -> Buffer {
    Buffer {
        dtype: F32,
        item: 4,
        sizes: vec![size],
        strides: vec![Dim::Const(1)],
        place,
    }
}

fn launch(kernel: u32, buffers: &[u32], tiles: Dim) -> Launch {
    Launch {
        kernel: KernelId(kernel),
        buffers: buffers.iter().map(|b| BufferId(*b)).collect(),
        aligned: Vec::new(),
        sizes: Vec::new(),
        tiles,
        scratch: Dim::Const(0),
        tile_ns: 1,
        errors: Vec::new(),
    }
}

fn executable(
    program: Program,
    kernels: &[KernelFn],
    host: &VecHost,
    bodies: Vec<Body>,
) -> Executable<VecHost> {
    let calls = Calls {
        bodies,
        suspended: host.suspended.clone(),
    };
    let kernels = Kernels {
        functions: kernels.to_vec(),
        owner: Box::new(()),
    };
    Executable::new(program, kernels, Box::new(calls), Vec::new()).unwrap()
}

fn run(
    executable: &Executable<VecHost>,
    host: &VecHost,
    inputs: Vec<Tensor>,
) -> Result<Vec<Tensor>, RunError> {
    let mut inputs: Vec<Option<Tensor>> = inputs.into_iter().map(Some).collect();
    let mut outputs = Vec::new();
    executable.run(
        host,
        &mut |at, _| Ok(InputValue::Tensor(inputs[at].take().unwrap())),
        &mut |value| {
            if let OutputValue::Tensor(tensor) = value {
                outputs.push(tensor);
            }
            Ok(())
        },
    )?;
    assert!(!host.suspended.load(Ordering::SeqCst));
    Ok(outputs)
}

/// Input, arena, output; two kernels; the size read off the input.
fn two_steps() -> Program {
    Program {
        inputs: vec![Input::Tensor {
            buffer: BufferId(0),
        }],
        sizes: vec![
            SizeEntry::InputDim { input: 0, dim: 0 },
            SizeEntry::Code(SizeCode(vec![
                SizeOp::Slot(0),
                SizeOp::Const(4),
                SizeOp::Mul,
            ])),
        ],
        buffers: vec![
            vector(Place::Input(0), slot(0)),
            vector(
                Place::Arena {
                    offset: Dim::Const(64),
                },
                slot(0),
            ),
            vector(Place::Output, slot(0)),
        ],
        steps: vec![
            Step::Kernel(launch(0, &[0, 1], slot(0))),
            Step::Kernel(launch(0, &[1, 2], slot(0))),
        ],
        outputs: vec![Output::Tensor(BufferId(2))],
        arena: Some(Dim::Const(64 + (8 << 20))),
        ..Program::default()
    }
}

#[test]
fn kernels_read_inputs_and_write_outputs_of_any_size() {
    for threads in [1, 3] {
        let host = VecHost {
            threads,
            ..VecHost::default()
        };
        let executable = executable(two_steps(), &[add_one], &host, Vec::new());
        for size in [0usize, 1, 7, 1000, 600_000] {
            let values: Vec<f32> = (0..size).map(|i| i as f32).collect();
            let out = run(
                &executable,
                &host,
                vec![tensor(&values, &[size as i64], &[1])],
            )
            .unwrap();
            let expected: Vec<f32> = values.iter().map(|v| v + 2.0).collect();
            assert_eq!(elements(&out[0]), expected);
        }
        assert_eq!(
            host.adopted.load(Ordering::SeqCst),
            1,
            "only the large output is recycled"
        );
    }
}

#[test]
fn views_share_their_base() {
    let mut program = two_steps();
    let view = Place::View {
        of: BufferId(2),
        offset: Dim::Const(2),
    };
    program.buffers.push(vector(view, Dim::Const(3)));
    program.outputs.push(Output::Tensor(BufferId(3)));
    let host = VecHost::default();
    let executable = executable(program, &[add_one], &host, Vec::new());
    let input = tensor(&[0.0, 1.0, 2.0, 3.0, 4.0], &[5], &[1]);
    let out = run(&executable, &host, vec![input]).unwrap();
    assert_eq!(elements(&out[1]), [4.0, 5.0, 6.0]);
    assert_eq!(out[1].data, out[0].data + 8);
}

#[test]
fn a_failed_check_stops_the_program_with_its_error() {
    let mut program = two_steps();
    let mut failing = launch(1, &[0], Dim::Const(100_000));
    failing.sizes = vec![Dim::Const(77_777)];
    failing.errors = vec![KernelError {
        kind: ErrorKind::Index,
        message: "index 9 is out of bounds".into(),
    }];
    program.steps.insert(0, Step::Kernel(failing));
    let host = VecHost {
        threads: 2,
        ..VecHost::default()
    };
    let executable = executable(program, &[add_one, fail_at], &host, Vec::new());
    let error = run(&executable, &host, vec![tensor(&[1.0], &[1], &[1])])
        .err()
        .unwrap();
    assert!(matches!(error, RunError::Index(text) if text.contains("out of bounds")));
    // The next call starts from a clean state.
    assert!(run(&executable, &host, vec![tensor(&[1.0], &[1], &[1])]).is_err());
}

#[test]
fn every_worker_has_scratch_of_its_own() {
    let mut step = launch(0, &[], Dim::Const(1000));
    step.scratch = Dim::Const(4096);
    step.tile_ns = 1000;
    let program = Program {
        steps: vec![Step::Kernel(step)],
        ..Program::default()
    };
    let host = VecHost {
        threads: 4,
        ..VecHost::default()
    };
    run(
        &executable(program, &[use_scratch], &host, Vec::new()),
        &host,
        Vec::new(),
    )
    .unwrap();
    let seen = SEEN.lock().unwrap();
    assert_eq!(
        seen.iter().sum::<usize>(),
        1000,
        "aligned, and every tile once"
    );
}

/// One operator whose result a kernel reads.
fn operator_then_kernel() -> Program {
    let mut program = two_steps();
    program.buffers[1].place = Place::Aten { call: 0, index: 0 };
    program.arena = None;
    program.aten.push(AtenCall {
        target: "test.op".into(),
        args: vec![AtenArg::Tensor(BufferId(0))],
        kwargs: Vec::new(),
        results: vec![Some(BufferId(1))],
        returns_list: false,
        binds: Vec::new(),
        node: 0,
        keeps_arguments: false,
    });
    program.steps = vec![
        Step::Aten { call: 0 },
        Step::Release {
            buffer: BufferId(0),
        },
        Step::Kernel(launch(0, &[1, 2], slot(0))),
    ];
    program
}

#[test]
fn results_get_the_layout_that_the_program_promises() {
    let host = VecHost::default();
    let body: Body = Box::new(|frame| {
        // The same values, two apart.
        let strided = tensor(&[1.0, -9.0, 2.0, -9.0, 3.0], &[3], &[2]);
        frame.set_tensor(BufferId(1), strided)
    });
    let executable = executable(operator_then_kernel(), &[add_one], &host, vec![body]);
    let out = run(&executable, &host, vec![tensor(&[0.0; 3], &[3], &[1])]).unwrap();
    assert_eq!(elements(&out[0]), [2.0, 3.0, 4.0]);
    assert_eq!(host.copies.load(Ordering::SeqCst), 1);
}

#[test]
fn the_interpreter_is_given_up_for_long_kernels_only() {
    let host = VecHost::default();
    let flag = host.suspended.clone();
    let body: Body = Box::new(move |frame| {
        assert!(!flag.load(Ordering::SeqCst));
        frame.set_tensor(BufferId(1), tensor(&[1.0], &[1], &[1]))
    });
    let mut program = operator_then_kernel();
    program.cost_ns = 1_000_000;
    program.steps.push(Step::Aten { call: 0 });
    let executable = executable(program, &[add_one], &host, vec![body]);
    run(&executable, &host, vec![tensor(&[0.0], &[1], &[1])]).unwrap();
}

#[test]
fn wrong_inputs_are_refused() {
    let host = VecHost::default();
    let executable = executable(two_steps(), &[add_one], &host, Vec::new());
    let rank = tensor(&[0.0; 4], &[2, 2], &[2, 1]);
    let strides = tensor(&[0.0; 7], &[4], &[2]);
    for bad in [rank, strides] {
        let error = run(&executable, &host, vec![bad]).err().unwrap();
        assert!(error.to_string().contains("compiled graph"), "{error}");
    }
}

#[test]
fn malformed_programs_are_refused() {
    let breaks: [fn(&mut Program); 11] = [
        |p| p.steps.push(Step::Kernel(launch(9, &[0], Dim::Const(1)))),
        |p| p.steps.push(Step::Kernel(launch(0, &[9], Dim::Const(1)))),
        |p| p.steps.push(Step::Kernel(launch(0, &[0], slot(9)))),
        |p| p.steps.push(Step::Aten { call: 0 }),
        |p| {
            p.steps.push(Step::Release {
                buffer: BufferId(9),
            })
        },
        |p| p.steps.push(Step::Sizes { begin: 1, end: 9 }),
        |p| p.outputs.push(Output::Tensor(BufferId(9))),
        |p| p.arena = None,
        |p| {
            p.sizes.push(SizeEntry::Unbacked);
            p.arena = Some(slot(2));
        },
        |p| {
            p.sizes
                .push(SizeEntry::Late(SizeCode(vec![SizeOp::Slot(0)])));
            p.buffers[1].place = Place::Arena { offset: slot(2) };
        },
        |p| p.sizes[0] = SizeEntry::Code(SizeCode(vec![SizeOp::Slot(1)])),
    ];
    assert_eq!(verify(&two_steps(), 1), Ok(()));
    for (at, breaking) in breaks.iter().enumerate() {
        let mut program = two_steps();
        breaking(&mut program);
        assert!(verify(&program, 1).is_err(), "break {at} was not noticed");
    }
}

#[test]
fn several_threads_run_one_program() {
    let host = VecHost {
        threads: 2,
        ..VecHost::default()
    };
    let executable = executable(two_steps(), &[add_one], &host, Vec::new());
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (executable, host) = (&executable, &host);
            scope.spawn(move || {
                for round in 0..200 {
                    let start = (thread * 1000 + round) as f32;
                    let input = tensor(&[start; 64], &[64], &[1]);
                    let mut inputs = Some(input);
                    executable
                        .run(
                            host,
                            &mut |_, _| Ok(InputValue::Tensor(inputs.take().unwrap())),
                            &mut |value| {
                                let OutputValue::Tensor(out) = value else {
                                    panic!("a tensor")
                                };
                                assert_eq!(elements(&out), [start + 2.0; 64]);
                                Ok(())
                            },
                        )
                        .unwrap();
                }
            });
        }
    });
}
