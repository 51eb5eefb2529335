"""Attention, as scaled_dot_product_attention gives it: native, by the fp64 rule, in every form.

Each case runs over {static, symbolic} x {fp32, bf16} x {LLVM, C++}; edge cases are compared with
eager bit by bit where eager's answer is a convention (rows without keys) rather than arithmetic.
"""

import os
import shutil
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

import ferroductor
from conftest import _strides, compiled

INFINITY = float("inf")
SHAPES = ("static", "symbolic")
DTYPES = (torch.float32, torch.bfloat16)


class Case:
    """Operand sizes and keyword arguments of one attention."""

    def __init__(self, batch=2, heads=4, rows=37, keys=53, depth=16, *, kv_heads=None, mask=None,
                 projected=False, **kwargs):  # fmt: skip
        self.sizes = (batch, heads, kv_heads or heads, rows, keys, depth)
        self.mask = mask
        self.projected = projected
        self.kwargs = dict(kwargs)
        if kv_heads:
            self.kwargs["enable_gqa"] = True

    def operands(self, dtype):
        batch, heads, kv_heads, rows, keys, depth = self.sizes

        def operand(heads, rows):
            if self.projected:
                return torch.randn(batch, rows, heads, depth, dtype=dtype).transpose(1, 2)
            return torch.randn(batch, heads, rows, depth, dtype=dtype)

        mask = self.mask((batch, heads, rows, keys)) if self.mask else None
        if mask is not None and mask.dtype != torch.bool:
            mask = mask.to(dtype)
        return operand(heads, rows), operand(kv_heads, keys), operand(kv_heads, keys), mask

    def function(self):
        kwargs = self.kwargs
        return lambda q, k, v, mask: F.scaled_dot_product_attention(q, k, v, mask, **kwargs)


def _additive(*dims):
    return lambda sizes: torch.randn([s if d else 1 for s, d in zip(sizes[-len(dims) :], dims)])


def _padding(sizes):
    lengths = torch.arange(sizes[0]) + sizes[3] // 2
    return (torch.arange(sizes[3]) < lengths[:, None])[:, None, None, :]


CASES = {
    "plain": Case(),
    "projected": Case(projected=True),
    "vectors": Case(rows=64, keys=128, depth=64),
    "several_blocks": Case(batch=1, heads=2, rows=70, keys=300, depth=24),
    "causal": Case(rows=53, is_causal=True),
    "causal_blocks": Case(batch=1, heads=2, rows=280, keys=280, depth=8, is_causal=True),
    "causal_few_rows": Case(rows=9, is_causal=True),
    "causal_many_rows": Case(rows=150, is_causal=True),
    "scale": Case(scale=0.5),
    "mask_of_scores": Case(mask=_additive(1, 1)),
    "mask_of_keys": Case(mask=_additive(1, 0, 0, 1)),
    "mask_of_everything": Case(mask=_additive(1, 1, 1, 1)),
    "padding": Case(mask=_padding),
    "grouped": Case(kv_heads=2),
    "one_kv_head": Case(kv_heads=1),
    "one_key": Case(keys=1),
    "depth_1": Case(depth=1),
    "depth_odd": Case(depth=7),
    "depth_80": Case(depth=80),
    "depth_256": Case(depth=256),
    "one_batch_and_head": Case(batch=1, heads=1),
    "single_row": Case(rows=1, keys=300, depth=24),
    "single_row_one_head": Case(batch=1, heads=1, rows=1, keys=150, depth=4),
    "single_row_grouped": Case(rows=1, kv_heads=2, projected=True, depth=64),
    "single_row_masked": Case(rows=1, keys=150, mask=_additive(1, 1, 1, 1)),
    "single_row_padded": Case(rows=1, keys=150, mask=_padding),
    "single_row_causal": Case(rows=1, is_causal=True),
}


def _error(got, gold):
    return (got.double() - gold).square().mean().sqrt().item()


