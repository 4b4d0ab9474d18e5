"""Conditions in a topology: a small expression language, parsed once, never evaluated as Python.

Comparisons (also chained and ``in``), ``and``, ``or``, ``not``, ``+ - * /``, numbers, strings,
``true``, ``false``, ``null`` and dotted names. A name that is absent or null makes a comparison
false, except the comparison with ``null`` itself.
"""

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from ampelstream.errors import ConfigError
from ampelstream.model.alertbatch import AlertBatch, Bools
from ampelstream.topology.columnconditions import mask

__all__ = ["Condition", "Unmet"]

_Getter = Callable[[Mapping[str, Any]], Any]
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_WORDS = {"true": True, "false": False, "null": None}


class Unmet(NamedTuple):
    """Why a condition does not hold: the first of its comparisons that is false.

    Attributes
    ----------
    name
        What is compared: a name, or what is computed of several.
    seen
        Its value; None where it is absent.
    wanted
        The comparison that it does not fulfil, as the condition has it.
    """

    name: str
    seen: Any
    wanted: str

    def __str__(self) -> str:
        if self.seen is None:
            return f"{self.name} is absent"
        return f"{self.name} is {_shown(self.seen)}, wanted {self.wanted}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.3g}" if isinstance(value, float) else repr(value)


class Condition:
    """A parsed condition.

    Parameters
    ----------
    text
        Its source; empty holds always.

    Raises
    ------
    ConfigError
        The text is not a condition; says where.
    """

    __slots__ = ("_test", "names", "text", "tree")

    def __init__(self, text: str = "") -> None:
        self.text = " ".join(text.split())
        self.names: frozenset[str] = frozenset()
        self._test: _Getter | None = None
        self.tree: ast.expr | None = None
        if self.text:
            try:
                tree = ast.parse(self.text, mode="eval").body
            except (SyntaxError, ValueError, RecursionError) as error:
                raise ConfigError(_unreadable(self.text, error)) from error
            self.names = frozenset(_names(tree))
            self._test = _compile(tree, self.text)
            self.tree = tree

    def __repr__(self) -> str:
        return f"Condition({self.text!r})"

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether it is true of these values."""
        return self._test is None or bool(self._test(values))

    def unmet(self, values: Mapping[str, Any]) -> Unmet | None:
        """Why it is not true of these values; None where it is true."""
        if self.tree is None or self.holds(values):
            return None
        return _unmet(self.tree, values, self.text)

    def mask(self, batch: AlertBatch) -> Bools | None:
        """Of which alerts it is true; None where `holds` must be asked of each."""
        if self.tree is None:
            return np.ones(len(batch), bool)
        return mask(self.tree, batch)


def _unmet(node: ast.expr, values: Mapping[str, Any], text: str) -> Unmet:
    """Why an expression, which is false, is false."""

    def value_of(part: ast.expr) -> Any:
        return _compile(part, text)(values)

    match node:
        case ast.BoolOp(op=ast.And(), values=parts):
            return _unmet(next(one for one in parts if not value_of(one)), values, text)
        case ast.BoolOp(values=parts):  # or: one that says what would have been enough
            telling = [one for one in parts if not _asks_for_null(one)] or parts
            return _unmet(telling[0], values, text)._replace(wanted=ast.unparse(node))
        case ast.Compare(left=left, ops=ops, comparators=rest):
            sides = [left, *rest]
            absent = (one for side in sides for one in _operands(side) if value_of(one) is None)
            if not _asks_for_null(node) and (missing := next(absent, None)) is not None:
                return Unmet(ast.unparse(missing), None, ast.unparse(node))
            one_side, other_side = next(
                (one, other)
                for one, op, other in zip(sides[:-1], ops, sides[1:], strict=True)
                if not value_of(ast.Compare(left=one, ops=[op], comparators=[other]))
            )
            named = other_side if isinstance(one_side, ast.Constant) else one_side
            return Unmet(ast.unparse(named), value_of(named), ast.unparse(node))
        case _:
            return Unmet(ast.unparse(node), value_of(node), f"{ast.unparse(node)} to hold")


def _asks_for_null(node: ast.expr) -> bool:
    """Whether it is a comparison with null: what is there then says little."""
    return isinstance(node, ast.Compare) and any(
        isinstance(side, ast.Name) and side.id == "null" for side in (node.left, *node.comparators)
    )


def _operands(node: ast.expr) -> Iterator[ast.expr]:
    """Names, dotted or not, of one side of a comparison."""
    match node:
        case ast.Name(id=name) if name not in _WORDS:
            yield node
        case ast.Attribute():
            yield node
        case ast.BinOp(left=left, right=right):
            yield from _operands(left)
            yield from _operands(right)
        case ast.UnaryOp(operand=part):
            yield from _operands(part)
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            for part in parts:
                yield from _operands(part)


def _names(tree: ast.AST) -> Iterator[str]:
    """First parts of the names that the expression uses."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in _WORDS:
            yield node.id


