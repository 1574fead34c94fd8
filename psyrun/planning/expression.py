"""Python expressions that choose rows by their parameters and results."""

from __future__ import annotations

import ast
import builtins
import math
import operator
from collections.abc import Callable, Collection, Mapping
from functools import cached_property, reduce
from types import CodeType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from psyrun.errors import PsyrunError, StoreError, did_you_mean, one_line
from psyrun.store.arrays import column_array
from psyrun.utils.text import assignment_text

_BUILTINS = (
    *("abs", "all", "any", "bool", "complex", "divmod", "enumerate", "float", "int"),
    *("isinstance", "len", "list", "max", "min", "pow", "range", "round", "set"),
    *("sorted", "str", "sum", "tuple", "zip"),
)
NAMES: Mapping[str, Any] = {
    **{name: getattr(builtins, name) for name in _BUILTINS},
    "np": np,
    "math": math,
    "nan": math.nan,
    "inf": math.inf,
}
"""What an expression may use besides columns, which come first."""
_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.BitXor: operator.xor,
}
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_VECTOR_KINDS = "biufcU"

Columns = Mapping[str, Any]


class Expression:
    """An expression with a value for each row, in which columns go by their names.

    Parameters
    ----------
    text : str
        The expression in Python. It is evaluated with the values of one row, and may
        use `NAMES`.

    Raises
    ------
    PsyrunError
        If that is no expression, or it uses an attribute that begins with ``_``.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._tree = ast.parse(text.strip(), mode="eval").body
            self._code: CodeType = compile(text.strip(), "<expression>", "eval")
        except SyntaxError as error:
            hint = " Compare with '=='." if _is_assignment(text) else ""
            raise self.error(f"is no Python expression ({error.msg}).{hint}") from None
        except (ValueError, RecursionError, MemoryError) as error:
            what = one_line(error)
            raise self.error(f"is no Python expression ({what}).") from None
        for node in ast.walk(self._tree):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
                raise self.error(f"uses {node.attr!r}. Leave out what begins with '_'.")

    def error(self, problem: str) -> PsyrunError:
        """Return an error that says what is wrong with the expression."""
        return PsyrunError(f"{self.text!r} {problem}")

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that it uses, without those that it binds itself."""
        found = [each for each in ast.walk(self._tree) if isinstance(each, ast.Name)]
        bound = {each.id for each in found if not isinstance(each.ctx, ast.Load)}
        bound |= {e.arg for e in ast.walk(self._tree) if isinstance(e, ast.arg)}
        return frozenset({each.id for each in found} - bound)

    def unknown(self, columns: Collection[str]) -> list[str]:
        """Return the names that are neither columns nor in `NAMES`."""
        return sorted(self.names - {*columns} - NAMES.keys())

    def check_names(self, columns: Collection[str]) -> None:
        """Raise `PsyrunError` if a name is unknown; it names the columns."""
        if unknown := self.unknown(columns):
            near = did_you_mean(unknown[0], map(str, columns))
            raise self.error(
                f"uses {unknown[0]!r}, which is no parameter or result.{near} There "
                f"are {', '.join(map(str, columns))}."
            )

    def chosen(self, columns: Columns, n_rows: int) -> NDArray[np.bool_]:
        """Return for which rows it is true.

        Where NumPy gives the same, that is found for all rows at once.

        Parameters
        ----------
        columns : dict of str to sequence
            The values of each name that is a column, one per row.
        n_rows : int
            Number of the rows.

        Raises
        ------
        PsyrunError
            If it raises an exception for a row, or gives something else than true
            or false.
        """
        used = {key: columns[key] for key in self.names if key in columns}
        vectors = {key: _vector(key, column) for key, column in used.items()}
        with np.errstate(all="ignore"):
            try:
                found = _Vectorised(vectors).value(self._tree)
                if isinstance(found, bool):
                    return np.full(n_rows, found)
                if _is_mask(found) and found.shape == (n_rows,):
                    return np.asarray(found, dtype=np.bool_)
            # The row for which it is raised, if there is one, is looked for below.
            except Exception:
                pass
            values = {k: used[k] if v is None else v for k, v in vectors.items()}
            return self._row_by_row(values, n_rows)

    def _row_by_row(self, columns: Columns, n_rows: int) -> NDArray[np.bool_]:
        found = np.empty(n_rows, dtype=np.bool_)
        for row in range(n_rows):
            own = {key: column[row] for key, column in columns.items()}
            try:
                # Comprehensions only see global names.
                value = self._evaluated(own)
            except Exception as error:
                cause = one_line(error)
                raise self.error(f"fails for {_told(own)}: {cause}") from error
            if not isinstance(value, bool | np.bool_) and not _is_single_mask(value):
                raise self.error(
                    f"gives {type(value).__name__} for {_told(own)}, not true or "
                    f"false. {_hint(value)}"
                )
            found[row] = bool(value)
        return found

    def _evaluated(self, row: Columns) -> Any:
        """Return the value for a row.

        Where NumPy's integers of 64 bits overflow, or have no negative powers, Python's
        take their place. Not everywhere, as those of NumPy may be divided by 0.
        """
        integers = {k: int(v) for k, v in row.items() if isinstance(v, np.integer)}
        first, second = ({}, integers) if not self._has_powers else (integers, {})
        try:
            with np.errstate(over="raise"):
                return eval(self._code, {**NAMES, **row, **first})
        except (ArithmeticError, ValueError):
            return eval(self._code, {**NAMES, **row, **second})

    @cached_property
    def _has_powers(self) -> bool:
        """Whether there are powers, of which NumPy does not tell that they overflow."""
        return any(isinstance(node, ast.Pow) for node in ast.walk(self._tree))


