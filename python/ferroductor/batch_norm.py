"""Batch normalisation in training, taken apart with statistics accumulated in double precision.

What must hold: sums over a channel are as exact as eager's, which accumulates them in double
precision on CPUs. An error of such a sum is common to all elements of the channel: what later sums
the channel up again, such as the gradient of a squeeze-and-excitation block, amplifies it where it
would average out other errors. torch's own decompositions accumulate in single precision.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Optional

import torch
from torch import Tensor
from torch._prims_common import get_computation_dtype

_Table = dict[torch._ops.OpOverload, Callable[..., Any]]


def _channels(value: Tensor, like: Tensor) -> Tensor:
    """One number for each channel, shaped to be broadcast along `like`."""
    return value.reshape([1, -1] + [1] * (like.dim() - 2))


def _reduced(x: Tensor) -> list[int]:
    return [0, *range(2, x.dim())]


def _normalise(
    input: Tensor, weight: Optional[Tensor], bias: Optional[Tensor], eps: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The normalised input, and per channel its mean, the reciprocal of its deviation and its
    variance (biased); (N, C, ...) and (C,), the latter in the type computed in."""
    dtype = get_computation_dtype(input.dtype)
    variance, mean = torch.var_mean(input.to(torch.float64), _reduced(input), correction=0)
    deviation = torch.rsqrt(variance + eps).to(dtype)
    mean = mean.to(dtype)
    scale = deviation if weight is None else deviation * weight
    output = (input - _channels(mean, input)) * _channels(scale, input)
    if bias is not None:
        output = output + _channels(bias, input)
    return output.to(input.dtype), mean, deviation, variance


def _updated(
    input: Tensor,
    mean: Tensor,
    variance: Tensor,
    running: tuple[Tensor, Tensor],
    momentum: float,
) -> tuple[Tensor, Tensor]:
    """The running statistics after this batch."""
    count = input.numel() / input.shape[1]
    unbiased = (variance * (count / (count - 1))).to(mean.dtype)
    return (
        momentum * mean + (1 - momentum) * running[0],
        momentum * unbiased + (1 - momentum) * running[1],
    )


def _train(
    input: Tensor,
    weight: Optional[Tensor],
    bias: Optional[Tensor],
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    output, mean, deviation, variance = _normalise(input, weight, bias, eps)
    running = _updated(input, mean, variance, (running_mean, running_var), momentum)
    return output, mean.to(input.dtype), deviation.to(input.dtype), *running


def _backward(
    grad_out: Tensor,
    input: Tensor,
    weight: Optional[Tensor],
    mean: Tensor,
    deviation: Tensor,
    output_mask: list[bool],
) -> tuple[Tensor, Optional[Tensor], Optional[Tensor]]:
    """Gradients of a training step's normalisation: of the input (N, C, ...), weight and bias (C,)."""
    dtype = get_computation_dtype(input.dtype)
    gradient, centred = grad_out.to(dtype), input.to(dtype) - _channels(mean.to(dtype), input)
    count = input.numel() / input.shape[1]
    wide = gradient.to(torch.float64)
    norm = 1.0 / count
    total = torch.sum(wide, _reduced(input))
    projection = torch.sum(wide * centred.to(torch.float64), _reduced(input))
    deviation = deviation.to(dtype)
    wide_deviation = deviation.to(torch.float64)
    slope = (projection * norm * wide_deviation * wide_deviation).to(dtype)
    scale = deviation if weight is None else deviation * weight
    grad_input = gradient - centred * _channels(slope, input)
    grad_input = grad_input - _channels((total * norm).to(dtype), input)
    grad_input = grad_input * _channels(scale, input)
    kind = input.dtype if weight is None else weight.dtype
    return (
        grad_input.to(input.dtype),
        (projection * wide_deviation).to(kind) if output_mask[1] else None,
        total.to(kind) if output_mask[2] else None,
    )


def decompositions(known: _Table) -> _Table:
    """Ours for training; what `known` has for evaluation."""
    aten = torch.ops.aten
    functional = aten._native_batch_norm_legit_functional.default
    without_running = aten._native_batch_norm_legit.no_stats
    backward = aten.native_batch_norm_backward.default

    def train(
        input: Tensor,
        weight: Optional[Tensor],
        bias: Optional[Tensor],
        running_mean: Tensor,
        running_var: Tensor,
        training: bool,
        momentum: float,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        running = (running_mean, running_var)
        if not training:
            return known[functional](input, weight, bias, *running, training, momentum, eps)
        output, mean, deviation, variance = _normalise(input, weight, bias, eps)
        updated = _updated(input, mean, variance, running, momentum)
        return output, mean.to(input.dtype), deviation.to(input.dtype), *updated

    def train_without_running(
        input: Tensor,
        weight: Optional[Tensor],
        bias: Optional[Tensor],
        training: bool,
        momentum: float,
        eps: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        if not training:
            return known[without_running](input, weight, bias, training, momentum, eps)
        output, mean, deviation, _ = _normalise(input, weight, bias, eps)
        return output, mean.to(input.dtype), deviation.to(input.dtype)

    def gradients(
        grad_out: Tensor,
        input: Tensor,
        weight: Optional[Tensor],
        running_mean: Optional[Tensor],
        running_var: Optional[Tensor],
        mean: Optional[Tensor],
        deviation: Optional[Tensor],
        train: bool,
        eps: float,
        output_mask: list[bool],
    ) -> tuple[Tensor, Optional[Tensor], Optional[Tensor]]:
        if not train or mean is None or deviation is None:
            saved = (running_mean, running_var, mean, deviation)
            return known[backward](grad_out, input, weight, *saved, train, eps, output_mask)
        return _backward(grad_out, input, weight, mean, deviation, output_mask)

    return {functional: train, without_running: train_without_running, backward: gradients}
