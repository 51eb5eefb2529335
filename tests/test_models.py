"""Real model code with random weights, small enough for every change: the fp64 rule.

The root-mean-square error against fp64 is at most twice eager's (three times in half precision),
for outputs and gradients. Models come from transformers and torchvision; without these packages
the test says so and skips. `FERRODUCTOR_MODELS=full` takes some 120 more, in all forms.
"""

import copy
import os

import pytest
import torch
from torch import nn

import more_models
from conftest import compiled

transformers = pytest.importorskip("transformers", reason="transformers is not installed")
torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed")

SMALL = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 128,
    "vocab_size": 500,
}


def _ids():
    return {"input_ids": torch.randint(3, 500, (2, 17))}


def _hugging_face(model, config, inputs=_ids, **settings):
    def build():
        return getattr(transformers, model)(getattr(transformers, config)(**settings)), inputs()

    return build


def _vision(name, size=64):
    def build():
        model = getattr(torchvision.models, name)(weights=None)
        return model, {"x": torch.randn(2, 3, size, size)}

    return build


def _image():
    return {"pixel_values": torch.randn(2, 3, 32, 32)}


def _speech():
    return {"input_features": torch.randn(1, 80, 200), "decoder_input_ids": torch.ones(1, 4).long()}


MODELS = {
    "bert": _hugging_face("BertModel", "BertConfig", **SMALL),
    "gpt2": _hugging_face(
        "GPT2Model", "GPT2Config", n_embd=64, n_layer=2, n_head=4, vocab_size=500, use_cache=False
    ),
    "llama": _hugging_face(
        "LlamaModel", "LlamaConfig", num_key_value_heads=2, use_cache=False, **SMALL
    ),
    "t5": _hugging_face(
        "T5EncoderModel", "T5Config", d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4,
        vocab_size=500,
    ),
    "whisper": _hugging_face(
        "WhisperModel", "WhisperConfig", _speech, d_model=64, encoder_layers=1, decoder_layers=1,
        encoder_attention_heads=4, decoder_attention_heads=4, encoder_ffn_dim=128,
        decoder_ffn_dim=128, vocab_size=500, max_source_positions=100, pad_token_id=0,
        bos_token_id=1, eos_token_id=2, decoder_start_token_id=1, use_cache=False,
    ),
    "vit": _hugging_face(
        "ViTModel", "ViTConfig", _image, image_size=32, patch_size=8,
        **{k: v for k, v in SMALL.items() if k != "vocab_size"},
    ),
    "resnet18": _vision("resnet18"),
    "mobilenet_v3": _vision("mobilenet_v3_small"),
    "swin": _vision("swin_t"),
}

#: What runs in training and in bf16 besides inference; the rest would only cost time.
TRAINED = ["bert", "gpt2", "llama", "vit", "resnet18"]
HALF = ["bert", "gpt2", "llama", "vit", "resnet18", "swin"]
DYNAMIC = ["bert", "gpt2", "llama"]

if os.environ.get("FERRODUCTOR_MODELS") == "full":
    MODELS |= more_models.builders()
    TRAINED = HALF = DYNAMIC = list(MODELS)


def _tensors(value):
    if torch.is_tensor(value):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [t for each in value for t in _tensors(each)] if isinstance(value, (list, tuple)) else []


def _cast(inputs, dtype):
    return {k: v.to(dtype) if v.is_floating_point() else v for k, v in inputs.items()}


def _without_randomness(model):
    for module in model.modules():
        for name, value in vars(module).items():
            if isinstance(value, float) and (name in ("p", "drop_prob") or "dropout" in name):
                setattr(module, name, 0.0)


def _step(run, model, inputs, train):
    if not train:
        with torch.no_grad():
            return [t for t in _tensors(run(**inputs)) if t.is_floating_point()]
    outputs = [t for t in _tensors(run(**inputs)) if t.requires_grad]
    sum(t.double().square().mean() for t in outputs).backward()
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    model.zero_grad()
    return [t.detach() for t in outputs] + gradients


def _rms(x):
    return x.double().square().mean().sqrt().item()


def _check(name, train=False, dtype=torch.float32, dynamic=None):
    model, inputs = MODELS[name]()
    model = model.train() if train else model.eval()
    _without_randomness(model)
    model, inputs = model.to(dtype), _cast(inputs, dtype)
    ours, exact = copy.deepcopy(model), copy.deepcopy(model).double()
    gold = _step(exact, exact, _cast(inputs, torch.float64), train)
    eager = _step(model, model, inputs, train)
    got = _step(compiled(ours, dynamic=dynamic), ours, inputs, train)
    assert len(got) == len(eager) == len(gold)
    limit = 3 if dtype == torch.bfloat16 else 2
    for g, e, t in zip(got, eager, gold):
        assert (g.dtype, g.shape, g.stride()) == (e.dtype, e.shape, e.stride())
        assert torch.equal(g.isnan(), e.isnan())
        floor = max(4 * torch.finfo(e.dtype).eps * _rms(t), 1e-30)
        assert _rms(g.double() - t) <= limit * max(_rms(e.double() - t), floor)


@pytest.mark.parametrize("name", MODELS)
def test_inference(name):
    _check(name)


@pytest.mark.parametrize("name", TRAINED)
def test_training(name):
    _check(name, train=True)


@pytest.mark.parametrize("name", HALF)
def test_half_precision(name):
    _check(name, dtype=torch.bfloat16)


@pytest.mark.parametrize("name", DYNAMIC)
def test_symbolic_sizes(name):
    _check(name, dynamic=True)


def test_a_weight_written_between_calls_is_seen():
    """Nothing of a weight is kept between calls: no way to write to it can be missed."""
    layer = nn.Linear(32, 48)
    run = compiled(layer)
    x = torch.randn(16, 32)
    with torch.no_grad():
        run(x)
        layer.weight.data.mul_(2)
        layer.bias.numpy()[:] = 1
        torch.testing.assert_close(run(x), layer(x))
