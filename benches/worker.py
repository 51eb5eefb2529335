"""One model and some peers in one process: first call, error, steady state.

`python -m benches.worker MODEL PEER [PEER…]` prints one line of JSON for each peer after the word
RESULT. Others start it in a fresh process with fresh caches (`launch`).
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

#: Rounds of eager and each peer in turn, and what bounds one side of a round.
ROUNDS = 7
CALLS = 10
SECONDS = 0.8
#: A pause between the sides: the idle threads of one spin for a while.
PAUSE = 0.25
#: A timed sample is at least this long; short calls are repeated.
SAMPLE = 2e-4


def measure(model_name: str, peer_names: list[str], rounds: int = ROUNDS) -> Iterator[dict[str, Any]]:
    """The results of the peers, in order."""
    import torch

    from benches import coverage, memory, models, peers
    from benches.accuracy import error_ratios

    model = models.find(model_name)
    function, arguments = models.build(model)
    step = _training_step if model.trains else _inference_step
    expected = step(function, arguments)
    wide = copy.deepcopy(function).double() if isinstance(function, torch.nn.Module) else function
    exact = step(wide, tuple(models.cast(each, torch.float64) for each in arguments))
    del wide

    results: dict[str, dict[str, Any]] = {}
    ready: dict[str, Callable[..., Any]] = {}
    for name in peer_names:
        results[name] = result = {"model": model_name, "peer": name}
        try:
            with memory.Watch() as watch:
                start = time.perf_counter()
                compiled = peers.find(name).prepare(model, function, arguments)
                got = step(compiled, arguments)
                result["first_call_s"] = time.perf_counter() - start
            result["peak_mb"] = watch.peak_mb
            result["rms_ratio"], result["max_ratio"] = error_ratios(got, expected, exact)
            ready[name] = compiled
        except peers.Unsuitable as reason:
            result["unsuitable"] = str(reason)
        except Exception as error:
            result["error"] = root_line(error)
    del expected, exact

    sides = {"eager": function, **ready}
    medians = _steady(sides, lambda side: step(side, arguments), rounds) if ready and rounds else {}
    for name, result in results.items():
        if name in medians:
            result["eager_ms"], result["ms"] = medians["eager"], medians[name]
            if name == "ferroductor":
                result["aten"] = coverage.outside(lambda: step(ready[name], arguments))
        yield result


def _inference_step(function: Callable[..., Any], arguments: tuple[Any, ...]) -> list[Any]:
    import torch

    with torch.no_grad():
        result = function(*arguments)
    return list(result) if isinstance(result, (list, tuple)) else [result]


def _training_step(function: Any, arguments: tuple[Any, ...]) -> list[Any]:
    """Forward and backward: the output and every gradient."""
    result = function(*arguments)
    wide = result if str(result.dtype) == "torch.float64" else result.float()
    wide.square().mean().backward()
    parameters = list(getattr(function, "_orig_mod", function).parameters())
    gradients = [p.grad for p in parameters if p.grad is not None]
    for parameter in parameters:
        parameter.grad = None
    return [result.detach(), *gradients]


def _steady(
    sides: dict[str, Any], call: Callable[[Any], Any], rounds: int
) -> dict[str, float]:
    """Medians in milliseconds of interleaved rounds."""
    repeats = {}
    for name, side in sides.items():
        call(side)
        start = time.perf_counter()
        call(side)
        repeats[name] = max(1, int(SAMPLE / max(time.perf_counter() - start, 1e-7)))
    times: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(rounds):
        for name, side in sides.items():
            time.sleep(PAUSE)
            call(side)
            begin = time.perf_counter()
            for _ in range(CALLS):
                start = time.perf_counter()
                for _ in range(repeats[name]):
                    call(side)
                now = time.perf_counter()
                times[name].append((now - start) / repeats[name])
                if now - begin > SECONDS:
                    break
    return {name: sorted(each)[len(each) // 2] * 1e3 for name, each in times.items()}


def root_line(error: BaseException) -> str:
    """The first line that names the cause: that of the innermost exception."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]


def launch(
    model: str,
    peers: list[str],
    *,
    options: list[str] | None = None,
    environment: dict[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Measures in a fresh process with fresh caches. A process that dies is a result too."""
    with tempfile.TemporaryDirectory(prefix="ferroductor-bench-") as folder:
        variables = {
            **os.environ,
            **(environment or {}),
            "FERRODUCTOR_ON_ERROR": "raise",
            "FERRODUCTOR_CACHE_DIR": f"{folder}/ferroductor",
            "TORCHINDUCTOR_CACHE_DIR": f"{folder}/inductor",
        }
        command = [sys.executable, "-m", "benches.worker", model, *peers, *(options or [])]
        done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT ")]
    results = [json.loads(line.removeprefix("RESULT ")) for line in lines]
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    missing = peers[len(results) :]
    for peer in missing:
        text = f"the process ended with status {done.returncode}: {last}"[:300]
        results.append({"model": model, "peer": peer, "error": text})
    return results


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benches.worker", description=__doc__)
    parser.add_argument("model")
    parser.add_argument("peers", nargs="+")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--without-toolchain", action="store_true")
    given = parser.parse_args()
    if given.without_toolchain:
        from benches import isolation

        isolation.hide_toolchain()
    import torch

    if given.threads:
        torch.set_num_threads(given.threads)
    for result in measure(given.model, given.peers, given.rounds):
        print("RESULT " + json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
