"""The demo: BERT-base in eager, Ferroductor and Inductor, with and without a C++ toolchain.

The exit status is 0 if Ferroductor compiled the model both times, and correctly.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

from benches import accuracy, machine, models, table, worker

_NAMES = {"eager": "eager", "ferroductor": "Ferroductor", "inductor": "Inductor"}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benches.demo", description=__doc__)
    parser.add_argument("--model", default="bert", choices=[m.name for m in models.MODELS])
    parser.add_argument("--rounds", type=int, default=worker.ROUNDS)
    given = parser.parse_args()
    model = models.find(given.model)
    rounds = f"--rounds={given.rounds}"

    print(f"{model.about} (random weights)\n{machine.describe()}\n")
    _say("Ferroductor and Inductor, each in a fresh process with empty caches …")
    cold = {
        peer: worker.launch(model.name, [peer], options=["--rounds=0"])[0]
        for peer in ("ferroductor", "inductor")
    }
    working = [peer for peer, result in cold.items() if "error" not in result]
    _say("steady state, in turns in one process …")
    warm = {r["peer"]: r for r in worker.launch(model.name, working, options=[rounds])}
    print(_side_by_side(cold, warm) + "\n")

    print("The same with an empty PATH and every Python.h hidden:")
    bare = {}
    for peer in ("inductor", "ferroductor"):
        bare[peer] = worker.launch(
            model.name, [peer], options=["--rounds=0", "--without-toolchain"]
        )[0]
        print(f"  {_NAMES[peer]:<12} {_outcome(bare[peer])}", flush=True)
    ours = [cold["ferroductor"], bare["ferroductor"], *(r for p, r in warm.items() if p == "ferroductor")]
    return 0 if len(ours) == 3 and all(_is_right(each, model) for each in ours) else 1


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _side_by_side(cold: dict[str, Any], warm: dict[str, Any]) -> str:
    eager = next((r["eager_ms"] for r in warm.values() if "eager_ms" in r), None)
    if eager is None:
        return "\n".join(f"{_NAMES[peer]}: {result.get('error')}" for peer, result in cold.items())
    rows = [["eager", "–", table.milliseconds(eager), "1.00×", "1.00 / 1.00", "–"]]
    for peer, result in cold.items():
        steady = warm.get(peer, {})
        if "ms" not in steady:
            rows.append([_NAMES[peer], "does not run here", "–", "–", "–", "–"])
            continue
        row = [_NAMES[peer], f"{result['first_call_s']:.1f} s", table.milliseconds(steady["ms"])]
        row += [f"{eager / steady['ms']:.2f}×", table.errors(result), f"{result['peak_mb']:.0f} MB"]
        rows.append(row)
    head = ("", "first call", "steady state", "speed-up", "error rms / max", "peak memory")
    lines = [table.render(head, rows)]
    lines += [f"{_NAMES[p]}: {r['error']}" for p, r in cold.items() if "error" in r]
    lines.append("error: distance from float64 over eager's distance; 2 is the limit")
    return "\n".join(lines)


def _outcome(result: dict[str, Any]) -> str:
    if "error" in result:
        return f"fails: {result['error']}"
    return f"runs: first call {result['first_call_s']:.1f} s, error {table.errors(result)}"


def _is_right(result: dict[str, Any], model: models.Model) -> bool:
    if "error" in result:
        return False
    return max(result["rms_ratio"], result["max_ratio"]) <= accuracy.LIMIT[model.is_half]


if __name__ == "__main__":
    sys.exit(main())