def _hold_to_fp64_rule(got, eager, gold):
    assert (got.dtype, got.shape, _strides(got)) == (eager.dtype, eager.shape, _strides(eager))
    eps = torch.finfo(got.dtype).eps
    floor = 4 * eps * gold.square().mean().sqrt().item()
    allowed = (2 if eps < 1e-6 else 3) * max(_error(eager, gold), floor)
    assert _error(got, gold) <= allowed


def _double(operands):
    return [o.double() if o is not None and o.dtype != torch.bool else o for o in operands]


def _is_native():
    return "0 aten" in str(ferroductor.report()).splitlines()[1]


@pytest.mark.parametrize("codegen", ("llvm", "cpp"))
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("name", CASES)
def test_cell(name, shapes, dtype, codegen):
    if codegen == "cpp" and not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("no C++ compiler on this machine: the C++ half of the matrix did not run")
    case = CASES[name]
    function, operands = case.function(), case.operands(dtype)
    gold, eager = function(*_double(operands)), function(*operands)
    options = {"codegen": codegen}
    got = compiled(function, dynamic=shapes == "symbolic" or None, options=options)(*operands)
    # One row's width must be known, for the sake of its vectors.
    assert _is_native() or (case.sizes[3], shapes) == (1, "symbolic"), ferroductor.report()
    _hold_to_fp64_rule(got, eager, gold)


@pytest.mark.parametrize("dtype", (torch.float16, torch.float64), ids=str)
def test_other_dtypes(dtype):
    case = CASES["mask_of_scores"]
    function, operands = case.function(), case.operands(dtype)
    got = compiled(function)(*operands)
    assert _is_native(), ferroductor.report()
    _hold_to_fp64_rule(got, function(*operands), function(*_double(operands)))


@pytest.mark.parametrize("isa", ("avx2", "sse4.2"))
def test_other_instruction_sets(isa):
    """In a process of its own, which is told what the CPU may do."""
    program = (
        "import sys; sys.path.insert(0, 'tests')\n"
        "from test_attention import *\n"
        "for name in ('plain', 'several_blocks', 'causal', 'mask_of_everything', 'depth_odd', 'single_row'):\n"
        "    for dtype in DTYPES:\n"
        "        test_cell(name, 'static', dtype, 'llvm')\n"
        "        torch._dynamo.reset()\n"
        "        test_gradients(name, dtype, 'static', 'llvm')\n"
        "        torch._dynamo.reset()\n"
    )
    environment = {**os.environ, "FERRODUCTOR_ISA": isa}
    subprocess.run([sys.executable, "-c", program], env=environment, check=True, timeout=600)


def _by_hand(q, k, v, mask):
    scores = q @ k.transpose(-1, -2) * 0.25
    return torch.softmax(scores if mask is None else scores + mask, -1) @ v


def _in_float(q, k, v, mask):
    scores = torch.matmul(q, k.transpose(2, 3)) / 4 + mask
    return torch.matmul(torch.softmax(scores, -1, dtype=torch.float32).to(q.dtype), v)


def _where(q, k, v, mask):
    seen = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool).tril(k.shape[2] - q.shape[2])
    scores = torch.where(seen, q @ k.mT, torch.finfo(q.dtype).min)
    return torch.softmax(scores, -1) @ v


def _slopes(q, k, v, mask):
    distance = torch.arange(k.shape[2]) - torch.arange(q.shape[2])[:, None]
    slopes = torch.linspace(-0.5, 0.5, q.shape[1])[:, None, None]
    return torch.softmax(q @ k.mT + (slopes * distance).to(q.dtype), -1) @ v


def _added_in_the_product(q, k, v, mask):
    q, k, v = q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
    scores = torch.baddbmm(mask.expand(2, 4, *mask.shape[-2:]).flatten(0, 1), q, k.mT, alpha=0.25)
    return torch.softmax(scores, -1) @ v


