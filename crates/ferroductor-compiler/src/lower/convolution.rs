//! Convolutions: contractions over channels and taps, with the bias as pointwise work behind.
//!
//! The weight is the first operand, so output channels are rows and output positions are columns.
//! For the columns to be contiguous in memory for every tap, each spatial dimension of the input is
//! read in one of three ways ([`Reading`]); two of them need a rearranged copy. Positions in the
//! padding are never read: they fail a bound of the contraction.

use super::args::variables;
use super::matmul::load;
use super::windows::Window;
use super::{Args, Lowered, Lowerer, Meaning, Reason, Rule};
use crate::graph::{self, Combine, E, Expr, Load, Part, Source, View, contiguous_strides, prim};
use crate::layout::geometry;
use ferroductor_ir::{DType, Extents, IExpr, Prim, fx};
use std::sync::Arc;

pub fn rule(name: &str) -> Option<Rule> {
    (name == "aten.convolution").then_some(convolution as Rule)
}

/// Lanes of the widest vectors.
const WIDEST: i64 = 16;
/// Products of at least this depth outweigh a copy of their second operand.
const DEEP: i64 = 512;

/// How tap `j` of output position `o` finds its input along one spatial dimension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// At `o + j*dilation - padding`: the stride is one.
    Direct,
    /// In a copy `[phase, quotient]` of the positions `quotient * stride + phase`.
    Phases,
    /// In a copy `[tap, output]` with one row for each tap.
    Unfolded,
}

impl Window {
    /// What tap `j` adds to `output * stride`.
    fn shift(&self, j: &IExpr) -> IExpr {
        &(j * &IExpr::constant(self.dilation)) - &IExpr::constant(self.padding)
    }

    /// The number of quotients by the stride.
    fn quotients(&self) -> IExpr {
        self.input.ceil_div(self.stride)
    }

    /// Phases that are read: a single tap needs one.
    fn phases(&self) -> i64 {
        if self.kernel == 1 { 1 } else { self.stride }
    }

    /// Positions along the outermost spatial dimension may be any; along the others a row of the
    /// input must be as long as a row of the output.
    fn reading(&self, outermost: bool) -> Reading {
        let fits = |row: &IExpr| outermost || *row == self.output;
        match self.stride {
            1 if fits(&self.input) => Reading::Direct,
            2.. if fits(&self.quotients()) => Reading::Phases,
            _ => Reading::Unfolded,
        }
    }
}

/// A convolution's arguments.
pub(super) struct Convolution {
    /// `[image, channel, spatial...]`.
    pub input: View,
    /// `[output channel, channel of the group, taps...]`.
    pub weight: View,
    pub windows: Vec<Window>,
    pub groups: i64,
    pub meta: fx::TensorMeta,
    /// The columns run over the positions of all images, not of one.
    merged: bool,
}

/// One integer per spatial dimension; a single one stands for all.
pub(super) fn per_dimension(args: &Args<'_>, at: usize, name: &str, n: usize) -> Lowered<Vec<i64>> {
    let list = args.ints(at, name)?.unwrap_or_default();
    match list.len() {
        1 => Ok(vec![list[0]; n]),
        len if len == n => Ok(list),
        _ => Err(Reason::new(format!("argument {name} has the wrong length"))),
    }
}

impl Convolution {
    fn new(cx: &Lowerer<'_>, args: &Args<'_>) -> Lowered<Convolution> {
        let meta = cx.result()?;
        let input = cx.tensor(args.need(0, "input")?)?;
        let weight = cx.tensor(args.need(1, "weight")?)?;
        let rank = meta.sizes.len();
        if rank < 3 || input.sizes.len() != rank || weight.sizes.len() != rank {
            return Err(Reason::new("arguments of unexpected rank"));
        }
        if args.bool(6, "transposed", false)? {
            return Err(Reason::new("a transposed convolution"));
        }
        let n = rank - 2;
        let stride = per_dimension(args, 3, "stride", n)?;
        let padding = per_dimension(args, 4, "padding", n)?;
        let dilation = per_dimension(args, 5, "dilation", n)?;
        let groups = args.int(8, "groups")?.unwrap_or(1);
        let windows = (0..n)
            .map(|d| {
                let kernel = weight.sizes[d + 2].as_const();
                let kernel = kernel.ok_or_else(|| Reason::new("a window of symbolic size"))?;
                Ok(Window {
                    input: input.sizes[d + 2].clone(),
                    output: meta.sizes[d + 2].clone(),
                    kernel,
                    stride: stride[d],
                    padding: padding[d],
                    dilation: dilation[d],
                })
            })
            .collect::<Lowered<Vec<_>>>()?;
        let positive = |w: &Window| w.kernel > 0 && w.stride > 0 && w.dilation > 0;
        if groups < 1 || !windows.iter().all(positive) {
            return Err(Reason::new("a window that is not positive"));
        }
        Convolution::of(cx, (input, weight), windows, groups, meta)
    }

