//! Random graphs through the whole compiler: each kernel gives the same bits by LLVM, by C++ and in
//! the reference interpreter, in one call and in parts, and the results are those of a naive
//! evaluation in double precision.
//!
//! `FERRODUCTOR_SEEDS=5000` tries more.

// Settings of the tests themselves.
#![allow(clippy::disallowed_methods)]

#[path = "../../ferroductor-compiler/tests/graph_support/mod.rs"]
mod graph_support;

use ferroductor_abi::{BufferId, Dim, Input, KernelFn, Launch, Output, Place, Program, Step};
use ferroductor_codegen::cpp;
use ferroductor_codegen::llvm::{self, Options};
use ferroductor_compiler::plan::{Compiled, compile};
use ferroductor_ir::fx::{Arg, Graph};
use ferroductor_ir::interp;
use ferroductor_ir::kernel::{Access, Isa, Kernel, Target};
use ferroductor_ir::random::{Rng, same_elements};
use ferroductor_ir::text;
use ferroductor_loader::{LoadedObject, supports};
use graph_support::{GraphBuilder, ints, options};

/// Elements of the largest tensor.
const MOST: i64 = 3000;

// Random graphs, evaluated as they grow.

type Combine = fn(f64, f64) -> f64;

struct Tensors {
    builder: GraphBuilder,
    values: Vec<Vec<f64>>,
    inputs: Vec<usize>,
}

fn numel(shape: &[i64]) -> i64 {
    shape.iter().product()
}

/// Row-major positions of a shape.
fn positions(shape: &[i64]) -> impl Iterator<Item = Vec<i64>> + use<> {
    let shape = shape.to_vec();
    (0..numel(&shape)).map(move |at| {
        let mut rest = at;
        let mut position = vec![0; shape.len()];
        for d in (0..shape.len()).rev() {
            position[d] = rest % shape[d];
            rest /= shape[d];
        }
        position
    })
}

impl Tensors {
    fn shape(&self, at: usize) -> Vec<i64> {
        self.builder.shapes[at].clone()
    }

    /// An element; dimensions of extent one repeat.
    fn get(&self, at: usize, position: &[i64]) -> f64 {
        let shape = &self.builder.shapes[at];
        let own = position.iter().zip(shape);
        let flat = own.fold(0, |flat, (p, size)| flat * size + p.min(&(size - 1)));
        self.values[at][flat as usize]
    }

    fn input(&mut self, rng: &mut Rng, shape: &[i64]) -> usize {
        let at = self.builder.input(shape);
        let value = |_| (rng.between(-256, 256) as f64) / 128.0;
        self.values.push((0..numel(shape)).map(value).collect());
        self.inputs.push(at);
        at
    }

    fn call(
        &mut self,
        target: &str,
        args: Vec<Arg>,
        shape: &[i64],
        element: impl Fn(&Tensors, &[i64]) -> f64,
    ) -> usize {
        let values = positions(shape).map(|p| element(self, &p)).collect();
        self.values.push(values);
        self.builder.call(target, args, shape)
    }

    fn unary(&mut self, rng: &mut Rng, x: usize) -> usize {
        type Function = fn(f64) -> f64;
        let table: [(&str, Function); 5] = [
            ("aten.relu.default", |v| v.max(0.0)),
            ("aten.neg.default", |v| -v),
            ("aten.abs.default", f64::abs),
            ("aten.tanh.default", f64::tanh),
            ("aten.sigmoid.default", |v| 1.0 / (1.0 + (-v).exp())),
        ];
        let (target, f) = *rng.pick(&table);
        let shape = self.shape(x);
        self.call(target, vec![Arg::Node(x)], &shape, |t, p| f(t.get(x, p)))
    }

