//! Reading a node's arguments: by position or keyword, with the kinds of value that ATen takes.

use super::{Lowered, Lowerer, Meaning, Reason};
use crate::graph::{self, E, View};
use ferroductor_ir::{DType, IExpr, Literal, fx};

/// The arguments of one node.
pub struct Args<'a> {
    pub node: &'a fx::Node,
}

impl<'a> Args<'a> {
    pub fn new(node: &'a fx::Node) -> Args<'a> {
        Args { node }
    }

    /// The argument at a position or under its schema name; `None` where it is left out or None.
    pub fn get(&self, position: usize, name: &str) -> Option<&'a fx::Arg> {
        let arg = self
            .node
            .args
            .get(position)
            .or_else(|| self.node.kwarg(name))?;
        (*arg != fx::Arg::None).then_some(arg)
    }

    pub fn need(&self, position: usize, name: &str) -> Lowered<&'a fx::Arg> {
        self.get(position, name)
            .ok_or_else(|| Reason::new(format!("argument {name} is missing")))
    }

    /// How many arguments are given by position.
    pub fn count(&self) -> usize {
        self.node.args.len()
    }

    pub fn bool(&self, position: usize, name: &str, default: bool) -> Lowered<bool> {
        match self.get(position, name) {
            None => Ok(default),
            Some(fx::Arg::Bool(b)) => Ok(*b),
            Some(fx::Arg::Int(i)) => Ok(*i != 0),
            Some(_) => Err(Reason::new(format!("argument {name} is not a bool"))),
        }
    }

    pub fn int(&self, position: usize, name: &str) -> Lowered<Option<i64>> {
        match self.get(position, name) {
            None => Ok(None),
            Some(fx::Arg::Int(i)) => Ok(Some(*i)),
            Some(_) => Err(Reason::new(format!(
                "argument {name} is not a static integer"
            ))),
        }
    }

    pub fn float(&self, position: usize, name: &str, default: f64) -> Lowered<f64> {
        match self.get(position, name) {
            None => Ok(default),
            Some(fx::Arg::Int(i)) => Ok(*i as f64),
            Some(fx::Arg::Float(x)) => Ok(*x),
            Some(_) => Err(Reason::new(format!(
                "argument {name} is not a static number"
            ))),
        }
    }

    pub fn str(&self, position: usize, name: &str) -> Lowered<Option<&'a str>> {
        match self.get(position, name) {
            None => Ok(None),
            Some(fx::Arg::Str(s)) => Ok(Some(s)),
            Some(_) => Err(Reason::new(format!("argument {name} is not a string"))),
        }
    }

    /// A dimension number made non-negative.
    pub fn dim(&self, position: usize, name: &str, rank: usize, default: i64) -> Lowered<usize> {
        wrap_dim(self.int(position, name)?.unwrap_or(default), rank)
    }

    /// A list of static integers (one integer counts as a list of one).
    pub fn ints(&self, position: usize, name: &str) -> Lowered<Option<Vec<i64>>> {
        match self.get(position, name) {
            None => Ok(None),
            Some(fx::Arg::Int(i)) => Ok(Some(vec![*i])),
            Some(fx::Arg::List(items)) => items
                .iter()
                .map(|a| match a {
                    fx::Arg::Int(i) => Ok(*i),
                    _ => Err(Reason::new(format!("argument {name} is not static"))),
                })
                .collect::<Lowered<Vec<i64>>>()
                .map(Some),
            Some(_) => Err(Reason::new(format!("argument {name} is not a list"))),
        }
    }

    /// Dimensions to reduce: all of them where the argument is missing or empty.
    pub fn dims(&self, position: usize, name: &str, rank: usize) -> Lowered<Vec<usize>> {
        let list = self.ints(position, name)?.unwrap_or_default();
        if list.is_empty() {
            return Ok((0..rank).collect());
        }
        if rank == 0 {
            return Ok(Vec::new());
        }
        list.into_iter().map(|d| wrap_dim(d, rank)).collect()
    }

    /// Is the argument a number rather than a tensor?
    pub fn is_number(arg: &fx::Arg) -> bool {
        matches!(arg, fx::Arg::Int(_) | fx::Arg::Float(_) | fx::Arg::Bool(_))
    }
}

pub fn wrap_dim(dim: i64, rank: usize) -> Lowered<usize> {
    let rank = rank.max(1) as i64;
    let wrapped = if dim < 0 { dim + rank } else { dim };
    if (0..rank).contains(&wrapped) {
        Ok(wrapped as usize)
    } else {
        Err(Reason::new(format!("dimension {dim} is out of range")))
    }
}

/// A number as a literal.
pub fn literal(arg: &fx::Arg) -> Lowered<Literal> {
    match arg {
        fx::Arg::Bool(b) => Ok(Literal::Bool(*b)),
        fx::Arg::Int(i) => Ok(Literal::Int(*i)),
        fx::Arg::Float(x) => Ok(Literal::Float(*x)),
        _ => Err(Reason::new("an argument is not a static number")),
    }
}

/// The least and the greatest number of an integer dtype.
pub fn range(dtype: DType) -> Option<(i64, i64)> {
    Some(match dtype {
        DType::U8 => (0, i64::from(u8::MAX)),
        DType::I8 => (i64::from(i8::MIN), i64::from(i8::MAX)),
        DType::I16 => (i64::from(i16::MIN), i64::from(i16::MAX)),
        DType::I32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        DType::I64 => (i64::MIN, i64::MAX),
        _ => return None,
    })
}