    /// The convolution of an input with a weight, if there is native code for it. Windows may go
    /// backwards: a negative dilation.
    pub(super) fn of(
        cx: &Lowerer<'_>,
        (input, weight): (View, View),
        windows: Vec<Window>,
        groups: i64,
        meta: fx::TensorMeta,
    ) -> Lowered<Convolution> {
        let mut convolution = Convolution {
            input,
            weight,
            windows,
            groups,
            meta,
            merged: false,
        };
        convolution.check()?;
        convolution.merged = convolution.should_merge(cx);
        Ok(convolution)
    }

    /// What there is native code for.
    fn check(&self) -> Lowered<()> {
        let dtype = self.meta.dtype;
        if self.input.dtype != dtype || self.weight.dtype != dtype {
            return Err(Reason::new("a convolution of different dtypes"));
        }
        if !matches!(dtype, DType::F32 | DType::BF16) {
            return Err(Reason::new(format!("a convolution of {dtype}")));
        }
        let sizes = self.meta.sizes.iter().chain(&self.input.sizes);
        if sizes.chain(&self.weight.sizes).any(IExpr::is_zero) {
            return Err(Reason::new("a convolution of no elements"));
        }
        if self.weight.sizes[..2]
            .iter()
            .any(|s| s.as_const().is_none())
        {
            return Err(Reason::new("a symbolic number of channels"));
        }
        let taps = self.weight.sizes[2..].iter();
        let depth = IExpr::product(taps.chain([&self.weight.sizes[1]])).as_const();
        let is_odd = depth.is_some_and(|d| d > 1 && d % 2 == 1);
        if dtype == DType::BF16 && is_odd && self.groups == 1 {
            return Err(Reason::new(
                "a half precision convolution of odd depth, which has no pairs to multiply",
            ));
        }
        if !is_row_major(&self.meta) {
            return Err(Reason::new("a convolution whose result is not row-major"));
        }
        Ok(())
    }

    /// Do the positions of one image fill vectors badly, in a product deep enough for a copy of the
    /// input to be worth it?
    fn should_merge(&self, cx: &Lowerer<'_>) -> bool {
        let hint = |sizes: &[IExpr]| cx.module.graph.hint_numel(sizes);
        let (images, positions) = (hint(&self.meta.sizes[..1]), hint(&self.meta.sizes[2..]));
        let padded = (positions + WIDEST - 1) / WIDEST * WIDEST;
        let depth = hint(&self.weight.sizes[1..]);
        images > 1 && positions > 1 && padded * 8 > positions * 9 && depth >= DEEP
    }

    fn readings(&self) -> Vec<Reading> {
        let windows = self.windows.iter().enumerate();
        windows
            .map(|(d, w)| w.reading(d == 0 && !self.merged))
            .collect()
    }

    /// Can every tap be read from the input as it lies in memory?
    fn reads_input(&self, cx: &Lowerer<'_>, readings: &[Reading]) -> bool {
        let Some((strides, _)) = geometry(&cx.module.graph, &self.input) else {
            return false;
        };
        let mut expected = IExpr::one();
        let is_contiguous = (2..strides.len()).rev().all(|d| {
            let size = &self.input.sizes[d];
            let fits = size.is_one() || strides[d] == expected;
            expected = &expected * size;
            fits
        });
        !self.merged && is_contiguous && readings.iter().all(|r| *r == Reading::Direct)
    }

    /// The input rearranged so that columns are contiguous: `[image, channel, phase or tap of each
    /// dimension..., row of each dimension...]`, or with the images merged into the columns
    /// `[channel, phase or tap..., image, row...]`.
    fn rearranged(&self, cx: &mut Lowerer<'_>, readings: &[Reading]) -> View {
        let dimensions = || self.windows.iter().zip(readings);
        let parts = dimensions().map(|(window, reading)| {
            IExpr::constant(match reading {
                Reading::Direct => 1,
                Reading::Phases => window.phases(),
                Reading::Unfolded => window.kernel,
            })
        });
        let rows = dimensions().map(|(window, reading)| match reading {
            Reading::Direct => window.input.clone(),
            Reading::Phases => window.quotients(),
            Reading::Unfolded => window.output.clone(),
        });
        let (image, channel) = (self.input.sizes[0].clone(), self.input.sizes[1].clone());
        let sizes = self.arranged(image, channel, parts.collect(), rows.collect());
        let source = match self.whole_quotients(readings) {
            Some(whole) => Source::Assemble(self.split_rows(whole, readings, &sizes)),
            None => {
                Source::Pointwise(self.rearranged_value(readings, &variables(sizes.len()), &sizes))
            }
        };
        let copy = cx.intermediate(self.input.dtype, sizes, source);
        cx.module.graph.tensors[copy.tensor.0 as usize].op = "windows".into();
        copy
    }

