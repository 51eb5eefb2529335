"""The operators that must run in generated code, on plain inputs, forward and backward."""

import pytest
import torch
import torch.nn.functional as F
from conftest import close, compiled

import ferroductor

#: What may run elsewhere although it stands among the nodes of these programs: it computes nothing.
FREE = {"<built-in function getitem>", "aten._assert_async.msg"}


def x(*sizes):
    return torch.randn(*sizes) if sizes else torch.randn(4, 6)


def indices(high, *sizes):
    return torch.randint(0, high, sizes)


UNARY = [
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atanh", "ceil", "cos", "cosh", "erf",
    "erfc", "exp", "exp2", "expm1", "floor", "frac", "isfinite", "isinf", "isnan", "log", "log10",
    "log1p", "log2", "logical_not", "neg", "reciprocal", "relu", "round", "rsqrt", "sigmoid",
    "sign", "signbit", "sin", "sinh", "sqrt", "square", "tan", "tanh", "trunc",
]  # fmt: skip
BINARY = [
    "add", "atan2", "copysign", "div", "eq", "fmax", "fmin", "fmod", "ge", "gt",
    "le", "logical_and", "logical_or", "logical_xor", "lt", "maximum", "minimum", "mul", "ne",
    "pow", "remainder", "sub",
]  # fmt: skip
INTEGER = [
    "bitwise_and", "bitwise_or", "bitwise_xor", "bitwise_left_shift", "bitwise_right_shift",
    "floor_divide", "remainder", "fmod", "mul", "maximum", "eq",
]  # fmt: skip
REDUCTIONS = [
    "sum", "mean", "prod", "amax", "amin", "var", "std", "logsumexp", "any", "all", "argmax",
    "argmin", "cumsum", "cumprod", "softmax", "log_softmax",
]  # fmt: skip

