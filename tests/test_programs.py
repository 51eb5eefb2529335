"""Whole programs against eager: shapes, training, mutation, aliasing, random numbers, threads."""

import copy
import threading

import pytest
import torch
from conftest import close, compiled, same
from torch import nn


def test_pointwise_and_reduction():
    same(lambda x, y: ((x * y).relu().sum(-1), (x - y).exp().amax(0)), *torch.randn(2, 5, 7), tolerance=1e-6)


@pytest.mark.parametrize("dynamic", [None, True])
def test_dynamic_shapes(dynamic):
    def f(x, n):
        half = x.shape[0] // 2
        return x[:half] + n, x.reshape(-1, 2), x.shape[0] * x.shape[1], x.new_zeros(x.shape[1] + 1)

    g = compiled(f, dynamic=dynamic)
    for rows, columns in [(4, 6), (10, 6), (10, 8), (12, 4)]:
        x = torch.randn(rows, columns)
        close(g(x, rows), f(x, rows))


def test_data_dependent_sizes():
    def f(x):
        return torch.nonzero(x > 0).float() * 2

    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        g = compiled(f, fullgraph=True)
        for _ in range(3):
            x = torch.randn(9)
            close(g(x), f(x))


def test_items_become_sizes():
    def f(x, n):
        k = n.item()
        torch._check(k >= 0)
        torch._check(k <= 10)
        return torch.ones(k + 1) * x.sum(), x * k

    with torch._dynamo.config.patch(capture_scalar_outputs=True):
        g = compiled(f, fullgraph=True)
        for k in (3, 5, 0):
            x = torch.randn(4)
            close(g(x, torch.tensor(k)), f(x, torch.tensor(k)))


def test_memory_of_data_dependent_sizes():
    """Between kernels, too, what only a call sizes has room for its elements."""

    def f(x, w):
        rows = torch.nonzero(x > 0).float()
        y = torch.softmax(rows @ w, -1)
        z = (y - y.mean(0)) @ w.t()
        return z.cumsum(0) + rows, (z * rows).sum()

    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        g = compiled(f, fullgraph=True)
        w = torch.randn(2, 50)
        for n in (9, 4000, 1):
            x = torch.randn(n, 5).abs_()
            close(g(x, w), f(x, w), 1e-4)


SCALED = {
    "nearest": {"mode": "nearest"},
    "linear": {"mode": "bilinear"},
    "corners": {"mode": "bilinear", "align_corners": True},
    "cubic": {"mode": "bicubic", "recompute_scale_factor": True},
}


@pytest.mark.parametrize("how", SCALED)
def test_floats_as_sizes_of_a_resize(how):
    def f(x, scale: float):
        return nn.functional.interpolate(x, scale_factor=scale, **SCALED[how]) * 2

    g = compiled(f, dynamic=True)
    for size, scale in [(6, 1.5), (9, 1.5), (9, 0.7), (11, 2.0)]:
        x = torch.randn(1, 2, size, size + 1)
        close(g(x, scale), f(x, scale), 1e-5)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.drop = nn.Dropout(0.25)
        self.head = nn.Linear(8, 5)

    def forward(self, x):
        x = nn.functional.max_pool2d(self.norm(self.conv(x)).relu(), 2)
        return self.head(self.drop(x.mean((2, 3))))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_training(dtype):
    tolerance = 1e-5 if dtype == torch.float32 else 3e-2
    eager = Net().to(dtype)
    mine = copy.deepcopy(eager)
    fast = compiled(mine)
    optimizers = [torch.optim.SGD(m.parameters(), 0.1) for m in (eager, mine)]
    for step in range(3):
        x = torch.randn(4, 3, 8, 8, dtype=dtype)
        results = []
        for call, optimizer in zip((eager, fast), optimizers):
            torch.manual_seed(step)
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(call(x), torch.tensor([0, 1, 2, 3]))
            loss.backward()
            results.append(loss.detach())
        close(results[1], results[0], tolerance)
        for (name, p), q in zip(eager.named_parameters(), mine.parameters()):
            # The bias before a normalisation has no gradient but rounding noise.
            if name != "conv.bias":
                close(q.grad, p.grad, tolerance)
        for p, q in zip(eager.buffers(), mine.buffers()):
            close(q, p, tolerance)
        mine.load_state_dict(eager.state_dict())


