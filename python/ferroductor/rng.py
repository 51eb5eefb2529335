"""Random operators that save or restore the generator's state, so that a backward pass draws again
what the forward pass drew.

The partitioner makes them where activation checkpointing recomputes a random operator, without
metadata, and the result of one is a tuple in a tuple. The compiler knows tensors and flat lists of
them. What must hold: the operator still runs exactly once in each graph, in its place.
"""

from __future__ import annotations

import contextlib
import operator
from typing import Any

import torch
from torch._guards import detect_fake_mode
from torch._prims.rng_prims import run_and_save_rng_state, run_with_rng_state
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg


def run_and_save(op: Any, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
    """Runs a random operator: the generator's state before it, then its results."""
    state, result = run_and_save_rng_state(op, *args, **kwargs)
    return (state, *_listed(result))


def prepare(gm: GraphModule) -> None:
    """Gives these operators of a graph their metadata, and results in one flat tuple."""
    for node in gm.graph.find_nodes(op="call_function", target=run_with_rng_state):
        _, op, *args = node.args
        node.meta["val"] = _result(node, op, args)
    for node in gm.graph.find_nodes(op="call_function", target=run_and_save_rng_state):
        op, *args = node.args
        _flatten(gm, node, _result(node, op, args))


def _result(node: Node, op: Any, args: list[Any]) -> Any:
    """The result's metadata, from the arguments'. Nothing is drawn: an operator without tensors
    among its arguments would, outside the graph's fake mode."""
    mode = detect_fake_mode([each.meta.get("val") for each in node.graph.nodes])
    with mode or contextlib.nullcontext():
        return op(*map_arg(args, _meta), **map_arg(node.kwargs, _meta))


def _meta(node: Node) -> Any:
    return node.meta["val"]


def _listed(result: Any) -> list[Any]:
    return list(result) if isinstance(result, (tuple, list)) else [result]


def _flatten(gm: GraphModule, node: Node, result: Any) -> None:
    # The state's own metadata give its size a symbol that nothing binds.
    state = torch.get_rng_state()
    for user in list(node.users):
        if user.target is not operator.getitem:
            raise ValueError(f"the state and result of {node} are taken in an unknown way")
        if user.args[1] == 0:
            user.meta["val"] = state
        elif isinstance(result, (tuple, list)):
            for part in list(user.users):
                part.args = (node, part.args[1] + 1)
            gm.graph.erase_node(user)
    node.target = run_and_save
    node.meta["val"] = [state, *_listed(result)]
