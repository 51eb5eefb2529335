"""Matrix products of every layout and of ragged sizes, by the fp64 rule."""

import itertools

import pytest
import torch

from conftest import compiled

#: Rows, depth, columns: below, at and beyond the sizes of register tiles, blocks and runs.
SIZES = [(1, 1, 1), (5, 3, 7), (8, 16, 48), (48, 256, 48), (50, 257, 49), (97, 300, 145), (200, 520, 31)]


def _operand(rows, columns, layout, dtype):
    if layout == "rows":
        return torch.randn(rows, columns).to(dtype)
    if layout == "columns":
        return torch.randn(columns, rows).to(dtype).t()
    return torch.randn(2 * rows, 3 * columns).to(dtype)[::2, ::3]


def _check(function, operands, dtype):
    wide = [x.double() for x in operands]
    exact, eager = function(*wide), function(*operands)
    got = compiled(function)(*operands)
    assert (got.dtype, got.shape) == (eager.dtype, eager.shape)
    assert got.is_contiguous() == eager.is_contiguous()
    distance = lambda x: (x.double() - exact).square().mean().sqrt().item()
    floor = 4 * torch.finfo(dtype).eps * exact.square().mean().sqrt().item()
    assert distance(got) <= (3 if dtype == torch.bfloat16 else 2) * max(distance(eager), floor)


LAYOUTS = ["rows", "columns", "strided"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("first, second", list(itertools.product(LAYOUTS, LAYOUTS)))
def test_every_layout(first, second, dtype):
    for rows, depth, columns in SIZES:
        a = _operand(rows, depth, first, dtype)
        b = _operand(depth, columns, second, dtype)
        _check(lambda a, b: a @ b, [a, b], dtype)
        torch._dynamo.reset()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_batches(layout):
    for rows, depth, columns in SIZES:
        a = torch.stack([_operand(rows, depth, layout, torch.float32) for _ in range(3)])
        b = _operand(depth, columns, layout, torch.float32).expand(3, depth, columns)
        _check(torch.bmm, [a, b], torch.float32)
        torch._dynamo.reset()


def test_cold_weights_of_both_layouts():
    """Large second operands, whose next columns are fetched while the present ones are used."""
    for layout in ("rows", "columns"):
        a = _operand(70, 700, "rows", torch.float32)
        b = _operand(700, 1100, layout, torch.float32)
        _check(lambda a, b: (a @ b).relu() + 1, [a, b], torch.float32)
        torch._dynamo.reset()


def test_bits_do_not_depend_on_the_number_of_threads():
    a, b = torch.randn(130, 600).t().contiguous().t(), torch.randn(600, 210)
    run = compiled(lambda a, b: a @ b)
    threads = torch.get_num_threads()
    try:
        results = []
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            results.append(run(a, b))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(each, results[0]) for each in results)
