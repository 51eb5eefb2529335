"""Settings of every test: a failure of ours is never hidden behind eager."""

import os

os.environ["FERRODUCTOR_ON_ERROR"] = "raise"

import pytest
import torch


@pytest.fixture(autouse=True)
def fresh():
    """Every test compiles anew and starts from the same seed."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    import ferroductor

    ferroductor.reset()
    yield


def compiled(function, **kwargs):
    return torch.compile(function, backend="ferroductor", **kwargs)


def same(function, *inputs, dynamic=None, tolerance=1e-6):
    """Compares one call with eager; `tolerance` is relative to the largest element."""
    expected = function(*inputs)
    got = compiled(function, dynamic=dynamic)(*inputs)
    close(got, expected, tolerance)
    return got


def close(got, expected, tolerance=1e-6):
    if isinstance(expected, torch.Tensor):
        assert type(got) is type(expected)
        assert (got.dtype, got.shape, got.device) == (expected.dtype, expected.shape, expected.device)
        if got.layout is torch.strided and got.numel():
            assert _strides(got) == _strides(expected)
        finite = expected.detach()[expected.detach().isfinite()]
        inexact = expected.dtype.is_floating_point or expected.dtype.is_complex
        scale = finite.abs().max().item() if finite.numel() and inexact else 0.0
        torch.testing.assert_close(
            got, expected, rtol=0.0, atol=tolerance * max(scale, 1e-30), equal_nan=True
        )
    elif isinstance(expected, (list, tuple)):
        assert len(got) == len(expected)
        for each, other in zip(got, expected):
            close(each, other, tolerance)
    else:
        assert got == expected and type(got) is type(expected)


def _strides(tensor):
    """The strides that mean something."""
    return [stride for stride, size in zip(tensor.stride(), tensor.shape) if size > 1]
