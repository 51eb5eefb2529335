"""The toolchain doctor from Python: explain an exception where it is caught.

What must hold: no diagnosis is made here; the text of an exception goes to the
extension module, and what comes back is shown. A failure of this module never
hides the exception that was being explained, and a graph is never taken over
from Inductor without a warning that says so.
"""

from __future__ import annotations

import copy
import functools
import json
import sys
import traceback
import warnings
from types import TracebackType
from typing import Any, Callable, Optional, TextIO

__all__ = ["Diagnosis", "diagnose", "install_hook", "main", "uninstall_hook"]

_Hook = Callable[[type[BaseException], BaseException, Optional[TracebackType]], Any]

_previous_hook: Optional[_Hook] = None

#: IPython's shell while it shows diagnoses.
_notebook: Optional[Any] = None

#: Inductor's own entry point while graphs are being rescued.
_inductor_compile: Optional[Callable[..., Any]] = None


class Diagnosis(str):
    """The explanation of an exception; prints itself, also in a notebook."""

    def _repr_markdown_(self) -> str:
        return f"```text\n{self}\n```"

    def __repr__(self) -> str:
        return str(self)


def _text_of(exc: BaseException) -> str:
    """The traceback with all causes, and what failed processes printed."""
    parts = ["".join(traceback.format_exception(type(exc), exc, exc.__traceback__))]
    seen: set[int] = set()
    current: Optional[BaseException] = exc
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        for name in ("cmd", "output", "stdout", "stderr"):
            value = getattr(current, name, None)
            if isinstance(value, bytes):
                value = value.decode(errors="replace")
            elif isinstance(value, (list, tuple)):
                value = " ".join(str(word) for word in value)
            if isinstance(value, str) and value and value not in parts[0]:
                parts.append(value)
        current = current.__cause__ or current.__context__
    return "\n".join(parts)


def diagnose(exc: BaseException, *, lang: str = "", format: str = "human") -> Diagnosis:
    """Explains a toolchain error raised by Inductor, Triton, a C++ extension or
    Ferroductor's C++ path.

    ``lang`` is ``en``, ``fr``, ``es`` or ``zh-CN``; by default that of the
    locale. ``format`` is ``human``, ``json``, ``markdown`` or ``github``.
    """
    from ferroductor import _ferroductor

    return Diagnosis(_ferroductor.explain_text(_text_of(exc), lang, format))


def _is_toolchain_error(exc: BaseException) -> bool:
    """Whether an exception, or one of its causes, comes from a compilation."""
    names = {
        "BackendCompilerFailed",
        "CalledProcessError",
        "CppCompileError",
        "CUDACompileError",
        "InductorError",
        "InvalidCxxCompiler",
        "TritonMissing",
    }
    seen: set[int] = set()
    current: Optional[BaseException] = exc
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        if any(base.__name__ in names for base in type(current).__mro__):
            return True
        places = [frame.filename.replace("\\", "/") for frame in traceback.extract_tb(current.__traceback__)]
        parts = ("torch/_inductor/", "/triton/", "torch/utils/cpp_extension.py", "/ferroductor/")
        if any(part in place for place in places[-6:] for part in parts):
            return True
        current = current.__cause__ or current.__context__
    return False


