//! Which operators share a kernel, and the reason given where two do not.

mod graph_support;

use ferroductor_compiler::plan::compile;
use ferroductor_ir::fx::Arg;
use ferroductor_ir::kernel::{Isa, Target};
use graph_support::{GraphBuilder, ints, options};

use Arg::{Bool, Node};

const RELU: &str = "aten.relu.default";
const TANH: &str = "aten.tanh.default";
const EXP: &str = "aten.exp.default";
const ADD: &str = "aten.add.Tensor";
const SUB: &str = "aten.sub.Tensor";
const MUL: &str = "aten.mul.Tensor";
const DIV: &str = "aten.div.Tensor";
const MM: &str = "aten.mm.default";
const SUM: &str = "aten.sum.dim_IntList";
const AMAX: &str = "aten.amax.default";
const CUMSUM: &str = "aten.cumsum.default";
const FLIP: &str = "aten.flip.default";

/// The kernels, one line each with its members, and the refusals below them.
fn fusion(draw: impl Fn(&mut GraphBuilder) -> Vec<usize>) -> String {
    let mut builder = GraphBuilder::default();
    let outputs = draw(&mut builder);
    let graph = builder.finish(&outputs);
    let compiled = compile(&graph, &options(Target::of(Isa::Avx512))).unwrap();
    let mut text = String::new();
    for line in compiled.groups.lines() {
        if let Some(group) = line.strip_prefix("group ") {
            let kind = group.split(' ').nth(1).unwrap();
            text += &format!("\n{kind}:");
        } else if let Some(member) = line.strip_prefix("  ") {
            text += &format!(" {}", member.split(' ').next().unwrap());
        } else {
            text += &format!("\n{line}");
        }
    }
    text.trim_start().to_owned()
}

#[track_caller]
fn check(draw: impl Fn(&mut GraphBuilder) -> Vec<usize>, expected: &[&str]) {
    assert_eq!(fusion(draw), expected.join("\n"));
}

/// A tensor that is computed and worth keeping.
fn costly(b: &mut GraphBuilder, x: usize) -> usize {
    let shape = b.shapes[x].clone();
    let y = b.call(TANH, vec![Node(x)], &shape);
    let z = b.call(EXP, vec![Node(y)], &shape);
    let sum = b.call(ADD, vec![Node(y), Node(z)], &shape);
    b.call(MUL, vec![Node(sum), Node(z)], &shape)
}

fn row_sum(b: &mut GraphBuilder, x: usize) -> usize {
    let shape = [b.shapes[x][0], 1];
    b.call(SUM, vec![Node(x), ints(&[1]), Bool(true)], &shape)
}

fn column_sum(b: &mut GraphBuilder, x: usize) -> usize {
    let shape = [1, b.shapes[x][1]];
    b.call(SUM, vec![Node(x), ints(&[0]), Bool(true)], &shape)
}

#[test]
fn pointwise_chains_are_one_loop() {
    check(
        |b| {
            let x = b.input(&[64, 256]);
            let y = b.call(RELU, vec![Node(x)], &[64, 256]);
            vec![b.call(ADD, vec![Node(y), Node(x)], &[64, 256])]
        },
        &["Pointwise: add_2"],
    );
}

#[test]
fn siblings_that_read_the_same_share_a_loop() {
    check(
        |b| {
            let x = b.input(&[64, 256]);
            let first = b.call(TANH, vec![Node(x)], &[64, 256]);
            vec![first, b.call(EXP, vec![Node(x)], &[64, 256])]
        },
        &["Pointwise: tanh_1 exp_2"],
    );
    // Nothing in common.
    check(
        |b| {
            let (x, y) = (b.input(&[64, 256]), b.input(&[64, 256]));
            let first = b.call(TANH, vec![Node(x)], &[64, 256]);
            vec![first, b.call(EXP, vec![Node(y)], &[64, 256])]
        },
        &["Pointwise: tanh_2", "Pointwise: exp_3"],
    );
    // Other axes.
    check(
        |b| {
            let (x, y) = (b.input(&[64, 256]), b.input(&[8, 64, 256]));
            let first = costly(b, x);
            vec![
                first,
                b.call(ADD, vec![Node(y), Node(first)], &[8, 64, 256]),
            ]
        },
        &[
            "Pointwise: tanh_2 exp_3 mul_5",
            "Pointwise: add_6",
            "add_6 not with tanh_2: pointwise work over other axes",
        ],
    );
}

