"""Gradients of convolutions: the geometries of `test_convolution`, dtypes and both emitters, by the
fp64 rule.

The maximum and the root-mean-square error against fp64 are at most twice eager's (three times in
bf16); dtype, shape and strides are eager's.
"""

import os
import shutil
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from conftest import compiled
from test_convolution import GEOMETRIES, TYPICAL, _arguments, _follows_the_rule

import ferroductor

#: What ATen is left with, by the reason that the report gives.
ATEN = {
    "a large stride": ["patches", "stride_above_kernel", "stride_three", "tubelets"],
    "a grouped convolution": ["grouped", "grouped_strided", "images_together_grouped"],
}
REASONS = {name: reason for reason, names in ATEN.items() for name in names}

#: These stand for the rest where every cell of a matrix would cost too much.
FEW = [name for name in TYPICAL if name not in REASONS] + ["strided_odd", "dilated_strided", "line"]


def _function(name):
    _, settings = _arguments(name)
    return lambda x, w, b: (F.conv1d, F.conv2d, F.conv3d)[x.dim() - 3](x, w, b, **settings)


def _gradients(function, arguments, seed=1):
    arguments = [t.detach().clone().requires_grad_() for t in arguments]
    out = function(*arguments)
    generator = torch.Generator().manual_seed(seed)
    out.backward(torch.randn(out.shape, generator=generator).bfloat16().to(out.dtype))
    return [t.grad for t in arguments]


def _check(function, arguments, dynamic=None, **options):
    eager = _gradients(function, arguments)
    gold = _gradients(function, [t.double() for t in arguments])
    got = _gradients(compiled(function, dynamic=dynamic, options=options), arguments)
    for each in zip(got, eager, gold):
        _follows_the_rule(*each)
    return got


def _reason():
    lines = str(ferroductor.report()).splitlines()
    found = [line for line in lines if "× aten.convolution_backward" in line and "%" not in line]
    return found[0].split(": ", 1)[1] if found else None


def _check_reason(name):
    reason = _reason()
    assert (reason is None) if name not in REASONS else reason.endswith(REASONS[name])


@pytest.mark.parametrize("name", GEOMETRIES)
def test_geometry(name):
    _check(_function(name), _arguments(name)[0])
    _check_reason(name)


@pytest.mark.parametrize("name", FEW)
def test_many_positions(name):
    (x, w, b), _ = _arguments(name)
    x = x.repeat(5, *[1] * (x.dim() - 2), 4)[:, :, ..., :-1]
    _check(_function(name), [x, w, b])
    _check_reason(name)


class _Module(torch.nn.Module):
    """Weights of a module keep their sizes where those of the input are symbolic."""

    def __init__(self, name, arguments):
        super().__init__()
        self.weight, self.bias = (torch.nn.Parameter(t) for t in arguments[1:])
        self.function = _function(name)

    def forward(self, x):
        return self.function(x, self.weight, self.bias)


@pytest.mark.parametrize("codegen", ["llvm", "cpp"])
@pytest.mark.parametrize("name", FEW)
def test_symbolic_sizes(name, codegen):
    if codegen == "cpp" and not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("no C++ compiler on this machine")
    arguments, _ = _arguments(name)
    ours = _Module(name, arguments)
    function = compiled(ours, dynamic=True, options={"codegen": codegen})
    for wider in (0, 3):
        x = torch.randn(arguments[0].shape[0] + wider, *(arguments[0].shape[1:]))
        if name != "squeezed":
            x = F.pad(x, (0, wider))
        results = []
        for run, dtype in ((ours, x.dtype), (ours, torch.float64), (function, x.dtype)):
            ours.to(dtype).zero_grad()
            own = x.detach().to(dtype).requires_grad_()
            out = run(own)
            generator = torch.Generator().manual_seed(1)
            out.backward(torch.randn(out.shape, generator=generator).to(dtype))
            results.append([own.grad, ours.weight.grad.clone(), ours.bias.grad.clone()])
            ours.to(x.dtype)
        for eager, gold, got in zip(*results):
            _follows_the_rule(got, eager, gold)
    _check_reason(name)


