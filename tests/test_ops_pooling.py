"""Pooling and upsampling, forward and backward, against eager."""

import pytest
import torch
import torch.nn.functional as F
from conftest import close, compiled

SHAPES = [(2, 3, 13, 17), (1, 1, 8, 8), (3, 9, 7)]

FUNCTIONS = {
    "max 2": lambda x: F.max_pool2d(x, 2),
    "max 3 stride 2 padded": lambda x: F.max_pool2d(x, 3, 2, 1),
    "max 3 rounded up": lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
    "max of uneven windows": lambda x: F.max_pool2d(x, (3, 2), (1, 2), (1, 0)),
    "max dilated": lambda x: F.max_pool2d(x, 2, 1, dilation=2),
    "max dilated and padded": lambda x: F.max_pool2d(x, 3, 1, 1, dilation=2),
    "max of large windows": lambda x: F.max_pool2d(x, 7, 1, 3),
    "average 2": lambda x: F.avg_pool2d(x, 2),
    "average 3 padded": lambda x: F.avg_pool2d(x, 3, 2, 1),
    "average without padding": lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
    "average rounded up": lambda x: F.avg_pool2d(x, 3, 2, 1, ceil_mode=True),
    "average by a divisor": lambda x: F.avg_pool2d(x, 3, 1, divisor_override=5),
    "average of large windows": lambda x: F.avg_pool2d(x, 6, 5, 2),
    "average of windows apart": lambda x: F.avg_pool2d(x, 2, 3),
    "adaptive average 1": lambda x: F.adaptive_avg_pool2d(x, 1),
    "adaptive average": lambda x: F.adaptive_avg_pool2d(x, (5, 4)),
    "adaptive average that grows": lambda x: F.adaptive_avg_pool2d(x, (20, 19)),
    "adaptive maximum": lambda x: F.adaptive_max_pool2d(x, (5, 4)),
}

UPSAMPLINGS = {
    "nearest by 2": lambda x: F.interpolate(x, scale_factor=2),
    "nearest by 2.5": lambda x: F.interpolate(x, scale_factor=2.5),
    "nearest to a size": lambda x: F.interpolate(x, size=(21, 9)),
    "exactly nearest": lambda x: F.interpolate(x, scale_factor=1.7, mode="nearest-exact"),
    "bilinear": lambda x: F.interpolate(x, size=(21, 30), mode="bilinear"),
    "bilinear with corners": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
    "bicubic": lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"),
}  # fmt: skip


def check(function, x, dynamic):
    tolerance = 2e-2 if x.dtype is torch.bfloat16 else 1e-5
    x = x.requires_grad_()
    expected, got = function(x), compiled(function, dynamic=dynamic)(x)
    close(got, expected, tolerance)
    weights = torch.randn_like(expected)
    (ours,) = torch.autograd.grad(got, x, weights)
    (theirs,) = torch.autograd.grad(expected, x, weights)
    close(ours, theirs, tolerance)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_pooling(name, dtype, dynamic):
    for shape in SHAPES:
        torch._dynamo.reset()
        check(FUNCTIONS[name], torch.randn(shape).to(dtype), dynamic)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", UPSAMPLINGS)
def test_upsampling(name, dtype, dynamic):
    check(UPSAMPLINGS[name], torch.randn(2, 3, 8, 7).to(dtype), dynamic)


def test_channels_last():
    x = torch.randn(2, 8, 9, 10).to(memory_format=torch.channels_last)
    for function in (lambda x: F.max_pool2d(x, 3, 2, 1), lambda x: F.avg_pool2d(x, 2)):
        torch._dynamo.reset()
        close(compiled(function)(x), function(x), 1e-6)


def test_positions_and_special_values():
    x = torch.randint(0, 3, (2, 2, 9, 9)).float()
    x[0, 0, 4, 4] = float("nan")
    x[0, 1] = -float("inf")
    x[1, 0, 0, 0] = float("inf")
    function = lambda x: F.max_pool2d(x, 3, 2, 1, return_indices=True)  # noqa: E731
    close(compiled(function)(x), function(x))


def test_other_ranks():
    cases = [
        (lambda x: F.max_pool1d(x, 3, 2), (2, 3, 11)),
        (lambda x: F.avg_pool1d(x, 3, 2, 1), (2, 3, 11)),
        (lambda x: F.max_pool3d(x, 2), (2, 3, 4, 6, 5)),
        (lambda x: F.avg_pool3d(x, 2), (2, 3, 4, 6, 5)),
        (lambda x: F.adaptive_avg_pool3d(x, (2, 3, 1)), (2, 3, 4, 6, 5)),
        (lambda x: F.interpolate(x, scale_factor=2), (2, 3, 5)),
        (lambda x: F.interpolate(x, scale_factor=2), (2, 3, 4, 3, 2)),
    ]
    for function, shape in cases:
        torch._dynamo.reset()
        check(function, torch.randn(shape), False)


def test_integers():
    x = torch.randint(-50, 50, (1, 2, 8, 8))
    function = lambda x: F.max_pool2d(x, 2, return_indices=True)  # noqa: E731
    close(compiled(function)(x), function(x))
