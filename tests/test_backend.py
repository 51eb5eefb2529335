"""The face: discovery, options, reports, failures."""

import os
import subprocess
import sys
import warnings

import pytest
import torch
from conftest import compiled

import ferroductor


@pytest.fixture(autouse=True)
def default_codegen(monkeypatch):
    """These tests are about the defaults, whatever the suite is run with."""
    monkeypatch.delenv("FERRODUCTOR_CODEGEN", raising=False)


def run(code, **environment):
    env = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=600
    )


def test_is_found_without_import():
    assert "ferroductor" in torch._dynamo.list_backends(exclude_tags=None)
    done = run(
        "import sys, torch\n"
        "assert 'ferroductor' not in sys.modules\n"
        "print(torch.compile(lambda x: x * 2, backend='ferroductor')(torch.ones(2)).tolist())"
    )
    assert done.stdout.strip() == "[2.0, 2.0]", done.stderr


def test_unknown_option_lists_the_known_ones():
    with pytest.raises(Exception, match='no option "fuze"') as caught:
        compiled(lambda x: x + 1, options={"fuze": True})(torch.ones(2))
    assert all(row["name"] in str(caught.value) for row in ferroductor.options())


def test_bad_values_are_explained():
    with pytest.raises(Exception, match=r"it takes llvm \| cpp \| aten"):
        compiled(lambda x: x + 1, options={"codegen": "fortran"})(torch.ones(2))
    with pytest.raises(Exception, match='no mode "quick".*max-autotune'):
        compiled(lambda x: x + 1, mode="quick")(torch.ones(2))


@pytest.mark.parametrize("mode", [None, "default", "reduce-overhead", "max-autotune"])
def test_modes(mode):
    assert compiled(lambda x: x + 1, mode=mode)(torch.zeros(3)).tolist() == [1, 1, 1]


def test_options_are_documented():
    rows = ferroductor.options()
    names = [row["name"] for row in rows]
    assert len(set(names)) == len(names) and "on_error" in names
    for row in rows:
        assert row["doc"] and row["environment"] == f"FERRODUCTOR_{row['name'].upper()}"


def test_environment_sets_options(monkeypatch):
    from ferroductor import _ferroductor

    monkeypatch.setenv("FERRODUCTOR_NUMERICS", "eager")
    assert _ferroductor.resolve_options().values()["numerics"] == "eager"
    given = _ferroductor.resolve_options(None, {"numerics": "default"})
    assert given.values()["numerics"] == "default"


def test_report_names_every_operator():
    compiled(lambda x: torch.sort(x.sin())[0])(torch.randn(5))
    report = ferroductor.report()
    (graph,) = report.graphs
    targets = {target: kind for _, target, kind, _ in graph["nodes"]}
    assert targets["aten.sort.default"] == "aten"
    assert targets["aten.sin.default"] == "native"
    assert "aten.sort.default" in str(report) and "1 graphs" in str(report)


def test_failure_warns_once_and_runs_eager(monkeypatch):
    from ferroductor import backend

    def broken(*args):
        raise RuntimeError("the moon is full")

    monkeypatch.setattr(backend._ferroductor, "compile_graph", broken)
    x = torch.randn(4, requires_grad=True)
    function = compiled(lambda x: (x * x).sum(), options={"on_error": "eager"})
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        out = function(x)
        function(x)
    mine = [w for w in caught if "the moon is full" in str(w.message)]
    assert len(mine) == 1 and "on_error" in str(mine[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        out.backward()
    torch.testing.assert_close(x.grad, 2 * x.detach())
    assert ferroductor.report().graphs[0]["failure"] == "the moon is full"
    torch._dynamo.reset()
    with pytest.raises(Exception, match="the moon is full"):
        compiled(lambda x: x + 2, options={"on_error": "raise"})(torch.ones(2))


def test_dump_writes_stages(tmp_path):
    compiled(lambda x: x + 1, options={"dump": str(tmp_path)})(torch.ones(2))
    (folder,) = tmp_path.iterdir()
    text = (folder / "0-graph.txt").read_text()
    assert "aten.add.Tensor(%arg0_1, 1)" in text
    assert (folder / "4-program.txt").exists()
    assert "kernel" in (folder / "3-kernels.txt").read_text()
    assert "define" in (folder / "5-llvm.ll").read_text()
    assert (folder / "7-assembly.s").read_text()


def test_logging_names_are_registered():
    code = (
        "import torch\n"
        "torch.compile(lambda x: x + 1, backend='ferroductor')(torch.ones(2))\n"
    )
    done = run(code, TORCH_LOGS="+ferroductor,ferroductor_report")
    assert done.returncode == 0, done.stderr
    assert "nodes: 1 native" in done.stderr


def test_no_subprocess_is_started():
    code = """
import sys
events = []
sys.addaudithook(lambda name, args: events.append((name, args)) if name in
    ("subprocess.Popen", "os.posix_spawn", "os.system", "os.exec", "os.fork") else None)
import torch
model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
torch.compile(model, backend="ferroductor")(torch.randn(3, 4)).sum().backward()
ours = [e for e in events if "ldconfig" not in str(e)]
assert not ours, ours
print("quiet")
"""
    done = run(code, PATH="", CXX="/nonexistent")
    assert done.stdout.strip() == "quiet", done.stderr


def test_tensors_travel_through_handles_too():
    from ferroductor._ferroductor import roundtrip_through_handles

    x = torch.randn(3)
    assert roundtrip_through_handles(x) is x


def test_dtype_codes_are_torchs():
    from ferroductor.graph import CODE_OF_DTYPE

    plain = [d for d in CODE_OF_DTYPE if "bits" not in str(d)]
    assert len(plain) > 20
    for dtype in (torch.float32, torch.bfloat16, torch.bool, torch.int64, torch.complex64):
        x = torch.zeros(2, dtype=dtype)
        assert torch.ops.aten.to.dtype(x, dtype).dtype is dtype
        torch._dynamo.reset()
        assert compiled(lambda x: x + x)(x).dtype is dtype or dtype is torch.bool


def test_command_line_explains():
    done = subprocess.run(
        [sys.executable, "-m", "ferroductor", "--help"], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0 and "explain" in done.stdout, done.stderr


def test_missing_compiler_is_explained(tmp_path):
    code = """
import torch
f = torch.compile(lambda x: x.sin() * 3.25, backend="ferroductor", options={"codegen": "cpp"})
try:
    f(torch.ones(3))
except Exception as error:
    print("said:", error)
"""
    done = run(code, PATH="", CXX="", FERRODUCTOR_CACHE_DIR=str(tmp_path))
    assert "needs a working C++ compiler" in done.stdout, done.stdout + done.stderr