#[test]
fn a_softmax_visits_its_rows_once() {
    check(
        |b| {
            let x = b.input(&[64, 256]);
            let most = b.call(AMAX, vec![Node(x), ints(&[1]), Bool(true)], &[64, 1]);
            let less = b.call(SUB, vec![Node(x), Node(most)], &[64, 256]);
            let power = b.call(EXP, vec![Node(less)], &[64, 256]);
            let sum = row_sum(b, power);
            vec![b.call(DIV, vec![Node(power), Node(sum)], &[64, 256])]
        },
        &["Rows: amax_1 exp_3 sum_4 div_5"],
    );
}

#[test]
fn reductions_share_a_visit_if_they_keep_the_same_axes() {
    check(
        |b| {
            let x = b.input(&[64, 256]);
            let most = b.call(AMAX, vec![Node(x), ints(&[1]), Bool(true)], &[64, 1]);
            vec![most, row_sum(b, x)]
        },
        &["Rows: amax_1 sum_2"],
    );
    check(
        |b| {
            let x = b.input(&[64, 256]);
            vec![row_sum(b, x), column_sum(b, x)]
        },
        &[
            "Rows: sum_1",
            "Columns: sum_2",
            "sum_2 not with sum_1: reductions that keep different axes",
        ],
    );
    check(
        |b| {
            let x = b.input(&[64, 256]);
            vec![column_sum(b, x), row_sum(b, x)]
        },
        &[
            "Columns: sum_1",
            "Rows: sum_2",
            "sum_2 not with sum_1: work on rows in a kernel of columns",
        ],
    );
    check(
        |b| {
            let x = b.input(&[32, 64, 256]);
            let inner = b.call(SUM, vec![Node(x), ints(&[2]), Bool(true)], &[32, 64, 1]);
            let outer = b.call(SUM, vec![Node(x), ints(&[1, 2]), Bool(true)], &[32, 1, 1]);
            vec![inner, outer]
        },
        &[
            "Rows: sum_1",
            "Rows: sum_2",
            "sum_2 not with sum_1: reductions that keep different axes",
        ],
    );
}

#[test]
fn a_reduction_into_few_elements_is_done_in_parts() {
    check(
        |b| {
            let x = b.input(&[2, 65536]);
            let y = costly(b, x);
            vec![y, row_sum(b, y)]
        },
        &[
            "Rows: tanh_1 exp_2 mul_4 sum_5",
            "Columns: sum_5",
            "sum_5 not with tanh_1: reductions that keep different axes",
        ],
    );
}

#[test]
fn bias_and_activation_follow_a_product() {
    check(
        |b| {
            let (x, w, bias) = (b.input(&[64, 128]), b.input(&[128, 96]), b.input(&[96]));
            let product = b.call(MM, vec![Node(x), Node(w)], &[64, 96]);
            let sum = b.call(ADD, vec![Node(product), Node(bias)], &[64, 96]);
            vec![b.call(RELU, vec![Node(sum)], &[64, 96])]
        },
        &["Contract: mm_3 relu_5"],
    );
    // A reduction does not.
    check(
        |b| {
            let (x, w) = (b.input(&[64, 128]), b.input(&[128, 96]));
            let product = b.call(MM, vec![Node(x), Node(w)], &[64, 96]);
            vec![row_sum(b, product)]
        },
        &[
            "Contract: mm_2",
            "Rows: sum_3",
            "sum_3 not with mm_2: only pointwise work over its elements follows a product",
        ],
    );
    // Nor does what reads other elements of it.
    check(
        |b| {
            let (x, w) = (b.input(&[64, 128]), b.input(&[128, 96]));
            let product = b.call(MM, vec![Node(x), Node(w)], &[64, 96]);
            let flipped = b.call(FLIP, vec![Node(product), ints(&[1])], &[64, 96]);
            vec![b.call(ADD, vec![Node(product), Node(flipped)], &[64, 96])]
        },
        &[
            "Contract: mm_2",
            "Pointwise: add_4",
            "add_4 not with mm_2: reads other elements than the one computed here",
        ],
    );
}

