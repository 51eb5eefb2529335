//! Which kernels go through their rows in a pipeline, and how its loop is ordered.

mod graph_support;

use ferroductor_compiler::plan::compile;
use ferroductor_ir::fx::Arg::{Bool, Int, Node};
use ferroductor_ir::kernel::{Isa, Kernel, Op, Stmt, Target};
use ferroductor_ir::{DType, IExpr};
use graph_support::{GraphBuilder, ints, options};

const SOFTMAX: &str = "aten._softmax.default";
const ADD: &str = "aten.add.Tensor";
const DIV: &str = "aten.div.Tensor";
const EXP: &str = "aten.exp.default";
const SUM: &str = "aten.sum.dim_IntList";

/// A CPU whose last cache holds next to nothing, so that every kernel exceeds it.
fn without_caches() -> Target {
    Target {
        last_cache_bytes: 64,
        ..Target::of(Isa::Avx512)
    }
}

fn kernels(target: Target, draw: impl Fn(&mut GraphBuilder) -> usize) -> Vec<Kernel> {
    let mut builder = GraphBuilder::default();
    let output = draw(&mut builder);
    let graph = builder.finish(&[output]);
    compile(&graph, &options(target)).unwrap().kernels
}

fn softmax(rows: i64, columns: i64) -> impl Fn(&mut GraphBuilder) -> usize {
    move |b| {
        let shape = [rows, columns];
        let x = b.input(&shape);
        b.call(SOFTMAX, vec![Node(x), Int(-1), Bool(false)], &shape)
    }
}

/// How many rows a kernel's outermost loop goes on after the tile's last one: visits but one.
fn rows_under_way(kernel: &Kernel) -> i64 {
    let beyond = kernel.body.iter().find_map(|stmt| match stmt {
        Stmt::For { end, .. } if end.as_const().is_none() => {
            let constant = end.terms().iter().find(|term| term.0.is_empty());
            constant.map(|term| term.1)
        }
        _ => None,
    });
    beyond.unwrap_or(0)
}

/// The statements of the innermost loops, and of the conditions in them.
fn innermost<'k>(block: &'k [Stmt], found: &mut Vec<Vec<&'k Stmt>>) {
    let mut own = Vec::new();
    let mut is_innermost = true;
    for stmt in block {
        match stmt {
            Stmt::For { body, .. } => {
                is_innermost = false;
                innermost(body, found);
            }
            Stmt::If { then, .. } => own.extend(then),
            _ => own.push(stmt),
        }
    }
    if is_innermost {
        found.push(own);
    }
}

#[track_caller]
fn check(target: Target, draw: impl Fn(&mut GraphBuilder) -> usize, visits: i64) {
    let kernels = kernels(target, draw);
    let most = kernels.iter().map(rows_under_way).max();
    assert_eq!(
        most,
        Some(visits - 1),
        "{}",
        ferroductor_ir::text::print(&kernels[0])
    );
}

#[test]
fn rows_that_exceed_the_caches_go_through_a_pipeline() {
    check(without_caches(), softmax(4096, 96), 3);
}

#[test]
fn rows_that_stay_in_the_caches_do_not() {
    check(Target::of(Isa::Avx512), softmax(4096, 96), 1);
}

#[test]
fn few_rows_do_not() {
    check(without_caches(), softmax(3, 96), 1);
}

#[test]
fn rows_too_long_for_the_second_level_cache_do_not() {
    check(without_caches(), softmax(64, 1 << 18), 1);
}

#[test]
fn one_visit_is_no_pipeline() {
    let sums = |b: &mut GraphBuilder| {
        let x = b.input(&[4096, 96]);
        b.call(SUM, vec![Node(x), ints(&[1]), Bool(true)], &[4096, 1])
    };
    check(without_caches(), sums, 1);
}

#[test]
fn an_iteration_loads_before_it_stores() {
    let all = kernels(without_caches(), softmax(4096, 96));
    let mut loops = Vec::new();
    innermost(&all[0].body, &mut loops);
    let is_store = |s: &&&Stmt| matches!(s, Stmt::Store { .. } | Stmt::Stream { .. });
    let both = loops
        .iter()
        .filter(|own| own.iter().filter(is_store).count() == 2);
    let mut count = 0;
    for own in both {
        let first_store = own.iter().position(|s| is_store(&s)).unwrap();
        let loads = |s: &&Stmt| {
            matches!(
                s,
                Stmt::Let {
                    op: Op::Load { .. },
                    ..
                }
            )
        };
        assert!(!own[first_store..].iter().any(loads));
        count += 1;
    }
    assert_eq!(count, 1);
}

/// A row that is kept over two visits has memory for two rows.
#[test]
fn as_many_rows_are_kept_as_are_under_way() {
    let shape = [4096, 96];
    let all = kernels(without_caches(), |b| {
        let x = b.input(&shape);
        let sum = |b: &mut GraphBuilder, x: usize| {
            b.call(SUM, vec![Node(x), ints(&[1]), Bool(true)], &[4096, 1])
        };
        let binary = |b: &mut GraphBuilder, op: &str, x: usize, y: usize| {
            b.call(op, vec![Node(x), Node(y)], &shape)
        };
        let kept = b.call(EXP, vec![Node(x)], &shape);
        let first = sum(b, kept);
        let scaled = binary(b, DIV, kept, first);
        let turned = b.call(EXP, vec![Node(scaled)], &shape);
        let second = sum(b, turned);
        let shifted = binary(b, ADD, kept, second);
        binary(b, ADD, shifted, scaled)
    });
    let elements: Vec<&IExpr> = all[0].locals.iter().map(|l| &l.elements).collect();
    assert_eq!(rows_under_way(&all[0]), 2);
    assert!(
        elements.contains(&&IExpr::constant(2 * (96 + 16))),
        "{}",
        ferroductor_ir::text::print(&all[0])
    );
}

/// Rows less their sums.
fn less_sums(dtype: DType) -> impl Fn(&mut GraphBuilder) -> usize {
    move |b| {
        let x = b.input_of(dtype, &[4096, 96]);
        let sum = b.call(SUM, vec![Node(x), ints(&[1]), Bool(true)], &[4096, 1]);
        b.call(ADD, vec![Node(x), Node(sum)], &[4096, 96])
    }
}

#[test]
fn quick_visits_of_whole_lines_go_through_a_pipeline() {
    check(without_caches(), less_sums(DType::F32), 2);
}

#[test]
fn quick_visits_of_halves_do_not() {
    check(without_caches(), less_sums(DType::BF16), 1);
}
