//! Loop nests: one per realised tensor (or part of one), with all cheap definitions inlined.

use crate::graph::{Attention, Combine, Companion, E, Expr, Graph, Load, Source, TensorId, visit};
use ferroductor_ir::IExpr;
use std::collections::HashMap;
use std::sync::Arc;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NestId(pub u32);

/// What a nest does at each point of its domain.
#[derive(Clone, Debug)]
pub enum Work {
    /// Stores `value` at `index` (in dimensions of the tensor).
    Store { value: E, index: Vec<IExpr> },
    /// Combines `value` over the reduction variables.
    Reduce { combine: Combine, value: E },
    Contract {
        a: Load,
        b: Load,
        /// Where the second operand is read; elsewhere it is zero.
        inside: Vec<(IExpr, IExpr)>,
    },
    /// `score` is a function of the tensor's dimensions but the last, and of the second reduction
    /// variable. Its companions are made along with the result.
    Attention {
        attention: Box<Attention>,
        companions: Vec<(Companion, TensorId)>,
    },
    Scan {
        combine: Combine,
        dim: usize,
        value: E,
    },
    /// The scatter loop proper; the base has been copied by a nest before it.
    Scatter {
        index: Vec<IExpr>,
        values: Vec<E>,
        value: E,
        accumulate: bool,
    },
}

#[derive(Clone, Debug)]
pub struct Nest {
    pub tensor: TensorId,
    /// Parallel dimensions: variables `0..extents.len()`.
    pub extents: Vec<IExpr>,
    /// Reduction dimensions: the variables after them.
    pub reduced: Vec<IExpr>,
    pub work: Work,
}

impl Nest {
    /// Extents of all variables.
    pub fn domain(&self) -> Vec<IExpr> {
        self.extents.iter().chain(&self.reduced).cloned().collect()
    }

    /// The expressions evaluated at each point.
    pub fn expressions(&self) -> Vec<E> {
        match &self.work {
            Work::Store { value, .. } | Work::Reduce { value, .. } | Work::Scan { value, .. } => {
                vec![value.clone()]
            }
            Work::Contract { a, b, .. } => vec![
                Arc::new(Expr::Load(a.clone())),
                Arc::new(Expr::Load(b.clone())),
            ],
            Work::Scatter { values, value, .. } => {
                values.iter().cloned().chain([value.clone()]).collect()
            }
            Work::Attention { attention, .. } => {
                let operands = attention.operands().into_iter();
                operands
                    .map(|l| Arc::new(Expr::Load(l.clone())))
                    .chain([attention.score.clone()])
                    .collect()
            }
        }
    }

    /// Every load, those inside indices included.
    pub fn loads(&self) -> Vec<Load> {
        let mut loads = Vec::new();
        for e in self.expressions() {
            visit(&e, &mut |e| {
                if let Expr::Load(l) = &**e {
                    loads.push(l.clone());
                }
            });
        }
        loads
    }

    pub fn is_reduce(&self) -> bool {
        matches!(self.work, Work::Reduce { .. })
    }
}

/// All nests, in an order where producers come first.
#[derive(Debug, Default)]
pub struct Nests {
    pub list: Vec<Nest>,
    /// The nests that together define a tensor (several for an assembly).
    pub of_tensor: HashMap<TensorId, Vec<NestId>>,
}

impl Nests {
    pub fn get(&self, id: NestId) -> &Nest {
        &self.list[id.0 as usize]
    }

    fn push(&mut self, nest: Nest) {
        let id = NestId(self.list.len() as u32);
        self.of_tensor.entry(nest.tensor).or_default().push(id);
        self.list.push(nest);
    }

    /// Builds the nests of all realised tensors.
    pub fn build(graph: &Graph, realized: &dyn Fn(TensorId) -> bool) -> Nests {
        let mut nests = Nests::default();
        let mut inliner = Inliner::new(graph, realized);
        for at in 0..graph.tensors.len() as u32 {
            let id = TensorId(at);
            if realized(id) {
                for nest in nests_of(graph, id, &mut inliner) {
                    nests.push(nest);
                }
                if let Source::Companion { of, role } = graph.tensor(id).source {
                    nests.join(id, role, of);
                }
            }
        }
        nests
    }

