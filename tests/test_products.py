"""Matrix products of every layout and of ragged sizes, by the fp64 rule."""

import itertools
import shutil

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


def _check(function, operands, dtype, codegen="llvm"):
    wide = [x.double() for x in operands]
    exact, eager = function(*wide), function(*operands)
    got = compiled(function, options={"codegen": codegen})(*operands)
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


#: Depths and columns below, at and beyond the sizes of vectors, groups of columns, strips and runs.
FEW_SIZES = [(1, 1), (15, 3), (16, 97), (17, 130), (300, 64), (4500, 41), (523, 1100)]


@pytest.mark.parametrize("codegen", ["llvm", "cpp"])
@pytest.mark.parametrize("layout", ["rows", "columns"])
@pytest.mark.parametrize("rows", [1, 2, 3, 5, 8, 9, 16])
def test_few_rows(rows, layout, codegen):
    if codegen == "cpp" and not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("no C++ compiler on this machine: the C++ half did not run")
    sizes = FEW_SIZES if codegen == "llvm" else FEW_SIZES[3::3]
    for dtype in (torch.float32, torch.bfloat16):
        for depth, columns in sizes:
            a = _operand(rows, depth, "rows", dtype)
            b = _operand(depth, columns, layout, dtype)
            _check(lambda a, b: torch.relu(a @ b) + b[0], [a, b], dtype, codegen)
            torch._dynamo.reset()


@pytest.mark.parametrize("layout", ["rows", "columns"])
@pytest.mark.parametrize("rows", [1, 4])
def test_few_rows_of_large_weights(rows, layout):
    for depth, columns in [(1030, 1100), (513, 2300)]:
        a, b = _operand(rows, depth, layout, torch.float32), _operand(depth, columns, layout, torch.float32)
        _check(lambda a, b: a @ b * 2, [a, b], torch.float32)
        torch._dynamo.reset()


@pytest.mark.parametrize("codegen", ["llvm", "cpp"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_that_stay_as_they_are(dtype, codegen):
    """Few rows against many columns: the input is packed, the weight is read in place."""
    if codegen == "cpp" and not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("no C++ compiler on this machine: the C++ half did not run")
    for rows, depth, columns in [(32, 96, 400), (33, 270, 401), (70, 530, 1000), (17, 64, 300)]:
        for first in ("rows", "columns"):
            a, b = _operand(rows, depth, first, dtype), _operand(depth, columns, "columns", dtype)
            bias, residual = torch.randn(columns).to(dtype), torch.randn(rows, columns).to(dtype)
            function = lambda a, b, bias, residual: torch.relu(a @ b + bias) + residual
            _check(function, [a, b, bias, residual], dtype, codegen)
            torch._dynamo.reset()


def test_weights_that_stay_as_they_are_with_symbolic_rows():
    run = compiled(lambda a, b: torch.relu(a @ b) + 1, dynamic=True)
    b = _operand(130, 500, "columns", torch.float32)
    for rows in (40, 64, 97, 130):
        a = torch.randn(rows, 130)
        exact, eager = torch.relu(a.double() @ b.double()) + 1, torch.relu(a @ b) + 1
        distance = lambda x: (x.double() - exact).square().mean().sqrt().item()
        assert distance(run(a, b)) <= 2 * max(distance(eager), 1e-6)


@pytest.mark.parametrize("codegen", ["llvm", "cpp"])
@pytest.mark.parametrize("layout", ["rows", "columns"])
def test_a_row_does_not_depend_on_how_many_there_are(layout, codegen):
    """With symbolic rows, what a block leaves over is computed in tiles of four rows and of one."""
    if codegen == "cpp" and not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("no C++ compiler on this machine: the C++ half did not run")
    run = compiled(lambda a, b, c: torch.relu(a @ b) + c, dynamic=True, options={"codegen": codegen})
    a, b = torch.randn(200, 270), _operand(270, 101, layout, torch.float32)
    c = torch.randn(200, 101)
    exact = torch.relu(a.double() @ b.double()) + c
    whole = run(a, b, c)
    assert (whole - exact).abs().max() < 1e-4
    for rows in (2, 3, 4, 5, 7, 8, 9, 12, 13, 23, 47, 48, 49, 55, 61, 96, 103, 150, 199):
        assert torch.equal(run(a[:rows].clone(), b, c[:rows].clone()), whole[:rows]), rows


def test_weights_larger_than_the_last_cache():
    """Read in place, once for all panels of the input; the odd column has a tile of its own."""
    a, b = torch.randn(130, 96), _operand(96, 50001, "columns", torch.float32)
    bias = torch.randn(50001)
    _check(lambda a, b, bias: torch.relu(a @ b + bias), [a, b, bias], torch.float32)


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
