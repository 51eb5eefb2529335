//! Tensor IR: what each tensor's elements are, as scalar expressions over index variables.
//!
//! Lowering turns every FX node into a [`View`] of a [`Tensor`]. A view is an index map and costs
//! nothing. A tensor is *defined*, not computed: whether it gets memory is decided by fusion.
//!
//! What must hold:
//! * in a tensor's definition `Atom::Var(k)` is dimension `k`; reduction variables follow;
//! * expressions are computed in the compute type (`f32` for half precision): a load yields the
//!   compute type of its tensor;
//! * `Atom::Value(k)` occurs only in the index of a `Load`, where it means `values[k]`.

use ferroductor_ir::{Atom, DType, Extents, IExpr, Literal, Prim};
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TensorId(pub u32);

/// A scalar expression; shared subterms are shared pointers.
pub type E = Arc<Expr>;

#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    Const(Literal, DType),
    /// The value of an index expression, as `i64`.
    Index(IExpr),
    Load(Load),
    Prim {
        prim: Prim,
        args: Vec<E>,
        dtype: DType,
    },
    /// Value conversion between compute types.
    Convert(E, DType),
    /// Rounded to a half precision type, still in `f32`.
    Round(E, DType),
    /// `value` where every `(expression, bound)` has `0 <= expression < bound`, else `other`.
    /// `value` is only evaluated at indices clamped into the bounds, so its loads stay in memory.
    Guard {
        bounds: Vec<(IExpr, IExpr)>,
        value: E,
        other: E,
    },
    /// `value` (an `i64`), after checking `0 <= value < bound`; else the kernel fails with `error`.
    Check {
        value: E,
        bound: IExpr,
        error: u32,
    },
}

/// One element of a tensor, by one index per dimension.
#[derive(Clone, Debug, PartialEq)]
pub struct Load {
    pub tensor: TensorId,
    pub index: Vec<IExpr>,
    /// What `Atom::Value(k)` in `index` stands for: `i64` expressions.
    pub values: Vec<E>,
    /// The compute type of the tensor.
    pub dtype: DType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Combine {
    Sum,
    Prod,
    Max,
    Min,
    Any,
    All,
    /// Position of the first maximum (NaN counts as the largest), as `i64`.
    ArgMax,
    ArgMin,
}

#[derive(Clone, Debug)]
pub enum Source {
    /// In memory when the graph starts, or the result of an ATen call.
    External,
    Pointwise(E),
    /// Over `extents`, with variables after the tensor's own. `value` has the accumulation type.
    Reduce {
        combine: Combine,
        extents: Vec<IExpr>,
        value: E,
    },
    /// `out[b…, m, n] = sum_k a(b…, m, k) * b(b…, k, n)`; operands are loads over the tensor's
    /// dimensions and, from variable `rank` on, those of `k`. Accumulated in `f32`. The second
    /// operand counts as zero, and is not read, where some `(expression, bound)` of `inside` does
    /// not have `0 <= expression < bound`.
    Contract {
        a: Load,
        b: Load,
        k: Vec<IExpr>,
        inside: Vec<(IExpr, IExpr)>,
    },
    Attention(Box<Attention>),
    /// What the kernel of `of`, an attention, makes besides its result.
    Companion {
        of: TensorId,
        role: Companion,
    },
    /// Elements that exist only inside the definition that reads them: no memory, no loops.
    Inner,
    /// Running combination along dimension `dim`.
    Scan {
        combine: Combine,
        dim: usize,
        value: E,
    },
    /// A copy of `base`, then for every point of `extents` (variables `0..`) `value` stored at or
    /// added to the element `index` (whose `Atom::Value(k)` is `values[k]`), in order.
    Scatter {
        base: E,
        extents: Vec<IExpr>,
        index: Vec<IExpr>,
        values: Vec<E>,
        value: E,
        accumulate: bool,
    },
    /// Disjoint boxes that cover the tensor: part `p`, over its `extents`, stands at `offset`.
    Assemble(Vec<Part>),
}

/// A further result of an attention's kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Companion {
    /// The logarithm of the sum of exponentials of each row of scores: `(b…, m)`.
    LogSumExp,
    /// Where there is a [`Gradient`], that of the key, `(b…, n, d)`, and of the value, `(b…, n, c)`.
    KeyGradient,
    ValueGradient,
}

