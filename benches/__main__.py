"""`python -m benches`: every model with every peer that is installed.

    python -m benches                            all models, all peers
    python -m benches bert gpt2 --peers ferroductor,inductor
    python -m benches --json out.json --chart out.svg
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from benches import chart, coverage, limits, machine, models, peers, table, worker
from benches.progress import Progress


def main() -> int:
    given = _arguments()
    chosen = [models.find(name) for name in given.models] or list(models.MODELS)
    rivals = _peers(given.peers)
    print(machine.describe())
    found: dict[str, Any] = {"machine": machine.describe(), "limits": limits.measure(given.threads)}
    print(limits.describe(found["limits"]) + "\n")

    results: list[dict[str, Any]] = []
    progress = Progress(len(chosen) * len(rivals))
    options = [f"--rounds={given.rounds}", f"--threads={given.threads}"]
    for model in chosen:
        print(f"{model.name}: {model.about}", file=sys.stderr)
        for peer in rivals:
            with progress.step(f"{model.name} with {peer.name}"):
                results += worker.launch(model.name, [peer.name], options=options)

    print(table.render(table.HEAD, table.rows(results), markdown=given.markdown))
    for head, rows in (
        (limits.HEAD, limits.rows(results, found["limits"])),
        (coverage.HEAD, coverage.rows(results)),
    ):
        if rows:
            print("\n" + table.render(head, rows, markdown=given.markdown))
    for remark in table.remarks(results):
        print(remark)
    if given.json:
        Path(given.json).write_text(json.dumps({**found, "results": results}, indent=1) + "\n")
    if given.chart:
        Path(given.chart).write_text(chart.draw(results, machine.describe()), encoding="utf-8")
    failed = [r for r in results if r["peer"] == "ferroductor" and "error" in r]
    return 1 if failed else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benches",
        description="Compares Ferroductor with eager and with the peers that are installed.",
        epilog="models: "
        + ", ".join(m.name for m in models.MODELS)
        + "; peers: "
        + ", ".join(p.name for p in peers.PEERS),
    )
    parser.add_argument("models", nargs="*", help="all of them by default")
    parser.add_argument("--peers", default="", help="with commas; all that are installed by default")
    parser.add_argument("--rounds", type=int, default=worker.ROUNDS, help="rounds of each side")
    parser.add_argument("--threads", type=int, default=0, help="torch's own choice by default")
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    parser.add_argument("--chart", metavar="FILE", help="draw the chart there, as SVG")
    parser.add_argument("--markdown", action="store_true", help="print tables as Markdown")
    return parser.parse_args()


def _peers(names: str) -> list[peers.Peer]:
    chosen = [peers.find(name) for name in names.split(",") if name] or list(peers.PEERS)
    for peer in chosen:
        if not peer.is_installed:
            print(f"{peer.name} is not installed ({', '.join(peer.needs)})", file=sys.stderr)
    return [peer for peer in chosen if peer.is_installed]


if __name__ == "__main__":
    sys.exit(main())