    /// How many quotients of the innermost dimension every phase has, where some have one more.
    fn whole_quotients(&self, readings: &[Reading]) -> Option<IExpr> {
        let (window, reading) = self.windows.last().zip(readings.last())?;
        let whole = window.input.floor_div(&IExpr::constant(window.stride));
        let is_ragged = *reading == Reading::Phases && window.phases() > 1;
        (is_ragged && whole != window.quotients()).then_some(whole)
    }

    /// The rearranged input with the last quotient apart, which only some phases have: up to there
    /// positions need no limit and rows are read in vectors.
    fn split_rows(&self, whole: IExpr, readings: &[Reading], sizes: &[IExpr]) -> Vec<Part> {
        let last = sizes.len() - 1;
        let part = |begin: IExpr, extent: IExpr| {
            let mut offset = vec![IExpr::zero(); sizes.len()];
            let mut extents = sizes.to_vec();
            let mut at = variables(sizes.len());
            at[last] = &at[last] + &begin;
            offset[last] = begin;
            extents[last] = extent;
            Part {
                value: self.rearranged_value(readings, &at, &extents),
                offset,
                extents,
            }
        };
        let rest = &sizes[last] - &whole;
        vec![part(IExpr::zero(), whole.clone()), part(whole, rest)]
    }

    /// The element `at` of the rearranged input; `domain` bounds the variables in `at`.
    fn rearranged_value(&self, readings: &[Reading], at: &[IExpr], domain: &[IExpr]) -> E {
        let n = self.windows.len();
        let (image, channel, first_part) = match self.merged {
            true => (&at[n + 1], &at[0], 1),
            false => (&at[0], &at[1], 2),
        };
        let mut index = vec![image.clone(), channel.clone()];
        for (d, (window, reading)) in self.windows.iter().zip(readings).enumerate() {
            let (part, row) = (&at[first_part + d], &at[2 + n + d]);
            let stride = IExpr::constant(window.stride);
            let single = IExpr::constant((-window.padding).rem_euclid(window.stride));
            let position = match reading {
                Reading::Direct => row.clone(),
                Reading::Phases if window.kernel == 1 => &(row * &stride) + &single,
                Reading::Phases => &(row * &stride) + part,
                Reading::Unfolded => window.position(row, part),
            };
            index.push(within(&position, &window.input, domain));
        }
        self.input.load(&index, domain)
    }

    /// One item per dimension of the rearranged input, in its order.
    fn arranged(
        &self,
        image: IExpr,
        channel: IExpr,
        parts: Vec<IExpr>,
        rows: Vec<IExpr>,
    ) -> Vec<IExpr> {
        match self.merged {
            true => [vec![channel], parts, vec![image], rows].concat(),
            false => [vec![image, channel], parts, rows].concat(),
        }
    }

    /// The index of tap `taps` at output position `outputs` in the rearranged input.
    fn rearranged_index(
        &self,
        readings: &[Reading],
        (image, channel): (IExpr, IExpr),
        (outputs, taps): (&[IExpr], &[IExpr]),
        domain: &[IExpr],
    ) -> Vec<IExpr> {
        let ranges = Extents(domain);
        let (mut parts, mut rows) = (Vec::new(), Vec::new());
        for (((window, reading), o), j) in self.windows.iter().zip(readings).zip(outputs).zip(taps)
        {
            let (shift, stride) = (window.shift(j), IExpr::constant(window.stride));
            let (part, row) = match reading {
                Reading::Direct => (IExpr::zero(), o + &shift),
                Reading::Phases if window.kernel == 1 => {
                    (IExpr::zero(), o + &shift.floor_div(&stride))
                }
                Reading::Phases => (
                    shift.modulo_in(&stride, &ranges),
                    o + &shift.floor_div_in(&stride, &ranges),
                ),
                Reading::Unfolded => (j.clone(), o.clone()),
            };
            parts.push(part);
            rows.push(row);
        }
        self.arranged(image, channel, parts, rows)
    }