/// `out[b…, m, c] = sum_n p(n) v(b…, n, c)`, where `p` is the softmax over `n` of the scores.
///
/// Variables are the dimensions of the tensor, then `d` and `n`. With a gradient, the tensor is the
/// query's gradient `(b…, m, d)`, and its variables are followed by `c` and `n`.
#[derive(Clone, Debug)]
pub struct Attention {
    /// Read at `(b…, m, d)`, `(b…, n, d)` and `(b…, n, c)`.
    pub query: Load,
    pub key: Load,
    pub value: Load,
    /// Extents of `d`, or with a gradient of `c`, and of `n`.
    pub depth: IExpr,
    pub keys: IExpr,
    /// Stands for `sum_d query * key` in `score`: an `Inner` tensor over `(b…, m, n)`.
    pub product: TensorId,
    /// In the accumulation type.
    pub score: E,
    /// Scores of keys after the row's own number are negative infinity whatever `score` is.
    pub causal: bool,
    /// A row whose scores all are negative infinity gives zeros; otherwise NaN, as arithmetic has
    /// it.
    pub zeros_if_unseen: bool,
    pub gradient: Option<Gradient>,
}

/// What the gradients of an attention are made of, besides its operands.
#[derive(Clone, Debug)]
pub struct Gradient {
    /// Of the result, at `(b…, m, c)`.
    pub result: Load,
    /// At `(b…, m)`: the logarithm of the sum of exponentials of the scores, and the sum over `c` of
    /// the result times its gradient.
    pub log_sum: Load,
    pub share: Load,
    /// How fast the score grows with the product: a number.
    pub scale: E,
}

impl Gradient {
    pub fn loads(&self) -> [&Load; 3] {
        [&self.result, &self.log_sum, &self.share]
    }
}

impl Attention {
    /// Everything that is read from memory apart from what the score reads.
    pub fn operands(&self) -> Vec<&Load> {
        let mut operands = vec![&self.query, &self.key, &self.value];
        operands.extend(self.gradient.iter().flat_map(Gradient::loads));
        operands
    }
}

#[derive(Clone, Debug)]
pub struct Part {
    pub offset: Vec<IExpr>,
    pub extents: Vec<IExpr>,
    pub value: E,
}

#[derive(Clone, Debug)]
pub struct Tensor {
    pub dtype: DType,
    pub sizes: Vec<IExpr>,
    /// In elements; used if the tensor gets memory.
    pub strides: Vec<IExpr>,
    pub source: Source,
    /// Name of the FX node it comes from.
    pub name: String,
    /// Operators folded into the definition, for people.
    pub op: String,
}

/// A tensor seen through an index map: dimension `d` of the view is `Atom::Var(d)`.
#[derive(Clone, Debug)]
pub struct View {
    pub tensor: TensorId,
    pub dtype: DType,
    pub sizes: Vec<IExpr>,
    /// One expression per dimension of the tensor.
    pub index: Vec<IExpr>,
}

impl View {
    /// Is it the whole tensor, in its own shape?
    pub fn is_identity(&self, graph: &Graph) -> bool {
        let tensor = graph.tensor(self.tensor);
        tensor.sizes == self.sizes
            && self
                .index
                .iter()
                .enumerate()
                .all(|(d, e)| e.as_var() == Some(d as u32) || tensor.sizes[d].is_one())
    }

    /// The element at `at`, an index per dimension of the view. `extents` bounds the variables
    /// that `at` is made of.
    pub fn load(&self, at: &[IExpr], extents: &[IExpr]) -> E {
        self.load_with(at, Vec::new(), extents)
    }

    /// Like [`View::load`], with `Atom::Value(k)` in `at` standing for `values[k]`.
    pub fn load_with(&self, at: &[IExpr], values: Vec<E>, extents: &[IExpr]) -> E {
        let ranges = Extents(extents);
        let index = self
            .index
            .iter()
            .map(|e| e.with_vars(at, &ranges))
            .collect();
        Arc::new(Expr::Load(Load {
            tensor: self.tensor,
            index,
            values,
            dtype: self.dtype.compute(),
        }))
    }

    /// The view with dimension `d` replaced: new sizes, and for each old dimension an expression
    /// over the new ones.
    pub fn remap(&self, sizes: Vec<IExpr>, old: &[IExpr]) -> View {
        let ranges = Extents(&sizes);
        let index = self
            .index
            .iter()
            .map(|e| e.with_vars(old, &ranges))
            .collect();
        View {
            tensor: self.tensor,
            dtype: self.dtype,
            index,
            sizes,
        }
    }
}

