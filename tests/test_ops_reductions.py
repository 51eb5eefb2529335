"""Reductions, scans, softmaxes and normalisations at the edges."""

import pytest
import torch
import torch.nn.functional as F
from conftest import close, compiled, same

INF, NAN = float("inf"), float("nan")
SHAPES = [(5,), (1,), (4, 7), (7, 1), (1, 7), (3, 4, 5), (33, 129), (2, 1, 300), (300, 3)]


def limit(dtype):
    return {torch.bfloat16: 2e-2, torch.float16: 4e-3, torch.float64: 1e-12}.get(dtype, 3e-6)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_over_each_dimension(shape, dtype, dynamic):
    x = torch.randn(shape).to(dtype)

    def function(x):
        results = []
        for dim in range(x.dim()):
            results += [x.sum(dim), x.mean(dim, keepdim=True), x.amax(dim), x.amin(dim, keepdim=True)]
            results += [x.argmax(dim), x.argmin(dim, keepdim=True), *x.max(dim), *x.min(dim)]
            results += [(x > 0).any(dim), (x > 0).all(dim), x.softmax(dim), x.logsumexp(dim)]
        return results

    same(function, x, dynamic=dynamic, tolerance=limit(dtype))


@pytest.mark.parametrize("dynamic", [False, True])
def test_over_several_and_all_dimensions(dynamic):
    x = torch.randn(4, 5, 6)

    def function(x):
        y = [x.sum(), x.mean(), x.amax(), x.argmax(), x.argmin(keepdim=True), x.std(), x.prod()]
        y += [x.sum((0, 2)), x.var((0, 1)), x.amax((1, 2), keepdim=True), (x > 9).any(), x.max()]
        return y + [*torch.var_mean(x, (1, 2)), *torch.std_mean(x, 0, correction=0)]

    same(function, x, dynamic=dynamic, tolerance=3e-6)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.uint8, torch.bool], ids=str)
def test_of_integers(dtype):
    x = torch.randint(0, 2 if dtype is torch.bool else 100, (6, 40)).to(dtype)

    def function(x):
        results = [x.sum(), x.sum(1), x.prod(0), x.any(1), x.all(0), x.amax(1), x.amin(0)]
        results += [x.cumsum(1), x.max(), *x.max(1)]
        return results + ([] if x.dtype is torch.bool else [x.argmax(1), x.argmin()])

    same(function, x)


def test_integer_sums_wrap():
    x = torch.full((3, 5), 2**62)
    same(lambda x: (x.sum(1), x.cumsum(1), x.prod(1)), x)
    same(lambda x: x.sum(1, dtype=torch.int32), torch.full((2, 5), 2**30, dtype=torch.int32))


def test_of_nothing():
    x = torch.empty(3, 0)
    same(lambda x: (x.sum(1), x.mean(1), x.prod(1), x.any(1), x.all(1), x.sum(), x.var(1)), x)
    same(lambda x: (x.amax(1), x.argmax(1), x.cumsum(1)), torch.empty(0, 3))
    for function in (lambda x: x.amax(1), lambda x: x.argmax(), lambda x: x.max()):
        torch._dynamo.reset()
        with pytest.raises((RuntimeError, IndexError)):
            function(x)
        with pytest.raises((RuntimeError, IndexError)):
            compiled(function)(x)


def test_of_scalars():
    x = torch.tensor(3.0)
    same(lambda x: (x.sum(), x.mean(), x.argmax(), x.amax(), x.cumsum(0), x.softmax(0)), x)
    same(lambda x: (*x.max(0), x.log_softmax(0), x.logsumexp(0)), x)


@pytest.mark.parametrize("size", [3, 17, 64, 257])
def test_special_values(size):
    rows = torch.randn(6, size)
    rows[0, size // 2] = NAN
    rows[1, 0], rows[1, -1] = NAN, NAN
    rows[2, 1] = INF
    rows[3, 2] = -INF
    rows[4] = -INF
    rows[5] = rows[5, 0]

    def function(x):
        results = [x.sum(1), x.amax(1), x.amin(1), x.argmax(1), x.argmin(1), *x.max(1), *x.min(1)]
        results += [x.softmax(1), x.log_softmax(1), x.logsumexp(1), x.any(1), x.all(1), x.mean(1)]
        return results + [x.argmax(0), x.amax(0), x.cumsum(1), x.nansum(1)]

    same(function, rows, tolerance=3e-6)


def test_first_of_equal_extremes_wins():
    x = torch.randint(0, 3, (20, 100)).float()
    same(lambda x: (x.argmax(1), x.argmin(1), x.argmax(0), x.argmin(), x.max(0)[1]), x)


def test_variance_is_stable():
    x = torch.randn(8, 1000) + 1e4
    exact = x.double().var(1)
    ours = compiled(lambda x: x.var(1))(x)
    assert ((ours - exact).abs() <= 2 * (x.var(1) - exact).abs().max() + 1e-4).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int32], ids=str)
@pytest.mark.parametrize("shape", [(7,), (4, 9), (3, 4, 5), (1, 8), (0, 3)], ids=str)
def test_scans(shape, dtype):
    x = (torch.randn(shape) * 2).to(dtype)

    def function(x):
        return [f(d) for d in range(x.dim()) for f in (x.cumsum, x.cumprod)]

    same(function, x, tolerance=limit(dtype))