_HABITS = {
    r"&&": "write and, not &&",
    r"\|\|": "write or, not ||",
    r"!(?!=)": "write not, not !",
    r"(?<![=<>!])=(?!=)": "write ==, not =",
    r"<>": "write !=, not <>",
    r"\b(AND|OR|NOT|IN)\b": "write and, or, not, in with small letters",
}
"""What other languages have, and how it is written here."""


def _unreadable(text: str, error: Exception) -> str:
    """What is wrong with a text that is no expression."""
    outside = re.sub(r"'[^']*'|\"[^\"]*\"", "''", text)
    for habit, mend in _HABITS.items():
        if re.search(habit, outside):
            return f"condition {text!r} cannot be read: {mend}"
    at = getattr(error, "offset", None)
    if at is None or at > len(text):
        return f"condition {text!r} cannot be read: it ends too early, or is too long"
    rest = text[max(at - 1, 0) :][:20]
    return (
        f"condition {text!r} cannot be read from {rest!r} at column {max(at, 1)} on; look at "
        "quotes, brackets and what stands between two values"
    )


def _refuse(node: ast.AST, text: str) -> ConfigError:
    at = getattr(node, "col_offset", 0)
    mend = ""
    if isinstance(node, ast.Call):
        mend = "there are no functions; "
    elif isinstance(node, ast.Compare):
        mend = "write == null or != null instead of is; "
    return ConfigError(
        f"condition {text!r}: {text[at : at + 20]!r} at column {at + 1} is not understood; {mend}"
        "use comparisons, and, or, not, in, + - * /, numbers, 'strings', true, false, null, names"
    )


def _compile(node: ast.expr, text: str) -> _Getter:
    """Turn an expression into a function of the values."""
    match node:
        case ast.Constant(value=value) if value is None or isinstance(value, int | float | str):
            return lambda _values: value
        case ast.Name(id=name):
            if name in _WORDS:
                word = _WORDS[name]
                return lambda _values: word
            return lambda values: values.get(name)
        case ast.Attribute(value=inner, attr=attr):
            getter = _compile(inner, text)
            return lambda values: _member(getter(values), attr)
        case ast.List(elts=parts) | ast.Tuple(elts=parts):
            getters = [_compile(part, text) for part in parts]
            return lambda values: [getter(values) for getter in getters]
        case ast.BoolOp(op=ast.And(), values=parts):
            getters = [_compile(part, text) for part in parts]
            return lambda values: all(getter(values) for getter in getters)
        case ast.BoolOp(op=ast.Or(), values=parts):
            getters = [_compile(part, text) for part in parts]
            return lambda values: any(getter(values) for getter in getters)
        case ast.UnaryOp(op=ast.Not(), operand=part):
            getter = _compile(part, text)
            return lambda values: not getter(values)
        case ast.UnaryOp(op=ast.USub(), operand=part):
            getter = _compile(part, text)
            return lambda values: _calculate(operator.sub, 0, getter(values))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            one, other, calculate = (
                _compile(left, text),
                _compile(right, text),
                _ARITHMETIC[type(op)],
            )
            return lambda values: _calculate(calculate, one(values), other(values))
        case ast.Compare(left=left, ops=ops, comparators=rest) if all(
            type(op) in _COMPARE for op in ops
        ):
            getters = [_compile(part, text) for part in (left, *rest)]
            tests = [_COMPARE[type(op)] for op in ops]
            with_null = any(isinstance(p, ast.Name) and p.id == "null" for p in (left, *rest))
            return lambda values: _compare(tests, [g(values) for g in getters], null=with_null)
        case _:
            raise _refuse(node, text)


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, Mapping) else None


def _calculate(calculate: Callable[[Any, Any], Any], one: Any, other: Any) -> Any:
    """Arithmetic; nothing where a number is missing."""
    if not isinstance(one, int | float) or not isinstance(other, int | float):
        return None
    try:
        return calculate(one, other)
    except ZeroDivisionError:
        return None


def _compare(tests: list[Callable[[Any, Any], bool]], values: list[Any], *, null: bool) -> bool:
    """Chained comparison; false where a value is missing or of another kind."""
    if not null and any(value is None for value in values):
        return False
    try:
        return all(test(values[n], values[n + 1]) for n, test in enumerate(tests))
    except TypeError:
        return False
