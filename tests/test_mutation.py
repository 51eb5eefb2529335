"""Programs that overwrite their inputs: what is computed in place must read first and write after."""

import copy

import pytest
import torch
from conftest import close, compiled
from torch import nn


def momentum(p, g, m):
    m.mul_(0.9).add_(g)
    p.sub_(m, alpha=0.1)


def read_again(p, w, out):
    p.mul_(0.5)
    before = p + 1
    p.add_(w)
    out.copy_((before @ p).tanh())


def transposed(x, y, z):
    x.add_(x.t().clone())
    y.copy_(y.flip(0) + z)
    z.sub_(z.amax())


def shifted(x, y, z):
    x[1:] += x[:-1].clone()
    y.copy_(y.roll(1, 1))
    z.copy_(z.cumsum(0))


def rows(x, y, z):
    x.copy_(torch.softmax(x, -1))
    y.copy_(nn.functional.layer_norm(y, y.shape[-1:]) + x)
    z.div_(z.abs().sum(0, keepdim=True) + 1)


def exchanged(x, y, z):
    a, b, c = x * 2, y * 2, z * 2
    x.copy_(b)
    y.copy_(c)
    z.copy_(a)


def returned(x, y, z):
    x.add_(1)
    y.mul_(x)
    return x, y.abs().sum(), x[1:], z.exp_()


PROGRAMS = [momentum, read_again, transposed, shifted, rows, exchanged, returned]

LAYOUTS = {
    "plain": lambda n: torch.randn(n, n),
    "half": lambda n: torch.randn(n, n, dtype=torch.bfloat16),
    "turned": lambda n: torch.randn(n, n).t(),
    "misaligned": lambda n: torch.randn(n * n + 1)[1:].view(n, n),
    "part": lambda n: torch.randn(n, n + 3)[:, :n],
    "mixed": lambda n: torch.randn(n, n).t() if torch.rand(()) < 0.5 else torch.randn(n, n),
}


def agree(program, function, *inputs, calls=2):
    """Both get copies of the inputs; results and inputs are compared after each call."""
    expected, got = copy.deepcopy(inputs), copy.deepcopy(inputs)
    for _ in range(calls):
        want, have = program(*expected), function(*got)
        close(have, want, 2e-6 if all(t.dtype != torch.bfloat16 for t in inputs) else 2e-2)
        close(got, expected, 2e-6 if all(t.dtype != torch.bfloat16 for t in inputs) else 2e-2)


#: Layouts are the plan's business: both emitters see the same kernels.
CASES = [(layout, "llvm") for layout in LAYOUTS] + [("plain", "cpp"), ("half", "cpp")]


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("layout, codegen", CASES)
@pytest.mark.parametrize("program", PROGRAMS)
def test_overwritten_inputs(program, layout, codegen, dynamic):
    function = compiled(program, dynamic=dynamic, options={"codegen": codegen})
    for n in (37, 64):
        agree(program, function, *(LAYOUTS[layout](n) for _ in range(3)))


def test_large_inputs():
    """Beyond the last cache, where other results are stored past it."""
    agree(momentum, compiled(momentum), *(torch.randn(1500, 3000) for _ in range(3)))


def test_views_of_one_tensor():
    def program(x, y):
        x.add_(1)
        y.mul_(x.sum())
        return x + y

    for left, right in [((0, 8), (8, 16)), ((0, 8), (4, 12)), ((0, 8), (0, 8))]:
        base, other = torch.arange(16.0), torch.arange(16.0)
        want = program(base[slice(*left)], base[slice(*right)])
        torch._dynamo.reset()
        close(compiled(program)(other[slice(*left)], other[slice(*right)]), want)
        close(other, base)


@pytest.mark.parametrize("dynamic", [False, True])
def test_a_cache_of_keys(dynamic):
    def program(cache, position, key, query):
        cache.index_copy_(2, position, key)
        return torch.softmax(query @ cache.transpose(2, 3), -1)

    function = compiled(program, dynamic=dynamic)
    expected, got = torch.zeros(1, 4, 32, 16), torch.zeros(1, 4, 32, 16)
    for at in range(4):
        inputs = torch.tensor([at]), torch.randn(1, 4, 1, 16), torch.randn(1, 4, 1, 16)
        close(function(got, *inputs), program(expected, *inputs), 1e-5)
        close(got, expected)


def test_the_cache_is_not_copied():
    import ferroductor

    def program(cache, position, row):
        cache.index_copy_(0, position, row)

    compiled(program)(torch.zeros(64, 16), torch.tensor([3]), torch.ones(1, 16))
    (graph,) = ferroductor.report().graphs
    assert graph["kernels"] == 1


def test_a_bad_index_changes_nothing_else():
    def program(cache, position, row, count):
        cache.index_copy_(0, position, row)
        count.add_(1)

    cache, count = torch.zeros(8, 4), torch.zeros(())
    with pytest.raises(IndexError):
        compiled(program)(cache, torch.tensor([9]), torch.ones(1, 4), count)
    assert not cache.any() and not count


@pytest.mark.parametrize("make", [torch.optim.SGD, torch.optim.AdamW, torch.optim.RMSprop])
def test_optimizers(make):
    def train(step_of):
        torch.manual_seed(1)
        model = nn.Sequential(nn.Linear(20, 33), nn.Tanh(), nn.BatchNorm1d(33), nn.Linear(33, 5))
        optimizer = make(model.parameters(), lr=1e-2)
        step = step_of(optimizer.step)
        for _ in range(4):
            model(torch.randn(16, 20)).square().mean().backward()
            step()
            optimizer.zero_grad()
        return list(model.state_dict().values())

    close(train(compiled), train(lambda step: step), 1e-5)


def test_statistics_of_a_normalisation():
    torch.manual_seed(2)
    expected = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()).train()
    got = copy.deepcopy(expected)
    function = compiled(got)
    for _ in range(3):
        x = torch.randn(4, 3, 12, 12)
        close(function(x), expected(x), 1e-5)
        close(list(got.state_dict().values()), list(expected.state_dict().values()), 1e-5)


def test_nothing_to_overwrite():
    def program(x, y):
        x.add_(y)
        return x.sum()

    agree(program, compiled(program), torch.zeros(0, 5), torch.zeros(0, 5))