def test_strides():
    base = torch.randn(12, 20)
    for x in (base.t(), base[::2, ::3], base[:1].expand(5, 20), base.view(3, 4, 20).permute(2, 0, 1)):
        torch._dynamo.reset()
        same(lambda x: (x.sum(0), x.sum(-1), x.softmax(1), x.argmax(1), x.argmax()), x, tolerance=3e-6)


def trained(function, *inputs, tolerance):
    """Results and gradients against eager."""
    inputs = [a.requires_grad_() if a.is_floating_point() else a for a in inputs]
    leaves = [a for a in inputs if a.requires_grad]
    expected, got = function(*inputs), compiled(function)(*inputs)
    close(got, expected, tolerance)
    weights = torch.randn_like(expected)
    close(
        torch.autograd.grad((got * weights).sum(), leaves),
        torch.autograd.grad((expected * weights).sum(), leaves),
        tolerance,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("shape", [(6, 4, 10), (2, 4, 33), (3, 4, 5, 6), (1, 4, 7)], ids=str)
def test_normalisations(shape, dtype):
    def make(*sizes):
        return torch.randn(*sizes).to(dtype)

    last = shape[-1]
    cases = [
        (lambda x, w, b: F.layer_norm(x, (last,), w, b), make(last), make(last)),
        (lambda x, w, b: F.rms_norm(x, (last,), w) + b, make(last), make(last)),
        (lambda x, w, b: F.group_norm(x, 2, w, b), make(4), make(4)),
        (lambda x, w, b: F.instance_norm(x, None, None, w, b), make(4), make(4)),
        (lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), make(4), make(4)),
        (
            lambda x, w, b: F.batch_norm(x, torch.zeros(4), torch.ones(4), w, b),
            make(4).float(),
            make(4).float(),
        ),
    ]
    for function, weight, bias in cases:
        torch._dynamo.reset()
        x = make(*shape)
        trained(function, x, weight, bias, tolerance=2e-5 if dtype is torch.float32 else 4e-2)


@pytest.mark.parametrize("codegen", ["llvm", "cpp"])
def test_any_and_all_of_rows(codegen):
    """Vectors of predicates held from one step of a row to the next."""

    def f(x):
        dead = (x == -torch.inf).all(-1, keepdim=True)
        positive = (x > 0).any(-1, keepdim=True)
        return torch.where(dead, 0.0, x.softmax(-1)), torch.where(positive, x, -x), positive

    x = torch.randn(50, 33)
    x[3], x[7] = -torch.inf, -x[7].abs()
    close(compiled(f, options={"codegen": codegen})(x), f(x), 1e-6)


def test_batch_norm_sums_in_double_precision():
    """As eager does on CPUs: a channel's gradient is the exact sum, rounded once. In single
    precision a sum of 20000 elements is off by more than that in nearly every channel."""
    norm = torch.nn.BatchNorm2d(16)
    run = compiled(norm)
    x, gradient = torch.randn(3, 16, 80, 83, requires_grad=True), torch.randn(3, 16, 80, 83) + 1
    run(x).backward(gradient)
    exact = gradient.double().sum((0, 2, 3))
    torch.testing.assert_close(norm.bias.grad, exact.float(), rtol=6e-8, atol=0)
    mean = x.detach().double().mean((0, 2, 3))
    torch.testing.assert_close(norm.running_mean, (0.1 * mean).float(), rtol=2e-7, atol=1e-9)


def test_batch_norm_updates_its_statistics():
    ours, theirs = torch.nn.BatchNorm2d(3), torch.nn.BatchNorm2d(3)
    code = compiled(ours)
    for _ in range(3):
        x = torch.randn(4, 3, 5, 6)
        close(code(x), theirs(x), 1e-5)
    close(ours.running_mean, theirs.running_mean, 1e-6)
    close(ours.running_var, theirs.running_var, 1e-5)
    assert ours.num_batches_tracked == 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_losses(dtype):
    x, y = torch.randn(9, 12).to(dtype), torch.rand(9, 12).to(dtype)
    labels = torch.randint(0, 12, (9,))
    labels[3] = -100
    tolerance = 1e-5 if dtype is torch.float32 else 3e-2
    for reduction in ("mean", "sum", "none"):
        pairs = [
            lambda a, b: F.mse_loss(a, b, reduction=reduction),
            lambda a, b: F.binary_cross_entropy_with_logits(a, b, reduction=reduction),
            lambda a, b: F.huber_loss(a, b, reduction=reduction),
            lambda a, b: F.smooth_l1_loss(a, b, reduction=reduction),
            lambda a, b: F.l1_loss(a, b, reduction=reduction),
            lambda a, b: F.kl_div(a, b, reduction=reduction),
        ]
        for function in pairs:
            torch._dynamo.reset()
            trained(function, x.clone(), y.clone(), tolerance=tolerance)
        torch._dynamo.reset()
        trained(
            lambda a, t: F.cross_entropy(a, t, reduction=reduction, label_smoothing=0.1),
            x.clone(),
            labels,
            tolerance=tolerance,
        )
        torch._dynamo.reset()
        trained(
            lambda a, b: F.binary_cross_entropy(a.sigmoid(), b.detach(), reduction=reduction) + 0 * b.sum(),
            x.clone(),
            y.clone(),
            tolerance=tolerance,
        )