def test_input_mutation_and_version():
    def f(x, y):
        x.mul_(2)
        x[0] = y
        return x + 1

    x, y = torch.randn(3, 4), torch.randn(4)
    expected = x.clone()
    result = f(expected, y)
    base = x._version
    g = compiled(f)
    mine = x.clone()
    close(g(mine, y), result)
    close(mine, expected)
    assert mine._version == base + 1


def test_mutation_of_an_overlapping_view_pair():
    def f(a, b):
        a.add_(1)
        b.mul_(3)
        return a + b

    base, other = torch.randn(2, 8).unbind()
    other = base.clone()
    expected = f(base[:6], base[2:])
    got = compiled(f)(other[:6], other[2:])
    close(got, expected)
    close(other, base)


def test_aliasing_outputs():
    def f(x):
        y = x * 2
        return y, y.t(), x.view(-1), x, y[0], x[1:]

    x = torch.randn(3, 4)
    y, yt, flat, same_x, row, rest = compiled(f)(x)
    assert same_x is x
    assert flat.data_ptr() == x.data_ptr()
    assert yt.data_ptr() == y.data_ptr() == row.data_ptr()
    assert rest.storage_offset() == 4
    y[0, 1] = 7
    assert yt[1, 0] == 7 and row[1] == 7


def test_random_numbers_are_eagers():
    def f(x):
        a = nn.functional.dropout(x, 0.3)
        return a + torch.rand(4), torch.randn_like(x), torch.randperm(5), x.bernoulli(0.5)

    x = torch.randn(3, 4)
    g = compiled(f)
    for seed in range(3):
        torch.manual_seed(seed)
        expected = f(x)
        state = torch.get_rng_state()
        torch.manual_seed(seed)
        close(g(x), expected, 1e-6)
        assert torch.equal(torch.get_rng_state(), state)


class _Noise(nn.Module):
    def forward(self, x):
        return x + torch.rand_like(x) * x.sin() + torch.bernoulli(x.sigmoid())


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("random", [nn.Dropout(0.5), _Noise(), nn.AlphaDropout(0.3)], ids=str)
def test_checkpointed_random_operators_draw_the_same_again(random, dynamic):
    """Activation checkpointing computes them a second time, from the generator's saved state."""
    block = nn.Sequential(nn.Linear(8, 16), nn.GELU(), random, nn.Linear(16, 8), random)

    def f(x):
        twice = [torch.utils.checkpoint.checkpoint(block, x * n, use_reentrant=False) for n in (1, 2)]
        return (twice[0] * twice[1]).sum() + torch.rand(1)

    def step(function, x):
        torch.manual_seed(3)
        block.zero_grad()
        function(x).backward()
        return [p.grad.clone() for p in block.parameters()], torch.get_rng_state()

    x = torch.randn(4, 8)
    expected, state = step(f, x)
    got, own_state = step(compiled(f, dynamic=dynamic), x)
    close(got, expected, 1e-4)
    assert torch.equal(own_state, state)


def test_generator_argument():
    def f(x, generator):
        return x + torch.rand(3, generator=generator)

    x = torch.ones(3)
    expected = f(x, torch.Generator().manual_seed(5))
    close(compiled(f)(x, torch.Generator().manual_seed(5)), expected)


@torch.library.custom_op("ferrotest::twice", mutates_args=())
def twice(x: torch.Tensor, times: int) -> torch.Tensor:
    return torch.from_numpy(x.numpy() * times)


@twice.register_fake
def _(x, times):
    return torch.empty_like(x)


@torch.library.custom_op("ferrotest::bump", mutates_args={"x"})
def bump(x: torch.Tensor) -> None:
    x.add_(10)


def test_custom_operators():
    def f(x):
        y = twice(x.sin(), 3)
        bump(y)
        return y.cos()

    same(f, torch.randn(5))


def test_control_flow():
    def f(x):
        return torch.cond(x.sum() > 0, lambda x: x.sin() + 1, lambda x: x.cos(), (x,))

    g = compiled(f)
    for sign in (1, -1):
        x = sign * torch.rand(4)
        close(g(x), f(x))


def test_while_loop():
    from torch._higher_order_ops import while_loop

    def f(i, x):
        return while_loop(lambda i, x: i < 4, lambda i, x: (i + 1, x * 2), (i, x))

    close(compiled(f)(torch.tensor(0), torch.ones(3)), f(torch.tensor(0), torch.ones(3)))


