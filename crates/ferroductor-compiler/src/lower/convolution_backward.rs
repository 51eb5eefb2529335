//! Gradients of a convolution.
//!
//! The input's gradient is a convolution of the result's gradient whose windows go backwards. With a
//! stride, positions of the input fall into phases: those of one phase meet the same taps, and each
//! phase is a convolution of its own, with stride one and its share of the taps.
//!
//! The weight's gradient is a product over all output positions: of the result's gradient, whose
//! positions are contiguous, with the windows of the input. The windows are read in place from a copy
//! of the input that holds its padding, and is sorted by phase where there is a stride. Many
//! positions are summed in parts, whose operands stay in a cache, and the parts then added; the
//! division depends on the sizes alone. Depthwise weights use each element once: plain reductions.
//!
//! Padding counts as zeros that are multiplied: a gradient or a weight that is not finite makes NaN
//! of what meets it in the padding, as it does in the convolution itself. A value of the input makes
//! NaN of the taps that meet it, and of no others.

use super::args::variables;
use super::convolution::{Convolution, is_row_major, per_dimension};
use super::matmul::load;
use super::views::guard;
use super::windows::Window;
use super::{Args, Lowered, Lowerer, Meaning, Reason, Rule};
use crate::graph::{self, Combine, E, Source, View, prim};
use ferroductor_ir::{DType, Extents, IExpr, Prim, fx};

pub fn rule(name: &str) -> Option<Rule> {
    (name == "aten.convolution_backward").then_some(convolution_backward as Rule)
}

/// Positions summed in one part of a weight's gradient, at most.
const PART: i64 = 3584;
/// Parts with fewer positions are not worth their sums.
const LEAST_PART: i64 = 256;
/// Elements of all the parts, at most.
const MOST_PARTIAL: i64 = 1 << 24;
/// As many positions of one image are a part without company.
const WHOLE_IMAGE: i64 = 1024;
/// With more positions to multiply them with, weights are worth a copy in their order.
const MANY_POSITIONS: i64 = 512;
/// Phases of an input's gradient, at most.
const MOST_PHASES: i64 = 8;

/// A convolution whose gradients are wanted.
struct Backward {
    /// Of the result: `[image, output channel, spatial...]`.
    gradient: View,
    input: View,
    weight: View,
    windows: Vec<Window>,
    groups: i64,
}

fn convolution_backward(cx: &mut Lowerer<'_>, args: &Args<'_>) -> Lowered<Meaning> {
    let backward = Backward::new(cx, args)?;
    let wanted = |at: usize| cx.result_at(at).ok();
    let (input, weight, bias) = (wanted(0), wanted(1), wanted(2));
    let results = [
        input.map(|meta| backward.of_input(cx, &meta)).transpose()?,
        weight
            .map(|meta| backward.of_weight(cx, &meta))
            .transpose()?,
        bias.map(|meta| backward.of_bias(cx, &meta)),
    ];
    let meanings = results.map(|view| view.map_or(Meaning::None, Meaning::Tensor));
    Ok(Meaning::Tuple(meanings.into()))
}

/// How the taps of one phase lie along a dimension.
#[derive(Clone, Copy, Debug)]
struct Taps {
    first: i64,
    step: i64,
    count: i64,
}

impl Taps {
    fn at(&self, position: &IExpr) -> IExpr {
        &(position * &IExpr::constant(self.step)) + &IExpr::constant(self.first)
    }
}

impl Window {
    /// The taps that positions `phase` past a multiple of the stride meet.
    fn taps(&self, phase: i64) -> Taps {
        let meets = |j: &i64| (phase + self.padding - j * self.dilation) % self.stride == 0;
        let all: Vec<i64> = (0..self.kernel).filter(meets).collect();
        Taps {
            first: all.first().copied().unwrap_or(0),
            step: all.get(1).map_or(1, |second| second - all[0]),
            count: all.len() as i64,
        }
    }

