"""The peers: how each is asked for a compiled form of a model, and whether it is installed.

A peer's `prepare` returns something that takes the model's arguments and returns its outputs. Those
that do not go through torch.compile run in their own run times, with numpy arrays they are given
beforehand: what is timed is theirs alone.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benches.models import Model

Step = Callable[..., Any]


class Unsuitable(Exception):
    """The peer does not do what the model asks for, such as training."""


@dataclass(frozen=True)
class Peer:
    name: str
    prepare: Callable[[Model, Step, tuple[torch.Tensor, ...]], Step]
    #: What must be installed.
    needs: tuple[str, ...] = ()
    #: Does it share torch.compile's settings with Inductor? Such peers never share a process.
    configures_inductor: bool = False

    @property
    def is_installed(self) -> bool:
        return all(importlib.util.find_spec(name) is not None for name in self.needs)


def _compile(**options: Any) -> Callable[..., Step]:
    return lambda model, function, arguments: torch.compile(function, **options)


def _inductor_max(model: Model, function: Step, arguments: tuple[torch.Tensor, ...]) -> Step:
    import torch._inductor.config

    torch._inductor.config.freezing = True
    return torch.compile(function, backend="inductor", mode="max-autotune")


def _as_module(function: Step) -> torch.nn.Module:
    if isinstance(function, torch.nn.Module):
        return function

    class Wrapped(torch.nn.Module):
        def forward(self, *inputs: torch.Tensor) -> Any:
            return function(*inputs)

    return Wrapped()


def _check_suits(model: Model, peer: str) -> None:
    if model.trains:
        raise Unsuitable(f"{peer} does not train")
    if model.is_half:
        raise Unsuitable(f"{peer} is fed numpy arrays, which have no bfloat16")


def _openvino(model: Model, function: Step, arguments: tuple[torch.Tensor, ...]) -> Step:
    _check_suits(model, "OpenVINO")
    import openvino

    converted = openvino.convert_model(_as_module(function).eval(), example_input=arguments)
    hint = {} if model.is_half else {"INFERENCE_PRECISION_HINT": "f32"}
    compiled = openvino.compile_model(converted, "CPU", hint)
    request = compiled.create_infer_request()
    inputs = {at: each.numpy() for at, each in enumerate(arguments)}
    return lambda *_: _tensors(request.infer(inputs, share_inputs=True).to_tuple())


def _onnxruntime(model: Model, function: Step, arguments: tuple[torch.Tensor, ...]) -> Step:
    _check_suits(model, "ONNX Runtime")
    import onnxruntime

    exported = torch.onnx.export(_as_module(function).eval(), arguments, dynamo=True, verbose=False)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    bytes_of_model = exported.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(bytes_of_model, settings, ["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    inputs = {name: each.numpy() for name, each in zip(names, arguments)}
    return lambda *_: _tensors(session.run(None, inputs))


def _tensors(arrays: Sequence[Any]) -> list[torch.Tensor]:
    return [torch.from_numpy(each) for each in arrays]


PEERS: tuple[Peer, ...] = (
    Peer("ferroductor", _compile(backend="ferroductor"), ("ferroductor",)),
    Peer("inductor", _compile(backend="inductor"), configures_inductor=True),
    Peer("inductor_max", _inductor_max, configures_inductor=True),
    Peer("openvino", _openvino, ("openvino",)),
    Peer("onnxruntime", _onnxruntime, ("onnxruntime", "onnx", "onnxscript")),
)


def find(name: str) -> Peer:
    for peer in PEERS:
        if peer.name == name:
            return peer
    raise KeyError(f"no peer {name!r}; there are {', '.join(p.name for p in PEERS)}")
