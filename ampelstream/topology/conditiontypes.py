"""What is wrong with a condition that can be read: names that are not there, comparisons in vain.

A name that is absent makes a comparison false and nothing more (see ``conditions.py``), as alerts
of older schemas lack fields. A name that no alert, event or result can ever have would do the same
in silence: it is found here, before anything runs, as is a comparison of text with a number.
"""

import ast
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from ampelstream.model.fieldtypes import ANY, NUMBER, TEXT, TRUTH, FieldType
from ampelstream.topology.conditions import Condition
from ampelstream.wording import close, mend

__all__ = ["Names", "faults"]

_NULL = FieldType("any", nullable=True, words=("null",))
"""The word null itself."""
_CONSTANTS: Mapping[str, FieldType] = {"true": TRUTH, "false": TRUTH, "null": _NULL}
_NUMERIC = frozenset({"number", "truth"})
"""What compares with each other, and calculates: true is 1, and false is 0."""
_ORDERED = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


class Names(NamedTuple):
    """What a condition may speak of.

    Attributes
    ----------
    fields
        What is behind each name.
    strange
        How a message begins that says that a name is none of them, such as ``events have no``.
    """

    fields: Mapping[str, FieldType]
    strange: str


def faults(condition: Condition, names: Names) -> list[str]:
    """Say what is wrong with a condition, each thing once; nothing where it may hold."""
    if condition.tree is None:
        return []
    check = _Check(names)
    held = check.type_of(condition.tree)
    check.stands_alone(condition.tree, held)
    return list(dict.fromkeys(check.found))


