"""Convolutions over geometries, layouts, shapes, dtypes and both emitters, by the fp64 rule.

The maximum and the root-mean-square error against fp64 are at most twice eager's (three times in
bf16); dtype, shape and strides are eager's.
"""

import copy
import os
import shutil
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from conftest import compiled

import ferroductor

#: Input shape, output channels, kernel, and the keywords of `F.conv1d` to `F.conv3d`.
GEOMETRIES = {
    "same": ((2, 8, 14, 14), 16, (3, 3), {"padding": 1}),
    "same_wide": ((1, 20, 30, 33), 40, (3, 3), {"padding": 1}),
    "point": ((2, 16, 7, 7), 24, (1, 1), {}),
    "point_whole_vectors": ((2, 16, 8, 8), 24, (1, 1), {}),
    "point_strided": ((2, 16, 28, 28), 24, (1, 1), {"stride": 2}),
    "valid": ((2, 8, 15, 17), 8, (3, 3), {}),
    "strided_even": ((2, 8, 16, 16), 8, (3, 3), {"padding": 1, "stride": 2}),
    "strided_odd": ((2, 8, 15, 17), 8, (3, 3), {"padding": 1, "stride": 2}),
    "strided_valid": ((2, 8, 15, 16), 8, (3, 3), {"stride": 2}),
    "stem": ((2, 3, 32, 32), 16, (7, 7), {"padding": 3, "stride": 2}),
    "patches": ((1, 3, 32, 32), 48, (8, 8), {"stride": 8}),
    "stride_above_kernel": ((2, 4, 17, 19), 6, (2, 2), {"stride": 3}),
    "stride_three": ((2, 4, 18, 18), 6, (5, 5), {"stride": 3, "padding": 2}),
    "dilated": ((2, 8, 16, 16), 8, (3, 3), {"padding": 2, "dilation": 2}),
    "dilated_strided": ((2, 8, 16, 16), 8, (3, 3), {"padding": 3, "dilation": 3, "stride": 2}),
    "uneven": ((1, 8, 12, 20), 8, (1, 7), {"padding": (0, 3)}),
    "uneven_strides": ((1, 8, 12, 20), 8, (5, 3), {"padding": (2, 1), "stride": (1, 2)}),
    "much_padding": ((1, 4, 5, 5), 8, (3, 3), {"padding": 4}),
    "kernel_of_input": ((3, 4, 5, 5), 8, (5, 5), {}),
    "kernel_of_input_one_image": ((1, 4, 5, 5), 8, (5, 5), {}),
    "tiny_planes": ((2, 4, 3, 3), 8, (3, 3), {"padding": 1}),
    "one_position": ((1, 4, 1, 1), 4, (3, 3), {"padding": 1}),
    "squeezed": ((4, 36, 1, 1), 9, (1, 1), {}),
    "squeezed_one_image": ((1, 36, 1, 1), 9, (1, 1), {}),
    "one_channel": ((1, 1, 9, 9), 1, (3, 3), {"padding": 1}),
    "deep": ((1, 300, 9, 9), 8, (3, 3), {"padding": 1}),
    "deep_power_of_two": ((1, 1024, 4, 8), 48, (1, 1), {}),
    "images_together": ((3, 64, 7, 7), 24, (3, 3), {"padding": 1}),
    "images_together_strided": ((2, 64, 14, 14), 16, (3, 3), {"padding": 1, "stride": 2}),
    "images_together_point": ((4, 512, 3, 3), 32, (1, 1), {}),
    "images_together_valid": ((2, 64, 9, 9), 8, (3, 3), {}),
    "images_together_grouped": ((2, 256, 7, 7), 16, (3, 3), {"padding": 1, "groups": 4}),
    "grouped": ((2, 32, 14, 14), 64, (3, 3), {"padding": 1, "groups": 4}),
    "grouped_strided": ((2, 12, 14, 14), 18, (3, 3), {"padding": 1, "stride": 2, "groups": 3}),
    "depthwise": ((2, 32, 14, 14), 32, (3, 3), {"padding": 1, "groups": 32}),
    "depthwise_strided": ((2, 32, 15, 14), 32, (5, 5), {"padding": 2, "stride": 2, "groups": 32}),
    "depthwise_valid": ((2, 6, 11, 13), 6, (3, 3), {"groups": 6}),
    "depthwise_dilated": ((1, 6, 16, 16), 6, (3, 3), {"padding": 2, "dilation": 2, "groups": 6}),
    "depthwise_multiplied": ((2, 6, 9, 9), 12, (3, 3), {"padding": 1, "groups": 6}),
    "depthwise_large": ((1, 5, 24, 24), 5, (13, 13), {"padding": 6, "groups": 5}),
    "depthwise_beyond_a_run": ((1, 3, 24, 24), 3, (17, 17), {"padding": 8, "groups": 3}),
    "line": ((2, 6, 50), 10, (5,), {"padding": 2}),
    "line_strided": ((2, 80, 60), 32, (3,), {"padding": 1, "stride": 2}),
    "line_depthwise_causal": ((2, 16, 30), 16, (4,), {"padding": 3, "groups": 16}),
    "volume": ((1, 4, 6, 8, 9), 8, (3, 3, 3), {"padding": 1}),
    "volume_strided": ((2, 4, 7, 8, 8), 8, (3, 3, 3), {"padding": 1, "stride": 2}),
    "volume_valid": ((1, 4, 6, 8, 9), 8, (2, 3, 1), {}),
    "tubelets": ((1, 3, 4, 16, 16), 8, (2, 8, 8), {"stride": (2, 8, 8)}),
}