/// Does ATen convert a number to a dtype without an error? To an unsigned type negative numbers
/// may wrap around (`c10::overflows`).
fn fits(number: Literal, dtype: DType) -> bool {
    let Some((low, high)) = range(dtype) else {
        return true;
    };
    let low = if low == 0 { -high } else { low };
    match number {
        Literal::Float(x) => x >= low as f64 && x <= high as f64,
        other => (low..=high).contains(&other.as_i64()),
    }
}

/// A tensor or number operand of a pointwise operator.
#[derive(Clone, Debug)]
pub enum Operand {
    Tensor(View),
    Number(Literal),
    /// A symbolic integer used as a number.
    Size(IExpr),
}

impl Lowerer<'_> {
    /// What an argument that names a node means.
    pub(crate) fn meaning(&self, arg: &fx::Arg) -> Lowered<&Meaning> {
        match arg {
            fx::Arg::Node(n) => self
                .module
                .meanings
                .get(*n)
                .ok_or_else(|| Reason::new("an argument comes later than its use")),
            _ => Err(Reason::new("an argument is not a node")),
        }
    }

    /// A plain tensor of a native dtype.
    pub(crate) fn tensor(&self, arg: &fx::Arg) -> Lowered<View> {
        if let fx::Arg::Node(n) = arg
            && let Some(node) = self.fx.nodes.get(*n)
            && let fx::Value::Tensor(meta) = &node.value
            && !meta.is_plain
        {
            return Err(Reason::new("an argument is not a plain CPU tensor"));
        }
        match self.meaning(arg)? {
            Meaning::Tensor(view) if view.dtype.is_native() => Ok(view.clone()),
            Meaning::Tensor(view) => Err(Reason::new(format!(
                "dtype {} has no native code",
                view.dtype
            ))),
            _ => Err(Reason::new("an argument is not a tensor")),
        }
    }

    pub(crate) fn operand(&self, arg: &fx::Arg) -> Lowered<Operand> {
        if Args::is_number(arg) {
            return Ok(Operand::Number(literal(arg)?));
        }
        if let fx::Arg::Node(_) = arg
            && let Meaning::Size(e) = self.meaning(arg)?
        {
            return Ok(Operand::Size(e.clone()));
        }
        Ok(Operand::Tensor(self.tensor(arg)?))
    }

    /// An operand that ATen refuses to convert where it does not fit, and says so better than we.
    pub(crate) fn fitting(&self, arg: &fx::Arg, dtype: DType) -> Lowered<Operand> {
        match self.operand(arg)? {
            Operand::Number(number) if !fits(number, dtype) => {
                Err(Reason::new(format!("a number beyond the range of {dtype}")))
            }
            operand => Ok(operand),
        }
    }

    /// An integer that may be symbolic.
    pub(crate) fn size(&self, arg: &fx::Arg) -> Lowered<IExpr> {
        match arg {
            fx::Arg::Int(i) => Ok(IExpr::constant(*i)),
            fx::Arg::Node(_) => match self.meaning(arg)? {
                Meaning::Size(e) => Ok(e.clone()),
                _ => Err(Reason::new("an argument is not an integer")),
            },
            _ => Err(Reason::new("an argument is not an integer")),
        }
    }

    pub(crate) fn size_list(&self, arg: &fx::Arg) -> Lowered<Vec<IExpr>> {
        match arg {
            fx::Arg::List(items) => items.iter().map(|a| self.size(a)).collect(),
            _ => Err(Reason::new("an argument is not a list of integers")),
        }
    }

    pub(crate) fn tensor_list(&self, arg: &fx::Arg) -> Lowered<Vec<View>> {
        match arg {
            fx::Arg::List(items) => items.iter().map(|a| self.tensor(a)).collect(),
            _ => Err(Reason::new("an argument is not a list of tensors")),
        }
    }

    /// The operand's element at `at` (an index of the broadcast shape `sizes`), in `dtype`.
    pub(crate) fn element(
        &self,
        operand: &Operand,
        at: &[IExpr],
        sizes: &[IExpr],
        dtype: DType,
    ) -> E {
        match operand {
            Operand::Number(literal) => graph::constant(fold(*literal, dtype), dtype),
            Operand::Size(e) => graph::convert(&graph::index(e.clone()), dtype),
            Operand::Tensor(view) => graph::convert(&broadcast(view, at, sizes), dtype),
        }
    }
}

/// A number in a dtype's own kind, as ATen converts scalars: integers wrap around.
fn fold(literal: Literal, dtype: DType) -> Literal {
    let whole = literal.as_i64();
    match dtype {
        d if d.is_float() => Literal::Float(literal.as_f64()),
        DType::Bool => Literal::Bool(literal.as_bool()),
        DType::U8 => Literal::Int(i64::from(whole as u8)),
        DType::I8 => Literal::Int(i64::from(whole as i8)),
        DType::I16 => Literal::Int(i64::from(whole as i16)),
        DType::I32 => Literal::Int(i64::from(whole as i32)),
        _ => Literal::Int(whole),
    }
}

/// The view's element under an index of a larger shape, by the broadcasting rules.
pub fn broadcast(view: &View, at: &[IExpr], sizes: &[IExpr]) -> E {
    let skip = at.len().saturating_sub(view.sizes.len());
    let own: Vec<IExpr> = view
        .sizes
        .iter()
        .zip(&at[skip..])
        .map(|(size, i)| {
            if size.is_one() {
                IExpr::zero()
            } else {
                i.clone()
            }
        })
        .collect();
    view.load(&own, sizes)
}

/// The index variables of a shape.
pub fn variables(rank: usize) -> Vec<IExpr> {
    (0..rank as u32).map(IExpr::var).collect()
}
