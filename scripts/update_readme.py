"""Writes the tables of README.md: the options from their registry, the benchmark from docs/benchmark.json.

    .venv/bin/python scripts/update_readme.py

A test compares the table of options with what this would write.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def options_table(rows: list[dict[str, Any]]) -> str:
    """One line for each option."""

    def line(row: dict[str, Any]) -> str:
        values = row["values"].replace("|", "\\|")
        default = f"`{row['default']}`" if row["default"] else "none"
        return f"| `{row['name']}` | {values} | {default} | {row['doc']} |"

    head = "| option | values | default | what it does |\n|---|---|---|---|"
    return "\n".join([head, *map(line, rows)])


def benchmark_table(found: dict[str, Any]) -> str:
    from benches import coverage, limits, table

    results = found["results"]
    parts = [
        "![Speed relative to eager](docs/benchmark.svg)",
        f"Measured on {found['machine']}; {limits.describe(found['limits'])}.",
        table.render(table.HEAD, table.rows(results), markdown=True),
    ]
    for head, rows in (
        (limits.HEAD, limits.rows(results, found["limits"])),
        (coverage.HEAD, coverage.rows(results)),
    ):
        if rows:
            parts.append(table.render(head, rows, markdown=True))
    remarks = table.remarks(results)
    if remarks:
        parts.append("\n".join(f"- {remark}" for remark in remarks))
    return "\n\n".join(parts)


def replace_block(text: str, name: str, content: str) -> str:
    """`text` with `content` between the two comments that name the block."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    head, rest = text.split(begin)
    _, tail = rest.split(end)
    return f"{head}{begin}\n{content}\n{end}{tail}"


def main() -> None:
    import ferroductor

    from benches import chart

    readme = ROOT / "README.md"
    text = replace_block(
        readme.read_text(encoding="utf-8"), "options", options_table(ferroductor.options())
    )
    figures = ROOT / "docs" / "benchmark.json"
    if figures.exists():
        found = json.loads(figures.read_text())
        drawing = chart.draw(found["results"], found["machine"])
        (ROOT / "docs" / "benchmark.svg").write_text(drawing, encoding="utf-8")
        text = replace_block(text, "benchmark", benchmark_table(found))
    readme.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
