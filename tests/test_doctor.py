"""The doctor where a failure happens: in this process, and after an uncaught error.

Inductor really fails in these tests: its compiler is taken away, in a fresh process or by its
configuration, and its caches are empty.
"""

import functools
import io
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

from ferroductor import doctor

ROOT = Path(__file__).resolve().parent.parent

inductor_config = pytest.importorskip("torch._inductor.config")


def _function(x: torch.Tensor) -> torch.Tensor:
    return (x.sin() * 2 + 1).relu().sum(-1)


@pytest.fixture
def no_compiler(tmp_path, monkeypatch):
    """Inductor without a C++ compiler, without what it compiled or found out before."""
    from torch._inductor import cpp_builder

    monkeypatch.setenv("CXX", "/nonexistent/g++")
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    _forget(cpp_builder)
    with inductor_config.patch({"cpp.cxx": ("/nonexistent/g++",), "force_disable_caches": True}):
        yield
    _forget(cpp_builder)
    torch._dynamo.reset()


def _forget(module):
    """Empties the caches of a module's functions; they know the compiler of earlier tests."""
    for value in vars(module).values():
        if isinstance(value, functools._lru_cache_wrapper):
            value.cache_clear()


def _failure() -> BaseException:
    torch._dynamo.reset()
    with pytest.raises(Exception) as caught:
        torch.compile(_function, backend="inductor")(torch.ones(4, 8))
    return caught.value


@pytest.mark.usefixtures("no_compiler")
def test_a_real_failure_is_diagnosed():
    error = _failure()
    report = json.loads(doctor.diagnose(error, lang="en", format="json"))
    assert report["schema"] == "ferroductor-doctor/1"
    assert report["findings"][0]["id"] == "no-cxx-compiler"
    assert report["findings"][0]["confidence"] == "high"
    assert report["findings"][0]["fixes"]
    text = doctor.diagnose(error, lang="fr")
    assert "compilateur C++" in text and 'backend="ferroductor"' in text
    assert "```" in text._repr_markdown_()


def test_other_errors_are_not_explained_away():
    report = json.loads(doctor.diagnose(ValueError("a shape is wrong"), format="json"))
    assert report["outcome"] == "could-not-tell" and report["findings"] == []


@pytest.mark.usefixtures("no_compiler")
def test_the_hook_prints_after_the_traceback_and_can_be_removed():
    before = sys.excepthook
    shown = io.StringIO()
    error = _failure()
    doctor.install_hook(lang="en", stream=shown)
    try:
        assert sys.excepthook is not before
        sys.excepthook(type(error), error, error.__traceback__)
        sys.excepthook(ValueError, ValueError("mine"), None)
    finally:
        doctor.uninstall_hook()
    assert sys.excepthook is before
    assert shown.getvalue().count("Root cause") == 1
    assert "no working C++ compiler" in shown.getvalue()


@pytest.mark.usefixtures("no_compiler")
@pytest.mark.parametrize("training", [False, True])
def test_a_rescued_function_runs(training):
    x = torch.randn(4, 8, requires_grad=training)
    doctor.install_hook(rescue=True, lang="en")
    try:
        with pytest.warns(RuntimeWarning, match="Ferroductor compiles this graph instead"):
            got = torch.compile(_function, backend="inductor")(x)
        torch.testing.assert_close(got, _function(x))
        if training:
            got.sum().backward()
            rescued, x.grad = x.grad, None
            _function(x).sum().backward()
            torch.testing.assert_close(rescued, x.grad)
    finally:
        doctor.uninstall_hook()
    assert "InvalidCxxCompiler" in repr(_failure()), "without the hook it fails as before"


