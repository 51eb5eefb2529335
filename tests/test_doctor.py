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

import pytest
import torch

from ferroductor import doctor

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