    /// With a tensor whose extents are the same or one.
    fn binary(&mut self, rng: &mut Rng, x: usize) -> usize {
        let table: [(&str, Combine); 4] = [
            ("aten.add.Tensor", |a, b| a + b),
            ("aten.sub.Tensor", |a, b| a - b),
            ("aten.mul.Tensor", |a, b| a * b),
            ("aten.maximum.default", f64::max),
        ];
        let shape = self.shape(x);
        let fits = |at: &usize| {
            let other = &self.builder.shapes[*at];
            other.len() == shape.len() && other.iter().zip(&shape).all(|(o, s)| o == s || *o == 1)
        };
        let others: Vec<usize> = (0..self.values.len()).filter(fits).collect();
        let y = *rng.pick(&others);
        let (target, f) = *rng.pick(&table);
        self.call(target, vec![Arg::Node(x), Arg::Node(y)], &shape, |t, p| {
            f(t.get(x, p), t.get(y, p))
        })
    }

    fn reduce(&mut self, rng: &mut Rng, x: usize) -> usize {
        let old = self.shape(x);
        let dim = rng.below(old.len());
        let mut shape = old.clone();
        shape[dim] = 1;
        let table: [(&str, f64, Combine); 3] = [
            ("aten.sum.dim_IntList", 0.0, |a, b| a + b),
            ("aten.mean.dim", 0.0, |a, b| a + b),
            ("aten.amax.default", f64::NEG_INFINITY, f64::max),
        ];
        let (target, first, f) = *rng.pick(&table);
        let count = old[dim];
        let scale = if target == "aten.mean.dim" {
            1.0 / count as f64
        } else {
            1.0
        };
        let args = vec![Arg::Node(x), ints(&[dim as i64]), Arg::Bool(true)];
        self.call(target, args, &shape, |t, p| {
            let mut p = p.to_vec();
            let mut total = first;
            for i in 0..count {
                p[dim] = i;
                total = f(total, t.get(x, &p));
            }
            total * scale
        })
    }

    fn softmax(&mut self, rng: &mut Rng, x: usize) -> usize {
        let shape = self.shape(x);
        let dim = rng.below(shape.len());
        let args = vec![Arg::Node(x), Arg::Int(dim as i64), Arg::Bool(false)];
        self.call("aten._softmax.default", args, &shape, |t, p| {
            let mut q = p.to_vec();
            let mut row = Vec::new();
            for i in 0..shape[dim] {
                q[dim] = i;
                row.push(t.get(x, &q));
            }
            let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = row.iter().map(|v| (v - most).exp()).sum();
            (t.get(x, p) - most).exp() / sum
        })
    }

    /// Rows less their mean, and less the sum of the squares of what is left: three visits, the last of
    /// which needs what the first found.
    fn normalise(&mut self, x: usize) -> usize {
        let shape = self.shape(x);
        let last = shape.len() - 1;
        let mut single = shape.clone();
        single[last] = 1;
        let row = move |t: &Tensors, at: usize, p: &[i64]| -> f64 {
            let (mut q, extent) = (p.to_vec(), t.builder.shapes[at][last]);
            let element = |i: i64| {
                q[last] = i;
                t.get(at, &q)
            };
            (0..extent).map(element).sum()
        };
        let count = shape[last] as f64;
        let along = vec![ints(&[last as i64]), Arg::Bool(true)];
        let over = |at: usize| [vec![Arg::Node(at)], along.clone()].concat();
        let mean = "aten.mean.dim";
        let mean = self.call(mean, over(x), &single, |t, p| row(t, x, p) / count);
        let rest = self.minus(x, mean);
        let both = vec![Arg::Node(rest), Arg::Node(rest)];
        let square = |t: &Tensors, p: &[i64]| t.get(rest, p) * t.get(rest, p);
        let squares = self.call("aten.mul.Tensor", both, &shape, square);
        let sum = "aten.sum.dim_IntList";
        let sum = self.call(sum, over(squares), &single, |t, p| row(t, squares, p));
        self.minus(rest, sum)
    }

    fn minus(&mut self, x: usize, y: usize) -> usize {
        let (shape, args) = (self.shape(x), vec![Arg::Node(x), Arg::Node(y)]);
        let difference = |t: &Tensors, p: &[i64]| t.get(x, p) - t.get(y, p);
        self.call("aten.sub.Tensor", args, &shape, difference)
    }

