"""Results larger than the caches, which are written past them: the same values, wherever they go."""

import pytest
import torch
import torch.nn.functional as F

from conftest import close, compiled, same

ROWS, COLUMNS = 4096, 2048


def _large(columns=COLUMNS):
    return torch.randn(ROWS, columns)


CASES = {
    "pointwise": lambda x: x * 2 + 1,
    "two results": lambda x: (x + 1, x * x),
    "half precision": lambda x: (x + 1).to(torch.bfloat16),
    "double": lambda x: x.double() * 0.1,
    "predicate": lambda x: x > 0,
    "rows": lambda x: F.softmax(x, -1),
    "columns": lambda x: x - x.amax(0),
    "transposed": lambda x: (x.t() + 1).contiguous(),
    "joined": lambda x: torch.cat([x, x[:, :3] * 2], 1),
    "view of a result": lambda x: (x + 1)[1:, 3:],
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("columns", [COLUMNS, COLUMNS + 3])
def test_large_results(name, columns):
    function, x = CASES[name], _large(columns)
    same(function, x)


def test_an_input_that_starts_anywhere_is_overwritten():
    storage = torch.randn(ROWS * COLUMNS + 1)
    ours, theirs = storage.clone()[1:], storage[1:]

    def double(x):
        x.mul_(2)
        return x.sum()

    compiled(double)(ours)
    double(theirs)
    close(ours, theirs)


def test_a_large_result_is_there_for_whoever_reads_it_next():
    x = _large()
    function = compiled(lambda x: x + 1)
    for _ in range(3):
        assert function(x).sub(x).sub(1).abs().max() < 1e-5


def _rms_norm(x):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


#: What goes through each row more than once, and so through rows in a pipeline.
ROW_CASES = {
    "softmax": lambda x: F.softmax(x, -1),
    "log softmax": lambda x: F.log_softmax(x, -1),
    "layer norm": lambda x: F.layer_norm(x, x.shape[-1:]),
    "rms norm": _rms_norm,
    "norm of what is costly": lambda x: F.layer_norm(F.gelu(x), x.shape[-1:]),
    "two results": lambda x: (F.softmax(x, -1), x.amax(-1), x.logsumexp(-1)),
    "softmax of a softmax": lambda x: F.softmax(F.softmax(x, -1) * x, -1),
}


@pytest.mark.parametrize("name", ROW_CASES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("dynamic", [False, True])
def test_rows_in_a_pipeline(name, dtype, dynamic):
    x = torch.randn(5003, 2051).to(dtype)
    x[7], x[5002] = float("-inf"), float("nan")
    x[11, 5] = float("inf")
    # Eager rounds every step of half precision.
    tolerance = 2e-2 if dtype == torch.bfloat16 else 2e-6
    same(ROW_CASES[name], x, dynamic=dynamic, tolerance=tolerance)


@pytest.mark.parametrize("name", ["softmax", "layer norm", "rms norm"])
def test_gradients_of_rows_in_a_pipeline(name):
    x = torch.randn(5003, 2051)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    seed = torch.randn(5003, 2051)
    compiled(ROW_CASES[name])(ours).backward(seed)
    ROW_CASES[name](theirs).backward(seed)
    close(ours.grad, theirs.grad, tolerance=2e-6)
