"""What the README promises is there: its commands, its table of options, its links."""

import importlib.util
import os
import re
from pathlib import Path

import pytest

import ferroductor

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def update_readme():
    spec = importlib.util.spec_from_file_location("update_readme", ROOT / "scripts/update_readme.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands():
    section = README.split("## Two commands", 1)[1].split("##", 1)[0]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL).group(1)
    return [line.split("#")[0].strip() for line in block.splitlines() if line.strip()]


def test_the_two_commands_exist():
    assert len(commands()) == 2
    for command in commands():
        path = ROOT / command
        assert path.is_file() and os.access(path, os.X_OK), command


def test_ci_runs_the_readmes_command():
    script = (ROOT / ".ci/run").read_text()
    assert f"exec {commands()[1]}" in script and os.access(ROOT / ".ci/run", os.X_OK)


def test_options_are_those_of_the_registry():
    table = update_readme().options_table(ferroductor.options())
    assert table in README, "run: .venv/bin/python scripts/update_readme.py"


@pytest.mark.parametrize(
    "page", ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "docs/benchmark.md", "docs/doctor.md"]
)
def test_links_lead_somewhere(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)
    broken = [link for link in links if not (ROOT / page).parent.joinpath(link).exists()]
    assert not broken


def test_the_benchmarks_peers_and_models_can_be_named():
    from benches import models, peers

    assert models.find("bert").name == "bert" and peers.find("inductor").is_installed
    with pytest.raises(KeyError, match="there are bert, gpt2"):
        models.find("nothing")


def test_the_error_rule_sees_errors():
    import torch
    from benches.accuracy import error_ratios

    exact = torch.linspace(0.1, 1, 1000, dtype=torch.float64)
    eager = exact.float()
    assert max(error_ratios([eager], [eager], [exact])) <= 1
    assert min(error_ratios([eager * 1.00001], [eager], [exact])) > 2
    broken = eager.clone()
    broken[3] = float("nan")
    with pytest.raises(AssertionError, match="NaN"):
        error_ratios([broken], [eager], [exact])