#: These stand for the rest where every cell of a matrix would cost too much.
TYPICAL = [
    "same", "point", "strided_even", "valid", "images_together", "grouped", "depthwise_strided",
    "squeezed",
]


def _convolution(x, weight, bias, **settings):
    run = (F.conv1d, F.conv2d, F.conv3d)[x.dim() - 3]
    return F.relu(run(x, weight, bias, **settings) * 0.5)


def _arguments(name, dtype=torch.float32):
    shape, channels, kernel, settings = GEOMETRIES[name]
    groups = settings.get("groups", 1)
    weight = torch.randn(channels, shape[1] // groups, *kernel)
    return [t.to(dtype) for t in (torch.randn(shape), weight, torch.randn(channels))], settings


def _follows_the_rule(got, eager, gold):
    assert (got.dtype, got.shape, got.stride()) == (eager.dtype, eager.shape, eager.stride())
    limit = 3 if eager.dtype == torch.bfloat16 else 2
    for measure in (lambda t: t.square().mean().sqrt().item(), lambda t: t.abs().max().item()):
        floor = 4 * torch.finfo(eager.dtype).eps * measure(gold)
        assert measure(got.double() - gold) <= limit * max(measure(eager.double() - gold), floor)


def _check(function, arguments, dynamic=None, **options):
    eager, gold = function(*arguments), function(*[t.double() for t in arguments])
    got = compiled(function, dynamic=dynamic, options=options)(*arguments)
    _follows_the_rule(got, eager, gold)
    return got


def _is_native():
    return "aten.convolution" not in str(ferroductor.report())


@pytest.mark.parametrize("name", GEOMETRIES)
def test_geometry(name):
    arguments, settings = _arguments(name)
    _check(lambda x, w, b: _convolution(x, w, b, **settings), arguments)
    assert _is_native()


@pytest.mark.parametrize("name", GEOMETRIES)
def test_symbolic_sizes(name):
    arguments, settings = _arguments(name)
    _check(lambda x, w, b: _convolution(x, w, b, **settings), arguments, dynamic=True)


@pytest.mark.parametrize("name", GEOMETRIES)
def test_half_precision(name):
    arguments, settings = _arguments(name, torch.bfloat16)
    _check(lambda x, w, b: _convolution(x, w, b, **settings), arguments)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("dynamic", [None, True], ids=["static", "symbolic"])
@pytest.mark.parametrize("name", TYPICAL)
def test_cpp(name, dynamic, dtype):
    if not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("no C++ compiler on this machine")
    arguments, settings = _arguments(name, dtype)
    function = lambda x, w, b: _convolution(x, w, b, **settings)  # noqa: E731
    got = _check(function, arguments, dynamic, codegen="cpp")
    torch._dynamo.reset()
    assert torch.equal(got, compiled(function, dynamic=dynamic)(*arguments))


@pytest.mark.parametrize("isa", ["sse4.2", "avx2"])
def test_instruction_sets(isa):
    tests = [f"{__file__}::test_geometry[{name}]" for name in TYPICAL]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "FERRODUCTOR_ISA": isa}
    run = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout[-3000:]


@pytest.mark.parametrize("name", TYPICAL)
def test_bits_do_not_depend_on_threads(name):
    arguments, settings = _arguments(name)
    function = compiled(lambda x, w, b: _convolution(x, w, b, **settings))
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            results.append(function(*arguments))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(results[0], other) for other in results[1:])