class _Check:
    """Goes through one condition."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self.found: list[str] = []

    def type_of(self, node: ast.expr) -> FieldType:
        """What an expression comes to; ANY where that cannot be known, or something is wrong."""
        match node:
            case ast.Constant(value=None):
                self.found.append("None is not a word here; write null")
                return ANY
            case ast.Constant(value=value):
                return _constant(value)
            case ast.Name(id=name):
                return _CONSTANTS.get(name) or self._name(name)
            case ast.Attribute(value=inner, attr=attr):
                return self._member(inner, self.type_of(inner), attr)
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                for part in parts:
                    self.type_of(part)
                return FieldType("list", of=ANY)
            case ast.UnaryOp(op=ast.USub()) | ast.BinOp():
                self._calculation(node)
                return NUMBER
            case _:
                self._truth(node)
                return TRUTH

    def _calculation(self, node: ast.UnaryOp | ast.BinOp) -> None:
        parts = [node.operand] if isinstance(node, ast.UnaryOp) else [node.left, node.right]
        for part in parts:
            held = self.type_of(part)
            if held.kind not in _NUMERIC | {"any"}:
                self.found.append(f"{_shown(part)} is {_plain(held)}; + - * / take numbers")

    def _truth(self, node: ast.expr) -> None:
        match node:
            case ast.BoolOp(op=op, values=parts):
                for part in parts:
                    self.stands_alone(part, self.type_of(part), isinstance(op, ast.Or))
            case ast.UnaryOp(operand=part):
                self.type_of(part)
            case ast.Compare(left=left, ops=ops, comparators=rest):
                self._chain(left, ops, rest)

    def stands_alone(self, node: ast.expr, held: FieldType, in_or: bool = False) -> None:  # noqa: FBT001, FBT002  (of one call)
        """Find a text or number that is taken for a condition: it would always hold."""
        if isinstance(node, ast.Constant) and not isinstance(node.value, bool) and held is not ANY:
            said = f"{_shown(node)} stands by itself, which always holds; compare it with something"
            self.found.append(f"{said}, such as x in [1, 2]" if in_or else said)

    def _name(self, name: str) -> FieldType:
        held = self._names.fields.get(name)
        if held is not None:
            return held
        said = f"{self._names.strange} {name}"
        word = {"none": "null", "nil": "null"}.get(name.lower(), name.lower())
        meant = f"write {word}" if word in _CONSTANTS else mend(name, self._names.fields)
        inside = [one for one, of in self._names.fields.items() if name in of.fields]
        if inside and not close(name, self._names.fields):
            meant = f"did you mean {' or '.join(f'{one}.{name}' for one in inside)}?"
        self.found.append(f"{said}; {meant}")
        return ANY

    def _member(self, inner: ast.expr, held: FieldType, attr: str) -> FieldType:
        whole = _shown(inner)
        if held.kind == "any":
            return ANY
        if held.kind != "record":
            self.found.append(f"{whole} is {held} and has no parts; leave out .{attr}")
            return ANY
        if attr in held.fields:
            return held.fields[attr]
        if held.of is not None:
            # names that nobody knows yet may come, but not in the spelling of one that is known
            meant = close(attr, held.fields)
            if meant:
                self.found.append(f"{whole} has no {attr}; did you mean {meant[0]}?")
            return held.of
        self.found.append(f"{whole} has no {attr}; {mend(attr, held.fields)}")
        return ANY

    def _chain(self, left: ast.expr, ops: list[ast.cmpop], rest: list[ast.expr]) -> None:
        nodes = [left, *rest]
        held = [self.type_of(node) for node in nodes]
        for number, op in enumerate(ops):
            one, other = nodes[number : number + 2]
            first, second = held[number : number + 2]
            if _NULL in (first, second):
                if not isinstance(op, ast.Eq | ast.NotEq):
                    self.found.append("null compares with == and != only")
            elif isinstance(op, ast.In | ast.NotIn):
                self._inside(one, first, other, second)
            else:
                ordered = isinstance(op, _ORDERED)
                self.found.extend(_apart(one, first, other, second, ordered=ordered))

    def _inside(self, one: ast.expr, held: FieldType, other: ast.expr, within: FieldType) -> None:
        if isinstance(other, ast.List | ast.Tuple):
            for part in other.elts:
                quiet = _Check(self._names)  # what is wrong with it was found before
                self.found.extend(_apart(one, held, part, quiet.type_of(part), ordered=False))
        elif within.kind in _NUMERIC:
            self.found.append(f"{_shown(other)} is {within}; in needs a list, such as [1, 2]")
        elif within.kind in {"text", "record"} and held.kind not in {"text", "any"}:
            self.found.append(f"{_shown(one)} is {held}, and {_shown(other)} holds text only")
        elif within.kind == "list" and within.of is not None:
            self.found.extend(_apart(one, held, other, within.of, ordered=False, element=True))


def _constant(value: object) -> FieldType:
    if isinstance(value, bool):
        return TRUTH
    return NUMBER if isinstance(value, int | float) else TEXT


def _shown(node: ast.expr) -> str:
    return ast.unparse(node)


def _apart(
    one: ast.expr,
    first: FieldType,
    other: ast.expr,
    second: FieldType,
    *,
    ordered: bool,
    element: bool = False,
) -> Iterator[str]:
    """Say why two values never compare: they are of different kinds, or one is never the word."""
    if "any" in {first.kind, second.kind}:
        return
    what = f"what is in {_shown(other)}" if element else _shown(other)
    if {first.kind, second.kind} <= _NUMERIC or first.kind == second.kind == "text":
        yield from _never(one, first, other)
        yield from _never(other, second, one)
    elif ordered or first.kind != second.kind:
        said = (
            f"{_shown(one)} is {_plain(first)}, and {what} is {_plain(second)}: they never compare"
        )
        yield f"{said}{_mend_kinds(one, first, other, second)}"


def _plain(held: FieldType) -> str:
    return str(FieldType(held.kind, of=held.of))


def _mend_kinds(one: ast.expr, first: FieldType, other: ast.expr, second: FieldType) -> str:
    """How a constant of the wrong kind is written."""
    for node, wanted in ((other, first), (one, second)):
        if not isinstance(node, ast.Constant):
            continue
        if wanted.kind == "list":
            return f"; write {_shown(node)} in {_shown(one if node is other else other)}"
        if wanted.kind == "text":
            return f"; write '{_shown(node)}'"
        if isinstance(node.value, str):
            word = {"true": "true", "false": "false"}.get(node.value.lower())
            plain = (
                word if wanted.kind == "truth" else node.value if _is_number(node.value) else None
            )
            if plain is not None:
                return f"; write {plain}, without quotes"
    return ""


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _never(node: ast.expr, held: FieldType, other: ast.expr) -> Iterator[str]:
    """A word that a field never is."""
    if held.words and isinstance(other, ast.Constant) and other.value not in held.words:
        yield (
            f"{_shown(node)} is never {other.value!r}; "
            f"{mend(str(other.value), _as_list(held.words), known='it is one of')}"
        )


def _as_list(words: Collection[str]) -> list[str]:
    return list(words)
