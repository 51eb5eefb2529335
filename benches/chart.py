"""The chart of the README: speed relative to eager as bars, one group for each model, as SVG."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from xml.sax.saxutils import escape

_COLOURS = {
    "ferroductor": "#c2410c",
    "inductor": "#475569",
    "inductor_max": "#94a3b8",
    "openvino": "#0369a1",
    "onnxruntime": "#0d9488",
}
_LABELS = {
    "ferroductor": "Ferroductor",
    "inductor": "Inductor",
    "inductor_max": "Inductor, max-autotune and freezing",
    "openvino": "OpenVINO",
    "onnxruntime": "ONNX Runtime",
}
_LEFT, _RIGHT, _WIDTH = 130, 60, 860
_BAR, _GAP, _TOP = 13, 14, 64


def draw(results: Sequence[dict[str, Any]], subtitle: str) -> str:
    """A bar that reaches 1 is as fast as eager. The axis ends at the longest bar, or at 6."""
    measured = [r for r in results if "ms" in r]
    models = list(dict.fromkeys(r["model"] for r in measured))
    peers = [name for name in _COLOURS if any(r["peer"] == name for r in measured)]
    speed = {(r["model"], r["peer"]): r["eager_ms"] / r["ms"] for r in measured}
    end = min(6.0, max(speed.values(), default=1.0) * 1.05)
    scale = (_WIDTH - _LEFT - _RIGHT) / end

    body, y = [], _TOP + 24
    for model in models:
        present = [peer for peer in peers if (model, peer) in speed]
        middle = y + len(present) * _BAR / 2 + 4
        body.append(_text(_LEFT - 10, middle, model, anchor="end", weight=600))
        for peer in present:
            value = speed[model, peer]
            length = min(value, end) * scale
            body.append(
                f'<rect x="{_LEFT}" y="{y}" width="{length:.1f}" height="{_BAR - 2}" '
                f'fill="{_COLOURS[peer]}" rx="1.5"/>'
            )
            body.append(_text(_LEFT + length + 5, y + 9.5, f"{value:.2f}×", size=10))
            y += _BAR
        y += _GAP
    height = y + 28
    axis = _LEFT + scale
    head = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        f'width="{_WIDTH}" height="{height}" font-family="system-ui, sans-serif" role="img">',
        "<title>Speed relative to eager PyTorch</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        _text(16, 24, "Speed relative to eager PyTorch (longer is faster)", size=16, weight=700),
        _text(16, 42, subtitle, size=11),
        *_legend(peers),
        f'<line x1="{axis:.1f}" y1="{_TOP + 14}" x2="{axis:.1f}" y2="{y}" '
        'stroke="#0f172a" stroke-dasharray="3 3"/>',
        _text(axis, y + 14, "eager", anchor="middle", size=10),
    ]
    return "\n".join([*head, *body, "</svg>"]) + "\n"


def _legend(peers: Sequence[str]) -> list[str]:
    parts, x = [], 16.0
    for peer in peers:
        parts.append(f'<rect x="{x:.0f}" y="{_TOP - 10}" width="10" height="10" fill="{_COLOURS[peer]}"/>')
        parts.append(_text(x + 14, _TOP - 1, _LABELS[peer], size=11))
        x += 30 + 6.2 * len(_LABELS[peer])
    return parts


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", size: int = 12, weight: int = 400
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}" fill="#0f172a">{escape(text)}</text>'
    )
