"""Every kind of kernel over {static, symbolic} x {fp32, bf16} x {forward, backward} x {LLVM, C++}.

A cell that cannot exist (gradients of integers) is listed in `MISSING` with its reason; a missing
C++ compiler skips the C++ half with a message that says so.
"""

import shutil

import pytest
import torch
import torch.nn.functional as F

from conftest import compiled


def _norm(x):
    return F.layer_norm(x, x.shape[-1:]) + F.rms_norm(x, x.shape[-1:])


def _attention(x):
    scores = torch.softmax(x @ x.transpose(-1, -2) / 4, -1)
    return scores @ x


def _heads(x):
    batch, rows, columns = x.shape
    return x.view(batch, rows, 4, columns // 4).permute(0, 2, 1, 3).contiguous() * 2


def _batch_statistics(x):
    return (x - x.mean((0, 1))) * torch.rsqrt(x.var((0, 1), correction=0) + 1e-5)


#: Functions of one tensor [batch, rows, columns].
CASES = {
    "pointwise": lambda x: torch.sigmoid(x) * torch.tanh(x) + torch.exp(-x * x),
    "gelu": lambda x: F.gelu(x) + F.silu(x),
    "where": lambda x: torch.where(x > 0, x, 0.1 * x).clamp(-1, 1),
    "row_sum": lambda x: x.sum(-1) + x.amax(-1),
    "column_sum": lambda x: x.sum((0, 1)),
    "full_sum": lambda x: x.square().mean(),
    "softmax": lambda x: torch.softmax(x, -1) + torch.log_softmax(x, 1),
    "normalisation": _norm,
    "batch_statistics": _batch_statistics,
    "product": lambda x: torch.relu(x @ x.transpose(-1, -2)),
    "linear": lambda x: F.gelu(F.linear(x, x[0], x[0, :, 0])) + 1,
    "attention": _attention,
    "transposition": lambda x: (x.transpose(-1, -2) + 1).contiguous(),
    "heads": _heads,
    "concatenation": lambda x: torch.cat((-x[..., 8:], x[..., :8]), -1) * x,
    "padding": lambda x: F.pad(x, (1, 2, 0, 3)),
    "running_sum": lambda x: x.cumsum(1),
    "embedding": lambda x: x[0][torch.arange(5) * 2 % x.shape[1]],
}

#: Cells without meaning, with the reason.
MISSING: dict[tuple[str, str], str] = {}


def _cells():
    for name in CASES:
        for shapes in ("static", "symbolic"):
            for dtype in (torch.float32, torch.bfloat16):
                for direction in ("forward", "backward"):
                    for codegen in ("llvm", "cpp"):
                        yield pytest.param(
                            name, shapes, dtype, direction, codegen,
                            id=f"{name}-{shapes}-{str(dtype)[6:]}-{direction}-{codegen}",
                        )


def _run(function, x, direction):
    if direction == "forward":
        return function(x)
    x = x.detach().clone().requires_grad_()
    out = function(x)
    weights = torch.linspace(-1, 1, out.numel(), dtype=torch.float64).reshape(out.shape)
    (out * weights.to(out.dtype)).sum().backward()
    return x.grad


def _error(got, gold):
    return (got.double() - gold).square().mean().sqrt().item()


@pytest.mark.parametrize(("name", "shapes", "dtype", "direction", "codegen"), list(_cells()))
def test_cell(name, shapes, dtype, direction, codegen):
    if (name, direction) in MISSING:
        pytest.skip(MISSING[name, direction])
    if codegen == "cpp" and not (shutil.which("g++") or shutil.which("clang++")):
        pytest.skip("no C++ compiler on this machine: the C++ half of the matrix did not run")
    function = CASES[name]
    x = torch.randn(3, 13, 16).to(dtype)
    gold = _run(function, x.double(), direction)
    eager = _run(function, x, direction)
    got = _run(
        compiled(function, dynamic=shapes == "symbolic" or None, options={"codegen": codegen}),
        x,
        direction,
    )
    assert (got.dtype, got.shape, got.stride()) == (eager.dtype, eager.shape, eager.stride())
    floor = 4 * torch.finfo(dtype).eps * gold.square().mean().sqrt().item()
    allowed = (3 if dtype == torch.bfloat16 else 2) * max(_error(eager, gold), floor)
    assert _error(got, gold) <= allowed