    /// The windows over the outputs that give the gradient of one phase of the input.
    fn backwards(&self, phase: i64, taps: Taps) -> Window {
        Window {
            input: self.output.clone(),
            output: self.input.ceil_div(self.stride),
            kernel: taps.count,
            stride: 1,
            padding: -((phase + self.padding - taps.first * self.dilation) / self.stride),
            dilation: -(taps.step * self.dilation / self.stride),
        }
    }

    /// Extents of the phases, and of the positions of each, in the padded copy of the input.
    fn padded(&self) -> (IExpr, IExpr) {
        let phases = if self.kernel == 1 { 1 } else { self.stride };
        let beyond = (self.kernel - 1) * self.dilation / self.stride;
        (
            IExpr::constant(phases),
            &self.output + &IExpr::constant(beyond),
        )
    }

    /// Phase and position in that copy of what tap `j` of output `o` reads.
    fn in_padded(&self, o: &IExpr, j: &IExpr, ranges: &Extents<'_>) -> (IExpr, IExpr) {
        let (shift, stride) = (
            j * &IExpr::constant(self.dilation),
            IExpr::constant(self.stride),
        );
        if self.kernel == 1 {
            return (IExpr::zero(), o.clone());
        }
        (
            shift.modulo_in(&stride, ranges),
            o + &shift.floor_div_in(&stride, ranges),
        )
    }

    fn is_plain(&self) -> bool {
        self.stride == 1 && self.padding == 0
    }
}

impl Backward {
    fn new(cx: &Lowerer<'_>, args: &Args<'_>) -> Lowered<Backward> {
        let gradient = cx.tensor(args.need(0, "grad_output")?)?;
        let input = cx.tensor(args.need(1, "input")?)?;
        let weight = cx.tensor(args.need(2, "weight")?)?;
        let rank = input.sizes.len();
        if rank < 3 || gradient.sizes.len() != rank || weight.sizes.len() != rank {
            return Err(Reason::new("arguments of unexpected rank"));
        }
        if args.bool(7, "transposed", false)? {
            return Err(Reason::new("gradients of a transposed convolution"));
        }
        let n = rank - 2;
        let stride = per_dimension(args, 4, "stride", n)?;
        let padding = per_dimension(args, 5, "padding", n)?;
        let dilation = per_dimension(args, 6, "dilation", n)?;
        let windows = (0..n)
            .map(|d| {
                let kernel = weight.sizes[d + 2].as_const();
                Ok(Window {
                    input: input.sizes[d + 2].clone(),
                    output: gradient.sizes[d + 2].clone(),
                    kernel: kernel.ok_or_else(|| Reason::new("a window of symbolic size"))?,
                    stride: stride[d],
                    padding: padding[d],
                    dilation: dilation[d],
                })
            })
            .collect::<Lowered<Vec<_>>>()?;
        let backward = Backward {
            gradient,
            input,
            weight,
            windows,
            groups: args.int(9, "groups")?.unwrap_or(1),
        };
        backward.check()?;
        Ok(backward)
    }

    /// What there is native code for, where it is faster than ATen's.
    fn check(&self) -> Lowered<()> {
        let positive =
            |w: &Window| w.kernel > 0 && w.stride > 0 && w.dilation > 0 && w.padding >= 0;
        if self.groups < 1 || !self.windows.iter().all(positive) {
            return Err(Reason::new("a window that is not positive"));
        }
        let views = [&self.gradient, &self.input, &self.weight];
        if views.iter().any(|v| v.dtype != DType::F32) {
            return Err(Reason::new(
                "gradients of a convolution in another dtype than float32",
            ));
        }
        let mut sizes = views.iter().flat_map(|v| &v.sizes);
        if sizes.any(IExpr::is_zero) {
            return Err(Reason::new("a convolution of no elements"));
        }
        if self.weight.sizes.iter().any(|s| s.as_const().is_none()) {
            return Err(Reason::new("a weight of symbolic size"));
        }
        if self.groups > 1 && !self.is_depthwise() {
            return Err(Reason::new("gradients of a grouped convolution"));
        }
        Ok(())
    }