    /// Lets the nest of an attention make a further result.
    fn join(&mut self, tensor: TensorId, role: Companion, of: TensorId) {
        let ids = self.of_tensor.get(&of).cloned().unwrap_or_default();
        for id in &ids {
            if let Work::Attention { companions, .. } = &mut self.list[id.0 as usize].work {
                companions.push((role, tensor));
            }
        }
        self.of_tensor.insert(tensor, ids);
    }
}

fn identity(rank: usize) -> Vec<IExpr> {
    (0..rank as u32).map(IExpr::var).collect()
}

fn nests_of(graph: &Graph, id: TensorId, inliner: &mut Inliner<'_>) -> Vec<Nest> {
    let tensor = graph.tensor(id);
    let rank = tensor.sizes.len();
    let nest = |extents: &[IExpr], reduced: &[IExpr], work: Work| Nest {
        tensor: id,
        extents: extents.to_vec(),
        reduced: reduced.to_vec(),
        work,
    };
    match &tensor.source {
        // The nest of an attention makes its companions too.
        Source::External | Source::Inner | Source::Companion { .. } => Vec::new(),
        Source::Attention(attention) => {
            let mut attention = attention.clone();
            let reduced = [attention.depth.clone(), attention.keys.clone()];
            let domain: Vec<IExpr> = tensor.sizes.iter().chain(&reduced).cloned().collect();
            attention.score = inliner.inline(&attention.score, &domain);
            let work = Work::Attention {
                attention,
                companions: Vec::new(),
            };
            vec![nest(&tensor.sizes, &reduced, work)]
        }
        Source::Pointwise(value) => {
            let value = inliner.inline(value, &tensor.sizes);
            let index = identity(rank);
            vec![nest(&tensor.sizes, &[], Work::Store { value, index })]
        }
        Source::Reduce {
            combine,
            extents,
            value,
        } => {
            let domain: Vec<IExpr> = tensor.sizes.iter().chain(extents).cloned().collect();
            let value = inliner.inline(value, &domain);
            let combine = *combine;
            vec![nest(
                &tensor.sizes,
                extents,
                Work::Reduce { combine, value },
            )]
        }
        Source::Contract { a, b, k, inside } => {
            let (a, b, inside) = (a.clone(), b.clone(), inside.clone());
            vec![nest(&tensor.sizes, k, Work::Contract { a, b, inside })]
        }
        Source::Scan {
            combine,
            dim,
            value,
        } => {
            let value = inliner.inline(value, &tensor.sizes);
            let (combine, dim) = (*combine, *dim);
            vec![nest(
                &tensor.sizes,
                &[],
                Work::Scan {
                    combine,
                    dim,
                    value,
                },
            )]
        }
        Source::Assemble(parts) => parts
            .iter()
            .map(|part| {
                let value = inliner.inline(&part.value, &part.extents);
                let index = identity(rank)
                    .iter()
                    .zip(&part.offset)
                    .map(|(i, o)| i + o)
                    .collect();
                nest(&part.extents, &[], Work::Store { value, index })
            })
            .collect(),
        Source::Scatter {
            base,
            extents,
            index,
            values,
            value,
            accumulate,
        } => {
            let base = inliner.inline(base, &tensor.sizes);
            let copy = nest(
                &tensor.sizes,
                &[],
                Work::Store {
                    value: base,
                    index: identity(rank),
                },
            );
            let scatter = Work::Scatter {
                index: index.clone(),
                values: values.iter().map(|v| inliner.inline(v, extents)).collect(),
                value: inliner.inline(value, extents),
                accumulate: *accumulate,
            };
            vec![copy, nest(extents, &[], scatter)]
        }
    }
}

