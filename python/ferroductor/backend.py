"""The backend that torch.compile calls: AOTAutograd around the extension module.

What must hold: no compilation logic lives here. A graph goes out as plain data and comes back as a
callable; a failure of ours becomes one warning and eager execution, or an exception.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch._dynamo.backends.common import aot_autograd
from torch._guards import TracingContext
from torch.fx import GraphModule

from ferroductor import _ferroductor, decompositions, rng
from ferroductor.graph import DTYPE_OF_CODE, GraphData

log = logging.getLogger(__name__)

#: Reports of all graphs since the last `ferroductor.reset()`.
reports: list[Any] = []

_numbers = itertools.count()


def compile(  # noqa: A001 - the name users see in torch's messages
    gm: GraphModule,
    example_inputs: Sequence[Any],
    *,
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    name: str | None = None,
) -> Callable[..., Any]:
    """Compiles a graph that Dynamo captured. `options` are those of `ferroductor.options()`."""
    del name  # torch's own label of the compiled region
    resolved = _ferroductor.resolve_options(mode, options)
    session = _Session(resolved)
    with _settings():
        compiled = aot_autograd(
            fw_compiler=functools.partial(session.compile, phase="forward"),
            bw_compiler=functools.partial(session.compile, phase="backward"),
            inference_compiler=functools.partial(session.compile, phase="inference"),
            decompositions=decompositions.table,
            partition_fn=_partition,
            keep_inference_input_mutations=True,
        )(gm, example_inputs)
    return session.direct(gm, example_inputs) or compiled


compile.__name__ = "ferroductor"


def _partition(*args: Any, **kwargs: Any) -> Any:
    from functorch.compile import min_cut_rematerialization_partition

    return min_cut_rematerialization_partition(*args, compiler="inductor", **kwargs)


@contextlib.contextmanager
def _settings() -> Iterator[None]:
    """AOTAutograd's settings while it traces: effect tokens stay out of the signature, and
    decompositions leave random operators alone."""
    with (
        torch._functorch.config.patch(unlift_effect_tokens=True),
        torch._inductor.config.patch(fallback_random=True),
    ):
        yield


class _Session:
    """The graphs that come out of one graph of Dynamo's."""

    def __init__(self, options: Any) -> None:
        self.options = options
        #: The inference graph and what AOTAutograd says of it, if it was compiled.
        self.inference: tuple[Any, Any] | None = None

    def compile(
        self, gm: GraphModule, example_inputs: Sequence[Any], phase: str
    ) -> Callable[[list[Any]], list[Any]]:
        name = f"{phase}_{next(_numbers)}"
        try:
            compiled = self._compile(gm, name, phase)
        except Exception as error:
            if self.options.raises:
                raise _as_ordinary(error) from error
            return _eager(gm, name, phase, error)
        reports.append(compiled.report)
        _log_report(compiled.report)
        _report_strides(gm)
        compiled._boxed_call = True
        if phase == "inference":
            context = TracingContext.try_get()
            self.inference = (compiled, context.fw_metadata if context else None)
        return compiled

    def _compile(self, gm: GraphModule, name: str, phase: str) -> Any:
        rng.prepare(gm)
        graph = GraphData(gm, name, phase)
        return _ferroductor.compile_graph(
            graph.data, graph.targets, graph.objects, graph.constants, DTYPE_OF_CODE, self.options
        )

    def direct(self, gm: GraphModule, example_inputs: Sequence[Any]) -> Callable[..., Any] | None:
        """The compiled graph without AOTAutograd's wrapper, where the wrapper would do nothing."""
        if self.inference is None:
            return None
        compiled, metadata = self.inference
        outputs = gm.graph.output_node().args[0]
        if (
            metadata is None
            or not _wrapper_does_nothing(metadata)
            or compiled.input_count != len(example_inputs)
            or not isinstance(outputs, (list, tuple))
            or compiled.output_count != len(outputs)
        ):
            return None
        return compiled.direct()


def _wrapper_does_nothing(metadata: Any) -> bool:
    """Does the graph's result need nothing of what AOTAutograd does around a call?"""
    return (
        metadata.num_mutated_inp_runtime_indices == 0
        and metadata.num_mutated_graph_handled_indices == 0
        and metadata.num_outputs_aliased == 0
        and metadata.num_intermediate_bases == 0
        and not metadata.tokens
        and metadata.grad_enabled_mutation is None
        and not metadata.dynamic_outputs
        and not metadata.is_rng_op_functionalized
        and not torch._C._is_any_autocast_enabled()
        and not any(info.requires_grad for info in metadata.output_info)
        and not any(_is_subclass(m) for m in metadata.subclass_inp_meta)
        and not any(_is_subclass(m) for m in metadata.subclass_fw_graph_out_meta)
    )


def _is_subclass(meta: Any) -> bool:
    return type(meta).__name__ == "SubclassCreationMeta"


def _report_strides(gm: GraphModule) -> None:
    """Tells AOTAutograd the strides of our outputs; they are the ones the metadata promise."""
    context = TracingContext.try_get()
    if context is None or context.output_strides is None:
        return
    outputs = gm.graph.output_node().args[0]
    for node in outputs:
        value = node.meta.get("val") if isinstance(node, torch.fx.Node) else None
        is_dense = isinstance(value, torch.Tensor) and value.layout is torch.strided
        context.output_strides.append(tuple(value.stride()) if is_dense else None)


def _log_report(report: Any) -> None:
    """Shows the report to who asked for it with TORCH_LOGS or TORCH_TRACE."""
    from torch._logging._internal import getArtifactLogger, log_state, trace_structured

    if log_state.is_artifact_enabled("ferroductor_report"):
        getArtifactLogger(__name__, "ferroductor_report").debug("%s", report)
    trace_structured(
        "artifact",
        metadata_fn=lambda: {"name": "ferroductor_report", "encoding": "string"},
        payload_fn=lambda: str(report),
    )


def _as_ordinary(error: Exception) -> Exception:
    """Dynamo hands an IndexError of a backend to the user's program; ours must not look like one."""
    if isinstance(error, IndexError):
        return _ferroductor.CompileError(f"internal error: {error}")
    return error


def _eager(
    gm: GraphModule, name: str, phase: str, error: Exception
) -> Callable[[list[Any]], list[Any]]:
    """Runs the graph operator by operator, after one warning."""
    text = str(error) or type(error).__name__
    reports.append(_ferroductor.failed_report(name, phase, text))
    warnings.warn(
        f"Ferroductor could not compile the graph {name}: {text}. The graph runs in eager; its "
        "results are right, its speed is not. Please report this with the text above; "
        'options={"on_error": "raise"} gives the full traceback.',
        RuntimeWarning,
        stacklevel=2,
    )
    log.debug("compilation of %s failed", name, exc_info=error)

    def run(args: list[Any]) -> list[Any]:
        # An interpreter for each call: it holds the call's values.
        return list(torch.fx.Interpreter(gm).boxed_run(args))

    run._boxed_call = True
    return run
