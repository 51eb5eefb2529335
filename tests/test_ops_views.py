"""Views, concatenations, paddings and writes through views."""

import pytest
import torch
import torch.nn.functional as F
from conftest import close, compiled, same


@pytest.mark.parametrize("dynamic", [False, True])
def test_views_feed_arithmetic(dynamic):
    def function(x):
        views = [x.transpose(0, 1), x.permute(2, 0, 1), x.reshape(-1), x.reshape(12, 10)]
        views += [x[1:, ::2], x[..., -1], x[:, 1:-1, 2:4], x.unsqueeze(1), x.flatten(1), x[-2]]
        views += [x.flip(0, 2), x.roll(2, 1), x.roll((1, -3), (0, 2)), x.roll(7), x.diagonal(0, 0, 2)]
        views += [x.unfold(1, 2, 2), x.narrow(2, 1, 3), x.movedim(0, 2), x.swapaxes(0, 2), x.mT]
        return [v * 2 + 1 for v in views]

    same(function, torch.randn(6, 4, 5), dynamic=dynamic)


def test_views_as_results():
    def function(x):
        y = x + 1
        return y, y.t(), y[1:], y.view(-1), x.t(), x[:, 1], y.expand(2, 3, 4)

    same(function, torch.randn(3, 4))


def test_expanded_and_broadcast():
    def function(x, y):
        return x.expand(4, 3, 5) + 1, x.expand(3, 5) * y, torch.broadcast_to(y, (2, 3, 5)).exp()

    same(function, torch.randn(3, 1), torch.randn(5))


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool], ids=str)
def test_joining(dtype, dynamic):
    a, b, c = ((torch.randn(4, n, 3) * 3).to(dtype) for n in (2, 5, 1))

    def function(a, b, c):
        joined = [torch.cat([a, b, c], 1), torch.cat([a, a], 0), torch.stack([a, a], -1)]
        joined += [torch.cat([b.transpose(0, 2), b.transpose(0, 2)], 1), torch.stack([a, a])]
        return joined + [torch.hstack([a, b]), torch.cat([a[:, :0], b], 1), c.repeat(2, 3, 1)]

    same(function, a, b, c, dynamic=dynamic)


def test_joining_other_types_and_nothing():
    same(lambda a, b: torch.cat([a, b]), torch.ones(2, dtype=torch.int64), torch.randn(3))
    same(lambda a, b: torch.cat([a, b]), torch.empty(0), torch.randn(3, 2))
    same(lambda a: torch.cat([a, a], 1), torch.empty(3, 0))
    same(lambda a: (torch.stack([a, a]), a.repeat(2), a.repeat(0)), torch.tensor([1.0]))


@pytest.mark.parametrize("dynamic", [False, True])
def test_splitting(dynamic):
    def function(x):
        parts = [*x.split(3), *x.split([1, 4, 2], 0), *x.chunk(3, 1), *x.unbind(1)]
        return [p * 2 for p in parts]

    same(function, torch.randn(7, 5), dynamic=dynamic)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_padding(dtype, dynamic):
    def function(x):
        padded = [F.pad(x, (1, 2)), F.pad(x, (0, 0, 2, 1), value=3.0), F.pad(x, (-1, 2, 1, -2))]
        padded += [F.pad(x, (2, 1), mode="reflect"), F.pad(x, (2, 1), mode="replicate")]
        return padded + [F.pad(x, (2, 1), mode="circular"), F.pad(x.relu(), (0, 3)) * 2]

    x = torch.randn(3, 5, 6).to(dtype).requires_grad_()
    expected, got = function(x), compiled(function, dynamic=dynamic)(x)
    close(got, expected)
    weights = [torch.randn_like(e) for e in expected]
    close(
        torch.autograd.grad(got, x, weights),
        torch.autograd.grad(expected, x, weights),
        2e-2 if dtype is torch.bfloat16 else 1e-6,
    )