/// Replaces loads of tensors without memory by their definitions.
struct Inliner<'a> {
    graph: &'a Graph,
    realized: &'a dyn Fn(TensorId) -> bool,
    /// Definitions already instantiated at an index, so that equal loads stay one subterm.
    done: HashMap<(TensorId, Vec<IExpr>, Vec<*const Expr>), E>,
    /// Keeps every expression whose address is a key above alive.
    alive: Vec<E>,
}

impl<'a> Inliner<'a> {
    fn new(graph: &'a Graph, realized: &'a dyn Fn(TensorId) -> bool) -> Inliner<'a> {
        Inliner {
            graph,
            realized,
            done: HashMap::new(),
            alive: Vec::new(),
        }
    }

    /// `extents` bounds the variables of `root`.
    fn inline(&mut self, root: &E, extents: &[IExpr]) -> E {
        self.done.clear();
        self.alive.clear();
        let mut memo = HashMap::new();
        self.walk(root, extents, &mut memo)
    }

    fn walk(&mut self, e: &E, extents: &[IExpr], memo: &mut HashMap<*const Expr, E>) -> E {
        if let Some(done) = memo.get(&Arc::as_ptr(e)) {
            return done.clone();
        }
        let new: E = match &**e {
            Expr::Const(..) | Expr::Index(_) => e.clone(),
            Expr::Load(l) => self.load(l, extents, memo),
            Expr::Prim { prim, args, dtype } => Arc::new(Expr::Prim {
                prim: *prim,
                args: args.iter().map(|a| self.walk(a, extents, memo)).collect(),
                dtype: *dtype,
            }),
            Expr::Convert(v, d) => Arc::new(Expr::Convert(self.walk(v, extents, memo), *d)),
            Expr::Round(v, d) => Arc::new(Expr::Round(self.walk(v, extents, memo), *d)),
            Expr::Guard {
                bounds,
                value,
                other,
            } => Arc::new(Expr::Guard {
                bounds: bounds.clone(),
                value: self.walk(value, extents, memo),
                other: self.walk(other, extents, memo),
            }),
            Expr::Check {
                value,
                bound,
                error,
            } => Arc::new(Expr::Check {
                value: self.walk(value, extents, memo),
                bound: bound.clone(),
                error: *error,
            }),
        };
        self.alive.push(e.clone());
        memo.insert(Arc::as_ptr(e), new.clone());
        new
    }

    fn load(&mut self, l: &Load, extents: &[IExpr], memo: &mut HashMap<*const Expr, E>) -> E {
        let values: Vec<E> = l
            .values
            .iter()
            .map(|v| self.walk(v, extents, memo))
            .collect();
        let definition = match &self.graph.tensor(l.tensor).source {
            Source::Pointwise(value) if !(self.realized)(l.tensor) => value.clone(),
            _ => {
                return Arc::new(Expr::Load(Load {
                    values,
                    ..l.clone()
                }));
            }
        };
        let key = (
            l.tensor,
            l.index.clone(),
            values.iter().map(Arc::as_ptr).collect::<Vec<_>>(),
        );
        if let Some(done) = self.done.get(&key) {
            return done.clone();
        }
        let here = place(&definition, &l.index, &values, extents);
        let new = self.walk(&here, extents, &mut HashMap::new());
        self.alive.extend(values);
        self.alive.push(here);
        self.done.insert(key, new.clone());
        new
    }
}

/// A definition at an index: variables become index expressions, whose `Atom::Value(k)` stand for
/// `values[k]`.
fn place(definition: &E, index: &[IExpr], values: &[E], extents: &[IExpr]) -> E {
    if values.is_empty() {
        return crate::graph::substitute(definition, index, extents);
    }
    place_indirect(definition, index, values, extents)
}