@pytest.mark.usefixtures("no_compiler")
def test_only_toolchain_failures_are_rescued(monkeypatch):
    import torch._inductor.compile_fx as compile_fx

    def broken(*args, **kwargs):
        raise AssertionError("a bug in a lowering")

    monkeypatch.setattr(compile_fx, "compile_fx", broken)
    doctor.install_hook(rescue=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", RuntimeWarning)
            with pytest.raises(Exception, match="a bug in a lowering"):
                torch.compile(_function, backend="inductor")(torch.ones(4, 8))
    finally:
        doctor.uninstall_hook()
    assert compile_fx.compile_fx is broken


def test_a_cell_of_a_notebook_is_explained_below_its_traceback(monkeypatch, tmp_path):
    shell_module = pytest.importorskip("IPython.core.interactiveshell")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    shell = shell_module.InteractiveShell.instance()
    cell = "import subprocess; raise subprocess.CalledProcessError(1, ['g++'], b'x.cpp:1:10: fatal error: Python.h: No such file or directory')"
    shown = io.StringIO()
    doctor.install_hook(lang="en", stream=shown)
    try:
        assert shell.run_cell(cell).error_in_exec is not None
        assert shown.getvalue().count("Root cause") == 1
        shell.run_cell("1 / 0")
        assert shown.getvalue().count("Root cause") == 1, "only toolchain errors are explained"
    finally:
        doctor.uninstall_hook()
    shell.run_cell(cell)
    assert shown.getvalue().count("Root cause") == 1, "and none after the hook is gone"
    shell_module.InteractiveShell.clear_instance()


def test_an_uncaught_failure_of_a_program_is_explained(tmp_path):
    program = (
        "import torch\n"
        "from ferroductor import doctor\n"
        "doctor.install_hook(lang='es')\n"
        "torch.compile(lambda x: x.sin() + 1)(torch.ones(8))\n"
    )
    environment = dict(
        os.environ, CXX="/nonexistent/g++", TORCHINDUCTOR_CACHE_DIR=str(tmp_path), PYTHONUTF8="1"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=300
    )
    assert done.returncode == 1
    traceback_at = done.stderr.index("Traceback")
    assert done.stderr.index("Causa") > traceback_at, done.stderr[-3000:]
    assert "InvalidCxxCompiler" in done.stderr


def _run(*arguments: str, stdin: str = "", **environment: str) -> subprocess.CompletedProcess:
    """The command line as a user starts it."""
    command = [sys.executable, "-m", "ferroductor", *arguments]
    variables = dict(os.environ, PYTHONUTF8="1", LC_ALL="C.UTF-8", **environment)
    return subprocess.run(
        command, input=stdin, capture_output=True, text=True, env=variables, timeout=300
    )


CODES = {"healthy": 0, "findings": 1, "could-not-tell": 3}


@pytest.mark.parametrize(
    "arguments, stdin, code",
    [
        (["explain"], "main.c:6:10: fatal error: Python.h: No such file or directory", 1),
        (["explain", "-"], "epoch 1 loss 0.5", 3),
        (["explain", "/no/such/log"], "", 2),
        (["explain", "--system", "beos"], "", 2),
        (["explain", "--lang", "tlh"], "", 2),
        (["explain", "--no-such-option"], "", 2),
        (["doctor", "--yes"], "", 2),
        (["doctor", "--ci", "--fix"], "", 2),
        (["--help"], "", 0),
        (["--version"], "", 0),
    ],
)
def test_exit_codes(arguments, stdin, code):
    done = _run(*arguments, stdin=stdin)
    assert done.returncode == code, done.stderr
    assert bool(done.stdout) == (code != 2) and bool(done.stderr) == (code == 2)


def test_the_exit_code_of_an_examination_is_its_outcome():
    done = _run("doctor", "--quick", "--format", "json")
    assert done.returncode == CODES[json.loads(done.stdout)["outcome"]]
    lost = _run("doctor", "--quick", "--ci", "--python", "/no/such/python")
    assert lost.returncode in (1, 3)
    assert lost.stdout.splitlines()[-1].startswith("result ")


def _strict(schema):
    """The schema without room for fields it does not name."""
    if isinstance(schema, dict):
        if "properties" in schema and schema.get("type") == "object":
            schema = {**schema, "additionalProperties": False}
        return {name: _strict(value) for name, value in schema.items()}
    return [_strict(item) for item in schema] if isinstance(schema, list) else schema


@pytest.fixture(scope="module")
def validator():
    jsonschema = pytest.importorskip("jsonschema")
    schema = json.loads((ROOT / "docs" / "doctor.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(_strict(schema))


@pytest.mark.parametrize("language", ["en", "fr", "es", "zh-CN"])
def test_explanations_of_all_kinds_follow_the_schema(validator, language):
    from ferroductor import _ferroductor

    seen = set()
    for log in sorted((ROOT / "crates" / "ferroductor-doctor" / "tests" / "logs").glob("**/*.log")):
        text = log.read_bytes().decode(errors="replace")
        report = json.loads(_ferroductor.explain_text(text, language, "json"))
        for error in validator.iter_errors(report):
            pytest.fail(f"{log.name}: {error.json_path}: {error.message}")
        assert report["language"] == language
        seen.update(finding["id"] for finding in report["findings"])
    assert seen == set(validator.schema["$defs"]["kind"]["enum"])


@pytest.mark.parametrize("arguments", [[], ["--fix", "--dry-run"], ["--python", "/no/such/python"]])
def test_examinations_follow_the_schema(validator, arguments):
    done = _run("doctor", "--quick", "--format", "json", *arguments, CXX="/nonexistent/g++")
    report = json.loads(done.stdout)
    for error in validator.iter_errors(report):
        pytest.fail(f"{error.json_path}: {error.message}")
    assert report["outcome"] == "findings" and done.returncode == 1


def test_the_schema_is_not_met_by_what_it_does_not_describe(validator):
    report = json.loads(_run("explain", "--format", "json", stdin="x").stdout)
    assert not list(validator.iter_errors(report))
    assert list(validator.iter_errors({**report, "more": 1}))
    assert list(validator.iter_errors({**report, "outcome": "perfect"}))
    assert list(validator.iter_errors({**report, "mode": "doctor"}))
