"""Elementwise operators at the edges: special values, promotion, strides, errors."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from conftest import close, compiled, same

INF, NAN = float("inf"), float("nan")
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -2.5, 3.0, INF, -INF, NAN, 1e-40, 1e30, -1e30, 88.8]

UNARY = [
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf", "erfc",
    "exp", "exp2", "expm1", "floor", "frac", "isfinite", "isinf", "isnan", "log", "log10", "log1p",
    "log2", "neg", "reciprocal", "relu", "round", "rsqrt", "sgn", "sigmoid", "sign", "signbit",
    "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc", "nan_to_num", "isposinf", "isneginf",
]  # fmt: skip
FLOATS = [torch.float32, torch.bfloat16, torch.float16, torch.float64]
INTEGERS = [torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8]


def special(dtype):
    return torch.tensor(SPECIAL * 3, dtype=torch.float64).to(dtype)


def tolerance(dtype):
    return {torch.bfloat16: 1e-2, torch.float16: 2e-3, torch.float64: 1e-14}.get(dtype, 1e-6)


def same_elements(got, expected, dtype):
    """Equal up to a relative error for each element; NaN, infinities and signs of zero agree."""
    assert (got.dtype, got.shape) == (expected.dtype, expected.shape)
    if not expected.dtype.is_floating_point:
        assert torch.equal(got, expected)
        return
    torch.testing.assert_close(
        got, expected, rtol=tolerance(dtype) * 4, atol=1e-36, equal_nan=True
    )
    number = ~expected.isnan()
    assert torch.equal(got.signbit()[number], expected.signbit()[number])


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("name", UNARY)
def test_special_values(name, dtype):
    function = getattr(torch, name)
    x = special(dtype)
    # ATen's own vectors and scalars differ at huge arguments of the periodic functions.
    if name in ("sin", "cos", "tan"):
        x = x[x.abs() < 1e4]
    same_elements(compiled(lambda x: function(x))(x), function(x), dtype)


BINARY = [
    "add", "sub", "mul", "div", "maximum", "minimum", "fmax", "fmin", "atan2", "copysign", "eq",
    "ne", "lt", "le", "gt", "ge", "pow", "fmod", "remainder", "floor_divide", "logaddexp",
]  # fmt: skip


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", BINARY)
def test_pairs_of_special_values(name, dtype):
    function = getattr(torch, name)
    values = [v for v in SPECIAL if v != 88.8]
    if name in ("fmod", "remainder", "floor_divide"):
        values = [v for v in values if abs(v) != 1e30 and v != 1e-40]
    pairs = list(itertools.product(values, values))
    a, b = torch.tensor(pairs, dtype=torch.float64).to(dtype).unbind(1)
    a, b = a.contiguous(), b.contiguous()
    got, expected = compiled(lambda a, b: function(a, b))(a, b), function(a, b)
    if name in ("maximum", "minimum", "fmax", "fmin"):
        # Which of two zeros is larger is not defined.
        got, expected = got + 0.0, expected + 0.0
    same_elements(got, expected, dtype)


@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
@pytest.mark.parametrize(
    "name",
    ["add", "sub", "mul", "maximum", "minimum", "bitwise_and", "bitwise_or", "bitwise_xor", "div",
     "floor_divide", "remainder", "fmod", "lt", "ge", "eq", "bitwise_left_shift",
     "bitwise_right_shift", "true_divide", "pow"],
)  # fmt: skip
def test_integers_wrap(name, dtype):
    function = getattr(torch, name)
    info = torch.iinfo(dtype)
    values = [info.min, info.min + 1, -1, 0, 1, 2, 7, info.max - 1, info.max]
    values = [v for v in values if v >= info.min]
    pairs = list(itertools.product(values, values))
    if name in ("floor_divide", "remainder", "fmod"):
        # The one overflow of division traps in ATen.
        pairs = [p for p in pairs if p[1] != 0 and p != (info.min, -1)]
    if name == "pow":
        pairs = [(a, b) for a, b in pairs if 0 <= b < 64]
    if "shift" in name:
        pairs = [(a, b) for a, b in pairs if 0 <= b < 8]
    a, b = torch.tensor(pairs, dtype=dtype).unbind(1)
    same(lambda a, b: function(a, b), a.contiguous(), b.contiguous(), tolerance=1e-6)


@pytest.mark.parametrize("name", ["floor_divide", "remainder", "fmod"])
@pytest.mark.parametrize("count", [1, 37])
def test_integer_division_by_zero_raises(name, count):
    function = getattr(torch, name)
    a, b = torch.arange(count) + 3, torch.ones(count, dtype=torch.int64)
    code = compiled(lambda a, b: function(a, b))
    close(code(a, b), function(a, b))
    b[-1] = 0
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        function(a, b)
    with pytest.raises(RuntimeError, match="ZeroDivisionError"):
        code(a, b)
    b[-1] = 2
    close(code(a, b), function(a, b))


PROMOTION = [torch.bool, torch.uint8, torch.int8, torch.int32, torch.int64, torch.float16,
             torch.bfloat16, torch.float32, torch.float64]  # fmt: skip


@pytest.mark.parametrize("a", PROMOTION, ids=str)
@pytest.mark.parametrize("b", PROMOTION, ids=str)
def test_promotion(a, b):
    def function(x, y, scalar):
        return x + y, x * 2, x * 2.5, x < y, x == scalar, torch.maximum(x, y), x / 2, x + scalar

    x = torch.tensor([0, 1, 2, 3, 5]).to(a)
    y = torch.tensor([3, 1, 0, 2, 5]).to(b)
    same(function, x, y, torch.tensor(2).to(b), tolerance=1e-2)


@pytest.mark.parametrize("sizes", [(0,), (0, 3), (1,), (1, 1), (), (3, 0, 2), (1, 5), (5, 1)], ids=str)
@pytest.mark.parametrize("dynamic", [False, True])
def test_small_shapes(sizes, dynamic):
    same(lambda x: (x.exp() * 2 + x, x > 0, x.to(torch.int32)), torch.randn(sizes), dynamic=dynamic)


@pytest.mark.parametrize("dynamic", [False, True])
def test_strides(dynamic):
    base = torch.randn(6, 10)
    for x in (base.t(), base[::2, 1::3], base[:, 3], base[2].expand(4, 10), base.flip(0)):
        same(lambda x: (x * 2 + 1, x.sigmoid() + x), x, dynamic=dynamic)
        torch._dynamo.reset()
    nhwc = torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last)
    same(lambda x: x.relu() + 1, nhwc, dynamic=dynamic)


def test_misaligned():
    base = torch.randn(1000)
    code = compiled(lambda x: x * 3 - 1)
    for start in range(1, 5):
        x = base[start : start + 333]
        close(code(x), x * 3 - 1)


def test_broadcasting():
    a, b, c = torch.randn(4, 1, 6), torch.randn(5, 1), torch.randn(())
    same(lambda a, b, c: (a + b) * c - a, a, b, c)


def test_conversions():
    x = torch.tensor([0.0, -0.0, 1.9, -1.9, 100.5, -128.0, 255.0])
    targets = [torch.int64, torch.int32, torch.int16, torch.float16, torch.bfloat16, torch.float64]

    def function(x):
        return [x.to(t) for t in targets] + [x.to(torch.int8).to(torch.float32), x.bool()]

    same(function, x[:5])
    same(lambda x: (x.bool(), x.to(torch.float64), x.to(torch.bfloat16)), special(torch.float32))
    wide = torch.tensor([300, -1, 2**40 + 7, -(2**63)])
    same(lambda i: [i.to(t) for t in (torch.int8, torch.uint8, torch.int32, torch.bool)], wide)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
def test_activations(dtype):
    functions = [F.relu, F.gelu, F.silu, F.leaky_relu, F.elu, F.hardswish, F.mish, F.softplus,
                 F.hardtanh, F.relu6, F.celu, F.selu, F.softsign, F.tanhshrink,
                 F.logsigmoid, lambda x: F.gelu(x, approximate="tanh"),
                 lambda x: F.threshold(x, 0.1, 20.0)]  # fmt: skip
    if dtype is not torch.float64:
        # ATen's own gradient multiplies by a sixth in single precision.
        functions.append(F.hardsigmoid)
    x = (torch.randn(50) * 4).to(dtype).requires_grad_()
    for function in functions:
        torch._dynamo.reset()
        expected = function(x)
        got = compiled(lambda x, f=function: f(x))(x)
        limit = max(tolerance(dtype), 1e-12)
        close(got, expected, limit)
        (expected,) = torch.autograd.grad(expected.sum(), x)
        (got,) = torch.autograd.grad(got.sum(), x)
        close(got, expected, limit * 2)


def test_clamp_bounds():
    x = special(torch.float32)
    same_elements(compiled(lambda x: x.clamp(-1, 1))(x), x.clamp(-1, 1), torch.float32)
    same(lambda x: (x.clamp(min=2), x.clamp(max=-2), x.clamp(3, 1)), torch.arange(-5, 5))
    same(lambda x, a, b: x.clamp(a, b), torch.randn(5), torch.zeros(5), torch.ones(()))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32], ids=str)
@pytest.mark.parametrize("bounds", [(-3, 3), (-300, 300), (-(2**40), 2), (None, 2**40)], ids=str)
def test_clamp_bounds_beyond_the_range(dtype, bounds):
    """Such a bound holds for every element; wrapped around it would be another one."""
    limits = torch.iinfo(dtype)
    x = torch.tensor([limits.min, 0, 1, 50, limits.max], dtype=dtype)
    same(lambda x: x.clamp(*bounds), x)


def test_numbers_beyond_the_range_raise():
    x = torch.arange(5, dtype=torch.int8)
    for function in (
        lambda x: torch.full_like(x, 300),
        lambda x: x.masked_fill(x > 2, -300),
        lambda x: F.pad(x, (1, 1), value=2**33),
        lambda x: x + torch.where(x > 2, x, 300),
    ):
        torch._dynamo.reset()
        with pytest.raises(RuntimeError, match="overflow"):
            function(x)
        with pytest.raises(RuntimeError, match="overflow"):
            compiled(function)(x)


def test_powers():
    x = torch.tensor([0.0, -0.0, 1.0, -2.0, 3.5, INF, -INF, NAN])
    for e in (0, 1, 2, 3, 0.5, -0.5, -1, -2, 2.5, -3, 7):
        torch._dynamo.reset()
        same_elements(compiled(lambda x, e=e: x**e)(x), x**e, torch.float32)
    same(lambda i: (i**0, i**1, i**2, i**5, 2**i), torch.arange(-3, 9).clamp(min=0))