def test_batch_of_any_size():
    convolution = nn.Conv2d(8, 12, 3, padding=1)
    function = compiled(convolution, dynamic=True)
    with torch.no_grad():
        for images in (2, 5, 3, 1, 0):
            x = torch.randn(images, 8, 10, 10)
            torch.testing.assert_close(function(x), convolution(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.transpose(2, 3),
        lambda x: x[:, ::2],
        lambda x: x[:, :, 1:, :-3],
        lambda x: x[:, :, :, ::2],
        lambda x: x.flip(3),
        lambda x: x[:1].expand(3, -1, -1, -1),
        lambda x: x.contiguous(memory_format=torch.channels_last),
        lambda x: torch.sigmoid(x).permute(0, 1, 3, 2),
    ],
    ids=["transposed", "channels", "cropped", "columns", "flipped", "expanded", "last", "computed"],
)
def test_views(view):
    x = torch.randn(3, 8, 12, 14)
    channels = view(x).shape[1]
    arguments = [x, torch.randn(6, channels, 3, 3), torch.randn(6)]
    _check(lambda x, w, b: F.conv2d(view(x), w, b, padding=1), arguments)


def test_weights_in_any_layout():
    x, b = torch.randn(2, 8, 10, 10), torch.randn(6)
    for weight in (
        torch.randn(6, 8, 3, 3).contiguous(memory_format=torch.channels_last),
        torch.randn(3, 3, 8, 6).permute(3, 2, 0, 1),
        torch.randn(12, 8, 3, 3)[::2],
        torch.randn(6, 1, 3, 3).expand(-1, 8, -1, -1),
    ):
        torch._dynamo.reset()
        eager = F.conv2d(x, weight, b)
        got = compiled(F.conv2d)(x, weight, b)
        gold = F.conv2d(x.double(), weight.double(), b.double())
        assert (got - gold).abs().max() <= 2 * max((eager - gold).abs().max(), 1e-5)


def test_channels_last_models_keep_their_layout():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 4, 1)).eval()
    model = model.to(memory_format=torch.channels_last)
    x = torch.randn(2, 3, 9, 9).to(memory_format=torch.channels_last)
    with torch.no_grad():
        expected, got = model(x), compiled(model)(x)
    assert got.stride() == expected.stride()
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-5)


def test_asymmetric_padding():
    x, w = torch.randn(2, 4, 9, 9), torch.randn(8, 4, 3, 3)
    _check(lambda x, w: F.conv2d(F.pad(x, (0, 1, 0, 1)), w, stride=2), [x, w])
    torch._dynamo.reset()
    _check(lambda x, w: F.conv2d(F.pad(x, (2, 0, 0, 1)), w, padding=1), [x, w])


def test_normalisation_and_activation_join_the_convolution():
    block = nn.Sequential(nn.Conv2d(8, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
    block[1].running_mean.normal_()
    block[1].running_var.uniform_(0.5, 2)
    block.eval()
    exact = copy.deepcopy(block).double()
    x = torch.randn(2, 8, 14, 14)
    with torch.no_grad():
        got = compiled(block)(x)
        _follows_the_rule(got, block(x), exact(x.double()))
    # One for the normalisation's factors, made of parameters alone, and one for everything else.
    assert "2 kernel launches" in str(ferroductor.report())


def test_empty_tensors():
    weight = torch.randn(6, 4, 3, 3)
    function = compiled(lambda x, w: F.conv2d(x, w, padding=1))
    assert function(torch.randn(0, 4, 8, 8), weight).shape == (0, 6, 8, 8)


def test_errors_are_eagers():
    x, weight = torch.randn(1, 4, 4, 4), torch.randn(6, 4, 5, 5)
    with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        F.conv2d(x, weight)
    with pytest.raises(Exception, match="Kernel size can't be greater"):
        compiled(F.conv2d)(x, weight)


def test_not_a_number_stays_in_its_windows():
    x, weight = torch.zeros(1, 1, 6, 6), torch.ones(1, 1, 3, 3)
    x[0, 0, 0, 5] = torch.nan
    x[0, 0, 3, 0] = torch.inf
    expected = F.conv2d(x, weight, padding=1)
    got = compiled(lambda x, w: F.conv2d(x, w, padding=1))(x, weight)
    assert torch.equal(got.isnan(), expected.isnan())
    assert torch.equal(got.isinf(), expected.isinf())


def test_gradients():
    model = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.GELU(), nn.Conv2d(8, 8, 3, groups=8))
    exact = copy.deepcopy(model).double()
    ours = copy.deepcopy(model)
    x = torch.randn(2, 3, 11, 11)
    for run, owner, data in (
        (model, model, x), (exact, exact, x.double()), (compiled(ours), ours, x)
    ):
        run(data).square().mean().backward()
    for p, q, t in zip(ours.parameters(), model.parameters(), exact.parameters()):
        scale = max((q.grad - t.grad).abs().max(), 1e-6 * t.grad.abs().max())
        assert (p.grad - t.grad).abs().max() <= 2 * scale
