"""Which rows of a data file are used: a condition on its columns, evaluated without running any code.

`mode == 'AUTO'`, `flow > 2 and not (valve in (0, 100))`, `20 <= temp < 80`, `` `mode of operation` != 'OFF' `` and
`row >= 1000` (the number of the row, from 0) are conditions. Names with blanks or other marks stand in backticks.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from revive.data.trajectories import BoolArray, FloatArray
from revive.errors import Problem, UserError, suggestion

ROW: Final = "row"
"""The name of the number of the row, where no column has it."""

_LONGEST: Final = 2000  # letters of a condition
_DEEPEST: Final = 40
_EXAMPLE: Final = "write a condition such as  mode == 'AUTO' and flow > 2"
PLACE: Final = "dataset.where"
_QUOTED: Final = re.compile(r"`([^`]*)`")
_COMPARE: Final[dict[type, Callable[[Any, Any], Any]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: Final[dict[type, Callable[[Any, Any], Any]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class Where:
    """A parsed condition. Raises UserError where the text is none.

    place, wanted: the key that holds it, and what may stand there, for messages.
    """

    def __init__(self, text: str, place: str = PLACE, wanted: str = _EXAMPLE) -> None:
        self.text, self.place, self.wanted = text, place, wanted
        self._names: dict[str, str] = {}
        if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST:
            raise self._wrong(f"'{self._key}' is no condition: {str(text)[:80]!r}")
        plain = _QUOTED.sub(self._placeholder, text.strip())
        try:
            self._tree = ast.parse(plain, mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            said = getattr(error, "msg", None) or "it cannot be parsed"
            raise self._wrong(f"'{self._key}' is no condition: {said}: {text}") from None
        self._check(self._tree, 0)

    def _placeholder(self, found: re.Match[str]) -> str:
        name = f"quoted_name_{len(self._names)}"
        self._names[name] = found[1]
        return name

    @property
    def columns(self) -> tuple[str, ...]:
        """The names that the condition asks for, each once, in their order."""
        return tuple(dict.fromkeys(self._found(self._tree)))

    def _found(self, node: ast.expr) -> Iterator[str]:
        for part in ast.walk(node):
            if isinstance(part, ast.Name):
                yield self._names.get(part.id, part.id)

    def _check(self, node: ast.expr, depth: int) -> None:
        """Refuses whatever is no comparison, logic, arithmetic, name or constant."""
        if depth > _DEEPEST:
            raise self._wrong(f"'{self._key}' is nested too deeply")
        if isinstance(node, ast.Constant):
            if not isinstance(node.value, str | int | float | bool):
                raise self._wrong(f"'{self._key}' holds {node.value!r}")
            return
        if isinstance(node, ast.Name):
            return
        try:
            children = _children(node)
        except ValueError as error:
            raise self._wrong(f"'{self._key}' {error}") from None
        for child in children:
            self._check(child, depth + 1)

    def rows(self, columns: Mapping[str, np.ndarray], count: int) -> BoolArray:
        """(count,) which rows the condition holds in. columns: name -> (count,) of numbers, or of words.

        A comparison with a missing value is false. Raises UserError where values cannot be compared.
        """
        held = self._broadcast(columns, count)
        if held.dtype != np.bool_:
            held = np.nan_to_num(held.astype(np.float64)) != 0
        return held

    def numbers(self, columns: Mapping[str, np.ndarray], count: int) -> FloatArray:
        """(count,) what the expression says of each row, a truth as 1 and its contrary as 0; else as `rows`."""
        said = self._broadcast(columns, count)
        try:
            return said.astype(np.float64)
        except ValueError as error:
            raise self._wrong(f"'{self._key}' gives no numbers: {self.text}") from error

    def _broadcast(self, columns: Mapping[str, np.ndarray], count: int) -> np.ndarray:
        try:
            with np.errstate(all="ignore"):
                value = self._value(self._tree, columns, count)
        except (TypeError, ValueError, np.exceptions.DTypePromotionError) as error:
            raise self._wrong(f"'{self._key}' cannot be evaluated: {error}: {self.text}") from None
        return np.broadcast_to(np.asarray(value), (count,))

    @property
    def _key(self) -> str:
        return self.place.rpartition(".")[2]

    def _wrong(self, what: str) -> UserError:
        return UserError(Problem(what, place=self.place, remedy=self.wanted))

    def _value(self, node: ast.expr, columns: Mapping[str, np.ndarray], count: int) -> Any:
        def of(part: ast.expr) -> Any:
            return self._value(part, columns, count)

        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            name = self._names.get(node.id, node.id)
            return columns[name] if name in columns else np.arange(count)
        if isinstance(node, ast.BoolOp):
            joined = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            return joined.reduce([np.broadcast_to(_truth(of(part)), (count,)) for part in node.values])
        if isinstance(node, ast.UnaryOp):
            return ~_truth(of(node.operand)) if isinstance(node.op, ast.Not) else -of(node.operand)
        if isinstance(node, ast.BinOp):
            return _ARITHMETIC[type(node.op)](of(node.left), of(node.right))
        assert isinstance(node, ast.Compare)
        held: Any = np.True_
        left = of(node.left)
        for kind, part in zip(node.ops, node.comparators, strict=True):
            if isinstance(kind, ast.In | ast.NotIn):
                assert isinstance(part, ast.List | ast.Tuple | ast.Set)
                among = [_compared(operator.eq, left, of(choice)) for choice in part.elts]
                inside = np.logical_or.reduce(among) if among else np.False_
                held = held & (inside if isinstance(kind, ast.In) else ~inside)
                continue
            right = of(part)
            held = held & _compared(_COMPARE[type(kind)], left, right)
            left = right
        return held


def _children(node: ast.expr) -> list[ast.expr]:
    """What an expression is made of. Raises ValueError for what no condition may hold."""
    if isinstance(node, ast.BoolOp):
        return node.values
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        return [node.operand]
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        return [node.left, node.right]
    if isinstance(node, ast.Compare):
        parts = [node.left]
        for kind, part in zip(node.ops, node.comparators, strict=True):
            listed = isinstance(part, ast.List | ast.Tuple | ast.Set)
            if isinstance(kind, ast.In | ast.NotIn) and listed:
                parts += part.elts  # type: ignore[attr-defined]
            elif type(kind) in _COMPARE:
                parts.append(part)
            else:
                raise ValueError("compares with something other than == != < <= > >= and in (a, b)")
        return parts
    raise ValueError(f"cannot hold '{ast.unparse(node)[:60]}'")


def _truth(value: Any) -> Any:
    array = np.asarray(value)
    return array if array.dtype == np.bool_ else np.nan_to_num(array.astype(np.float64)) != 0


def _compared(compare: Callable[[Any, Any], Any], left: Any, right: Any) -> Any:
    """A comparison of numbers or of words; words and numbers are never equal, and have no order."""
    words = [_is_words(side) for side in (left, right)]
    if all(words) or not any(words):
        return np.asarray(compare(np.asarray(left), np.asarray(right)))
    if compare not in (operator.eq, operator.ne):
        raise TypeError("words and numbers have no order")
    return np.asarray(compare is operator.ne)


def _is_words(value: Any) -> bool:
    return np.asarray(value).dtype.kind in "OUS"


def where_problems(text: Any) -> list[Problem]:
    """What is wrong with a condition; empty where it can be evaluated."""
    try:
        Where(text)
    except UserError as error:
        return list(error.problems)
    return []


def unknown_column(name: str, known: Mapping[str, Any], source: str) -> Problem:
    """The problem of a condition on a column that is not there."""
    what = f"'where' asks for '{name}', which is not there"
    return Problem(what, source, "dataset.where", suggestion(name, [*known][:200]) or _EXAMPLE)
