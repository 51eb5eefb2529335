"""Builders of more models, for `FERRODUCTOR_MODELS=full`: what a change of the compiler is tried on.

Architectures of torchvision, transformers and (if it is installed) timm with random weights, small
where a setting makes them small. Each entry returns the model and its keyword arguments.
"""

import importlib.util

import torch

TEXT = {
    "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128,
    "vocab_size": 500, "max_position_embeddings": 64, "use_cache": False,
}
DECODER = {
    "d_model": 64, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 128, "decoder_ffn_dim": 128, "vocab_size": 500,
    "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "decoder_start_token_id": 1, "use_cache": False,
}
VISION = {k: v for k, v in TEXT.items() if k in list(TEXT)[:4]} | {"image_size": 32, "patch_size": 8}

#: Prefix of the class's name, and settings of its configuration; the model is `<prefix>Model`.
ON_TOKENS = {
    "Albert": {**TEXT, "embedding_size": 32},
    "Bart": DECODER,
    "BigBird": {**TEXT, "attention_type": "original_full"},
    "Bloom": {"hidden_size": 64, "n_layer": 2, "n_head": 4, "vocab_size": 500, "use_cache": False},
    "Camembert": TEXT,
    "CodeGen": {
        "n_embd": 64, "n_layer": 2, "n_head": 4, "vocab_size": 500, "rotary_dim": 8, "use_cache": False,
    },
    "Cohere": {**TEXT, "num_key_value_heads": 2},
    "ConvBert": {**TEXT, "embedding_size": 64},
    "Deberta": {**TEXT, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "DebertaV2": {**TEXT, "relative_attention": True, "pos_att_type": ["c2p", "p2c"]},
    "DistilBert": {"dim": 64, "n_layers": 2, "n_heads": 4, "hidden_dim": 128, "vocab_size": 500},
    "Electra": {**TEXT, "embedding_size": 64},
    "Ernie": TEXT,
    "FNet": {k: TEXT[k] for k in ("hidden_size", "num_hidden_layers", "intermediate_size", "vocab_size")},
    "Falcon": {
        "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "vocab_size": 500,
        "use_cache": False,
    },
    "GPTNeo": {
        "hidden_size": 64, "num_layers": 2, "num_heads": 4, "vocab_size": 500, "use_cache": False,
        "attention_types": [[["global", "local"], 1]], "window_size": 8, "max_position_embeddings": 64,
    },
    "GPTNeoX": TEXT,
    "GPTJ": {
        "n_embd": 64, "n_layer": 2, "n_head": 4, "vocab_size": 500, "rotary_dim": 8, "use_cache": False,
    },
    "Gemma": {**TEXT, "num_key_value_heads": 2, "head_dim": 16},
    "Gemma2": {**TEXT, "num_key_value_heads": 2, "head_dim": 16},
    "LayoutLM": TEXT,
    "MBart": DECODER,
    "MPNet": TEXT,
    "Mpt": {"d_model": 64, "n_layers": 2, "n_heads": 4, "vocab_size": 500, "use_cache": False},
    "Mamba": {"hidden_size": 32, "num_hidden_layers": 1, "vocab_size": 500, "use_cache": False},
    "Mistral": {**TEXT, "num_key_value_heads": 2},
    "MobileBert": {**TEXT, "embedding_size": 32, "intra_bottleneck_size": 32},
    "Nystromformer": {**TEXT, "segment_means_seq_len": 17, "num_landmarks": 17},
    "OPT": {
        "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 128,
        "vocab_size": 500, "max_position_embeddings": 64, "word_embed_proj_dim": 64, "use_cache": False,
    },
    "Olmo": TEXT,
    "Phi": TEXT,
    "Qwen2": {**TEXT, "num_key_value_heads": 2},
    "Qwen3": {**TEXT, "num_key_value_heads": 2, "head_dim": 16},
    "RemBert": {**TEXT, "input_embedding_size": 32, "output_embedding_size": 32},
    "RoFormer": {**TEXT, "embedding_size": 64},
    "Roberta": TEXT,
    "SqueezeBert": {**TEXT, "embedding_size": 64},
    "StableLm": {**TEXT, "num_key_value_heads": 2},
    "XLM": {"emb_dim": 64, "n_layers": 2, "n_heads": 4, "vocab_size": 500, "n_words": 500},
    "XLNet": {"d_model": 64, "n_layer": 2, "n_head": 4, "d_inner": 128, "vocab_size": 500},
}
ON_IMAGES = {
    "Beit": VISION,
    "ConvNext": {"hidden_sizes": [16, 32, 64, 64], "depths": [1, 1, 1, 1]},
    "ConvNextV2": {"hidden_sizes": [16, 32, 64, 64], "depths": [1, 1, 1, 1]},
    "DeiT": VISION,
    "Dinov2": VISION,
    "MobileNetV2": {"image_size": 64},
    "MobileViT": {"image_size": 64, "hidden_sizes": [32, 48, 64], "neck_hidden_sizes": [8, 16, 24, 32, 40, 48, 64]},
    "PoolFormer": {"hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 1, 1]},
    "Pvt": {
        "image_size": 64, "hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 1, 1],
        "num_attention_heads": [1, 2, 3, 4],
    },
    "RegNet": {"embedding_size": 16, "hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 1, 1], "groups_width": 8},
    "ResNet": {"embedding_size": 16, "hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 1, 1]},
    "Segformer": {"hidden_sizes": [16, 32, 48, 64], "depths": [1, 1, 1, 1]},
    "Swin": {"image_size": 64, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4},
    "Swinv2": {"image_size": 64, "embed_dim": 16, "depths": [1, 1], "num_heads": [2, 2], "window_size": 4},
    "ViTMAE": VISION,
    "Yolos": {**VISION, "image_size": [32, 32], "num_detection_tokens": 5},
}
ON_SOUND = {
    "Hubert": {},
    "Wav2Vec2": {},
    "WavLM": {},
}
#: Name and side of the image.
TORCHVISION = {
    "alexnet": 96, "convnext_tiny": 64, "densenet121": 64, "efficientnet_b0": 64,
    "efficientnet_v2_s": 64, "googlenet": 96, "inception_v3": 96, "maxvit_t": 224, "mnasnet0_5": 64,
    "mobilenet_v2": 64, "mobilenet_v3_large": 64, "regnet_x_400mf": 64, "regnet_y_400mf": 64,
    "resnet50": 64, "resnext50_32x4d": 64, "shufflenet_v2_x0_5": 64, "squeezenet1_1": 64,
    "swin_v2_t": 64, "vgg11_bn": 64, "vit_b_32": 224,
    "segmentation.deeplabv3_mobilenet_v3_large": 96, "segmentation.fcn_resnet50": 64,
}
TIMM = {
    "cait_xxs24_224": 224, "coat_tiny": 224, "coatnet_nano_rw_224": 224, "convmixer_768_32": 64,
    "convnext_atto": 64, "crossvit_tiny_240": 240, "cspresnet50": 64, "deit_tiny_patch16_224": 224,
    "dla34": 64, "dpn48b": 64, "edgenext_xx_small": 64, "efficientformer_l1": 224,
    "efficientnet_lite0": 64, "fastvit_t8": 64, "gcvit_xxtiny": 224, "ghostnet_100": 64,
    "gmlp_ti16_224": 224, "halonet26t": 256, "hrnet_w18_small": 64, "lambda_resnet26t": 64,
    "levit_128s": 224, "mixer_s32_224": 224, "mobilenetv4_conv_small": 64, "mobileone_s0": 64,
    "mobilevit_xxs": 64, "nf_resnet50": 64, "pit_ti_224": 224, "poolformer_s12": 64, "repvgg_a0": 64,
    "res2net50_14w_8s": 64, "resmlp_12_224": 224, "resnest14d": 64, "resnetv2_50": 64,
    "rexnet_100": 64, "selecsls42b": 64, "seresnet50": 64, "skresnet18": 64, "tf_efficientnetv2_b0": 64,
    "tiny_vit_5m_224": 224, "tinynet_a": 64, "tresnet_m": 64, "twins_svt_small": 224,
    "vovnet39a": 64, "xcit_nano_12_p16_224": 224,
}


def _transformer(prefix, settings, inputs):
    def build():
        import transformers

        config = getattr(transformers, f"{prefix}Config")
        return getattr(transformers, f"{prefix}Model")(config(**settings)), inputs()

    return build


def _ids():
    return {"input_ids": torch.randint(3, 500, (2, 17))}


def _image(side):
    return lambda: {"pixel_values": torch.randn(2, 3, side, side)}


def _torchvision(name, side):
    def build():
        import torchvision

        model = torchvision.models.get_model(name.split(".")[-1], weights=None, **_no_backbone(name))
        return model, {"x": torch.randn(2, 3, side, side)}

    return build


def _no_backbone(name):
    """Nothing may be downloaded."""
    if name.startswith("segmentation."):
        return {"weights_backbone": None}
    return {"init_weights": True} if name in ("googlenet", "inception_v3") else {}


def _timm(name, side):
    def build():
        import timm

        return timm.create_model(name, pretrained=False), {"x": torch.randn(2, 3, side, side)}

    return build


def builders():
    """Every model by name."""
    found = {}
    for prefix, settings in ON_TOKENS.items():
        found[f"hf.{prefix}"] = _transformer(prefix, settings, _ids)
    for prefix, settings in ON_IMAGES.items():
        side = settings.get("image_size", 64)
        found[f"hf.{prefix}"] = _transformer(prefix, settings, _image(side[0] if isinstance(side, list) else side))
    small = {
        "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
        "conv_dim": (16, 16), "conv_stride": (5, 2), "conv_kernel": (10, 3),
        "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4, "apply_spec_augment": False,
    }
    for prefix in ON_SOUND:
        found[f"hf.{prefix}"] = _transformer(prefix, small, lambda: {"input_values": torch.randn(1, 2000)})
    for name, side in TORCHVISION.items():
        found[f"tv.{name}"] = _torchvision(name, side)
    if importlib.util.find_spec("timm"):
        for name, side in TIMM.items():
            found[f"timm.{name}"] = _timm(name, side)
    return found