PROGRAMS = {
    **{name: (getattr(torch, name), lambda: [x().abs() / 8 + 0.25]) for name in UNARY},
    **{name: (getattr(torch, name), lambda: [x(), x().abs() + 0.5]) for name in BINARY},
    **{
        f"{name} of integers": (getattr(torch, name), lambda: [indices(9, 5), indices(9, 5) + 1])
        for name in INTEGER
    },
    **{
        f"{name} of rows": (lambda a, f=getattr(torch, name): f(a, dim=1), lambda: [x()])
        for name in REDUCTIONS
    },
    "floor_divide": (lambda a, b: torch.floor_divide(a.detach(), b.detach()), lambda: [x(), x()]),
    "clamp": (lambda a: a.clamp(-0.5, 0.5), lambda: [x()]),
    "where": (lambda a, b: torch.where(a > 0, a, b), lambda: [x(), x()]),
    "masked_fill": (lambda a, m: a.masked_fill(m > 0, 1.5), lambda: [x(), x()]),
    "lerp": (lambda a, b: torch.lerp(a, b, 0.3), lambda: [x(), x()]),
    "addcmul": (lambda a, b, c: torch.addcmul(a, b, c, value=2), lambda: [x(), x(), x()]),
    "gelu": (F.gelu, lambda: [x()]),
    "gelu by tanh": (lambda a: F.gelu(a, approximate="tanh"), lambda: [x()]),
    "silu": (F.silu, lambda: [x()]),
    "leaky_relu": (F.leaky_relu, lambda: [x()]),
    "elu": (F.elu, lambda: [x()]),
    "hardswish": (F.hardswish, lambda: [x()]),
    "mish": (F.mish, lambda: [x()]),
    "softplus": (F.softplus, lambda: [x()]),
    "sum of all": (torch.sum, lambda: [x()]),
    "argmax of all": (torch.argmax, lambda: [x()]),
    "max with positions": (lambda a: a.max(1), lambda: [x()]),
    "min with positions": (lambda a: a.min(0), lambda: [x()]),
    "var_mean": (lambda a: torch.var_mean(a, 1), lambda: [x()]),
    "layer_norm": (lambda a, w, b: F.layer_norm(a, (6,), w, b), lambda: [x(), x(6), x(6)]),
    "rms_norm": (lambda a, w: F.rms_norm(a, (6,), w), lambda: [x(), x(6)]),
    "group_norm": (lambda a, w, b: F.group_norm(a, 2, w, b), lambda: [x(3, 4, 5), x(4), x(4)]),
    "batch_norm": (
        lambda a, w, b: F.batch_norm(a, None, None, w, b, training=True),
        lambda: [x(3, 4, 5), x(4), x(4)],
    ),
    "embedding": (F.embedding, lambda: [indices(5, 3, 2), x(5, 4)]),
    "gather": (lambda a, i: a.gather(1, i), lambda: [x(), indices(6, 4, 3)]),
    "scatter": (lambda a, i, b: a.scatter(1, i, b), lambda: [x(), indices(6, 4, 1), x(4, 1)]),
    "scatter_add": (
        lambda a, i, b: a.scatter_add(0, i, b),
        lambda: [x(), indices(4, 9, 6), x(9, 6)],
    ),
    "index_select": (lambda a, i: a.index_select(1, i), lambda: [x(), indices(6, 3)]),
    "index": (lambda a, i, j: a[i, j], lambda: [x(), indices(4, 3), indices(6, 3)]),
    "index_put": (
        lambda a, i, b: a.index_put((i,), b, accumulate=True),
        lambda: [x(), indices(4, 9), x(9, 6)],
    ),
    "cat": (lambda a, b: torch.cat([a, b], 1), lambda: [x(), x()]),
    "stack": (lambda a, b: torch.stack([a, b], 1), lambda: [x(), x()]),
    "split": (lambda a: [p * 2 for p in a.split(2, 1)], lambda: [x()]),
    "pad": (lambda a: F.pad(a, (1, 2, 0, 1)), lambda: [x()]),
    "pad by reflection": (lambda a: F.pad(a, (2, 1), mode="reflect"), lambda: [x()]),
    "pad by replication": (lambda a: F.pad(a, (2, 1), mode="replicate"), lambda: [x()]),
    "flip": (lambda a: a.flip(0) * 2, lambda: [x()]),
    "roll": (lambda a: a.roll(2, 1), lambda: [x()]),
    "roll of all": (lambda a: a.roll(5), lambda: [x()]),
    "repeat": (lambda a: a.repeat(2, 3), lambda: [x()]),
    "unfold": (lambda a: a.unfold(1, 3, 2) * 2, lambda: [x()]),
    "diagonal": (lambda a: a.diagonal() * 2, lambda: [x()]),
    "as_strided": (lambda a: a.as_strided((3, 2), (6, 2), 1) * 2, lambda: [x()]),
    "arange and full": (
        lambda a: a + torch.arange(6) + torch.full((4, 6), 2.0),
        lambda: [x()],
    ),
    "tril and triu": (lambda a: a.tril() - a.triu(1), lambda: [x()]),
    "one_hot": (lambda i: F.one_hot(i, 7), lambda: [indices(7, 5)]),
    "avg_pool2d": (lambda a: F.avg_pool2d(a, 3, 2, 1), lambda: [x(2, 3, 7, 8)]),
    "max_pool2d": (lambda a: F.max_pool2d(a, 3, 2, 1), lambda: [x(2, 3, 7, 8)]),
    "adaptive_avg_pool2d": (lambda a: F.adaptive_avg_pool2d(a, (3, 2)), lambda: [x(2, 3, 7, 8)]),
    "nearest": (lambda a: F.interpolate(a, scale_factor=2), lambda: [x(2, 3, 4, 5)]),
    "bilinear": (
        lambda a: F.interpolate(a, scale_factor=2, mode="bilinear"),
        lambda: [x(2, 3, 4, 5)],
    ),
    "cross_entropy": (F.cross_entropy, lambda: [x(), indices(6, 4)]),
    "nll_loss": (lambda a, t: F.nll_loss(a, t), lambda: [x(), indices(6, 4)]),
    "mse_loss": (F.mse_loss, lambda: [x(), x()]),
    "binary_cross_entropy": (
        F.binary_cross_entropy,
        lambda: [torch.rand(4, 6), torch.rand(4, 6)],
    ),
    "bce_with_logits": (F.binary_cross_entropy_with_logits, lambda: [x(), torch.rand(4, 6)]),
    "kl_div": (lambda a, b: F.kl_div(a, b, reduction="batchmean"), lambda: [x(), torch.rand(4, 6)]),
    "huber_loss": (F.huber_loss, lambda: [x(), x()]),
    "mm": (torch.mm, lambda: [x(), x(6, 5)]),
    "bmm": (torch.bmm, lambda: [x(2, 3, 4), x(2, 4, 5)]),
    "addmm": (torch.addmm, lambda: [x(5), x(), x(6, 5)]),
}


def elsewhere():
    """The operators that did not run in generated code, with the reasons."""
    return {
        (target, reason)
        for graph in ferroductor.report().graphs
        for _, target, kind, reason in graph["nodes"]
        if kind != "native" and target not in FREE
    }


@pytest.mark.parametrize("name", PROGRAMS)
def test_runs_in_generated_code(name):
    function, inputs = PROGRAMS[name]
    inputs = [a.requires_grad_() if a.is_floating_point() else a for a in inputs()]
    expected, expected_gradients = outcome(function, inputs)
    got, gradients = outcome(compiled(function, fullgraph=True), inputs)
    close(got, expected, 1e-5)
    close(gradients, expected_gradients, 1e-5)
    assert len(ferroductor.report()) > 0
    assert not elsewhere()


def outcome(function, inputs):
    """Results and gradients."""
    result = function(*inputs)
    parts = [result] if isinstance(result, torch.Tensor) else list(result)
    parts = [part for part in parts if part.requires_grad]
    leaves = [a for a in inputs if a.requires_grad]
    if not parts:
        return result, []
    torch.manual_seed(1)
    weights = [torch.randn_like(part) for part in parts]
    return result, list(torch.autograd.grad(parts, leaves, weights, allow_unused=True))