#[test]
fn products_and_scans_start_kernels_of_their_own() {
    check(
        |b| {
            let (x, w) = (b.input(&[64, 64]), b.input(&[64, 64]));
            let first = b.call(MM, vec![Node(x), Node(w)], &[64, 64]);
            vec![b.call(MM, vec![Node(first), Node(w)], &[64, 64])]
        },
        &[
            "Contract: mm_2",
            "Contract: mm_3",
            "mm_3 not with mm_2: scans, scatters and contractions start a kernel of their own",
        ],
    );
    check(
        |b| {
            let x = b.input(&[64, 256]);
            let sums = b.call(CUMSUM, vec![Node(x), Arg::Int(1)], &[64, 256]);
            vec![b.call(RELU, vec![Node(sums)], &[64, 256])]
        },
        &[
            "Serial: cumsum_1",
            "Pointwise: relu_2",
            "relu_2 not with cumsum_1: scans, scatters and contractions start a kernel of their own",
        ],
    );
}

#[test]
fn what_an_operator_in_between_needs_is_there_before_it() {
    check(
        |b| {
            let x = b.input(&[64, 256]);
            let y = costly(b, x);
            let foreign = b.call("aten.sort.default", vec![Node(y)], &[64, 256]);
            vec![y, b.call(ADD, vec![Node(y), Node(foreign)], &[64, 256])]
        },
        &[
            "Pointwise: tanh_1 exp_2 mul_4",
            "Pointwise: add_6",
            "add_6 not with tanh_1: something between the two depends on the kernel",
        ],
    );
}

#[test]
fn cheap_values_are_computed_again_and_costly_ones_kept() {
    let twice = |b: &mut GraphBuilder, value: usize, w: usize| {
        let first = b.call(MM, vec![Node(value), Node(w)], &[64, 64]);
        let flipped = b.call(FLIP, vec![Node(value), ints(&[0])], &[64, 64]);
        vec![first, flipped]
    };
    check(
        |b| {
            let (x, w) = (b.input(&[64, 64]), b.input(&[64, 64]));
            let y = costly(b, x);
            twice(b, y, w)
        },
        &[
            "Pointwise: tanh_2 exp_3 mul_5",
            "Contract: mm_6",
            "Pointwise: flip_7",
            "mm_6 not with tanh_2: scans, scatters and contractions start a kernel of their own",
            "flip_7 not with tanh_2: reads other elements than the one computed here",
            "flip_7 not with mm_6: only pointwise work over its elements follows a product",
        ],
    );
    check(
        |b| {
            let x = b.input(&[64, 256]);
            let y = b.call(RELU, vec![Node(x)], &[64, 256]);
            let flipped = b.call(FLIP, vec![Node(y), ints(&[0])], &[64, 256]);
            vec![row_sum(b, y), flipped]
        },
        &["Rows: sum_3 flip_2"],
    );
}

/// Columns of a batch divided by their sums.
fn divided_columns(rows: i64) -> impl Fn(&mut GraphBuilder) -> Vec<usize> {
    move |b| {
        let shape = [8, rows, 48];
        let x = b.input(&shape);
        let sum = b.call(SUM, vec![Node(x), ints(&[1]), Bool(true)], &[8, 1, 48]);
        vec![b.call(DIV, vec![Node(x), Node(sum)], &shape)]
    }
}

#[test]
fn short_columns_are_gone_through_again() {
    check(divided_columns(64), &["Rows: sum_1 div_2"]);
}

#[test]
fn long_columns_are_not() {
    check(
        divided_columns(512),
        &[
            "Columns: sum_1",
            "Columns: sum_1",
            "Pointwise: div_2",
            "sum_1 not with sum_1: work on rows in a kernel of columns",
            "div_2 not with sum_1: work on rows in a kernel of columns",
            "div_2 not with sum_1: work on rows in a kernel of columns",
        ],
    );
}