def test_several_threads():
    model = nn.Sequential(nn.Linear(16, 32), nn.GELU(), nn.Linear(32, 4)).eval()
    fast = compiled(model)
    inputs = [torch.randn(8, 16) for _ in range(8)]
    with torch.no_grad():
        expected = [model(x) for x in inputs]
        fast(inputs[0])
    failures = []

    def work(x, y):
        try:
            with torch.no_grad():
                for _ in range(50):
                    close(fast(x), y, 1e-6)
        except BaseException as error:  # noqa: BLE001 - carried to the test's thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(inputs, expected)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


@pytest.mark.parametrize(
    "make",
    [
        lambda: torch.randn(0, 4),
        lambda: torch.randn(4, 0, 3),
        lambda: torch.randn(()),
        lambda: torch.randn(1, 1),
        lambda: torch.randn(6, 8).t(),
        lambda: torch.randn(6, 8)[::2, 1::3],
        lambda: torch.randn(8).expand(4, 8),
        lambda: torch.randn(40).as_strided((4, 4), (2, 3)),
        lambda: torch.randn(9)[1:],
        lambda: torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last),
        lambda: torch.tensor([float("nan"), float("inf"), -0.0, -float("inf")]),
        lambda: torch.randn(4, dtype=torch.complex64).conj(),
        lambda: torch.randn(4, dtype=torch.complex64).conj().imag,
    ],
)
def test_unusual_inputs(make):
    x = make()
    same(lambda x: (x * 2 + 1, x.abs().sum(), x.reshape(-1)), x, tolerance=1e-6)


def test_integer_overflow_and_bool():
    x = torch.tensor([2**31 - 1, -(2**31)], dtype=torch.int32)
    same(lambda x: (x + 1, x * x, x > 0, ~(x > 0)), x)


def test_index_errors_are_eagers():
    def f(x, i):
        return x[i]

    g = compiled(f)
    close(g(torch.randn(4), torch.tensor([-1, 2])).shape, torch.Size([2]))
    with pytest.raises(IndexError, match="out of bounds"):
        g(torch.randn(4), torch.tensor([9, 0]))


def test_constants_and_sparse():
    table = [3.0, 1.0, 2.0]
    same(lambda x: x + torch.tensor(table), torch.randn(3))
    sparse = torch.eye(3).to_sparse()
    close(compiled(lambda s, x: torch.sparse.mm(s, x) + 1)(sparse, torch.ones(3, 2)), torch.full((3, 2), 2.0))


def test_modes_of_grad():
    f = compiled(lambda x: x.sin() * 2)
    x = torch.randn(3, requires_grad=True)
    with torch.no_grad():
        assert not f(x).requires_grad
    with torch.inference_mode():
        assert f(x.detach()).is_inference()
    y = f(x)
    y.sum().backward()
    close(x.grad, 2 * x.detach().cos(), 1e-6)


def test_double_backward_is_refused_clearly():
    f = compiled(lambda x: x.sin())
    x = torch.randn(3, requires_grad=True)
    (grad,) = torch.autograd.grad(f(x).sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="double backward"):
        grad.sum().backward()


def test_autocast():
    linear = nn.Linear(8, 8)
    fast = compiled(linear)
    x = torch.randn(2, 8)
    with torch.autocast("cpu", torch.bfloat16):
        close(fast(x), linear(x), 1e-2)
    close(fast(x), linear(x))


def test_inputs_are_freed_at_their_last_use():
    import weakref

    seen = []

    @torch.library.custom_op("ferrotest::watch", mutates_args=())
    def watch(x: torch.Tensor) -> torch.Tensor:
        seen.append(reference())
        return x.clone()

    @watch.register_fake
    def _(x):
        return torch.empty_like(x)

    from ferroductor.backend import _Session
    from ferroductor import _ferroductor
    from torch.fx.experimental.proxy_tensor import make_fx

    module = make_fx(lambda x: torch.ops.ferrotest.watch(x.sin()), tracing_mode="fake")(torch.randn(4))
    graph = _Session(_ferroductor.resolve_options()).compile(module, [], "inference")
    x = torch.randn(4)
    reference = weakref.ref(x)
    args = [x]
    del x
    graph(args)
    assert args == [] and seen == [None]