    fn permute(&mut self, rng: &mut Rng, x: usize) -> usize {
        let old = self.shape(x);
        let shift = rng.below(old.len());
        let order: Vec<usize> = (0..old.len()).map(|d| (d + shift) % old.len()).collect();
        let shape: Vec<i64> = order.iter().map(|d| old[*d]).collect();
        let dims: Vec<i64> = order.iter().map(|d| *d as i64).collect();
        let args = vec![Arg::Node(x), ints(&dims)];
        self.call("aten.permute.default", args, &shape, |t, p| {
            let mut q = vec![0; p.len()];
            order.iter().zip(p).for_each(|(d, p)| q[*d] = *p);
            t.get(x, &q)
        })
    }

    /// Merges two dimensions or splits one.
    fn reshape(&mut self, rng: &mut Rng, x: usize) -> usize {
        let mut shape = self.shape(x);
        let dim = rng.below(shape.len());
        let divisor = (2..=shape[dim]).find(|d| shape[dim] % d == 0);
        match divisor {
            Some(d) if shape.len() < 3 && d < shape[dim] => {
                shape[dim] /= d;
                shape.insert(dim + 1, d);
            }
            _ if dim + 1 < shape.len() => {
                shape[dim] *= shape.remove(dim + 1);
            }
            _ => {}
        }
        let old = self.values[x].clone();
        let sizes = shape.clone();
        let args = vec![Arg::Node(x), ints(&shape)];
        self.call("aten.view.default", args, &shape, move |_, p| {
            let flat = p.iter().zip(&sizes).fold(0, |flat, (p, s)| flat * s + p);
            old[flat as usize]
        })
    }

    /// A slice, flip or roll along one dimension.
    fn rearrange(&mut self, rng: &mut Rng, x: usize) -> usize {
        let mut shape = self.shape(x);
        let dim = rng.below(shape.len());
        let (n, along) = (shape[dim], dim as i64);
        let node = Arg::Node(x);
        let (target, args, start, step) = match rng.below(3) {
            0 => {
                let start = rng.between(0, n - 1);
                let end = rng.between(start + 1, n);
                shape[dim] = end - start;
                let args = [along, start, end].map(Arg::Int);
                let args = [node].into_iter().chain(args).collect();
                ("aten.slice.Tensor", args, start, 1)
            }
            1 => ("aten.flip.default", vec![node, ints(&[along])], n - 1, -1),
            _ => {
                let shift = rng.between(-3, 3);
                let args = vec![node, ints(&[shift]), ints(&[along])];
                ("aten.roll.default", args, -shift, 1)
            }
        };
        self.call(target, args, &shape, |t, p| {
            let mut q = p.to_vec();
            q[dim] = (start + step * p[dim]).rem_euclid(n);
            t.get(x, &q)
        })
    }

    fn pad(&mut self, rng: &mut Rng, x: usize) -> usize {
        let old = self.shape(x);
        let mut shape = old.clone();
        let mut before = vec![0; old.len()];
        let mut pads = Vec::new();
        for d in (0..old.len()).rev().take(1 + rng.below(2)) {
            let (low, high) = (rng.between(0, 5), rng.between(0, 5));
            shape[d] += low + high;
            before[d] = low;
            pads.extend([low, high]);
        }
        let args = vec![Arg::Node(x), ints(&pads), Arg::Float(0.5)];
        self.call("aten.constant_pad_nd.default", args, &shape, |t, p| {
            let q: Vec<i64> = p.iter().zip(&before).map(|(p, b)| p - b).collect();
            let inside = q.iter().zip(&old).all(|(q, n)| (0..*n).contains(q));
            if inside { t.get(x, &q) } else { 0.5 }
        })
    }