#[derive(Debug, Default)]
pub struct Graph {
    pub tensors: Vec<Tensor>,
    /// Messages of failed checks; `Expr::Check::error` is a position here.
    pub errors: Vec<ferroductor_abi::KernelError>,
    /// Example values of the size symbols, for cost estimates.
    pub hints: Vec<i64>,
}

impl Graph {
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        &self.tensors[id.0 as usize]
    }

    pub fn add(&mut self, tensor: Tensor) -> TensorId {
        self.tensors.push(tensor);
        TensorId(self.tensors.len() as u32 - 1)
    }

    /// The whole tensor as a view.
    pub fn view(&self, id: TensorId) -> View {
        let tensor = self.tensor(id);
        View {
            tensor: id,
            dtype: tensor.dtype,
            sizes: tensor.sizes.clone(),
            index: (0..tensor.sizes.len() as u32).map(IExpr::var).collect(),
        }
    }

    /// The value with the example's sizes (at least 1 where unknown).
    pub fn hint(&self, size: &IExpr) -> i64 {
        size.eval(&|atom| match atom {
            Atom::Size(s) => Some(self.hints.get(*s as usize).copied().unwrap_or(64)),
            _ => Some(1),
        })
        .unwrap_or(1)
    }

    /// Do the strides place the elements without gaps and overlaps, in some order of dimensions?
    /// Where the sizes' forms leave it open, the example decides: layouts do not change with sizes.
    pub fn is_dense(&self, sizes: &[IExpr], strides: &[IExpr]) -> bool {
        let example = |list: &[IExpr]| -> Vec<IExpr> {
            list.iter().map(|e| IExpr::constant(self.hint(e))).collect()
        };
        is_dense(sizes, strides) || is_dense(&example(sizes), &example(strides))
    }

    /// Are different elements at different places? With sizes that are not known, as in the example.
    pub fn is_apart(&self, sizes: &[IExpr], strides: &[IExpr]) -> bool {
        let mut dims: Vec<(i64, i64)> = strides
            .iter()
            .zip(sizes)
            .map(|(stride, size)| (self.hint(stride), self.hint(size)))
            .filter(|(_, size)| *size != 1)
            .collect();
        dims.sort_unstable();
        let mut reach = 1i64;
        dims.iter().all(|(stride, size)| {
            let is_past = *stride >= reach;
            reach = stride.saturating_mul((*size).max(1));
            is_past
        })
    }

    pub fn hint_numel(&self, sizes: &[IExpr]) -> i64 {
        sizes
            .iter()
            .fold(1i64, |acc, s| acc.saturating_mul(self.hint(s).max(0)))
    }
}

/// Is it proved that the strides leave neither gaps nor overlaps?
fn is_dense(sizes: &[IExpr], strides: &[IExpr]) -> bool {
    let mut left: Vec<usize> = (0..sizes.len()).filter(|d| !sizes[*d].is_one()).collect();
    let mut expected = IExpr::one();
    while !left.is_empty() {
        let Some(at) = left.iter().position(|d| strides[*d] == expected) else {
            return false;
        };
        expected = &expected * &sizes[left[at]];
        left.remove(at);
    }
    true
}

/// Row-major strides of a shape.
pub fn contiguous_strides(sizes: &[IExpr]) -> Vec<IExpr> {
    let mut strides = vec![IExpr::one(); sizes.len()];
    for d in (0..sizes.len().saturating_sub(1)).rev() {
        strides[d] = &strides[d + 1] * &sizes[d + 1];
    }
    strides
}

impl Expr {
    /// The type of the value.
    pub fn dtype(&self) -> DType {
        match self {
            Expr::Const(_, d) | Expr::Convert(_, d) => *d,
            Expr::Index(_) | Expr::Check { .. } => DType::I64,
            Expr::Load(l) => l.dtype,
            Expr::Prim { dtype, .. } => *dtype,
            Expr::Round(e, _) => e.dtype(),
            Expr::Guard { value, .. } => value.dtype(),
        }
    }

    /// Direct subterms, those of load indices included.
    pub fn children(&self) -> Vec<&E> {
        match self {
            Expr::Const(..) | Expr::Index(_) => Vec::new(),
            Expr::Load(l) => l.values.iter().collect(),
            Expr::Prim { args, .. } => args.iter().collect(),
            Expr::Convert(e, _) | Expr::Round(e, _) => vec![e],
            Expr::Guard { value, other, .. } => vec![value, other],
            Expr::Check { value, .. } => vec![value],
        }
    }
}