    fn is_depthwise(&self) -> bool {
        self.weight.sizes[1].is_one() && self.groups > 1
    }

    /// Output channels of each input channel of a depthwise convolution.
    fn multiplier(&self) -> IExpr {
        self.weight.sizes[0].floor_div(&IExpr::constant(self.groups))
    }

    fn of_bias(&self, cx: &mut Lowerer<'_>, meta: &fx::TensorMeta) -> View {
        let sizes = &self.gradient.sizes;
        let rank = sizes.len();
        let mut at = vec![IExpr::var(1), IExpr::var(0)];
        at.extend((2..rank as u32).map(IExpr::var));
        let mut domain = vec![sizes[1].clone(), sizes[0].clone()];
        domain.extend_from_slice(&sizes[2..]);
        let source = Source::Reduce {
            combine: Combine::Sum,
            value: self.gradient.load(&at, &domain),
            extents: domain.split_off(1),
        };
        cx.define_view(meta, source)
    }

    // The input's gradient.

    fn of_input(&self, cx: &mut Lowerer<'_>, meta: &fx::TensorMeta) -> Lowered<View> {
        if !is_row_major(meta) {
            return Err(Reason::new("a gradient that is not row-major"));
        }
        let phases = self.phases();
        if phases.len() as i64 > MOST_PHASES {
            return Err(Reason::new("the gradient of an input with a large stride"));
        }
        if self.windows.iter().all(|w| w.stride == 1) {
            return self.of_phase(cx, &phases[0], meta.clone());
        }
        let rank = meta.sizes.len();
        let mut sizes = meta.sizes[..2].to_vec();
        sizes.extend(self.windows.iter().map(|w| w.input.ceil_div(w.stride)));
        let at = variables(rank);
        let mut value = graph::float(0.0, meta.dtype);
        for phase in &phases {
            let taps = self.windows.iter().zip(phase).map(|(w, p)| w.taps(*p));
            if taps.into_iter().any(|taps| taps.count == 0) {
                continue;
            }
            let own = fx::TensorMeta {
                strides: graph::contiguous_strides(&sizes),
                sizes: sizes.clone(),
                ..meta.clone()
            };
            let part = self.of_phase(cx, phase, own)?;
            value = self.where_in_phase(phase, (&part, &value), &at, &meta.sizes);
        }
        Ok(cx.define_view(meta, Source::Pointwise(value)))
    }

    /// Every combination of phases along the dimensions.
    fn phases(&self) -> Vec<Vec<i64>> {
        let mut all = vec![Vec::new()];
        for window in &self.windows {
            let longer = |phases: &Vec<i64>| -> Vec<Vec<i64>> {
                (0..window.stride)
                    .map(|p| [phases.as_slice(), &[p]].concat())
                    .collect()
            };
            all = all.iter().flat_map(longer).collect();
            if all.len() as i64 > MOST_PHASES {
                break;
            }
        }
        all
    }

    /// The gradient of the positions of one phase.
    fn of_phase(&self, cx: &mut Lowerer<'_>, phase: &[i64], meta: fx::TensorMeta) -> Lowered<View> {
        let pairs = || self.windows.iter().zip(phase);
        let taps: Vec<Taps> = pairs().map(|(w, p)| w.taps(*p)).collect();
        let windows = pairs()
            .zip(&taps)
            .map(|((w, p), taps)| w.backwards(*p, *taps))
            .collect();
        let weight = self.turned_weight(&taps);
        let positions = cx.module.graph.hint_numel(&meta.sizes[2..]);
        let images = cx.module.graph.hint(&meta.sizes[0]);
        let weight = match images * positions > MANY_POSITIONS {
            true => self.outputs_inside(cx, &weight),
            false => weight,
        };
        let operands = (self.gradient.clone(), weight);
        Convolution::of(cx, operands, windows, self.groups, meta)?.contraction(cx)
    }

