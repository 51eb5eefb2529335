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