    fn cat(&mut self, rng: &mut Rng, x: usize) -> usize {
        let first = self.shape(x);
        let dim = rng.below(first.len());
        let fits = |at: &usize| {
            let other = &self.builder.shapes[*at];
            other.len() == first.len() && (0..first.len()).all(|d| d == dim || other[d] == first[d])
        };
        let others: Vec<usize> = (0..self.values.len()).filter(fits).collect();
        let y = *rng.pick(&others);
        let mut shape = first.clone();
        shape[dim] += self.shape(y)[dim];
        let list = Arg::List(vec![Arg::Node(x), Arg::Node(y)]);
        let args = vec![list, Arg::Int(dim as i64)];
        self.call("aten.cat.default", args, &shape, |t, p| {
            let mut q = p.to_vec();
            if p[dim] < first[dim] {
                return t.get(x, p);
            }
            q[dim] -= first[dim];
            t.get(y, &q)
        })
    }

    /// The product with a new input.
    fn product(&mut self, rng: &mut Rng, x: usize) -> usize {
        let shape = self.shape(x);
        let [m, k] = shape[..] else {
            return self.unary(rng, x);
        };
        let n = *rng.pick(&[1, 5, 16, 33, 50]);
        if m * n > MOST || k * n > MOST {
            return self.unary(rng, x);
        }
        let y = self.input(rng, &[k, n]);
        let args = vec![Arg::Node(x), Arg::Node(y)];
        self.call("aten.mm.default", args, &[m, n], |t, p| {
            let product = |i| t.get(x, &[p[0], i]) * t.get(y, &[i, p[1]]);
            (0..k).map(product).sum()
        })
    }

    fn grow(&mut self, rng: &mut Rng) {
        // The latest are the likeliest: chains grow.
        let recent = self.values.len().min(3);
        let x = self.values.len() - 1 - rng.below(recent);
        match rng.below(17) {
            0..=2 => self.unary(rng, x),
            3..=5 => self.binary(rng, x),
            6 | 7 => self.reduce(rng, x),
            8 => self.softmax(rng, x),
            9 => self.permute(rng, x),
            10 => self.reshape(rng, x),
            11 => self.rearrange(rng, x),
            12 | 13 => self.pad(rng, x),
            14 => self.cat(rng, x),
            15 => self.normalise(x),
            _ => self.product(rng, x),
        };
    }
}

struct Case {
    graph: Graph,
    /// The inputs' values, in order of the placeholders.
    inputs: Vec<Vec<f64>>,
    /// What the outputs must be, and how far rounding may have carried them.
    outputs: Vec<Vec<f64>>,
    tolerance: f64,
}

fn case(seed: u64) -> Case {
    let mut rng = Rng::new(seed);
    let mut tensors = Tensors {
        builder: GraphBuilder::default(),
        values: Vec::new(),
        inputs: Vec::new(),
    };
    let extents = [1, 2, 3, 5, 7, 8, 12, 16, 17, 20, 33, 50];
    let shape: Vec<i64> = (0..rng.between(1, 3))
        .map(|_| *rng.pick(&extents))
        .collect();
    let shape = if numel(&shape) > MOST {
        vec![7, 33]
    } else {
        shape
    };
    tensors.input(&mut rng, &shape);
    if rng.one_in(2) {
        tensors.input(&mut rng, &shape);
    }
    for _ in 0..rng.between(2, 9) {
        tensors.grow(&mut rng);
        if numel(tensors.builder.shapes.last().unwrap()) > MOST {
            break;
        }
    }
    let last = tensors.values.len() - 1;
    let mut outputs = vec![last];
    if !tensors.inputs.contains(&(last - 1)) && rng.one_in(2) {
        outputs.push(last - 1);
    }
    let most = tensors
        .values
        .iter()
        .flatten()
        .map(|v| v.abs())
        .fold(1.0, f64::max);
    Case {
        inputs: tensors
            .inputs
            .iter()
            .map(|i| tensors.values[*i].clone())
            .collect(),
        outputs: outputs.iter().map(|o| tensors.values[*o].clone()).collect(),
        graph: tensors.builder.finish(&outputs),
        tolerance: 2e-5 * most,
    }
}

