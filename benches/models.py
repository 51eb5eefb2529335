"""The models: architectures from transformers and torchvision with random weights, and plain functions.

Each builder returns what is called and its arguments. Nothing is downloaded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn


@dataclass(frozen=True)
class Model:
    name: str
    #: What a row of the table says about it.
    about: str
    build: Callable[[], tuple[Callable[..., Any], tuple[torch.Tensor, ...]]]
    dtype: torch.dtype = torch.float32
    #: Forward and backward, or inference under `no_grad`.
    trains: bool = False
    #: Bytes that a perfect implementation moves, where memory is the limit.
    traffic: int = 0

    @property
    def is_half(self) -> bool:
        return self.dtype in (torch.bfloat16, torch.float16)


class _First(nn.Module):
    """A model of transformers that returns its first output only."""

    def __init__(self, model: nn.Module, **arguments: Any) -> None:
        super().__init__()
        self.model = model
        self.arguments = arguments

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor:
        return self.model(*inputs, **self.arguments)[0]


def _tokens(batch: int, length: int, vocabulary: int) -> torch.Tensor:
    return torch.randint(0, vocabulary, (batch, length), generator=torch.Generator().manual_seed(7))


def _transformer(model: str, config: str, arguments: dict[str, Any], **sizes: Any) -> nn.Module:
    import transformers

    built = getattr(transformers, model)(getattr(transformers, config)(**sizes))
    return _First(built.eval(), **arguments)


def _bert() -> Any:
    return _transformer("BertModel", "BertConfig", {}), (_tokens(1, 128, 30000),)


def _small_bert() -> Any:
    sizes = dict(hidden_size=512, num_hidden_layers=4, num_attention_heads=8, intermediate_size=2048)
    # No dropout: gradients are compared with those of another run.
    sizes |= dict(hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0)
    model = _transformer("BertModel", "BertConfig", {}, **sizes)
    return model.train(), (_tokens(4, 128, 30000),)


def _gpt2() -> Any:
    model = _transformer("GPT2LMHeadModel", "GPT2Config", {"use_cache": False})
    return model, (_tokens(1, 128, 50000),)


def _llama() -> Any:
    sizes = dict(hidden_size=1024, num_hidden_layers=6, num_attention_heads=16)
    sizes |= dict(num_key_value_heads=8, intermediate_size=2816, vocab_size=32000)
    model = _transformer("LlamaForCausalLM", "LlamaConfig", {"use_cache": False}, **sizes)
    return model, (_tokens(1, 1, 32000),)


def _vision(name: str) -> Callable[[], Any]:
    def build() -> Any:
        import torchvision.models

        model = getattr(torchvision.models, name)(weights=None).eval()
        for layer in model.modules():
            # A head that starts as zeros would hide every error.
            if isinstance(layer, nn.Linear) and not layer.weight.any():
                nn.init.normal_(layer.weight, std=0.02)
        return model, (torch.randn(1, 3, 224, 224),)

    return build


def _pointwise() -> Any:
    def chain(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(x) * torch.tanh(y) + torch.sin(x) * torch.exp(-y * y)

    return chain, (torch.randn(4096, 1024), torch.randn(4096, 1024))


def _softmax() -> Any:
    return (lambda x: F.softmax(x, -1)), (torch.randn(8192, 2048),)


def _layer_norm() -> Any:
    weight, bias = torch.randn(1024), torch.randn(1024)

    def residual(x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> Any:
        total = x + y
        return F.layer_norm(total, (1024,), w, b), total

    return residual, (torch.randn(4096, 1024), torch.randn(4096, 1024), weight, bias)


def _rope() -> Any:
    def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        low, high = x.chunk(2, -1)
        return x * cos + torch.cat((-high, low), -1) * sin

    angles = torch.outer(torch.arange(2048.0), 10000.0 ** -(torch.arange(32.0) / 32)).repeat(1, 2)
    return rotate, (torch.randn(4, 32, 2048, 64), angles.cos(), angles.sin())


def _add_one() -> Any:
    return (lambda x: x + 1), (torch.randn(8),)


def _linears() -> Any:
    layers = [layer for _ in range(96) for layer in (nn.Linear(16, 16), nn.ReLU())]
    return nn.Sequential(*layers).eval(), (torch.randn(4, 16),)


_MB = 1 << 20

MODELS: tuple[Model, ...] = (
    Model("bert", "BERT-base, 1×128", _bert),
    Model("gpt2", "GPT-2 with logits, 1×128", _gpt2),
    Model("llama_decode", "Llama, 104 M weights, one token", _llama),
    Model("resnet50", "ResNet-50, 1×3×224×224", _vision("resnet50")),
    Model("vit", "ViT-B/16, 1×3×224×224", _vision("vit_b_16")),
    Model("bert_train", "BERT, 4 layers, 4×128, forward and backward", _small_bert, trains=True),
    Model("bert_bf16", "BERT-base, 1×128, bfloat16", _bert, dtype=torch.bfloat16),
    Model("pointwise", "8 pointwise ops on 2 × 16 MB", _pointwise, traffic=48 * _MB),
    Model("softmax", "softmax over 8192×2048", _softmax, traffic=128 * _MB),
    Model("layer_norm", "residual and layer norm, 4096×1024", _layer_norm, traffic=64 * _MB),
    Model("rope", "rotary embedding, 4×32×2048×64", _rope, traffic=128 * _MB),
    Model("add_one", "x + 1 on 8 floats: the cost of a call", _add_one),
    Model("linears", "96 Linear(16, 16) with ReLU", _linears),
)


def find(name: str) -> Model:
    for model in MODELS:
        if model.name == name:
            return model
    raise KeyError(f"no model {name!r}; there are {', '.join(m.name for m in MODELS)}")


def cast(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Floating-point tensors change their type, others do not."""
    return value.to(dtype) if value.is_floating_point() else value


def build(model: Model) -> tuple[Callable[..., Any], tuple[torch.Tensor, ...]]:
    torch.manual_seed(0)
    function, arguments = model.build()
    if isinstance(function, nn.Module):
        function = function.to(model.dtype)
    return function, tuple(cast(each, model.dtype) for each in arguments)
