"""Elements picked and placed by index tensors, wrong indices included."""

import pytest
import torch
import torch.nn.functional as F
from conftest import close, compiled, same

FLOATS = [torch.float32, torch.bfloat16]


def limit(dtype):
    return 2e-2 if dtype is torch.bfloat16 else 1e-5


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int64, torch.bool], ids=str)
def test_picking(dtype, dynamic):
    x = (torch.randn(6, 7, 5) * 4).to(dtype)
    rows, columns = torch.tensor([0, -1, 5, 2]), torch.tensor([[3], [-7], [6]])

    def function(x, i, j):
        picked = [x[i], x[:, j], x[i, :, i % 5], x[i, j], x[..., i % 5], x[None, i]]
        picked += [x.index_select(1, i % 6), x.gather(0, i.abs().view(1, 4, 1)), x[i, 1:3]]
        return picked + [x.take_along_dim(j.abs().view(1, 1, 3) % 5, 2)]

    same(function, x, rows, columns, dynamic=dynamic)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.int32], ids=str)
def test_placing(dtype):
    x, y = (torch.randn(6, 7) * 4).to(dtype), (torch.randn(4, 7) * 4).to(dtype)
    i = torch.tensor([1, -1, 3, 1])
    unique = torch.tensor([5, 0, 2, 3])

    def function(x, y, i, u):
        placed = [x.index_put((u,), y), x.index_put((i,), y, accumulate=True)]
        placed += [x.scatter(0, u.view(4, 1).expand(4, 7), y), x.index_add(0, i % 6, y)]
        placed += [x.scatter_add(0, (i % 6).view(4, 1).expand(4, 7), y), x.index_copy(0, u, y)]
        placed += [x.scatter(1, u.view(1, 4), 3), x.index_fill(0, u, 2)]
        placed += [x.scatter_reduce(0, (i % 6).view(4, 1).expand(4, 7), y, "sum")]
        return placed

    same(function, x, y, i, unique, tolerance=limit(dtype))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_gradients(dtype):
    x = torch.randn(6, 7).to(dtype).requires_grad_()
    i = torch.tensor([1, 1, 3, -6, 1])

    def function(x, i):
        return x[i] * 2 + x.index_select(0, i % 6) + x.gather(0, (i % 6).view(5, 1).expand(5, 7))

    expected, got = function(x, i), compiled(function)(x, i)
    close(got, expected, limit(dtype))
    weights = torch.randn_like(expected)
    (expected,) = torch.autograd.grad(expected, x, weights)
    (got,) = torch.autograd.grad(got, x, weights)
    close(got, expected, limit(dtype))


@pytest.mark.parametrize("dtype", FLOATS, ids=str)
@pytest.mark.parametrize("padding", [None, 2])
def test_embedding(padding, dtype):
    weight = torch.randn(9, 16).to(dtype).requires_grad_()
    words = torch.tensor([[0, 2, 2, 8], [5, 5, 2, 0]])

    def function(words, weight):
        return F.embedding(words, weight, padding_idx=padding) * 3

    expected, got = function(words, weight), compiled(function)(words, weight)
    close(got, expected, limit(dtype))
    weights = torch.randn_like(expected)
    (expected,) = torch.autograd.grad(expected, weight, weights)
    (got,) = torch.autograd.grad(got, weight, weights)
    close(got, expected, limit(dtype))


WRONG = {
    "embedding": (lambda x, i: F.embedding(i, x), [6, -1, 1 << 40]),
    "index": (lambda x, i: x[i] * 2, [6, -7, 1 << 40, -(1 << 40)]),
    "index of columns": (lambda x, i: x[:, i], [7, -8]),
    "index_select": (lambda x, i: x.index_select(0, i), [6, -1]),
    "gather": (lambda x, i: x.gather(0, i.view(-1, 1)), [6, -1]),
    "scatter": (lambda x, i: x.scatter(0, i.view(-1, 1), 1.0), [6, -1]),
    "scatter_add": (lambda x, i: x.scatter_add(0, i.view(-1, 1), x[:1, :1].expand(i.numel(), 1)), [6, -1]),
    "index_put": (lambda x, i: x.index_put((i,), x[0, 0]), [6, -7]),
}  # fmt: skip


@pytest.mark.parametrize("count", [1, 40])
@pytest.mark.parametrize("name", WRONG)
def test_wrong_indices_raise_as_in_eager(name, count):
    function, wrong = WRONG[name]
    x = torch.randn(6, 7)
    code = compiled(function)
    right = torch.arange(count) % 6
    for value in wrong:
        indices = right.clone()
        indices[count // 2] = value
        with pytest.raises((IndexError, RuntimeError)) as expected:
            function(x, indices)
        with pytest.raises((IndexError, RuntimeError)) as got:
            code(x, indices)
        assert isinstance(got.value, expected.type)
    close(code(x, right), function(x, right))


def test_nothing_to_pick():
    x, none = torch.randn(4, 5), torch.empty(0, dtype=torch.int64)
    same(lambda x, i: (x[i], x.index_select(1, i), x.index_put((i,), x[i])), x, none)
    same(lambda x, i: x.scatter_add(0, i.view(0, 5), x[:0]), x, none)
    same(lambda w, i: F.embedding(i, w), x, none)


def test_narrow_index_types():
    x = torch.randn(6, 7)
    for dtype in (torch.int32, torch.int64):
        torch._dynamo.reset()
        same(lambda x, i: (F.embedding(i, x), x.index_select(0, i)), x, torch.tensor([3, 0]).to(dtype))


def test_masks():
    x, mask = torch.randn(5, 6), torch.rand(5, 6) > 0.5
    same(lambda x, m: (x.masked_fill(m, -1), torch.where(m, x, 0), x * m), x, mask)
    same(lambda x, m: x[m] * 2, x, mask)


def test_one_hot_and_losses_by_label():
    labels = torch.tensor([0, 3, 6, 3])
    same(lambda t: F.one_hot(t, 7), labels)
    same(lambda t: F.one_hot(t, 7).float() @ torch.ones(7, 2), labels)


def test_labels_out_of_range():
    x = torch.randn(4, 5)
    for function in (F.cross_entropy, F.nll_loss):
        torch._dynamo.reset()
        with pytest.raises((IndexError, RuntimeError)):
            function(x, torch.tensor([0, 5, 1, 2]))
        with pytest.raises((IndexError, RuntimeError)):
            compiled(lambda x, t, f=function: f(x, t))(x, torch.tensor([0, 5, 1, 2]))
