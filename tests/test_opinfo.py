"""PyTorch's own operator database, compiled, against eager.

By default: the operators of core ATen and the families that the compiler knows, a sample or two of
each, so that the run stays short. `FERRODUCTOR_OPINFO=full` takes every entry, more dtypes and more
samples. An operator that runs in ATen is right too; only results count here.
"""

import os

import opinfo_cases
import pytest
import torch

FULL = os.environ.get("FERRODUCTOR_OPINFO") == "full"
SAMPLES = 8 if FULL else 1
DTYPES = [torch.float32, torch.bfloat16, torch.float64, torch.int64, torch.bool]
if FULL:
    DTYPES += [torch.float16, torch.int32, torch.uint8]

#: Families outside core ATen that come apart into what the compiler knows.
FAMILIES = {
    "addcdiv", "addcmul", "baddbmm", "block_diag", "broadcast_to", "bucketize", "chunk",
    "column_stack", "count_nonzero", "cumprod", "diag_embed", "diff", "dstack", "einsum",
    "fmax", "fmin", "heaviside", "hstack", "index_add", "index_fill", "isclose", "kron", "lerp",
    "linspace", "log_softmax", "logaddexp", "logit", "logsumexp", "masked_fill", "matmul",
    "meshgrid", "narrow", "norm", "outer", "repeat_interleave", "roll", "rot90", "select_scatter",
    "sinc", "softmax", "split", "square", "squeeze_multiple", "stack", "std", "std_mean", "t",
    "take_along_dim", "tensordot", "tile", "trapezoid", "tril", "triu", "unbind", "unflatten",
    "unfold", "var_mean", "vstack", "where", "xlogy",
    "nn.functional.adaptive_avg_pool2d", "nn.functional.avg_pool2d", "nn.functional.batch_norm",
    "nn.functional.binary_cross_entropy", "nn.functional.binary_cross_entropy_with_logits",
    "nn.functional.cross_entropy", "nn.functional.embedding", "nn.functional.gelu",
    "nn.functional.glu", "nn.functional.group_norm", "nn.functional.hardswish",
    "nn.functional.huber_loss", "nn.functional.instance_norm", "nn.functional.interpolate",
    "nn.functional.kl_div", "nn.functional.layer_norm", "nn.functional.linear",
    "nn.functional.max_pool2d", "nn.functional.mish", "nn.functional.mse_loss",
    "nn.functional.nll_loss", "nn.functional.one_hot", "nn.functional.pad", "nn.functional.relu6",
    "nn.functional.rms_norm", "nn.functional.silu", "nn.functional.smooth_l1_loss",
    "nn.functional.softplus", "nn.functional.upsample_bilinear",
    "nn.functional.upsample_nearest",
}  # fmt: skip

#: What is known to differ, by test, entry and dtype (`*`: every one), with the reason. A case that
#: stands here and does not differ fails.
DEVIATIONS: dict[tuple[str, str, str], str] = {
    ("gradients", "rot90", "float32"): "AOTAutograd's strides, the same with aot_eager",
    ("dynamic", "max_pool2d_with_indices_backward", "float32"): (
        "Dynamo's own shape function refuses ceil_mode with symbolic sizes"
    ),
    ("gradients", "ormqr", "float32"): "AOTAutograd's strides of a gradient that LAPACK computes",
}

ENTRIES = opinfo_cases.entries()


def _selected():
    if FULL:
        return list(ENTRIES)
    wanted = opinfo_cases.core_packets() | FAMILIES
    return [name for name, op in ENTRIES.items() if op.name in wanted or name in wanted]


def _cases(dtypes, gradients=False):
    return [
        pytest.param(name, dtype, id=f"{name}-{_short(dtype)}")
        for name in _selected()
        for dtype in dtypes
        if dtype in opinfo_cases.dtypes_of(ENTRIES[name], gradients)
    ]


def _short(dtype):
    return str(dtype).removeprefix("torch.")


def _check(test, name, dtype, **how):
    outcome = opinfo_cases.run(ENTRIES[name], dtype, SAMPLES, **how)
    reason = DEVIATIONS.get((test, name, _short(dtype))) or DEVIATIONS.get((test, name, "*"))
    if reason is None:
        assert not outcome.failures, "\n".join(outcome.failures)
    else:
        assert outcome.failures, f"no longer differs: {reason}"


@pytest.mark.parametrize(("name", "dtype"), _cases(DTYPES))
def test_forward(name, dtype):
    _check("forward", name, dtype)


@pytest.mark.parametrize(("name", "dtype"), _cases([torch.float32], gradients=True))
def test_gradients(name, dtype):
    _check("gradients", name, dtype, gradients=True)


@pytest.mark.parametrize(("name", "dtype"), _cases([torch.float32]))
def test_dynamic(name, dtype):
    _check("dynamic", name, dtype, dynamic=True)