class _NotVectorisedError(Exception):
    """NumPy might give something else for all rows than Python for each of them."""


class _Vectorised:
    """Evaluates expressions for all rows at once, where that gives the same."""

    def __init__(self, vectors: Mapping[str, NDArray[Any] | None]) -> None:
        self._vectors = vectors

    def value(self, node: ast.expr) -> Any:
        """Return an array with a value for each row, or one value for all.

        Raises `_NotVectorisedError`, or what NumPy raises.
        """
        match node:
            case ast.Constant(value=bool() | int() | float() | str() as value):
                return value
            case ast.Name(id=name):
                return self._of_name(name)
            case ast.UnaryOp(op=op, operand=operand):
                return _unary(op, self.value(operand))
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
                return _binary(op, self.value(left), self.value(right))
            case ast.BoolOp(op=op, values=values):
                combine = np.logical_and if isinstance(op, ast.And) else np.logical_or
                return reduce(combine, [_mask(self.value(each)) for each in values])
            case ast.Compare():
                return self._compared(node)
            case ast.Call(func=function, args=args, keywords=[]):
                values = [self.value(each) for each in args]
                return self._ufunc(function, len(args))(*values)
        raise _NotVectorisedError

    def _of_name(self, name: str) -> Any:
        if name in self._vectors:
            vector = self._vectors[name]
        else:
            vector = NAMES[name] if name in ("nan", "inf") else None
        if vector is None:
            raise _NotVectorisedError
        return vector

    def _compared(self, node: ast.Compare) -> Any:
        sides = [node.left, *node.comparators]
        parts = [
            self._pair(left, op, right)
            for left, op, right in zip(sides, node.ops, sides[1:], strict=False)
        ]
        return reduce(np.logical_and, parts)

    def _pair(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Any:
        if type(op) in _COMPARISONS:
            return _mask(_COMPARISONS[type(op)](self.value(left), self.value(right)))
        if isinstance(op, ast.In | ast.NotIn) and isinstance(
            right, ast.List | ast.Tuple | ast.Set
        ):
            value = self.value(left)
            equal = [_mask(value == self.value(each)) for each in right.elts]
            is_in = reduce(np.logical_or, equal)
            return is_in if isinstance(op, ast.In) else np.logical_not(is_in)
        raise _NotVectorisedError

    def _ufunc(self, function: ast.expr, n_args: int) -> Any:
        """Return the function of NumPy that an expression names.

        Only those are taken that work value by value: `np.max` does not.
        """
        match function:
            case ast.Attribute(value=ast.Name(id="np"), attr=name):
                found = getattr(np, name, None)
            case ast.Name(id="abs"):
                found = np.abs
            case _:
                found = None
        is_hidden = not {"np", "abs"}.isdisjoint(self._vectors)
        if is_hidden or not isinstance(found, np.ufunc) or n_args != found.nin:
            raise _NotVectorisedError
        return found


def _unary(op: ast.unaryop, value: Any) -> Any:
    if isinstance(op, ast.Not):
        return np.logical_not(_mask(value))
    if isinstance(op, ast.Invert):
        # Python has ~True == -2.
        return ~value if isinstance(value, np.ndarray) else _refuse()
    if isinstance(op, ast.UAdd):
        return +value
    # What is unsigned has no negatives.
    return -value if getattr(value, "dtype", np.dtype(float)).kind != "u" else _refuse()


def _binary(op: ast.operator, left: Any, right: Any) -> Any:
    found = _BINARY[type(op)](left, right)
    if _is_integral(found) and isinstance(op, ast.Add | ast.Sub | ast.Mult | ast.Pow):
        # Integers of Python do not overflow. Floats tell whether one did; of those of
        # 64 bits they round some to the limits, which are refused along.
        rounded = _BINARY[type(op)](np.float64(1) * left, right)
        limits = np.iinfo(found.dtype)
        if not ((rounded > limits.min - 0.5) & (rounded < limits.max + 0.5)).all():
            return _refuse()
    return found


def _refuse() -> Any:
    raise _NotVectorisedError


def _mask(value: Any) -> Any:
    """Return a value that is true or false in each row, and refuse any other."""
    return value if isinstance(value, bool) or _is_mask(value) else _refuse()


def _is_mask(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == np.bool_


def _is_integral(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.dtype.kind in "iu"


def _is_single_mask(value: Any) -> bool:
    return _is_mask(value) and value.size == 1


def _vector(key: str, column: Any) -> NDArray[Any] | None:
    """Return a column as an array of single values, None if it has others."""
    try:
        array = column_array(key, column)
    except StoreError:
        return None
    is_vector = array.ndim == 1 and array.dtype.kind in _VECTOR_KINDS
    return array if is_vector else None


def _told(row: Mapping[str, Any]) -> str:
    return assignment_text(row) or "a row"


def _hint(value: object) -> str:
    if isinstance(value, np.ndarray):
        return "Say np.any(...) or np.all(...)."
    return "Compare with something, as in 'x < 3'."


def _is_assignment(text: str) -> bool:
    try:
        return isinstance(ast.parse(text.strip()).body[0], ast.Assign)
    except (SyntaxError, ValueError, IndexError):
        return False
