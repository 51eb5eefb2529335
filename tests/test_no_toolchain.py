"""Nothing but the wheel is needed: no compiler, no header, no process of another program.

Each test runs in a fresh process without the toolchain, because a process keeps what it has found.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

#: Hides the toolchain, then records what would betray its use.
PROLOGUE = """
import os, sys, tempfile
sys.path.insert(0, {root!r})
from benches import isolation
how = isolation.hide_toolchain()
processes, headers = [], []
def watch(name, args):
    if name in ("subprocess.Popen", "os.posix_spawn", "os.system", "os.exec", "os.fork", "os.forkpty"):
        processes.append((name, str(args)[:200]))
    elif name == "open" and str(args[0]).endswith("Python.h"):
        headers.append(str(args[0]))
sys.addaudithook(watch)
import torch
# torch looks for libraries by itself while it is imported.
processes.clear()
"""

EPILOGUE = """
assert not processes, processes
assert not headers, headers
assert os.environ["PATH"] == ""
print("quiet:", how)
"""

TRAINING = """
model = torch.nn.Sequential(
    torch.nn.Linear(64, 128), torch.nn.GELU(), torch.nn.LayerNorm(128), torch.nn.Linear(128, 10)
)
x = torch.randn(32, 64)
expected = model(x)
compiled = torch.compile(model, backend="ferroductor")
got = compiled(x)
torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
torch.nn.functional.cross_entropy(got, torch.randint(0, 10, (32,))).backward()
assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
import ferroductor
graphs = ferroductor.report().graphs
assert {g["phase"] for g in graphs} == {"forward", "backward"}, graphs
assert sum(g["kernels"] for g in graphs) > 3, graphs
"""

DYNAMIC = """
function = torch.compile(
    lambda x: torch.softmax(x * 2, -1).sum(0), backend="ferroductor", dynamic=True
)
for rows in (3, 5, 17):
    x = torch.randn(rows, 33)
    torch.testing.assert_close(function(x), torch.softmax(x * 2, -1).sum(0))
"""

INDUCTOR = """
try:
    torch.compile(lambda x: x.sin() + 1)(torch.ones(4))
except Exception as error:
    print("refused:", type(error).__name__)
else:
    raise SystemExit("Inductor found a toolchain: nothing is hidden here")
"""


def bare(code, tmp_path):
    """Runs `code` without a toolchain; caches are fresh."""
    env = {
        **os.environ,
        "CXX": "/nonexistent/c++",
        "FERRODUCTOR_ON_ERROR": "raise",
        "FERRODUCTOR_CODEGEN": "",
        "FERRODUCTOR_CACHE_DIR": str(tmp_path / "ours"),
        "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "inductor"),
    }
    program = PROLOGUE.format(root=str(ROOT)) + code
    return subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=600
    )


@pytest.mark.parametrize("code", [TRAINING, DYNAMIC], ids=["training", "dynamic"])
def test_compiles_without_a_toolchain(code, tmp_path):
    done = bare(code + EPILOGUE, tmp_path)
    assert done.stdout.startswith("quiet: "), done.stdout + done.stderr


def test_the_toolchain_really_is_hidden(tmp_path):
    """What the tests above hide is what Inductor needs."""
    done = bare(INDUCTOR, tmp_path)
    assert done.stdout.startswith("refused: "), done.stdout + done.stderr


def test_the_watch_sees_processes(tmp_path):
    """An audit hook that sees nothing would let everything pass."""
    done = bare(f"import subprocess\nsubprocess.run([{sys.executable!r}, '-c', ''])\n" + EPILOGUE, tmp_path)
    assert "subprocess.Popen" in done.stderr and done.returncode != 0, done.stdout + done.stderr
