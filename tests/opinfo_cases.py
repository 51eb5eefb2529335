"""PyTorch's operator database as test cases for the backend.

A case is one entry of the database with one dtype: its sample inputs are run in eager and compiled,
and `failures` says in words where the two differ. Nothing here is specific to a way of running the
tests; what runs by default and what is known to differ stands in `test_opinfo.py`.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch.testing._internal.common_methods_invocations import op_db
from torch.utils._pytree import tree_flatten, tree_map

#: Relative and absolute tolerance against eager. What misses it may still pass by the rule that
#: the error against float64 is not much larger than eager's own.
TOLERANCE = {
    torch.float64: (1e-7, 1e-9),
    torch.float32: (1e-5, 1e-5),
    torch.float16: (2e-3, 1e-3),
    torch.bfloat16: (1.6e-2, 1e-2),
    torch.complex64: (1e-5, 1e-5),
    torch.complex128: (1e-7, 1e-9),
}

#: How much larger than eager's error ours may be, and the floor in units of the dtype's epsilon.
WORSE = {torch.float64: 2.0, torch.float32: 2.0, torch.float16: 3.0, torch.bfloat16: 3.0}
FLOOR = 8.0

#: Operators whose results are not determined by their arguments.
UNDETERMINED = {
    "empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided",
    "nn.functional.multi_head_attention_forward",
}  # fmt: skip


@dataclass
class Outcome:
    """What became of a case."""

    samples: int = 0
    failures: list[str] = field(default_factory=list)
    #: Operators that ran in generated code, and in ATen with the reason.
    native: set[str] = field(default_factory=set)
    aten: dict[str, str] = field(default_factory=dict)


def entries() -> dict[str, Any]:
    """The database by full name (`variant` after a dot)."""
    return {_name(op): op for op in op_db}


def _name(op: Any) -> str:
    return f"{op.name}.{op.variant_test_name}" if op.variant_test_name else op.name


def dtypes_of(op: Any, gradients: bool = False) -> set[torch.dtype]:
    if not gradients:
        return op.supported_dtypes("cpu")
    return op.supported_backward_dtypes("cpu") if op.supports_autograd else set()


def core_packets() -> set[str]:
    """Names of the operators that PyTorch tags as core ATen."""
    names = set()
    for name in dir(torch.ops.aten):
        packet = getattr(torch.ops.aten, name)
        overloads = packet.overloads() if isinstance(packet, torch._ops.OpOverloadPacket) else ()
        if any(torch.Tag.core in getattr(packet, each).tags for each in overloads):
            names.add(name)
    return names


def run(
    op: Any, dtype: torch.dtype, limit: int, *, gradients: bool = False, dynamic: bool = False
) -> Outcome:
    """Runs up to `limit` samples of an entry, spread over its samples."""
    outcome = Outcome()
    for sample in _samples(op, dtype, limit, gradients):
        outcome.samples += 1
        try:
            _compare(op, sample, gradients, dynamic, outcome)
        except _Differs as difference:
            outcome.failures.append(f"sample {outcome.samples}: {difference} [{sample.summary()}]")
    return outcome


def _samples(op: Any, dtype: torch.dtype, limit: int, gradients: bool) -> Iterator[Any]:
    torch.manual_seed(0)
    found = list(itertools.islice(op.sample_inputs("cpu", dtype, requires_grad=gradients), 40))
    step = max(1, len(found) // limit)
    return iter(found[::step][:limit])


class _Differs(Exception):
    """Compiled code did not do what eager did."""


def _compare(op: Any, sample: Any, gradients: bool, dynamic: bool, outcome: Outcome) -> None:
    import ferroductor

    torch._dynamo.reset()
    ferroductor.reset()

    def function(input: Any, args: Any, kwargs: Any) -> Any:
        return op.op(input, *args, **kwargs)

    with _quiet():
        expected, problem = _call(function, sample, gradients)
        options = {"on_error": "raise"}
        compiled = torch.compile(
            function, backend="ferroductor", dynamic=dynamic, options=options
        )
        got, our_problem = _call(compiled, sample, gradients)
    _classify(outcome)
    if problem is not None:
        _same_problem(problem, our_problem)
        return
    if our_problem is not None:
        raise _Differs(f"raises {type(our_problem).__name__}: {_short(our_problem)}")
    if _name(op) in UNDETERMINED:
        got, expected = (tree_map(_zeroed, x) for x in (got, expected))
    reference = _Reference(function, sample, gradients)
    _same(got, expected, reference, "result")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _zeroed(value: Any) -> Any:
    return torch.zeros_like(value) if isinstance(value, torch.Tensor) else value


def _call(function: Any, sample: Any, gradients: bool) -> tuple[Any, Exception | None]:
    """Results (and gradients) of one call on copies of the inputs, or what it raises."""
    input, args, kwargs = _copies((sample.input, sample.args, sample.kwargs))
    torch.manual_seed(0)
    try:
        result = function(input, args, kwargs)
        if sample.output_process_fn_grad is not None and gradients:
            result = sample.output_process_fn_grad(result)
        if not gradients:
            return result, None
        return (result, _gradients(result, (input, args, kwargs))), None
    except Exception as error:  # noqa: BLE001 - whatever it is, it is compared
        return None, error


def _copies(inputs: Any) -> Any:
    """Equal tensors in memory of their own, geometry and aliasing within one tensor kept."""

    def one(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return copy.copy(value)
        if value.layout is not torch.strided:
            return value.detach().clone().requires_grad_(value.requires_grad)
        with torch.no_grad():
            storage = value.untyped_storage().clone()
            empty = torch.empty(0, dtype=value.dtype)
            fresh = empty.set_(storage, value.storage_offset(), value.size(), value.stride())
        fresh = torch.conj(fresh) if value.is_conj() else fresh
        return fresh.requires_grad_(value.requires_grad)

    return tree_map(one, inputs)


def _gradients(result: Any, inputs: Any) -> Any:
    outputs = [
        x for x in tree_flatten(result)[0] if isinstance(x, torch.Tensor) and x.requires_grad
    ]
    leaves = [
        x for x in tree_flatten(inputs)[0] if isinstance(x, torch.Tensor) and x.requires_grad
    ]
    if not outputs or not leaves:
        return ()
    generator = torch.Generator().manual_seed(1)
    cotangents = [_random_like(x, generator) for x in outputs]
    return torch.autograd.grad(outputs, leaves, cotangents, allow_unused=True)


def _random_like(x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    plain = torch.rand(x.shape, generator=generator, dtype=torch.float64) + 0.5
    return plain.to(x.dtype)


def _same_problem(expected: Exception, got: Exception | None) -> None:
    if got is None:
        raise _Differs(f"eager raises {type(expected).__name__}, compiled code does not")
    # Errors found while tracing come wrapped, and the original is the cause.
    chain, link = [], got
    while link is not None:
        chain.append(link)
        link = link.__cause__ or link.__context__
    if not any(isinstance(error, type(expected)) for error in chain):
        raise _Differs(f"eager raises {type(expected).__name__}, we {type(got).__name__}: {_short(got)}")


def _short(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " | ".join(lines[:3])[:300]


def _classify(outcome: Outcome) -> None:
    import ferroductor

    for graph in ferroductor.report().graphs:
        for _, target, kind, reason in graph["nodes"]:
            if kind == "native":
                outcome.native.add(target)
            else:
                outcome.aten[target] = reason


class _Reference:
    """The same call in float64, made when it is first needed."""

    def __init__(self, function: Any, sample: Any, gradients: bool) -> None:
        self.arguments = (function, sample, gradients)
        self.flat: list[Any] | None = None

    def at(self, position: int) -> torch.Tensor | None:
        if self.flat is None:
            function, sample, gradients = self.arguments
            wide = copy.copy(sample)
            wide.input, wide.args, wide.kwargs = tree_map(
                _widened, (sample.input, sample.args, sample.kwargs)
            )
            with _quiet():
                result, problem = _call(function, wide, gradients)
            self.flat = [] if problem is not None else tree_flatten(result)[0]
        value = self.flat[position] if position < len(self.flat) else None
        return value if isinstance(value, torch.Tensor) else None


def _widened(value: Any) -> Any:
    if isinstance(value, torch.Tensor) and value.dtype.is_floating_point:
        return value.detach().double().requires_grad_(value.requires_grad)
    wide = {torch.float32, torch.float16, torch.bfloat16}
    return torch.float64 if isinstance(value, torch.dtype) and value in wide else value


def _same(got: Any, expected: Any, reference: _Reference, what: str) -> None:
    flat, tree = tree_flatten(expected)
    ours, our_tree = tree_flatten(got)
    if len(flat) != len(ours):
        raise _Differs(f"{what}: {our_tree} instead of {tree}")
    for at, (a, b) in enumerate(zip(ours, flat)):
        _same_value(a, b, reference, at, f"{what} {at}")


def _same_value(got: Any, expected: Any, reference: _Reference, at: int, what: str) -> None:
    if not isinstance(expected, torch.Tensor):
        equal = type(got) is type(expected) and (got == expected or got != got)
        if not equal:
            raise _Differs(f"{what}: {got!r} instead of {expected!r}")
        return
    got, expected = got.detach(), expected.detach()
    for name in ("dtype", "shape", "layout"):
        ours, theirs = getattr(got, name), getattr(expected, name)
        if ours != theirs:
            raise _Differs(f"{what}: {name} {ours} instead of {theirs}")
    if expected.layout is not torch.strided:
        got, expected = got.to_dense(), expected.to_dense()
    elif _strides(got) != _strides(expected):
        raise _Differs(f"{what}: strides {got.stride()} instead of {expected.stride()}")
    if expected.is_quantized:
        got, expected = got.dequantize(), expected.dequantize()
    _close(got, expected, reference, at, what)


def _strides(tensor: torch.Tensor) -> list[int]:
    """The strides that mean something."""
    if tensor.numel() == 0:
        return []
    return [stride for stride, size in zip(tensor.stride(), tensor.shape) if size > 1]


def _close(
    got: torch.Tensor, expected: torch.Tensor, reference: _Reference, at: int, what: str
) -> None:
    if expected.dtype is torch.complex32:
        got, expected = got.to(torch.complex64), expected.to(torch.complex64)
    if expected.dtype not in TOLERANCE:
        if not torch.equal(got, expected):
            raise _Differs(f"{what}: {_first(got, expected, got != expected)}")
        return
    if not torch.equal(got.isnan(), expected.isnan()):
        raise _Differs(f"{what}: NaN elsewhere: {_first(got, expected, got.isnan() ^ expected.isnan())}")
    relative, absolute = TOLERANCE[expected.dtype]
    close = torch.isclose(got, expected, relative, absolute, equal_nan=True)
    if bool(close.all()) or _within_rule(got, expected, reference.at(at)):
        return
    raise _Differs(f"{what}: {_first(got, expected, ~close)}")


def _within_rule(got: torch.Tensor, expected: torch.Tensor, exact: torch.Tensor | None) -> bool:
    """Is the error against float64 at most a little larger than eager's own?"""
    usable = (
        exact is not None
        and exact.dtype is torch.float64
        and exact.shape == expected.shape
        and expected.dtype in WORSE
    )
    if not usable:
        return False
    if not torch.equal(got.isfinite(), expected.isfinite()):
        return False
    finite = exact.isfinite() & expected.isfinite()
    exact, ours, theirs = exact[finite], got[finite].double(), expected[finite].double()
    if exact.numel() == 0:
        return True
    eps = torch.finfo(expected.dtype).eps
    floor = FLOOR * eps * max(float(exact.abs().max()), 1e-30)
    worst, worst_eager = ((x - exact).abs().max() for x in (ours, theirs))
    return bool(worst <= WORSE[expected.dtype] * worst_eager + floor)


def _first(got: torch.Tensor, expected: torch.Tensor, where: torch.Tensor) -> str:
    if got.dim() == 0:
        return f"{got.item()} instead of {expected.item()}"
    places = where.nonzero()
    at = tuple(places[0].tolist())
    count = f"{len(places)} of {got.numel()} elements differ"
    return f"{count}, at {at} {got[at].item()} instead of {expected[at].item()}"
