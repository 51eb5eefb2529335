"""The table by which AOTAutograd takes operators apart before we see them.

It is Inductor's table as it is under `fallback_random=True`: dropout and the random operators stay
whole, so that torch's generator is drawn from in eager's order and results match eager's. Batch
normalisation in training is taken apart by `batch_norm`, as exactly as eager computes it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch

from ferroductor import batch_norm

#: Operators that reach the compiler whole although the table knows how to take them apart, each
#: with the reason. Names are packets (`aten.gelu`) or overloads (`aten.gelu.default`).
KEEP_WHOLE: dict[str, str] = {
    "aten.index_select": "taken apart it would accept negative indices",
    "aten._softmax": "one division for each row, no rounding between its steps",
    "aten.gelu": "its approximation by the exponential function needs no hyperbolic tangent",
    "aten.max_pool2d_with_indices": "one pass over the window gives values and positions",
    "aten.max_pool3d_with_indices": "one pass over the window gives values and positions",
    "aten.max_pool2d_with_indices_backward": "positions need no index arithmetic",
}


@functools.cache
def table() -> dict[torch._ops.OpOverload, Callable[..., Any]]:
    """The table, made once."""
    from torch._inductor import config
    from torch._inductor.decomposition import select_decomp_table

    with config.patch(fallback_random=True):
        copy = dict(select_decomp_table())
    for name in KEEP_WHOLE:
        for overload in _overloads(name):
            copy.pop(overload, None)
    return copy | batch_norm.decompositions(copy)


def _overloads(name: str) -> list[Any]:
    namespace, packet, *overload = name.split(".")
    found = getattr(getattr(torch.ops, namespace), packet)
    if overload:
        return [getattr(found, overload[0])]
    return [getattr(found, each) for each in found.overloads()]