    /// The weight as `[input channel, output channel of the group, taps]` with the given taps.
    fn turned_weight(&self, taps: &[Taps]) -> View {
        let (inputs, outputs) = match self.is_depthwise() {
            true => (IExpr::constant(self.groups), self.multiplier()),
            false => (self.weight.sizes[1].clone(), self.weight.sizes[0].clone()),
        };
        let mut sizes = vec![inputs, outputs.clone()];
        sizes.extend(taps.iter().map(|t| IExpr::constant(t.count)));
        let at = variables(sizes.len());
        let mut old = match self.is_depthwise() {
            true => vec![&(&at[0] * &outputs) + &at[1], IExpr::zero()],
            false => vec![at[1].clone(), at[0].clone()],
        };
        old.extend(taps.iter().zip(&at[2..]).map(|(taps, j)| taps.at(j)));
        self.weight.remap(sizes, &old)
    }

    /// The same weight in memory with the output channels contiguous, if it has several taps;
    /// otherwise rows of input channels are contiguous, which is as good.
    fn outputs_inside(&self, cx: &mut Lowerer<'_>, weight: &View) -> View {
        if weight.sizes[2..].iter().all(IExpr::is_one) || weight.sizes[1].is_one() {
            return weight.clone();
        }
        let rank = weight.sizes.len();
        let mut stored = weight.sizes.clone();
        let outputs = stored.remove(1);
        stored.push(outputs);
        let mut own = variables(rank);
        let last = own.pop();
        own.splice(1..1, last);
        let value = Source::Pointwise(weight.load(&own, &stored));
        let copy = cx.intermediate(weight.dtype, stored, value);
        let mut old = variables(rank);
        let output = old.remove(1);
        old.push(output);
        copy.remap(weight.sizes.clone(), &old)
    }

    /// The part's element where the position belongs to the phase.
    fn where_in_phase(
        &self,
        phase: &[i64],
        (part, other): (&View, &E),
        at: &[IExpr],
        sizes: &[IExpr],
    ) -> E {
        let ranges = Extents(sizes);
        let mut index = at[..2].to_vec();
        let mut belongs: Option<E> = None;
        for ((window, phase), position) in self.windows.iter().zip(phase).zip(&at[2..]) {
            let stride = IExpr::constant(window.stride);
            index.push(position.floor_div_in(&stride, &ranges));
            if window.stride == 1 {
                continue;
            }
            let rest = graph::index(position.modulo_in(&stride, &ranges));
            let own = prim(Prim::Eq, &[&rest, &graph::int(*phase)]);
            belongs = Some(match belongs {
                Some(all) => prim(Prim::And, &[&all, &own]),
                None => own,
            });
        }
        let value = part.load(&index, sizes);
        match belongs {
            Some(belongs) => prim(Prim::Select, &[&belongs, &value, other]),
            None => value,
        }
    }

    // The weight's gradient.

    fn of_weight(&self, cx: &mut Lowerer<'_>, meta: &fx::TensorMeta) -> Lowered<View> {
        if !is_row_major(meta) {
            return Err(Reason::new("a gradient that is not row-major"));
        }
        if self.is_depthwise() {
            return Ok(self.of_depthwise_weight(cx, meta));
        }
        let division = self.division();
        let windows = self.padded_input(cx);
        let gradient = match division.images.is_one() {
            true => self.gradient.clone(),
            false => self.images_inside(cx),
        };
        self.parts(cx, &division, (&gradient, &windows), meta)
    }