// Running programs.

/// The memory of a call.
struct Memory<'p> {
    program: &'p Program,
    arena: Vec<u8>,
    /// Inputs and outputs, by buffer.
    own: Vec<Vec<u8>>,
}

fn constant(dim: Dim) -> usize {
    match dim {
        Dim::Const(c) => usize::try_from(c).unwrap(),
        Dim::Slot(_) => panic!("a static graph has a size table"),
    }
}

impl<'p> Memory<'p> {
    fn new(program: &'p Program, inputs: &[Vec<f64>]) -> Memory<'p> {
        let bytes = program.arena.map_or(0, constant);
        let mut memory = Memory {
            program,
            arena: vec![0xff; bytes],
            own: vec![Vec::new(); program.buffers.len()],
        };
        for (at, buffer) in program.buffers.iter().enumerate() {
            if buffer.place == Place::Output {
                memory.own[at] = vec![0xff; memory.bytes(BufferId(at as u32))];
            }
        }
        for (input, values) in program.inputs.iter().zip(inputs) {
            let Input::Tensor { buffer } = input else {
                panic!("inputs are tensors");
            };
            let bytes = values.iter().flat_map(|v| (*v as f32).to_le_bytes());
            memory.own[buffer.0 as usize] = bytes.collect();
        }
        memory
    }

    /// Bytes from the first element of a buffer to its last.
    fn bytes(&self, buffer: BufferId) -> usize {
        let info = &self.program.buffers[buffer.0 as usize];
        let reach = info.sizes.iter().zip(&info.strides);
        let last: usize = reach.map(|(n, s)| (constant(*n) - 1) * constant(*s)).sum();
        (last + 1) * info.item as usize
    }

    /// Where a buffer's bytes begin.
    fn place(&mut self, buffer: BufferId) -> &mut [u8] {
        let bytes = self.bytes(buffer);
        let info = &self.program.buffers[buffer.0 as usize];
        match info.place {
            Place::Arena { offset } => {
                let at = constant(offset);
                assert!(
                    at.is_multiple_of(64) && at + bytes <= self.arena.len(),
                    "outside the arena"
                );
                &mut self.arena[at..at + bytes]
            }
            Place::View { of, offset } => {
                let skip = constant(offset) * info.item as usize;
                let base: *mut [u8] = self.place(of);
                // SAFETY: the borrow of the same memory that was just returned.
                let base = unsafe { &mut *base };
                &mut base[skip..skip + bytes]
            }
            _ => &mut self.own[buffer.0 as usize][..bytes],
        }
    }
}

/// Bytes around every buffer that a kernel must leave alone.
const GUARD: usize = 64;

/// A buffer between its guards, aligned as the runtime aligns it.
struct Block {
    memory: Vec<u8>,
    begin: usize,
    end: usize,
}

impl Block {
    fn new(bytes: &[u8]) -> Block {
        let mut memory = vec![0xc3; bytes.len() + 3 * GUARD];
        let begin = GUARD + memory[GUARD..].as_ptr().align_offset(GUARD);
        let end = begin + bytes.len();
        memory[begin..end].copy_from_slice(bytes);
        Block { memory, begin, end }
    }