@pytest.mark.parametrize("dynamic", [False, True])
def test_writes_through_views(dynamic):
    def function(x, y):
        x = x.clone()
        x[1:3] = y
        x[:, 2] += 1
        x[::2, 1] = -1
        x[4] *= 2
        x[0, 0] = 7
        x.diagonal().mul_(3)
        x.t()[1].add_(5)
        x[:, 1::2] = 0.5
        return x, x.sum()

    same(function, torch.randn(5, 6), torch.randn(2, 6), dynamic=dynamic, tolerance=1e-5)


def test_writes_to_inputs():
    def function(x, y):
        x.add_(1)
        y[1:] = x[:-1]
        return x * 2

    a, b = torch.randn(4, 3), torch.randn(4, 3)
    c, d = a.clone(), b.clone()
    close(compiled(function)(a, b), function(c, d))
    close([a, b], [c, d])


def test_as_strided():
    def function(x):
        return x.as_strided((3, 4), (4, 1), 2) + 1, x.as_strided((3, 3), (2, 1)).sum(1), x.t().contiguous()

    same(function, torch.randn(5, 6), tolerance=1e-6)
    same(lambda x, y: x.as_strided_scatter(y, (2, 3), (6, 2), 1), torch.randn(4, 6), torch.randn(2, 3))


def test_scatters_of_views():
    x, y = torch.randn(5, 6), torch.randn(5)
    same(lambda x, y: (x.diagonal_scatter(y), x.select_scatter(y, 1, 3)), x, y)
    same(lambda x, y: (x.diagonal_scatter(y[:4], 2), x.diagonal_scatter(y[:3], -2)), x, y)
    same(lambda x, y: x.slice_scatter(y.view(5, 1).expand(5, 2), 1, 1, 6, 3), x, y)


@pytest.mark.parametrize("dynamic", [False, True])
def test_made_of_shapes(dynamic):
    def function(x):
        n, m = x.shape
        made = [torch.arange(n), torch.arange(1, m * 2, 3), torch.full((n, m), 2), torch.zeros(m, n)]
        made += [torch.ones_like(x), torch.arange(0.0, 1.0, 0.25), torch.eye(4), torch.linspace(0, 1, 5)]
        made += [x.tril(), x.triu(-1), x.tril(2), torch.ones(3, 3, dtype=torch.bool).triu(1)]
        return made + [x.new_zeros(2), torch.arange(n).view(-1, 1) == torch.arange(m)]

    same(function, torch.randn(4, 6), dynamic=dynamic)


def test_zero_sized():
    x = torch.empty(0, 4)
    same(lambda x: (x.t() + 1, x.reshape(4, 0), x.sum(0), F.pad(x, (1, 1)), x.flip(0)), x)
    same(lambda x: (x.unsqueeze(1).expand(0, 3, 4) * 2, torch.cat([x, x]), x.repeat(2, 1)), x)
    same(lambda x: (x.tril(), *x.split(2, 1), x.roll(1, 0)), x)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("width, cut", [(64, 32), (48, 16), (40, 7), (128, 96), (6, 3), (512, 256)])
def test_rotated_halves(width, cut, dtype, dynamic):
    """As in rotary embeddings: the joined halves are read by one product and need no memory."""

    def rotate(x, cos, sin):
        low, high = x[..., :cut], x[..., cut:]
        return x * cos + torch.cat((-high, low), -1) * sin

    x = torch.randn(2, 3, 17, width).to(dtype)
    cos, sin = torch.randn(17, width).to(dtype), torch.randn(17, width).to(dtype)
    same(rotate, x, cos, sin, dynamic=dynamic, tolerance=2e-2 if dtype == torch.bfloat16 else 1e-6)


def test_pads_inside_a_row():
    """Guards along a short row whose vectors are written one after the other."""
    pad = torch.nn.functional.pad
    for width in (16, 61, 64, 120):
        x = torch.randn(9, width)
        same(lambda x: pad(x, (3, 5)) * 2 + 1, x)
        same(lambda x: pad(x, (16, 0)).sum(-1) + pad(x, (0, 16)).amax(-1), x, tolerance=1e-5)
        torch._dynamo.reset()
