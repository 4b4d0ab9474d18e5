"""Conditions on columns: the same answers as `Condition.holds`, for many alerts at once.

What has no such form (text inside text, comparisons of whole numbers that a float does not hold,
fields that have no column) is asked of each alert; `mask` says so by giving None.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from ampelstream.model.alertbatch import AlertBatch, Bools, Floats

__all__ = ["mask"]

_EXACT = 1 << 53
"""Whole numbers up to it are floats, exactly."""
_LONG = 1 << 63
_WORDS: Mapping[str, Any] = {"true": True, "false": False, "null": None}
_COMPARE: Mapping[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


class _OneByOne(Exception):  # noqa: N818  (it goes no further than `mask`)
    """Ask each alert."""


class _Column(NamedTuple):
    """Numbers, and where there are none.

    Attributes
    ----------
    values
        As floats; None where they are whole and too large for that.
    null
        Where there is null.
    whole
        As whole numbers; None where they are not at hand.
    largest
        No value is larger, or smaller than its negative; 0 where they are not whole. Python
        calculates exactly with whole numbers, floats do so up to `_EXACT`.
    """

    values: Floats | None
    null: Bools
    whole: npt.NDArray[np.int64] | None = None
    largest: int = 0

    def floats(self) -> Floats:
        if self.values is None:
            raise _OneByOne
        return self.values


class _Text(NamedTuple):
    """A field of text."""

    name: str


def mask(tree: ast.expr, batch: AlertBatch) -> Bools | None:
    """Where a condition holds; None where it must be asked of each alert.

    Parameters
    ----------
    tree
        Of the condition, which can be read.
    batch
        The alerts.
    """
    try:
        with np.errstate(all="ignore"):
            return _Evaluation(batch).truth(tree)
    except _OneByOne:
        return None


class _Evaluation:
    """One condition on one batch."""

    def __init__(self, batch: AlertBatch) -> None:
        self._batch = batch
        self._size = len(batch)

    def truth(self, node: ast.expr) -> Bools:
        """Where an expression counts as true."""
        match node:
            case ast.BoolOp(op=ast.And(), values=parts):
                return reduce(np.logical_and, map(self.truth, parts))
            case ast.BoolOp(op=ast.Or(), values=parts):
                return reduce(np.logical_or, map(self.truth, parts))
            case ast.UnaryOp(op=ast.Not(), operand=part):
                return ~self.truth(part)
            case ast.Compare(left=left, ops=ops, comparators=rest):
                return self._compare(left, ops, rest)
            case _:
                value = self._value(node)
                if isinstance(value, _Text):
                    raise _OneByOne
                if isinstance(value, _Column):
                    numbers = value.values if value.whole is None else value.whole
                    return ~value.null & (numbers != 0)
                return np.full(self._size, bool(value))

    def _value(self, node: ast.expr) -> Any:
        """A constant, a `_Column` or a `_Text`."""
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return _WORDS[name] if name in _WORDS else self._field(name)
            case ast.UnaryOp(op=ast.USub(), operand=part):
                return self._calculate(operator.sub, 0, self._value(part))
            case ast.BinOp(left=left, op=op, right=right):
                calculate = _ARITHMETIC[type(op)]
                return self._calculate(calculate, self._value(left), self._value(right))
            case ast.BoolOp() | ast.Compare() | ast.UnaryOp(op=ast.Not()):
                truth = self.truth(node)
                return _Column(truth.astype(np.float64), np.zeros(self._size, bool))
            case _:
                raise _OneByOne

    def _field(self, name: str) -> Any:
        kind = self._batch.kind(name)
        if kind is None:
            return None
        if kind == "text":
            return _Text(name)
        if kind not in {"number", "bool"}:
            raise _OneByOne
        values, null = self._batch.number(name)
        whole = self._batch.integer(name)
        if whole is None or not len(whole):
            return _Column(values, null, whole)
        largest = max(int(whole.max()), -int(whole.min()))
        return _Column(values if largest < _EXACT else None, null, whole, largest)

    def _calculate(self, calculate: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
        """Arithmetic; null where a number is missing."""
        for part in (one, other):
            if not isinstance(part, _Column | int | float):  # text, or null
                return None
            if isinstance(part, int) and abs(part) >= _EXACT:
                raise _OneByOne
        if not isinstance(one, _Column) and not isinstance(other, _Column):
            return self._constant(calculate, one, other)
        null = np.zeros(self._size, bool)
        numbers = []
        for part in (one, other):
            if isinstance(part, _Column):
                null = null | part.null
                numbers.append(part.floats())
            else:
                numbers.append(np.full(self._size, float(part)))
        if calculate is operator.truediv:
            null = null | (numbers[1] == 0)
        return _Column(calculate(*numbers), null, largest=_largest(calculate, one, other))

    @staticmethod
    def _constant(calculate: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
        try:
            return calculate(one, other)
        except ZeroDivisionError:
            return None

    def _compare(self, left: ast.expr, ops: list[ast.cmpop], rest: list[ast.expr]) -> Bools:
        nodes = [left, *rest]
        if any(isinstance(node, ast.Name) and node.id == "null" for node in nodes):
            return self._with_null(nodes, ops)
        found = np.ones(self._size, bool)
        for one, op, other in zip(nodes, ops, rest, strict=False):
            found &= self._compared(one, op, other)
        return found

    def _with_null(self, nodes: list[ast.expr], ops: list[ast.cmpop]) -> Bools:
        """``x == null`` or ``x != null``."""
        if len(ops) > 1 or not isinstance(ops[0], ast.Eq | ast.NotEq):
            raise _OneByOne
        is_null = np.ones(self._size, bool)
        for value in map(self._value, nodes):
            if isinstance(value, _Column):
                is_null &= value.null
            elif isinstance(value, _Text):
                is_null &= self._batch.nulls(value.name)
            else:
                is_null &= value is None
        return is_null if isinstance(ops[0], ast.Eq) else ~is_null

    def _compared(self, left: ast.expr, op: ast.cmpop, right: ast.expr) -> Bools:
        one = self._value(left)
        if isinstance(op, ast.In | ast.NotIn):
            if not isinstance(right, ast.List | ast.Tuple):
                raise _OneByOne
            inside = np.zeros(self._size, bool)
            if any(isinstance(part, ast.Name) and part.id not in _WORDS for part in right.elts):
                raise _OneByOne  # Python finds a NaN in a list that holds the same one
            for part in right.elts:
                inside |= self._equal_or(operator.eq, one, self._value(part))
            outside = isinstance(op, ast.NotIn)
            return (~inside if outside else inside) & ~self._missing(one)
        other = self._value(right)
        return self._equal_or(_COMPARE[type(op)], one, other)

    def _missing(self, value: Any) -> Bools:
        if isinstance(value, _Column):
            return value.null
        if isinstance(value, _Text):
            return self._batch.nulls(value.name)
        return np.full(self._size, value is None)

    def _equal_or(self, compare: Callable[[Any, Any], Any], one: Any, other: Any) -> Bools:
        """A comparison; false where a value is missing."""
        missing = self._missing(one) | self._missing(other)
        if one is None or other is None:
            return np.zeros(self._size, bool)
        if isinstance(one, _Text) or isinstance(other, _Text):
            return self._of_text(compare, one, other) & ~missing
        if isinstance(one, str) or isinstance(other, str):
            raise _OneByOne
        first, second = _numbers(one, other)
        return np.broadcast_to(compare(first, second), (self._size,)) & ~missing

    def _of_text(self, compare: Callable[[Any, Any], Any], one: Any, other: Any) -> Bools:
        if isinstance(other, _Text):
            one, other = other, one
        if not isinstance(other, str) or compare not in {operator.eq, operator.ne}:
            raise _OneByOne
        equal = self._batch.among(one.name, [other])
        return equal if compare is operator.eq else ~equal


def _largest(calculate: Callable[[Any, Any], Any], one: Any, other: Any) -> int:
    """Bound of what whole numbers come to; 0 where it is not whole."""
    bounds = [
        part.largest if isinstance(part, _Column) else abs(part) if isinstance(part, int) else 0
        for part in (one, other)
    ]
    whole = all(
        bound or (isinstance(part, int) and not isinstance(part, _Column))
        for bound, part in zip(bounds, (one, other), strict=True)
    )
    if not whole or calculate is operator.truediv:
        return 0
    largest = bounds[0] * bounds[1] if calculate is operator.mul else sum(bounds)
    if largest >= _EXACT:
        raise _OneByOne
    return max(largest, 1)


def _numbers(one: Any, other: Any) -> tuple[Any, Any]:
    """Two columns or constants in a form in which they can be compared exactly."""
    pair = (one, other)
    if all(_whole(part) is not None for part in pair):
        return _whole(one), _whole(other)
    if any(isinstance(part, int) and abs(part) >= _EXACT for part in pair):
        raise _OneByOne
    first, second = (part.floats() if isinstance(part, _Column) else float(part) for part in pair)
    return first, second


def _whole(value: Any) -> Any:
    """Whole numbers of a column or a constant; None where they are not."""
    if isinstance(value, _Column):
        return value.whole
    return value if isinstance(value, int) and abs(value) < _LONG else None
