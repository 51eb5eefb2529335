//! Programs of the identity compiler, written out.

use super::*;
use ferroductor_abi::{Dim, SizeEntry};
use ferroductor_ir::DType;
use ferroductor_ir::fx::Symbol;

fn tensor(sizes: &[IExpr]) -> Value {
    let mut strides = vec![IExpr::one(); sizes.len()];
    for i in (0..sizes.len().saturating_sub(1)).rev() {
        strides[i] = &strides[i + 1] * &sizes[i + 1];
    }
    Value::Tensor(TensorMeta {
        dtype: DType::F32,
        sizes: sizes.to_vec(),
        strides,
        offset: IExpr::zero(),
        is_plain: true,
        requires_grad: false,
    })
}

fn node(name: &str, kind: Kind, target: &str, args: Vec<Arg>, value: Value) -> Node {
    Node {
        name: name.into(),
        kind,
        target: target.into(),
        args,
        kwargs: Vec::new(),
        value,
        source: None,
    }
}

fn symbols(count: usize) -> Vec<Symbol> {
    (0..count)
        .map(|i| Symbol {
            name: format!("s{i}"),
            hint: Some(4),
            min: 2,
            max: None,
        })
        .collect()
}

fn graph(symbol_count: usize, nodes: Vec<Node>) -> Graph {
    Graph {
        name: "g".into(),
        symbols: symbols(symbol_count),
        nodes,
        ..Graph::default()
    }
}

fn c(v: i64) -> IExpr {
    IExpr::constant(v)
}

#[test]
fn chain_of_calls_releases_what_dies() {
    let program = identity(&graph(
        0,
        vec![
            node("x", Kind::Placeholder, "x", vec![], tensor(&[c(4)])),
            node(
                "a",
                Kind::Call,
                "aten.sin.default",
                vec![Arg::Node(0)],
                tensor(&[c(4)]),
            ),
            node(
                "b",
                Kind::Call,
                "aten.cos.default",
                vec![Arg::Node(1)],
                tensor(&[c(4)]),
            ),
            node(
                "out",
                Kind::Output,
                "output",
                vec![Arg::Node(2), Arg::None],
                Value::None,
            ),
        ],
    ))
    .unwrap();
    assert_eq!(
        program.steps,
        vec![
            Step::Aten { call: 0 },
            Step::Release {
                buffer: BufferId(0)
            },
            Step::Aten { call: 1 },
            Step::Release {
                buffer: BufferId(1)
            },
        ]
    );
    assert_eq!(
        program.outputs,
        vec![Output::Tensor(BufferId(2)), Output::None]
    );
    assert!(!program.aten[0].keeps_arguments);
}

#[test]
fn symbolic_integers_are_not_executed() {
    let twice = &IExpr::size(0) * &c(2);
    let program = identity(&graph(
        1,
        vec![
            node(
                "s",
                Kind::Placeholder,
                "s",
                vec![],
                Value::SymInt(IExpr::size(0)),
            ),
            node(
                "m",
                Kind::Call,
                "<built-in function mul>",
                vec![Arg::Node(0), Arg::Int(2)],
                Value::SymInt(twice.clone()),
            ),
            node(
                "full",
                Kind::Call,
                "aten.full.default",
                vec![Arg::List(vec![Arg::Node(1)]), Arg::Int(1)],
                tensor(std::slice::from_ref(&twice)),
            ),
            node(
                "out",
                Kind::Output,
                "output",
                vec![Arg::Node(2), Arg::Node(1)],
                Value::None,
            ),
        ],
    ))
    .unwrap();
    assert_eq!(program.aten.len(), 1);
    assert_eq!(
        program.aten[0].args[0],
        AtenArg::List(vec![AtenArg::Int(Dim::Slot(1))])
    );
    assert_eq!(program.outputs[1], Output::Size(Dim::Slot(1)));
    assert_eq!(program.inputs, vec![Input::Size { slot: 0 }]);
}