    fn into_bytes(self) -> Vec<u8> {
        let (front, back) = (&self.memory[..self.begin], &self.memory[self.end..]);
        let mut guards = front.iter().chain(back);
        assert!(guards.all(|b| *b == 0xc3), "wrote outside a buffer");
        self.memory[self.begin..self.end].to_vec()
    }
}

/// Runs tiles `0..tiles` in calls that end at `cuts`.
fn call(function: KernelFn, kernel: &Kernel, before: &[Vec<u8>], cuts: &[i64]) -> Vec<Vec<u8>> {
    let mut blocks: Vec<Block> = before.iter().map(|bytes| Block::new(bytes)).collect();
    let pointers: Vec<*mut u8> = blocks
        .iter_mut()
        .map(|b| b.memory[b.begin..].as_mut_ptr())
        .collect();
    let (_, scratch_bytes) = kernel.local_offsets(&[]).expect("sizes are literals");
    let mut begin = 0;
    for end in cuts {
        let mut scratch = vec![0xffu8; scratch_bytes + 64];
        let skip = scratch.as_ptr().align_offset(64);
        // SAFETY: the function was compiled from this kernel, whose buffers these are; the scratch is
        // aligned and as large as its locals need.
        let code = unsafe {
            function(
                pointers.as_ptr(),
                std::ptr::null(),
                scratch[skip..].as_mut_ptr(),
                begin,
                *end,
            )
        };
        assert_eq!(code, 0);
        begin = *end;
    }
    blocks.into_iter().map(Block::into_bytes).collect()
}

fn assert_same(kernel: &Kernel, got: &[Vec<u8>], want: &[Vec<u8>], what: &str) {
    for (at, param) in kernel.params.iter().enumerate() {
        assert!(
            same_elements(param.dtype, &got[at], &want[at]),
            "{what}: p{at} differs\n{}",
            text::print(kernel)
        );
    }
}

/// Runs a launch by the interpreter and the given functions; all must agree.
fn launch(
    memory: &mut Memory<'_>,
    launch: &Launch,
    kernel: &Kernel,
    functions: &[(&str, KernelFn)],
) {
    let before: Vec<Vec<u8>> = launch
        .buffers
        .iter()
        .map(|b| memory.place(*b).to_vec())
        .collect();
    let tiles = constant(launch.tiles) as i64;
    let mut expected = before.clone();
    let mut views: Vec<&mut [u8]> = expected.iter_mut().map(Vec::as_mut_slice).collect();
    let code = interp::run(kernel, &mut views, &[], 0, tiles)
        .unwrap_or_else(|e| panic!("{e}\n{}", text::print(kernel)));
    assert_eq!(code, 0);
    for (what, function) in functions {
        let whole = call(*function, kernel, &before, &[tiles]);
        assert_same(kernel, &whole, &expected, what);
        let parts = call(*function, kernel, &before, &[tiles / 3, tiles]);
        assert_same(kernel, &parts, &expected, &format!("{what} in parts"));
    }
    for ((buffer, bytes), param) in launch.buffers.iter().zip(&expected).zip(&kernel.params) {
        if param.access != Access::Read {
            memory.place(*buffer).copy_from_slice(bytes);
        }
    }
}

/// Runs the program; `functions(kernel)` are the compiled forms of a kernel.
fn run(
    compiled: &Compiled,
    case: &Case,
    functions: &dyn Fn(usize) -> Vec<(&'static str, KernelFn)>,
) -> Result<(), String> {
    let mut memory = Memory::new(&compiled.program, &case.inputs);
    for step in &compiled.program.steps {
        match step {
            Step::Kernel(l) => {
                let at = l.kernel.0 as usize;
                launch(&mut memory, l, &compiled.kernels[at], &functions(at));
            }
            Step::Release { .. } => {}
            other => return Err(format!("no kernel: {other:?}")),
        }
    }
    for (output, want) in compiled.program.outputs.iter().zip(&case.outputs) {
        let Output::Tensor(buffer) = output else {
            return Err("an output is no tensor".into());
        };
        let info = compiled.program.buffers[buffer.0 as usize].clone();
        let sizes: Vec<i64> = info.sizes.iter().map(|d| constant(*d) as i64).collect();
        let strides: Vec<i64> = info.strides.iter().map(|d| constant(*d) as i64).collect();
        let bytes = memory.place(*buffer).to_vec();
        for (p, want) in positions(&sizes).zip(want) {
            let at = 4 * p.iter().zip(&strides).map(|(p, s)| p * s).sum::<i64>() as usize;
            let got = f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
            if (f64::from(got) - want).abs() > case.tolerance {
                return Err(format!("element {p:?} is {got}, not {want}"));
            }
        }
    }
    Ok(())
}

fn describe(case: &Case) -> String {
    let line = |n: &ferroductor_ir::fx::Node| format!("{} = {} {:?}\n", n.name, n.target, n.args);
    case.graph.nodes.iter().map(line).collect()
}

/// Each instruction set with ordinary caches, and with a last one so small that results are streamed
/// and rows go through pipelines.
fn targets() -> Vec<Target> {
    let all = [Isa::Avx512, Isa::Avx2, Isa::Sse42, Isa::Neon].map(Target::of);
    let tiny = |target: &Target| Target {
        last_cache_bytes: 64,
        ..target.clone()
    };
    let known = all.into_iter().filter(supports);
    known.flat_map(|t| [tiny(&t), t]).collect()
}

fn seeds(ordinary: u64) -> u64 {
    std::env::var("FERRODUCTOR_SEEDS").map_or(ordinary, |n| n.parse().unwrap())
}

fn named(compiled: &Compiled, prefix: &str) -> Vec<(String, Kernel)> {
    let each = compiled.kernels.iter().enumerate();
    each.map(|(at, kernel)| (format!("{prefix}_{at}"), kernel.clone()))
        .collect()
}

#[test]
fn llvm_and_the_interpreter_agree_with_a_naive_evaluation() {
    let targets = targets();
    for seed in 0..seeds(480) {
        let case = case(seed);
        let target = &targets[seed as usize % targets.len()];
        let compiled = compile(&case.graph, &options(target.clone())).unwrap();
        let kernels = named(&compiled, "k");
        let list: Vec<(String, &Kernel)> = kernels.iter().map(|k| (k.0.clone(), &k.1)).collect();
        let object = llvm::compile(&list, target, &Options::default()).unwrap();
        let object = LoadedObject::load(&object).unwrap();
        let functions = |at: usize| vec![("LLVM", object.get(&format!("k_{at}")).unwrap())];
        if let Err(error) = run(&compiled, &case, &functions) {
            panic!("seed {seed}, {target:?}: {error}\n{}", describe(&case));
        }
    }
}

#[test]
fn cpp_agrees_too() {
    let Some(compiler) = cpp_compiler() else {
        eprintln!("!!! SKIPPED cpp_agrees_too: no g++ in PATH");
        return;
    };
    let targets = targets();
    // A twentieth as many: a C++ compiler takes a tenth of a second for each.
    for (at, target) in targets.iter().enumerate() {
        let share = (0..seeds(480) / 20).filter(|s| *s as usize % targets.len() == at);
        let cases: Vec<(u64, Case, Compiled)> = share
            .map(|s| 100_000 + s)
            .map(|seed| {
                let case = case(seed);
                let compiled = compile(&case.graph, &options(target.clone())).unwrap();
                (seed, case, compiled)
            })
            .collect();
        let kernels: Vec<(String, Kernel)> = cases
            .iter()
            .flat_map(|(seed, _, compiled)| named(compiled, &format!("g{seed}")))
            .collect();
        let list: Vec<(String, &Kernel)> = kernels.iter().map(|k| (k.0.clone(), &k.1)).collect();
        let printed = cpp::print(&list, target).unwrap();
        let folder =
            std::env::temp_dir().join(format!("ferroductor-graphs-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let name = format!("kernels_{at}");
        let object =
            cpp::compile::compile(&compiler, &cpp::flags(target), &printed, &folder, &name)
                .unwrap();
        // SAFETY: compiled just now from printed text, for a target that this machine runs.
        let loaded = unsafe { cpp::compile::load(&object) }.unwrap();
        let _ = std::fs::remove_dir_all(&folder);
        for (seed, case, compiled) in &cases {
            let functions =
                |at: usize| vec![("C++", loaded.get(&format!("g{seed}_{at}")).unwrap())];
            if let Err(error) = run(compiled, case, &functions) {
                panic!("seed {seed}, {target:?}: {error}\n{}", describe(case));
            }
        }
    }
}

fn cpp_compiler() -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join("g++"))
        .find(|file| file.is_file())
}