    /// The bare sums, in the accumulation type.
    pub(super) fn contraction(&self, cx: &mut Lowerer<'_>) -> Lowered<View> {
        let n = self.windows.len();
        let rank = self.meta.sizes.len();
        let readings = self.readings();
        let mut k = vec![self.weight.sizes[1].clone()];
        k.extend(self.windows.iter().map(|w| IExpr::constant(w.kernel)));
        let domain: Vec<IExpr> = self.meta.sizes.iter().chain(&k).cloned().collect();
        let at = variables(domain.len());
        let (outputs, taps) = (&at[2..rank], &at[rank + 1..]);

        let mut at_weight = vec![at[1].clone(), at[rank].clone()];
        at_weight.extend_from_slice(taps);
        let place = (at[0].clone(), self.channel(&at, &domain));
        let (source, at_input) = if self.reads_input(cx, &readings) {
            let positions = self.windows.iter().zip(outputs).zip(taps);
            let positions = positions.map(|((w, o), j)| w.position(o, j));
            let index = [place.0, place.1].into_iter().chain(positions).collect();
            (self.input.clone(), index)
        } else {
            let index = self.rearranged_index(&readings, place, (outputs, taps), &domain);
            (self.rearranged(cx, &readings), index)
        };
        let at_input: Vec<IExpr> = at_input;
        let inside: Vec<_> = (0..n)
            .filter(|d| !self.windows[*d].is_inside())
            .map(|d| {
                let window = &self.windows[d];
                (window.position(&outputs[d], &taps[d]), window.input.clone())
            })
            .collect();
        let meta = fx::TensorMeta {
            dtype: DType::F32,
            ..self.meta.clone()
        };
        let a = load(&self.weight, &at_weight, &domain)?;
        let b = load(&source, &at_input, &domain)?;
        let is_point = self.meta.sizes[2..].iter().all(IExpr::is_one);
        let source = if is_point && self.groups == 1 && inside.is_empty() {
            self.at_a_point(a, b, k)
        } else {
            Source::Contract { a, b, k, inside }
        };
        Ok(cx.define_view(&meta, source))
    }

    /// A single output position: the images are the rows of a product with the weight, and for one
    /// image each weight is read once.
    fn at_a_point(&self, weight: Load, input: Load, k: Vec<IExpr>) -> Source {
        if !self.meta.sizes[0].is_one() {
            return Source::Contract {
                a: input,
                b: weight,
                k,
                inside: Vec::new(),
            };
        }
        let factor = |load| graph::convert(&Arc::new(Expr::Load(load)), DType::F32);
        Source::Reduce {
            combine: Combine::Sum,
            extents: k,
            value: prim(Prim::Mul, &[&factor(weight), &factor(input)]),
        }
    }

    /// The input channel that an output channel reads at a position among those of its group.
    fn channel(&self, at: &[IExpr], domain: &[IExpr]) -> IExpr {
        let own = &at[self.meta.sizes.len()];
        if self.groups == 1 {
            return own.clone();
        }
        let ranges = Extents(domain);
        let per_group = self.meta.sizes[1].floor_div(&IExpr::constant(self.groups));
        let group = at[1].floor_div_in(&per_group, &ranges);
        &(&group * &self.weight.sizes[1]) + own
    }
}

pub(super) fn is_row_major(meta: &fx::TensorMeta) -> bool {
    let wanted = contiguous_strides(&meta.sizes);
    (meta.strides.iter().zip(&wanted).zip(&meta.sizes))
        .all(|((own, wanted), size)| own == wanted || size.is_one())
}

/// The position moved into `0..size`, where it is not there anyway.
fn within(position: &IExpr, size: &IExpr, domain: &[IExpr]) -> IExpr {
    let ranges = Extents(domain);
    let Some((low, high)) = position.bounds(&ranges) else {
        return position
            .larger(&IExpr::zero())
            .smaller(&(size - &IExpr::one()));
    };
    let mut position = position.clone();
    if !low.is_nonnegative(&ranges) {
        position = position.larger(&IExpr::zero());
    }
    if !(&(size - &high) - &IExpr::one()).is_nonnegative(&ranges) {
        position = position.smaller(&(size - &IExpr::one()));
    }
    position
}

fn convolution(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let convolution = Convolution::new(cx, args)?;
    let bias = args.get(2, "bias").map(|b| cx.tensor(b)).transpose()?;
    let sums = convolution.contraction(cx)?;
    let meta = convolution.meta;
    let at = variables(meta.sizes.len());
    let mut value = sums.load(&at, &meta.sizes);
    if let Some(bias) = bias {
        let added = graph::convert(&bias.load(&at[1..2], &meta.sizes), DType::F32);
        value = prim(Prim::Add, &[&value, &added]);
    } else if meta.dtype == DType::F32 {
        return Ok(Meaning::Tensor(sums));
    }
    Ok(cx.pointwise(&meta, value))
}
