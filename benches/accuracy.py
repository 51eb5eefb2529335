"""The fp64 rule: how far a result is from float64's, measured in eager's own distance.

A compiled program may be wrong where eager is, but not much more: at most twice in float32, three
times in half precision. Where eager happens to be exact, four units in the last place count as its
error.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

#: The largest ratio that passes, by "is it half precision?".
LIMIT = {False: 2.0, True: 3.0}


def error_ratios(
    got: Sequence[torch.Tensor], eager: Sequence[torch.Tensor], exact: Sequence[torch.Tensor]
) -> tuple[float, float]:
    """The root-mean-square and the largest error over eager's; the worst tensor counts."""
    if not len(got) == len(eager) == len(exact):
        raise AssertionError(f"{len(got)} results where eager has {len(eager)}")
    ratios = [_ratios(*each) for each in zip(got, eager, exact) if each[1].is_floating_point()]
    return max((r[0] for r in ratios), default=0.0), max((r[1] for r in ratios), default=0.0)


def _ratios(got: torch.Tensor, eager: torch.Tensor, exact: torch.Tensor) -> tuple[float, float]:
    if got.shape != eager.shape or got.dtype != eager.dtype:
        raise AssertionError(f"{got.shape} {got.dtype} where eager has {eager.shape} {eager.dtype}")
    if not torch.equal(got.isnan(), eager.isnan()):
        raise AssertionError("NaN in other places than eager's")
    exact = exact.double()
    floor = 4 * torch.finfo(eager.dtype).eps
    ours = (got.double() - exact).nan_to_num()
    theirs = (eager.double() - exact).nan_to_num()
    return _over(_rms(ours), _rms(theirs), floor * _rms(exact)), _over(
        _top(ours), _top(theirs), floor * _top(exact)
    )


def _rms(x: torch.Tensor) -> float:
    return x.square().mean().sqrt().item() if x.numel() else 0.0


def _top(x: torch.Tensor) -> float:
    return x.abs().max().item() if x.numel() else 0.0


def _over(ours: float, theirs: float, floor: float) -> float:
    return ours / max(theirs, floor, 1e-300)