#: Attention as models write it, over the operands of a case.
BY_HAND = {
    "plain": (_by_hand, "plain"),
    "masked": (_by_hand, "mask_of_everything"),
    "padded": (_by_hand, "mask_of_keys"),
    "in_float": (_in_float, "mask_of_scores"),
    "where": (_where, "several_blocks"),
    "slopes": (_slopes, "projected"),
    "added_in_the_product": (_added_in_the_product, "mask_of_scores"),
    "single_row": (_by_hand, "single_row"),
    "single_row_masked": (_by_hand, "single_row_masked"),
}


def _attentions(folder):
    """How many attentions the tensor IR of the last graph has."""
    [text] = folder.glob("*/1-tensors.txt")
    return text.read_text().count("= attention over")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name, shapes, dtype, tmp_path):
    function, case = BY_HAND[name]
    operands = CASES[case].operands(dtype)
    gold, eager = function(*_double(operands)), function(*operands)
    dynamic = shapes == "symbolic" or None
    got = compiled(function, dynamic=dynamic, options={"dump": str(tmp_path)})(*operands)
    symbolic_row = case.startswith("single_row") and shapes == "symbolic"
    assert _attentions(tmp_path) == (0 if symbolic_row else 1)
    _hold_to_fp64_rule(got, eager, gold)


def _weights_too(q, k, v):
    weights = torch.softmax(q @ k.mT, -1)
    return weights @ v, weights


def _other_softmax(q, k, v):
    return torch.softmax(q @ k.mT, -2) @ v


def _not_normalised(q, k, v):
    return torch.exp(q @ k.mT) @ v


def _two_products(q, k, v):
    return torch.softmax(q @ k.mT + k @ q.mT, -1) @ v


def _row_of_another(q, k, v):
    scores = q @ k.mT
    weights = torch.exp(scores - scores.amax(-1, keepdim=True))
    return (weights / weights.flip(2).sum(-1, keepdim=True)) @ v


@pytest.mark.parametrize(
    "function", (_weights_too, _other_softmax, _not_normalised, _two_products, _row_of_another)
)
def test_near_misses(function, tmp_path):
    operands = [torch.randn(2, 3, 20, 20) / 4 for _ in range(3)]
    got = compiled(function, options={"dump": str(tmp_path)})(*operands)
    assert _attentions(tmp_path) == 0
    torch.testing.assert_close(got, function(*operands), rtol=1e-4, atol=1e-5)


def test_rows_without_keys_by_hand_are_nan(tmp_path):
    q, k, v, mask = CASES["mask_of_scores"].operands(torch.float32)
    mask[3] = -INFINITY
    got = compiled(_by_hand, options={"dump": str(tmp_path)})(q, k, v, mask)
    assert _attentions(tmp_path) == 1
    expected = _by_hand(q, k, v, mask)
    assert expected[:, :, 3].isnan().all()
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6, equal_nan=True)


def test_training_by_hand_keeps_the_weights():
    q, k, v, _ = CASES["plain"].operands(torch.float32)

    def gradients(function):
        leaves = [o.detach().clone().requires_grad_() for o in (q, k, v)]
        function(*leaves, None).square().sum().backward()
        return [leaf.grad for leaf in leaves]

    torch.testing.assert_close(
        gradients(compiled(_by_hand)), gradients(_by_hand), rtol=1e-4, atol=1e-5
    )


def test_safe_softmax_of_the_reference_path(tmp_path):
    """Values wider than keys take sdpa's reference path, whose rows without keys are zeros."""
    q, k, v = torch.randn(2, 4, 9, 16), torch.randn(2, 4, 20, 16), torch.randn(2, 4, 20, 24)
    mask = torch.zeros(9, 20)
    mask[3] = -INFINITY

    def function(q, k, v, mask):
        return F.scaled_dot_product_attention(q, k, v, mask)

    got = compiled(function, options={"dump": str(tmp_path)})(q, k, v, mask)
    assert _attentions(tmp_path) == 1
    torch.testing.assert_close(got, function(q, k, v, mask), rtol=1e-5, atol=1e-6)


