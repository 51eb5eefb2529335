"""FX graphs as plain Python data, for the extension module to read.

The format is that of `crates/ferroductor-python/src/import.rs`: tuples are tagged values, lists are
lists. Nothing is interpreted here. The part of a size that is no expression of the kind the compiler
knows becomes a symbol of its own, to be filled by whatever computes it.
"""

from __future__ import annotations

import functools
from typing import Any

import sympy
import torch
from torch.fx import GraphModule, Node
from torch.utils._sympy import functions as sympy_functions

Data = Any

#: `c10::ScalarType` of each dtype by torch's name; the codes are part of torch's stable ABI.
_DTYPE_CODES = {
    "uint8": 0, "int8": 1, "int16": 2, "int32": 3, "int64": 4, "float16": 5, "float32": 6,
    "float64": 7, "complex32": 8, "complex64": 9, "complex128": 10, "bool": 11, "qint8": 12,
    "quint8": 13, "qint32": 14, "bfloat16": 15, "quint4x2": 16, "quint2x4": 17, "bits1x8": 18,
    "bits2x4": 19, "bits4x2": 20, "bits8": 21, "bits16": 22, "float8_e5m2": 23,
    "float8_e4m3fn": 24, "float8_e5m2fnuz": 25, "float8_e4m3fnuz": 26, "uint16": 27, "uint32": 28,
    "uint64": 29, "uint1": 30, "uint2": 31, "uint3": 32, "uint4": 33, "uint5": 34, "uint6": 35,
    "uint7": 36, "int1": 37, "int2": 38, "int3": 39, "int4": 40, "int5": 41, "int6": 42,
    "int7": 43, "float8_e8m0fnu": 44, "float4_e2m1fn_x2": 45,
}  # fmt: skip

CODE_OF_DTYPE = {
    getattr(torch, name): code for name, code in _DTYPE_CODES.items() if hasattr(torch, name)
}
DTYPE_OF_CODE = {code: dtype for dtype, code in CODE_OF_DTYPE.items()}