/// Visits each distinct subterm once, children first.
pub fn visit(root: &E, f: &mut dyn FnMut(&E)) {
    fn walk(e: &E, seen: &mut std::collections::HashSet<*const Expr>, f: &mut dyn FnMut(&E)) {
        if !seen.insert(Arc::as_ptr(e)) {
            return;
        }
        for child in e.children() {
            walk(child, seen, f);
        }
        f(e);
    }
    walk(root, &mut Default::default(), f);
}

/// Rewrites every index variable: `Var(k)` becomes `values[k]`.
pub fn substitute(root: &E, values: &[IExpr], extents: &[IExpr]) -> E {
    let ranges = Extents(extents);
    rewrite_indices(root, &|e| e.with_vars(values, &ranges))
}

/// Rewrites every index expression by `f`, keeping sharing.
pub fn rewrite_indices(root: &E, f: &dyn Fn(&IExpr) -> IExpr) -> E {
    fn walk(
        e: &E,
        f: &dyn Fn(&IExpr) -> IExpr,
        memo: &mut std::collections::HashMap<*const Expr, E>,
    ) -> E {
        if let Some(done) = memo.get(&Arc::as_ptr(e)) {
            return done.clone();
        }
        let new = match &**e {
            Expr::Const(..) => e.clone(),
            Expr::Index(i) => Arc::new(Expr::Index(f(i))),
            Expr::Load(l) => Arc::new(Expr::Load(Load {
                tensor: l.tensor,
                index: l.index.iter().map(f).collect(),
                values: l.values.iter().map(|v| walk(v, f, memo)).collect(),
                dtype: l.dtype,
            })),
            Expr::Prim { prim, args, dtype } => Arc::new(Expr::Prim {
                prim: *prim,
                args: args.iter().map(|a| walk(a, f, memo)).collect(),
                dtype: *dtype,
            }),
            Expr::Convert(v, d) => Arc::new(Expr::Convert(walk(v, f, memo), *d)),
            Expr::Round(v, d) => Arc::new(Expr::Round(walk(v, f, memo), *d)),
            Expr::Guard {
                bounds,
                value,
                other,
            } => Arc::new(Expr::Guard {
                bounds: bounds.iter().map(|(e, b)| (f(e), f(b))).collect(),
                value: walk(value, f, memo),
                other: walk(other, f, memo),
            }),
            Expr::Check {
                value,
                bound,
                error,
            } => Arc::new(Expr::Check {
                value: walk(value, f, memo),
                bound: f(bound),
                error: *error,
            }),
        };
        memo.insert(Arc::as_ptr(e), new.clone());
        new
    }
    walk(root, f, &mut Default::default())
}

// Constructors, with the folding that lowering relies on.

pub fn constant(value: Literal, dtype: DType) -> E {
    Arc::new(Expr::Const(value, dtype.compute()))
}

pub fn float(value: f64, dtype: DType) -> E {
    constant(Literal::Float(value), dtype)
}

pub fn int(value: i64) -> E {
    constant(Literal::Int(value), DType::I64)
}

pub fn index(expr: IExpr) -> E {
    match expr.as_const() {
        Some(c) => int(c),
        None => Arc::new(Expr::Index(expr)),
    }
}

/// Applies a prim; the result type follows from the operands.
pub fn prim(prim: Prim, args: &[&E]) -> E {
    let dtype = if prim.is_comparison() {
        DType::Bool
    } else {
        args[if prim == Prim::Select { 1 } else { 0 }].dtype()
    };
    Arc::new(Expr::Prim {
        prim,
        args: args.iter().map(|a| (*a).clone()).collect(),
        dtype,
    })
}

/// Converts to the compute type of `dtype`, folding constants and no-ops.
pub fn convert(e: &E, dtype: DType) -> E {
    let to = dtype.compute();
    if e.dtype() == to {
        return e.clone();
    }
    if let Expr::Const(literal, _) = &**e {
        match to {
            DType::Bool => return constant(Literal::Bool(literal.as_bool()), to),
            DType::F32 | DType::F64 => return constant(Literal::Float(literal.as_f64()), to),
            DType::I64 if !matches!(literal, Literal::Float(_)) => {
                return constant(Literal::Int(literal.as_i64()), to);
            }
            _ => {}
        }
    }
    Arc::new(Expr::Convert(e.clone(), to))
}