def test_values_of_the_log_sum():
    """The second result, which the backward needs, as ATen gives it."""
    q, k, v, _ = CASES["projected"].operands(torch.float32)

    def function(q, k, v):
        return torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(q, k, v)

    out, log_sum = compiled(function)(q, k, v)
    expected = function(q, k, v)
    assert (log_sum.dtype, log_sum.stride()) == (expected[1].dtype, expected[1].stride())
    torch.testing.assert_close(out, expected[0], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(log_sum, expected[1], rtol=1e-6, atol=1e-6)


def test_a_single_row_without_keys():
    q, k, v, mask = CASES["single_row_padded"].operands(torch.float32)
    mask[0] = False
    function = CASES["single_row_padded"].function()
    got, expected = compiled(function)(q, k, v, mask), function(q, k, v, mask)
    assert (got[0] == 0).all() and (expected[0] == 0).all()
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


def test_rows_without_keys():
    q, k, v, _ = CASES["several_blocks"].operands(torch.float32)
    mask = torch.zeros(70, 300)
    mask[3] = -INFINITY
    mask[4, :256] = -INFINITY
    mask[5, 20:] = -INFINITY
    function = CASES["several_blocks"].function()
    got, expected = compiled(function)(q, k, v, mask), function(q, k, v, mask)
    assert (got[:, :, 3] == 0).all() and (expected[:, :, 3] == 0).all()
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("value", (float("nan"), INFINITY), ids=str)
def test_nan_and_infinity_reach_what_eager_lets_them_reach(value):
    q, k, v, _ = Case(keys=64).operands(torch.float32)
    k[0, 1, 2, 3] = value
    v[1, 2, 3, 4] = value
    function = Case().function()
    got, expected = compiled(function)(q, k, v, None), function(q, k, v, None)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("rows, keys", ((0, 5), (5, 0), (0, 0)))
@pytest.mark.parametrize("shapes", SHAPES)
def test_nothing_to_attend(rows, keys, shapes):
    case = Case(rows=rows, keys=keys)
    operands = case.operands(torch.float32)
    got = compiled(case.function(), dynamic=shapes == "symbolic" or None)(*operands)
    torch.testing.assert_close(got, torch.zeros(2, 4, rows, 16), rtol=0, atol=0)


def test_mask_looked_up_by_position():
    """Rows that only fill up a vector must not fail the check of an index."""
    positions = torch.arange(4)

    def function(q, k, table):
        mask = table[positions[:, None], positions[None, :]]
        return F.scaled_dot_product_attention(q, k, k, mask)

    q, k, table = torch.randn(1, 4, 4, 16), torch.randn(1, 4, 4, 16), torch.randn(4, 4)
    torch.testing.assert_close(
        compiled(function)(q, k, table), function(q, k, table), rtol=1e-5, atol=1e-6
    )


def test_sizes_vary_in_a_symbolic_graph():
    function = compiled(lambda q, k, v: F.scaled_dot_product_attention(q, k, v), dynamic=True)
    for batch, rows, keys in ((2, 5, 7), (3, 40, 260), (2, 6, 5)):
        q, k = torch.randn(batch, 2, rows, 8), torch.randn(batch, 2, keys, 8)
        torch.testing.assert_close(
            function(q, k, k), F.scaled_dot_product_attention(q, k, k), rtol=1e-5, atol=1e-6
        )


def test_same_bits_for_any_number_of_threads():
    case = Case(batch=1, heads=3, rows=130, keys=130, is_causal=True)
    function, operands = compiled(case.function()), case.operands(torch.float32)
    threads = torch.get_num_threads()
    results = []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        results.append(function(*operands))
    torch.set_num_threads(threads)
    assert all(torch.equal(results[0], other) for other in results[1:])


def _gradients(function, operands):
    leaves = [o.detach().clone().requires_grad_() for o in operands[:3]]
    out = function(*leaves, operands[3])
    generator = torch.Generator().manual_seed(1)
    out.backward(torch.randn(out.shape, generator=generator).bfloat16().to(out.dtype))
    return [leaf.grad for leaf in leaves]


#: Whose gradients are ATen's: of a single row, key or column.
SINGLE = [name for name in CASES if name.startswith("single") or name in ("one_key", "depth_1")]


@pytest.mark.parametrize("codegen", ("llvm", "cpp"))
@pytest.mark.parametrize("shapes", SHAPES)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_gradients(name, dtype, shapes, codegen):
    if codegen == "cpp" and not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("no C++ compiler on this machine: the C++ half of the matrix did not run")
    case = CASES[name]
    function, operands = case.function(), case.operands(dtype)
    dynamic, options = shapes == "symbolic" or None, {"codegen": codegen}
    gold = _gradients(function, _double(operands))
    eager = _gradients(function, operands)
    got = _gradients(compiled(function, dynamic=dynamic, options=options), operands)
    backward = str(ferroductor.report()).rsplit("(backward)", 1)[1]
    by_aten = "× aten._scaled_dot_product_flash_attention_for_cpu_backward" in backward
    assert by_aten == (name in SINGLE), ferroductor.report()
    for ours, theirs, exact in zip(got, eager, gold):
        _hold_to_fp64_rule(ours, theirs, exact)


def test_gradients_of_rows_without_keys():
    q, k, v, _ = CASES["several_blocks"].operands(torch.float32)
    mask = torch.zeros(70, 300)
    mask[3] = -INFINITY
    mask[4, :256] = -INFINITY
    mask[:, 17] = -INFINITY
    function = CASES["several_blocks"].function()
    expected = _gradients(function, (q, k, v, mask))
    got = _gradients(compiled(function), (q, k, v, mask))
    assert all((row == 0).all() for row in (got[0][:, :, 3], got[1][:, :, 17], got[2][:, :, 17]))
    for ours, theirs in zip(got, expected):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("of", (0, 1, 2))
def test_not_a_number_in_gradients(of):
    operands = CASES["several_blocks"].operands(torch.float32)
    operands[of][0, 1, 2, 3] = torch.nan
    function = CASES["several_blocks"].function()
    expected, got = _gradients(function, operands), _gradients(compiled(function), operands)
    for ours, theirs in zip(got, expected):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5, equal_nan=True)