class GraphData:
    """One graph ready to be compiled: the data, and the Python objects they refer to."""

    def __init__(self, module: GraphModule, name: str, phase: str) -> None:
        self.module = module
        self.targets: list[Any] = []
        self.objects: list[Any] = []
        self.constants: dict[str, torch.Tensor] = {}
        self._positions: dict[Node, int] = {}
        self._symbols = _Symbols()
        nodes = [self._node(node) for node in module.graph.nodes]
        self.data: Data = (name, phase, self._symbols.rows, nodes)

    def _node(self, node: Node) -> Data:
        self._positions[node] = len(self.targets)
        self.targets.append(_callable_of(node))
        source = _source(node)
        if node.op == "placeholder":
            return (node.name, "placeholder", node.name, [], {}, self._value(node), source)
        if node.op == "get_attr":
            return self._attribute(node, source)
        if node.op == "output":
            outputs = node.args[0]
            outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
            return (node.name, "output", "output", self._args(outputs), {}, None, source)
        if node.op != "call_function":
            raise ValueError(f"the graph has a node of kind {node.op!r}, which AOTAutograd never makes")
        kwargs = {name: self._arg(value) for name, value in node.kwargs.items()}
        target = _target_name(node.target)
        return (node.name, "call", target, self._args(node.args), kwargs, self._value(node), source)

    def _attribute(self, node: Node, source: str | None) -> Data:
        value = _attribute_of(self.module, node.target)
        if isinstance(value, torch.Tensor):
            self.constants[node.target] = value
            return (node.name, "get_attr", node.target, [], {}, self._tensor(value), source)
        # A sub-graph or other object: whoever takes it as an argument gets the object itself.
        return (node.name, "get_attr", node.target, [], {}, ("opaque", node.target), source)

    def _args(self, args: Any) -> list[Data]:
        return [self._arg(arg) for arg in args]

    def _arg(self, arg: Any) -> Data:
        if arg is None or isinstance(arg, (bool, float, str)):
            return arg
        if isinstance(arg, Node):
            if arg.op == "get_attr":
                value = _attribute_of(self.module, arg.target)
                if not isinstance(value, torch.Tensor):
                    return self._object(value, f"%{arg.target}")
            return ("node", self._positions[arg])
        if isinstance(arg, int):
            return arg if -(2**63) <= arg < 2**63 else self._object(arg)
        if type(arg) in (list, tuple, torch.fx.immutable_collections.immutable_list, torch.Size):
            return self._args(arg)
        if isinstance(arg, torch.dtype):
            return ("dtype", CODE_OF_DTYPE[arg])
        if isinstance(arg, torch.device):
            return ("device", str(arg))
        if isinstance(arg, torch.layout):
            return ("layout", str(arg))
        if isinstance(arg, torch.memory_format):
            return ("memory_format", str(arg))
        if isinstance(arg, (torch.SymInt, torch.SymFloat, torch.SymBool)):
            constant = arg.node.maybe_as_int() if isinstance(arg, torch.SymInt) else None
            if constant is None:
                raise ValueError(f"the argument {arg} is a symbol that no node of the graph computes")
            return constant
        return self._object(self._resolve(arg))

    def _resolve(self, arg: Any) -> Any:
        if _mentions_node(arg):
            raise ValueError(f"the argument {arg!r} holds graph values in an unknown container")
        return arg

    def _object(self, value: Any, text: str | None = None) -> Data:
        self.objects.append(value)
        return ("object", len(self.objects) - 1, text or repr(value))

    def _value(self, node: Node) -> Data:
        return self._meta(node.meta.get("val"))

    def _meta(self, value: Any) -> Data:
        if value is None:
            return None
        if isinstance(value, torch.Tensor):
            return self._tensor(value)
        if isinstance(value, (bool, torch.SymBool)):
            return ("bool",)
        if isinstance(value, (int, torch.SymInt)):
            return ("int", self._symbols.size(value))
        if isinstance(value, (float, torch.SymFloat)):
            return ("float",)
        if isinstance(value, (list, tuple)):
            return [self._meta(item) for item in value]
        return ("opaque", type(value).__name__)

    def _tensor(self, value: torch.Tensor) -> Data:
        dtype = CODE_OF_DTYPE.get(value.dtype, -1)
        if not _is_plain(value):
            return ("tensor", dtype, [], [], 0, False, value.requires_grad)
        size = self._symbols.size
        return (
            "tensor",
            dtype,
            [size(s) for s in value.shape],
            [size(s) for s in value.stride()],
            size(value.storage_offset()),
            True,
            value.requires_grad,
        )


def _is_plain(value: torch.Tensor) -> bool:
    """A dense tensor in CPU memory whose elements are what its memory says."""
    return (
        value.layout is torch.strided
        and value.device.type == "cpu"
        and not value.is_quantized
        and not value.is_conj()
        and not value.is_neg()
        and not value.is_nested
    )


def _callable_of(node: Node) -> Any:
    """What to call for a node: for an operator, its C++ side without the Python wrapper."""
    if node.op != "call_function":
        return None
    if type(node.target) is torch._ops.OpOverload:
        return node.target._op
    return node.target


def _target_name(target: Any) -> str:
    if isinstance(target, torch._ops.OpOverload):
        return str(target)
    if isinstance(target, torch._ops.HigherOrderOperator):
        return f"higher_order.{target.name()}"
    return repr(target) if type(target).__name__ == "builtin_function_or_method" else _dotted(target)


def _dotted(target: Any) -> str:
    name = getattr(target, "__qualname__", None) or type(target).__name__
    return f"{getattr(target, '__module__', None) or '?'}.{name}"


def _attribute_of(module: GraphModule, target: str) -> Any:
    return functools.reduce(getattr, target.split("."), module)


def _mentions_node(arg: Any) -> bool:
    found = False

    def visit(node: Node) -> Node:
        nonlocal found
        found = True
        return node

    torch.fx.node.map_arg(arg, visit)
    return found


