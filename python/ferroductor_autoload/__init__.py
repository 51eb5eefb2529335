"""Registers our names with TORCH_LOGS. Torch runs this at every import of torch.

It must stay tiny and must never raise: an exception here would break `import torch`.
"""


def autoload() -> None:
    try:
        from torch._logging._internal import register_artifact, register_log

        register_log("ferroductor", ["ferroductor"])
        register_artifact(
            "ferroductor_report",
            "What became of each graph that Ferroductor compiled.",
            visible=True,
            off_by_default=True,
        )
    except Exception:  # noqa: BLE001 - logging names are not worth a broken torch
        pass