@pytest.mark.parametrize("name", ("causal_blocks", "several_blocks", "grouped"))
def test_gradients_have_the_same_bits(name):
    """For any number of threads, and from both emitters."""
    case = CASES[name]
    operands = case.operands(torch.float32)
    function = compiled(case.function())
    threads = torch.get_num_threads()
    results = []
    for count in (1, 2, 5):
        torch.set_num_threads(count)
        results.append(_gradients(function, operands))
    torch.set_num_threads(threads)
    if shutil.which("g++") or shutil.which("clang++"):
        torch._dynamo.reset()
        results.append(_gradients(compiled(case.function(), options={"codegen": "cpp"}), operands))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other))


def test_gradients_in_a_symbolic_graph():
    """One program for many numbers of rows and keys."""
    function = compiled(CASES["plain"].function(), dynamic=True)
    for rows, keys in ((37, 53), (64, 128), (2, 3), (130, 5), (200, 260)):
        operands = Case(rows=rows, keys=keys).operands(torch.float32)
        got, expected = _gradients(function, operands), _gradients(CASES["plain"].function(), operands)
        for ours, theirs in zip(got, expected):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_dropout_is_atens():
    q, k, v, _ = CASES["plain"].operands(torch.float32)

    def function(q, k, v):
        return F.scaled_dot_product_attention(q, k, v, dropout_p=0.5)

    torch.manual_seed(3)
    expected = function(q, k, v)
    torch.manual_seed(3)
    torch.testing.assert_close(compiled(function)(q, k, v), expected, rtol=1e-4, atol=1e-5)