def install_hook(*, lang: str = "", stream: Optional[TextIO] = None, rescue: bool = False) -> None:
    """Shows the diagnosis after the traceback of an uncaught toolchain error.

    Opt-in, and reversible with :func:`uninstall_hook`. The traceback itself is
    printed by the hook that was there before. In IPython and in notebooks, which
    show the errors of a cell themselves, the diagnosis follows there.

    With ``rescue=True`` a graph that Inductor cannot compile because of the
    toolchain is compiled by Ferroductor instead, with a warning that names the
    cause; the program goes on. Any other failure of Inductor is raised as ever.
    """
    global _previous_hook
    if rescue:
        _install_rescue(lang)
    if _previous_hook is not None:
        return
    previous = sys.excepthook

    def show_diagnosis(exc: BaseException) -> None:
        target = stream if stream is not None else sys.stderr
        try:
            if _is_toolchain_error(exc):
                print(f"\n{diagnose(exc, lang=lang)}", file=target)
        except Exception as failure:  # the original error is what matters
            print(f"ferroductor: no diagnosis ({failure})", file=target)

    def hook(kind: type[BaseException], exc: BaseException, trace: Optional[TracebackType]) -> None:
        previous(kind, exc, trace)
        show_diagnosis(exc)

    _previous_hook = previous
    sys.excepthook = hook
    _install_in_notebook(show_diagnosis)


def _install_in_notebook(show_diagnosis: Callable[[BaseException], None]) -> None:
    """The same for IPython's shell, if this process is one; it has one such handler,
    and another's is left alone."""
    global _notebook
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None or shell.custom_exceptions:
        return

    def handler(shell: Any, kind: Any, exc: BaseException, trace: Any, tb_offset: Any = None) -> None:
        shell.showtraceback((kind, exc, trace), tb_offset=tb_offset)
        show_diagnosis(exc)

    shell.set_custom_exc((Exception,), handler)
    _notebook = shell


def uninstall_hook() -> None:
    """Puts back what was there before :func:`install_hook`."""
    global _previous_hook, _inductor_compile, _notebook
    if _previous_hook is not None:
        sys.excepthook = _previous_hook
        _previous_hook = None
    if _notebook is not None:
        _notebook.set_custom_exc((), None)
        _notebook = None
    if _inductor_compile is not None:
        import torch._inductor.compile_fx as compile_fx

        compile_fx.compile_fx = _inductor_compile
        _inductor_compile = None


def _install_rescue(lang: str) -> None:
    """Stands between torch.compile and Inductor, and takes over the graphs that the toolchain fails."""
    global _inductor_compile
    if _inductor_compile is not None:
        return
    import torch._inductor.compile_fx as compile_fx

    inductor = compile_fx.compile_fx

    @functools.wraps(inductor)
    def rescuing(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        # Inductor's passes change the graph in place before it compiles.
        untouched = _copy_of_graph(model)
        try:
            return inductor(model, inputs, *args, **kwargs)
        except Exception as error:
            cause = _toolchain_cause(error, lang) if untouched is not None else None
            if cause is None:
                raise
            from ferroductor import backend

            warnings.warn(
                f"Inductor cannot compile here: {cause} Ferroductor compiles this graph instead. "
                "`ferroductor.diagnose` explains the failure; `torch.compile(model, "
                'backend="ferroductor")` asks for Ferroductor at once.',
                RuntimeWarning,
                stacklevel=2,
            )
            return backend.compile(untouched, inputs)

    _inductor_compile = inductor
    compile_fx.compile_fx = rescuing


def _copy_of_graph(model: Any) -> Optional[Any]:
    """The same module with a graph of its own; nothing if it is not a graph."""
    from torch.fx import GraphModule

    if not isinstance(model, GraphModule):
        return None
    copied = GraphModule(model, copy.deepcopy(model.graph))
    copied.meta = dict(model.meta)
    return copied


def _toolchain_cause(exc: BaseException, lang: str) -> Optional[str]:
    """The root cause in one sentence, if the doctor knows it for a toolchain's."""
    try:
        report = json.loads(diagnose(exc, lang=lang, format="json"))
    except Exception:  # the original error is what matters
        return None
    if report["outcome"] != "findings":
        return None
    return str(report["findings"][0]["cause"])


def main(argv: Optional[list[str]] = None) -> int:
    """``python -m ferroductor doctor`` and ``explain``: the exit code."""
    from ferroductor import _ferroductor

    arguments = sys.argv[1:] if argv is None else argv
    return int(_ferroductor.command_line(["ferroductor", *arguments]))