#[test]
fn data_dependent_sizes_are_bound_and_late() {
    let u = IExpr::size(0);
    let program = identity(&graph(
        1,
        vec![
            node("x", Kind::Placeholder, "x", vec![], tensor(&[c(8)])),
            node(
                "nz",
                Kind::Call,
                "aten.nonzero.default",
                vec![Arg::Node(0)],
                tensor(&[u.clone(), c(1)]),
            ),
            node(
                "n",
                Kind::Call,
                "aten.sym_size.int",
                vec![Arg::Node(1), Arg::Int(0)],
                Value::SymInt(u.clone()),
            ),
            node(
                "z",
                Kind::Call,
                "aten.zeros.default",
                vec![Arg::List(vec![Arg::Node(2), Arg::Int(3)])],
                tensor(&[u.clone(), c(3)]),
            ),
            node(
                "v",
                Kind::Call,
                "aten.view.default",
                vec![Arg::Node(3), Arg::List(vec![Arg::Int(-1)])],
                tensor(&[&u * &c(3)]),
            ),
            node(
                "out",
                Kind::Output,
                "output",
                vec![Arg::Node(4)],
                Value::None,
            ),
        ],
    ))
    .unwrap();
    assert_eq!(
        program.aten[0].binds,
        vec![Bind::Dim {
            slot: 0,
            result: 0,
            dim: 0
        }]
    );
    assert_eq!(program.sizes[0], SizeEntry::Unbacked);
    assert!(matches!(program.sizes[1], SizeEntry::Late(_)));
    let calls = |at: usize| matches!(program.steps[at], Step::Aten { .. });
    let sizes = program
        .steps
        .iter()
        .position(|s| matches!(s, Step::Sizes { .. }))
        .unwrap();
    assert!(calls(0) && sizes > 0);
}

#[test]
fn lists_are_taken_apart_while_compiling() {
    let pair = Value::List(vec![tensor(&[c(2)]), Value::None, tensor(&[c(3)])]);
    let program = identity(&graph(
        0,
        vec![
            node("x", Kind::Placeholder, "x", vec![], tensor(&[c(5)])),
            node(
                "s",
                Kind::Call,
                "aten.split_with_sizes.default",
                vec![Arg::Node(0)],
                pair,
            ),
            node(
                "i",
                Kind::Call,
                GETITEM,
                vec![Arg::Node(1), Arg::Int(2)],
                tensor(&[c(3)]),
            ),
            node(
                "out",
                Kind::Output,
                "output",
                vec![Arg::Node(2)],
                Value::None,
            ),
        ],
    ))
    .unwrap();
    assert_eq!(program.aten.len(), 1);
    assert!(program.aten[0].returns_list && program.aten[0].keeps_arguments);
    assert_eq!(
        program.aten[0].results,
        vec![Some(BufferId(1)), None, Some(BufferId(2))]
    );
    assert_eq!(program.outputs, vec![Output::Tensor(BufferId(2))]);
}

#[test]
fn use_before_definition_is_refused() {
    let result = identity(&graph(
        0,
        vec![
            node(
                "a",
                Kind::Call,
                "aten.sin.default",
                vec![Arg::Node(1)],
                tensor(&[c(4)]),
            ),
            node(
                "b",
                Kind::Call,
                "aten.sin.default",
                vec![Arg::Node(0)],
                tensor(&[c(4)]),
            ),
        ],
    ));
    assert!(matches!(result, Err(CompileError::Malformed { .. })));
}

#[test]
fn a_size_that_nothing_gives_is_refused() {
    let product = Value::SymInt(&IExpr::size(0) * &IExpr::size(1));
    let result = identity(&graph(
        2,
        vec![
            node("m", Kind::Call, "<built-in function mul>", vec![], product),
            node(
                "out",
                Kind::Output,
                "output",
                vec![Arg::Node(0)],
                Value::None,
            ),
        ],
    ));
    assert!(matches!(result, Err(CompileError::Unsupported { .. })));
}