/// Like [`place`] where the index itself is loaded: each load in the definition carries the values
/// along, after its own.
fn place_indirect(root: &E, index: &[IExpr], values: &[E], extents: &[IExpr]) -> E {
    let mut memo: HashMap<*const Expr, E> = HashMap::new();
    crate::graph::visit(root, &mut |e| {
        let new = place_term(e, &memo, index, values, extents);
        memo.insert(Arc::as_ptr(e), new);
    });
    memo.remove(&Arc::as_ptr(root))
        .unwrap_or_else(|| root.clone())
}

/// One term of [`place_indirect`], its subterms already placed.
fn place_term(
    e: &E,
    placed: &HashMap<*const Expr, E>,
    index: &[IExpr],
    values: &[E],
    extents: &[IExpr],
) -> E {
    use ferroductor_ir::{Atom, Extents};
    let ranges = Extents(extents);
    let done = |e: &E| placed.get(&Arc::as_ptr(e)).unwrap_or(e).clone();
    match &**e {
        Expr::Const(..) => e.clone(),
        Expr::Index(i) => {
            let at = i.with_vars(index, &ranges);
            let value = single_value(&at).and_then(|k| values.get(k as usize).cloned());
            // An index expression of loaded positions is rebuilt from arithmetic.
            value.unwrap_or_else(|| arithmetic(&at, values))
        }
        Expr::Load(l) => {
            let own = l.values.len() as u32;
            let after_own = |a: &Atom| match a {
                Atom::Value(k) => Some(IExpr::value(k + own)),
                _ => None,
            };
            let shifted: Vec<IExpr> = index
                .iter()
                .map(|i| i.substitute(&after_own, &ranges))
                .collect();
            Arc::new(Expr::Load(Load {
                tensor: l.tensor,
                index: l
                    .index
                    .iter()
                    .map(|i| i.with_vars(&shifted, &ranges))
                    .collect(),
                values: l
                    .values
                    .iter()
                    .map(done)
                    .chain(values.iter().cloned())
                    .collect(),
                dtype: l.dtype,
            }))
        }
        Expr::Prim { prim, args, dtype } => Arc::new(Expr::Prim {
            prim: *prim,
            args: args.iter().map(done).collect(),
            dtype: *dtype,
        }),
        Expr::Convert(v, d) => Arc::new(Expr::Convert(done(v), *d)),
        Expr::Round(v, d) => Arc::new(Expr::Round(done(v), *d)),
        Expr::Check {
            value,
            bound,
            error,
        } => Arc::new(Expr::Check {
            value: done(value),
            bound: bound.clone(),
            error: *error,
        }),
        // `realize` never inlines a guard under a loaded index.
        Expr::Guard { .. } => e.clone(),
    }
}

fn single_value(e: &IExpr) -> Option<u32> {
    match e.terms() {
        [(m, 1)] => match m.as_slice() {
            [ferroductor_ir::Atom::Value(k)] => Some(*k),
            _ => None,
        },
        _ => None,
    }
}

/// An index expression over loaded values as scalar arithmetic on `i64`.
fn arithmetic(e: &IExpr, values: &[E]) -> E {
    use crate::graph::{index, int, prim};
    use ferroductor_ir::{Atom, Prim};
    let mut sum: Option<E> = None;
    for (monomial, coefficient) in e.terms() {
        let mut product = int(*coefficient);
        for atom in monomial {
            let factor = match atom {
                Atom::Value(k) => values.get(*k as usize).cloned().unwrap_or_else(|| int(0)),
                Atom::FloorDiv(a, b) => prim(
                    Prim::FloorDivide,
                    &[&arithmetic(a, values), &arithmetic(b, values)],
                ),
                Atom::Mod(a, b) => prim(
                    Prim::Remainder,
                    &[&arithmetic(a, values), &arithmetic(b, values)],
                ),
                other => index(IExpr::atom(other.clone())),
            };
            product = prim(Prim::Mul, &[&product, &factor]);
        }
        sum = Some(match sum {
            None => product,
            Some(s) => prim(Prim::Add, &[&s, &product]),
        });
    }
    sum.unwrap_or_else(|| int(0))
}