    /// Each tap of each channel by itself.
    fn of_depthwise_weight(&self, cx: &mut Lowerer<'_>, meta: &fx::TensorMeta) -> View {
        let (rank, outputs) = (meta.sizes.len(), &self.gradient.sizes);
        let mut domain = meta.sizes.clone();
        domain.push(outputs[0].clone());
        domain.extend_from_slice(&outputs[2..]);
        let at = variables(domain.len());
        let (taps, image, positions) = (&at[2..rank], &at[rank], &at[rank + 1..]);
        let ranges = Extents(&domain);
        let mut at_gradient = vec![image.clone(), at[0].clone()];
        at_gradient.extend_from_slice(positions);
        let channel = at[0].floor_div_in(&self.multiplier(), &ranges);
        let mut at_input = vec![image.clone(), channel];
        let mut bounds = Vec::new();
        for ((window, o), j) in self.windows.iter().zip(positions).zip(taps) {
            let position = window.position(o, j);
            if !window.is_inside() {
                bounds.push((position.clone(), window.input.clone()));
            }
            at_input.push(position);
        }
        let zero = graph::float(0.0, DType::F32);
        let input = self.input.load(&at_input, &domain);
        let gradient = self.gradient.load(&at_gradient, &domain);
        // Guarded as a whole: what a tap does not meet is no part of its sum, not even times zero.
        let value = guard(bounds, prim(Prim::Mul, &[&gradient, &input]), zero);
        let source = Source::Reduce {
            combine: Combine::Sum,
            extents: domain.split_off(rank),
            value,
        };
        cx.define_view(meta, source)
    }

    /// How the positions are divided.
    fn division(&self) -> Division {
        let sizes = &self.gradient.sizes;
        let whole = Division {
            image_parts: IExpr::one(),
            images: sizes[0].clone(),
            row_parts: IExpr::one(),
            rows: sizes[2].clone(),
        };
        let numbers: Option<Vec<i64>> = sizes.iter().map(IExpr::as_const).collect();
        let Some([images, _, rows, rest @ ..]) = numbers.as_deref() else {
            return whole;
        };
        let line: i64 = rest.iter().product();
        let weight = self.weight.sizes.iter().filter_map(IExpr::as_const);
        let weight: i64 = weight.product();
        let fits = |parts: i64| parts.saturating_mul(weight) <= MOST_PARTIAL;
        let divisor = |of: i64, most: i64| (1..=of.min(most)).rev().find(|d| of % d == 0);
        let own = if rows * line > PART {
            let own = divisor(*rows, PART / line.max(1)).filter(|own| own * line >= LEAST_PART);
            own.map(|own| (1, own))
        } else {
            let most = match rows * line >= WHOLE_IMAGE {
                true => 1,
                false => PART / (rows * line).max(1),
            };
            divisor(*images, most).map(|own| (own, *rows))
        };
        match own {
            Some((own_images, own_rows)) if fits(images / own_images * (rows / own_rows)) => {
                Division {
                    image_parts: IExpr::constant(images / own_images),
                    images: IExpr::constant(own_images),
                    row_parts: IExpr::constant(rows / own_rows),
                    rows: IExpr::constant(own_rows),
                }
            }
            _ => whole,
        }
    }

    /// `[image, channel, phase of each dimension..., position of each dimension...]` with zeros for
    /// the padding; the input itself where there is neither padding nor stride.
    fn padded_input(&self, cx: &mut Lowerer<'_>) -> View {
        let n = self.windows.len();
        let (phases, positions): (Vec<IExpr>, Vec<IExpr>) =
            self.windows.iter().map(Window::padded).unzip();
        let mut sizes = self.input.sizes[..2].to_vec();
        sizes.extend(phases);
        sizes.extend(positions);
        let at = variables(sizes.len());
        if self.windows.iter().all(Window::is_plain) {
            let mut old = at[..2].to_vec();
            old.extend_from_slice(&at[2 + n..]);
            return self.input.remap(sizes, &old);
        }
        let mut index = at[..2].to_vec();
        let mut bounds = Vec::new();
        for (d, window) in self.windows.iter().enumerate() {
            let (phase, position) = (&at[2 + d], &at[2 + n + d]);
            let place = &(position * &IExpr::constant(window.stride)) + phase;
            let place = &place - &IExpr::constant(window.padding);
            bounds.push((place.clone(), window.input.clone()));
            index.push(place);
        }
        let value = self.input.load(&index, &sizes);
        let value = guard(bounds, value, graph::float(0.0, DType::F32));
        let copy = cx.intermediate(DType::F32, sizes, Source::Pointwise(value));
        cx.module.graph.tensors[copy.tensor.0 as usize].op = "windows".into();
        copy
    }

