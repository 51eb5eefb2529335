//! Which buffers share memory: operands that die where a result is born, and graph inputs that
//! are overwritten.

mod graph_support;

use ferroductor_abi::{Dim, Place, Program, Step};
use ferroductor_compiler::plan::{Compiled, compile};
use ferroductor_ir::DType;
use ferroductor_ir::fx::Arg;
use ferroductor_ir::kernel::{Access, Isa, Target};
use graph_support::{GraphBuilder, ints, options};

use Arg::{Bool, Float, Node};

const ADD: &str = "aten.add.Tensor";
const MUL: &str = "aten.mul.Tensor";
const DIV: &str = "aten.div.Tensor";
const SUB: &str = "aten.sub.Tensor";
const EXP: &str = "aten.exp.default";
const MM: &str = "aten.mm.default";
const SUM: &str = "aten.sum.dim_IntList";
const FLIP: &str = "aten.flip.default";
const COPY: &str = "aten.copy_.default";
const PUT: &str = "aten.index_put.default";

fn compiled(draw: impl Fn(&mut GraphBuilder) -> Vec<usize>) -> Compiled {
    let mut builder = GraphBuilder::default();
    let outputs = draw(&mut builder);
    let graph = builder.finish(&outputs);
    compile(&graph, &options(Target::of(Isa::Avx512))).unwrap()
}

/// Where each launch's buffers lie, written ones marked: `in0 arena128! out!`.
fn launches(program: &Program, compiled: &Compiled) -> Vec<String> {
    let place = |mut at: usize| {
        while let Place::View { of, .. } = program.buffers[at].place {
            at = of.0 as usize;
        }
        match program.buffers[at].place {
            Place::Input(input) => format!("in{input}"),
            Place::Arena {
                offset: Dim::Const(offset),
            } => format!("arena{offset}"),
            _ => "out".to_owned(),
        }
    };
    let mut lines = Vec::new();
    for step in &program.steps {
        if let Step::Kernel(launch) = step {
            let kernel = &compiled.kernels[launch.kernel.0 as usize];
            let words = launch.buffers.iter().zip(&kernel.params).map(|(b, p)| {
                let mark = match (p.access, p.noalias) {
                    (Access::Read, _) => "",
                    (_, true) => "!",
                    (_, false) => "~",
                };
                place(b.0 as usize) + mark
            });
            lines.push(words.collect::<Vec<_>>().join(" "));
        }
    }
    lines
}

/// `!` marks what is written and apart from all else, `~` what is written and may overlap.
#[track_caller]
fn check(draw: impl Fn(&mut GraphBuilder) -> Vec<usize>, expected: &[&str]) {
    let compiled = compiled(draw);
    assert_eq!(launches(&compiled.program, &compiled), expected);
}

const SHAPE: [i64; 2] = [256, 256];

/// Each row divided by the sum of its squares.
fn normalised(b: &mut GraphBuilder, x: usize) -> usize {
    let square = b.call(MUL, vec![Node(x), Node(x)], &SHAPE);
    let sum = b.call(SUM, vec![Node(square), ints(&[1]), Bool(true)], &[256, 1]);
    b.call(DIV, vec![Node(x), Node(sum)], &SHAPE)
}

#[test]
fn rows_are_normalised_where_they_lie() {
    check(
        |b| {
            let (x, w) = (b.input(&SHAPE), b.input(&SHAPE));
            let y = b.call(MM, vec![Node(x), Node(w)], &SHAPE);
            let p = normalised(b, y);
            vec![b.call(MM, vec![Node(p), Node(w)], &SHAPE)]
        },
        &["in0 in1 arena0!", "arena0 arena0~", "arena0 in1 out!"],
    );
}

#[test]
fn a_product_adds_itself_to_its_residual() {
    check(
        |b| {
            let (x, w) = (b.input(&SHAPE), b.input(&SHAPE));
            let r = b.call(MM, vec![Node(x), Node(w)], &SHAPE);
            let y = b.call(MM, vec![Node(r), Node(w)], &SHAPE);
            let z = b.call(MM, vec![Node(y), Node(w)], &SHAPE);
            let s = b.call(ADD, vec![Node(z), Node(r)], &SHAPE);
            vec![b.call(MM, vec![Node(s), Node(w)], &SHAPE)]
        },
        &[
            "in0 in1 arena0!",
            "arena0 in1 arena262144!",
            "arena262144 in1 arena0 arena0~",
            "arena0 in1 out!",
        ],
    );
}

