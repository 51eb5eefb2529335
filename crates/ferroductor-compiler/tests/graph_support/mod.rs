//! Small graphs written by hand or drawn by lot, as AOTAutograd would hand them over.

#![allow(dead_code)] // Each test file uses a part.

use ferroductor_compiler::lower::Numerics;
use ferroductor_compiler::plan::CompilerOptions;
use ferroductor_ir::fx::{Arg, Graph, Kind, Node, TensorMeta, Value};
use ferroductor_ir::kernel::Target;
use ferroductor_ir::{DType, IExpr};

/// A graph under construction; values are named by their position.
#[derive(Default)]
pub struct GraphBuilder {
    nodes: Vec<Node>,
    pub shapes: Vec<Vec<i64>>,
}

impl GraphBuilder {
    fn push(&mut self, kind: Kind, target: &str, args: Vec<Arg>, shape: &[i64]) -> usize {
        let at = self.nodes.len();
        let stem = target.split('.').nth(1).unwrap_or("x");
        self.nodes.push(Node {
            name: format!("{stem}_{at}"),
            kind,
            target: target.into(),
            args,
            kwargs: Vec::new(),
            value: Value::Tensor(meta(shape)),
            source: None,
        });
        self.shapes.push(shape.to_vec());
        at
    }

    pub fn input(&mut self, shape: &[i64]) -> usize {
        let target = format!("input.{}", self.nodes.len());
        self.push(Kind::Placeholder, &target, Vec::new(), shape)
    }

    pub fn input_of(&mut self, dtype: DType, shape: &[i64]) -> usize {
        let at = self.input(shape);
        if let Value::Tensor(meta) = &mut self.nodes[at].value {
            meta.dtype = dtype;
        }
        at
    }

    pub fn call(&mut self, target: &str, args: Vec<Arg>, shape: &[i64]) -> usize {
        self.push(Kind::Call, target, args, shape)
    }

    pub fn finish(mut self, outputs: &[usize]) -> Graph {
        let args = outputs.iter().map(|o| Arg::Node(*o)).collect();
        self.push(Kind::Output, "output", args, &[]);
        if let Some(last) = self.nodes.last_mut() {
            last.value = Value::None;
        }
        Graph {
            name: "test".into(),
            nodes: self.nodes,
            ..Graph::default()
        }
    }
}

/// A dense `float32` tensor.
fn meta(shape: &[i64]) -> TensorMeta {
    let mut strides = vec![1; shape.len()];
    for d in (1..shape.len()).rev() {
        strides[d - 1] = strides[d] * shape[d];
    }
    let constants = |list: &[i64]| list.iter().map(|c| IExpr::constant(*c)).collect();
    TensorMeta {
        dtype: DType::F32,
        sizes: constants(shape),
        strides: constants(&strides),
        offset: IExpr::zero(),
        is_plain: true,
        requires_grad: false,
    }
}

pub fn ints(list: &[i64]) -> Arg {
    Arg::List(list.iter().map(|i| Arg::Int(*i)).collect())
}

pub fn options(target: Target) -> CompilerOptions {
    CompilerOptions {
        target,
        numerics: Numerics::default(),
    }
}