def _source(node: Node) -> str | None:
    """The user's line: `file.py:12 in forward`."""
    trace = node.meta.get("stack_trace")
    if not trace:
        return None
    for line in reversed(trace.splitlines()):
        line = line.strip()
        if line.startswith("File "):
            parts = line.split(", ")
            if len(parts) >= 3:
                file = parts[0][len("File ") :].strip('"')
                return f"{file}:{parts[1].removeprefix('line ')} {parts[2]}"
            return line
    return None


class _Symbols:
    """The symbols of a graph, numbered as they are met."""

    def __init__(self) -> None:
        self.rows: list[Data] = []
        self._numbers: dict[sympy.Expr, int] = {}
        self._known: dict[sympy.Expr, Data] = {}

    def size(self, value: Any) -> Data:
        if isinstance(value, int):
            return value
        expr = value.node.expr
        known = self._known.get(expr)
        if known is None:
            known = self._known[expr] = self._expr(expr, value.node.shape_env)
        return known

    def _symbol(self, expr: sympy.Expr, env: Any) -> Data:
        number = self._numbers.get(expr)
        if number is None:
            number = self._numbers[expr] = len(self.rows)
            lower, upper = _bounds(expr, env)
            self.rows.append((str(expr), _hint(expr, env), lower, upper))
        return ("symbol", number)

    def _expr(self, expr: sympy.Expr, env: Any) -> Data:
        if expr.is_Integer:
            return int(expr)
        if expr.is_Symbol:
            return self._symbol(expr, env)
        operands = [self._expr(a, env) for a in expr.args] if _is_known(expr) else []
        if isinstance(expr, sympy.Add):
            return ("+", *operands)
        if isinstance(expr, sympy.Mul):
            return ("*", *operands)
        if isinstance(expr, (sympy.Pow, sympy_functions.PowByNatural)):
            base, exponent = operands
            if isinstance(exponent, int) and 0 <= exponent <= 64:
                return ("*", 1, *([base] * exponent))
            return self._symbol(expr, env)
        if isinstance(expr, (sympy_functions.FloorDiv, sympy_functions.CleanDiv)):
            return ("//", *operands)
        if isinstance(expr, (sympy_functions.Mod, sympy_functions.PythonMod)):
            return ("%", *operands)
        if isinstance(expr, sympy_functions.ModularIndexing):
            base, divisor, modulus = operands
            return ("%", ("//", base, divisor), modulus)
        if isinstance(expr, (sympy.Min, sympy_functions.Min)):
            return ("min", *operands)
        if isinstance(expr, (sympy.Max, sympy_functions.Max)):
            return ("max", *operands)
        if isinstance(expr, sympy_functions.Identity):
            return operands[0]
        # What is around the part without a form keeps its own.
        return self._symbol(expr, env)


_KNOWN = (
    sympy.Add, sympy.Mul, sympy.Pow, sympy.Min, sympy.Max,
    sympy_functions.PowByNatural, sympy_functions.FloorDiv, sympy_functions.CleanDiv,
    sympy_functions.Mod, sympy_functions.PythonMod, sympy_functions.ModularIndexing,
    sympy_functions.Min, sympy_functions.Max, sympy_functions.Identity,
)  # fmt: skip


def _is_known(expr: sympy.Expr) -> bool:
    return isinstance(expr, _KNOWN)


def _bounds(expr: sympy.Expr, env: Any) -> tuple[int, int | None]:
    ranges = env.var_to_range.get(expr)
    if ranges is None:
        return 0, None
    lower = int(ranges.lower) if ranges.lower.is_Integer else 0
    upper = int(ranges.upper) if ranges.upper.is_Integer and ranges.upper < 2**62 else None
    return lower, upper


def _hint(expr: sympy.Expr, env: Any) -> int | None:
    has_new_name = hasattr(type(env), "backed_var_to_val") or "backed_var_to_val" in vars(env)
    values = env.backed_var_to_val if has_new_name else env.var_to_val
    value = expr.xreplace(dict(values))
    return int(value) if value.is_Integer else None