#[test]
fn what_is_read_later_keeps_its_memory() {
    check(
        |b| {
            let (x, w) = (b.input(&SHAPE), b.input(&SHAPE));
            let y = b.call(MM, vec![Node(x), Node(w)], &SHAPE);
            let p = normalised(b, y);
            vec![b.call(MM, vec![Node(p), Node(y)], &SHAPE)]
        },
        &[
            "in0 in1 arena0!",
            "arena0 arena262144!",
            "arena262144 arena0 out!",
        ],
    );
}

#[test]
fn what_is_read_elsewhere_keeps_its_memory() {
    check(
        |b| {
            let (x, w) = (b.input(&SHAPE), b.input(&SHAPE));
            let y = b.call(MM, vec![Node(x), Node(w)], &SHAPE);
            let turned = b.call(FLIP, vec![Node(y), ints(&[1])], &SHAPE);
            let e = b.call(EXP, vec![Node(turned)], &SHAPE);
            vec![b.call(MM, vec![Node(e), Node(w)], &SHAPE)]
        },
        &[
            "in0 in1 arena0!",
            "arena0 arena262144!",
            "arena262144 in1 out!",
        ],
    );
}

#[test]
fn inputs_are_overwritten_where_they_lie() {
    check(
        |b| {
            let (p, g, m) = (b.input(&SHAPE), b.input(&SHAPE), b.input(&SHAPE));
            let decayed = b.call(MUL, vec![Node(m), Float(0.9)], &SHAPE);
            let momentum = b.call(ADD, vec![Node(decayed), Node(g)], &SHAPE);
            let update = b.call(SUB, vec![Node(p), Node(momentum)], &SHAPE);
            b.call(COPY, vec![Node(m), Node(momentum)], &SHAPE);
            b.call(COPY, vec![Node(p), Node(update)], &SHAPE);
            vec![]
        },
        &["in2 in1 in0 in2~ in0~"],
    );
}

#[test]
fn an_input_that_is_read_again_is_overwritten_last() {
    check(
        |b| {
            let (p, w) = (b.input(&SHAPE), b.input(&SHAPE));
            let y = b.call(MUL, vec![Node(p), Float(0.5)], &SHAPE);
            b.call(COPY, vec![Node(p), Node(y)], &SHAPE);
            let z = b.call(MM, vec![Node(y), Node(w)], &SHAPE);
            vec![b.call(MM, vec![Node(z), Node(p)], &SHAPE)]
        },
        &[
            "in0 arena0!",
            "arena0 in1 arena262144!",
            "arena262144 in0 out!",
            "arena0 in0!",
        ],
    );
}

#[test]
fn exchanged_inputs_are_not_mixed_up() {
    check(
        |b| {
            let (p, q) = (b.input(&SHAPE), b.input(&SHAPE));
            let x = b.call(MUL, vec![Node(p), Float(0.5)], &SHAPE);
            let y = b.call(MUL, vec![Node(q), Float(0.5)], &SHAPE);
            b.call(COPY, vec![Node(p), Node(y)], &SHAPE);
            b.call(COPY, vec![Node(q), Node(x)], &SHAPE);
            vec![]
        },
        &["in1 arena0!", "in0 in1~", "arena0 in0!"],
    );
}

#[test]
fn an_output_is_not_an_overwritten_input() {
    check(
        |b| {
            let p = b.input(&SHAPE);
            let y = b.call(MUL, vec![Node(p), Float(0.5)], &SHAPE);
            b.call(COPY, vec![Node(p), Node(y)], &SHAPE);
            vec![y]
        },
        &["in0 out!", "out in0!"],
    );
}

#[test]
fn a_cache_is_not_copied_to_change_a_row() {
    check(
        |b| {
            let (cache, row, w) = (b.input(&SHAPE), b.input(&[1, 256]), b.input(&SHAPE));
            let position = b.input_of(DType::I64, &[1]);
            let places = Arg::List(vec![Node(position)]);
            let new = b.call(PUT, vec![Node(cache), places, Node(row)], &SHAPE);
            b.call(COPY, vec![Node(cache), Node(new)], &SHAPE);
            vec![b.call(MM, vec![Node(w), Node(new)], &SHAPE)]
        },
        &["in3 in1 in0~", "in2 in0 out!"],
    );
}