@pytest.mark.parametrize("codegen", ["llvm", "cpp"])
@pytest.mark.parametrize("dynamic", [None, True], ids=["static", "symbolic"])
@pytest.mark.parametrize("name", TYPICAL)
def test_half_precision(name, dynamic, codegen):
    if codegen == "cpp" and not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("no C++ compiler on this machine")
    _check(_function(name), _arguments(name, torch.bfloat16)[0], dynamic, codegen=codegen)


@pytest.mark.parametrize("name", FEW)
def test_emitters_agree(name):
    if not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("no C++ compiler on this machine")
    arguments, function = _arguments(name)[0], _function(name)
    got = _check(function, arguments, codegen="cpp")
    torch._dynamo.reset()
    for ours, other in zip(got, _gradients(compiled(function), arguments)):
        assert torch.equal(ours, other)


@pytest.mark.parametrize("isa", ["sse4.2", "avx2"])
def test_instruction_sets(isa):
    tests = [f"{__file__}::test_geometry[{name}]" for name in FEW]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "FERRODUCTOR_ISA": isa}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:]


@pytest.mark.parametrize("name", FEW)
def test_bits_do_not_depend_on_threads(name):
    arguments, function = _arguments(name)[0], compiled(_function(name))
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(_gradients(function, arguments))
    finally:
        torch.set_num_threads(before)
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other))


def _backward(gradient, x, w, padding, stride, mask):
    return torch.ops.aten.convolution_backward(
        gradient, x, w, None, [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], 1, mask
    )


@pytest.mark.parametrize("mask", [(True, False, False), (False, True, False), (False, True, True)])
def test_only_what_is_wanted(mask):
    bias = [6] if mask[2] else None

    def function(gradient, x, w):
        results = torch.ops.aten.convolution_backward(
            gradient, x, w, bias, [1, 1], [1, 1], [1, 1], False, [0, 0], 1, list(mask)
        )
        return [t for t in results if t is not None]

    arguments = torch.randn(2, 6, 9, 9), torch.randn(2, 4, 9, 9), torch.randn(6, 4, 3, 3)
    got, expected = compiled(function)(*arguments), function(*arguments)
    assert _reason() is None and len(got) == len(expected) == sum(mask)
    for a, b in zip(got, expected):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("column", [0, 3, 7])
@pytest.mark.parametrize("which", [0, 1], ids=["gradient", "input"])
def test_not_a_number_stays_in_its_windows(which, column, stride):
    out = 8 // stride
    arguments = [torch.randn(1, 2, out, out), torch.randn(1, 3, 8, 8), torch.randn(2, 3, 3, 3)]
    arguments[which][0, 0, 1, min(column, arguments[which].shape[3] - 1)] = torch.nan

    def function(gradient, x, w):
        return _backward(gradient, x, w, 1, stride, [True, True, False])[:2]

    got, expected = compiled(function)(*arguments), function(*arguments)
    for ours, eager in zip(got, expected):
        assert torch.equal(ours.isnan(), eager.isnan())


def test_many_images_and_channels():
    x, w = torch.randn(9, 40, 20, 20), torch.randn(70, 40, 3, 3)
    _check(lambda x, w: F.conv2d(x, w, padding=1), [x, w])
    assert _reason() is None


def test_empty_batch():
    function = compiled(lambda x, w: F.conv2d(x, w, padding=1))
    x = torch.randn(0, 4, 8, 8, requires_grad=True)
    w = torch.randn(6, 4, 3, 3, requires_grad=True)
    function(x, w).sum().backward()
    assert x.grad.shape == x.shape and torch.equal(w.grad, torch.zeros_like(w))


@pytest.mark.parametrize("turned", [lambda t: t, lambda t: t.transpose(2, 3), lambda t: t[:, :, ::2, 1:]])
def test_operands_in_other_layouts(turned):
    x, w = torch.randn(2, 4, 12, 12), torch.randn(6, 4, 3, 3)
    _check(lambda x, w: F.conv2d(turned(x), w.flip(3), padding=1), [x, w])