    /// The result's gradient in memory with the positions of all images of a channel in one run.
    fn images_inside(&self, cx: &mut Lowerer<'_>) -> View {
        let mut stored = self.gradient.sizes.clone();
        stored.swap(0, 1);
        let mut turned = variables(stored.len());
        turned.swap(0, 1);
        let value = self.gradient.load(&turned, &stored);
        let copy = cx.intermediate(DType::F32, stored, Source::Pointwise(value));
        copy.remap(self.gradient.sizes.clone(), &turned)
    }

    /// The products of all parts, added up where there are several.
    fn parts(
        &self,
        cx: &mut Lowerer<'_>,
        division: &Division,
        (gradient, windows): (&View, &View),
        meta: &fx::TensorMeta,
    ) -> Lowered<View> {
        let rank = meta.sizes.len();
        let mut sizes = vec![division.image_parts.clone(), division.row_parts.clone()];
        sizes.extend_from_slice(&meta.sizes);
        let mut k = vec![division.images.clone(), division.rows.clone()];
        k.extend_from_slice(&self.gradient.sizes[3..]);
        let domain = [sizes.as_slice(), &k].concat();
        let at = variables(domain.len());
        let ranges = Extents(&domain);
        let (channels, taps) = ((&at[2], &at[3]), &at[4..rank + 2]);
        let image = &(&at[0] * &division.images) + &at[rank + 2];
        let mut positions = vec![&(&at[1] * &division.rows) + &at[rank + 3]];
        positions.extend_from_slice(&at[rank + 4..]);
        let mut at_gradient = vec![image.clone(), channels.0.clone()];
        at_gradient.extend_from_slice(&positions);
        let (phases, places): (Vec<IExpr>, Vec<IExpr>) = (self.windows.iter())
            .zip(positions.iter().zip(taps))
            .map(|(w, (o, j))| w.in_padded(o, j, &ranges))
            .unzip();
        let at_windows = [vec![image, channels.1.clone()], phases, places].concat();
        let source = Source::Contract {
            a: load(gradient, &at_gradient, &domain)?,
            b: load(windows, &at_windows, &domain)?,
            k,
            inside: Vec::new(),
        };
        let parts = cx.intermediate(DType::F32, sizes.clone(), source);
        if division.is_whole() {
            let mut old = vec![IExpr::zero(), IExpr::zero()];
            old.extend(variables(rank));
            return Ok(parts.remap(meta.sizes.clone(), &old));
        }
        let mut at = vec![IExpr::var(rank as u32), IExpr::var(rank as u32 + 1)];
        at.extend(variables(rank));
        let extents = sizes[..2].to_vec();
        let domain = [meta.sizes.as_slice(), &extents].concat();
        let source = Source::Reduce {
            combine: Combine::Sum,
            extents,
            value: parts.load(&at, &domain),
        };
        Ok(cx.define_view(meta, source))
    }
}

/// Output positions in parts: of the images, and of the rows of each.
struct Division {
    image_parts: IExpr,
    images: IExpr,
    row_parts: IExpr,
    rows: IExpr,
}

impl Division {
    fn is_whole(&self) -> bool {
        self.image_parts.is_one() && self.row_parts.is_one()
    }
}
