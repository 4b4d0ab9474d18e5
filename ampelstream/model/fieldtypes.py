"""What kinds of values fields hold, for checks before anything runs, and for people.

`type_of` takes them from a class of ours (an event, a unit's result), so that a field that is added
there is known everywhere; `documented` takes what they mean, and their units of measure, from its
docstring.
"""

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from typing import Any, Literal

import msgspec

__all__ = [
    "ANY",
    "NUMBER",
    "TEXT",
    "TRUTH",
    "FieldType",
    "documented",
    "record",
    "type_of",
    "union",
]

Kind = Literal["number", "truth", "text", "list", "record", "any"]
_SAID = {"number": "a number", "truth": "true or false", "text": "text", "any": "anything"}


@dataclass(frozen=True, slots=True)
class FieldType:
    """What a field holds.

    Attributes
    ----------
    kind
        ``any`` where nothing is known of it.
    nullable
        Whether it may also be null, or not there.
    words
        Of text: the only ones that it may be; none where it may be any.
    of
        Of a list, and of a record that may have further fields: what its elements, or those, hold.
    fields
        Of a record: those that are known. It has no others unless ``of`` says what they hold.
    about
        What it means, with its unit of measure, where the docstring of its class says it.
    """

    kind: Kind
    nullable: bool = False
    words: tuple[str, ...] = ()
    of: "FieldType | None" = None
    fields: Mapping[str, "FieldType"] = field(default_factory=dict)
    about: str = ""

    @property
    def open(self) -> bool:
        """Whether nothing is known of the names of its fields."""
        inside = self.of is not None and bool(self.of.fields)
        return self.kind == "any" or (self.kind == "record" and not self.fields and not inside)

    def __str__(self) -> str:
        if self.kind == "record":
            said = "keys and values"
        elif self.kind == "list":
            said = "a list" if self.of is None or self.of.kind == "any" else f"a list of {self.of}"
        else:
            said = " or ".join(self.words) or _SAID[self.kind]
        return f"{said}, or null" if self.nullable and self.kind != "any" else said


ANY = FieldType("any", nullable=True)
NUMBER = FieldType("number")
TEXT = FieldType("text")
TRUTH = FieldType("truth")


def record(fields: Mapping[str, FieldType], others: FieldType | None = None) -> FieldType:
    """A record of known fields, and of others if they are said to hold something."""
    return FieldType("record", of=others, fields=fields)


def union(types: Iterable[FieldType]) -> FieldType:
    """What holds the values of any of these; ANY where they have nothing in common."""
    return reduce(_either, types)


def _either(one: FieldType, other: FieldType) -> FieldType:
    nullable = one.nullable or other.nullable
    if one.kind != other.kind:
        return ANY
    if one.kind == "record":
        fields = dict(one.fields)
        for name, held in other.fields.items():
            fields[name] = _either(fields[name], held) if name in fields else held
        return FieldType("record", nullable, of=_both(one.of, other.of), fields=fields)
    if one.kind == "list":
        return FieldType("list", nullable, of=_either(one.of or ANY, other.of or ANY))
    words = (*one.words, *other.words) if one.words and other.words else ()
    return replace(one, nullable=nullable, words=words)


def _both(one: FieldType | None, other: FieldType | None) -> FieldType | None:
    """What further fields hold, of which one of two records may have some."""
    return _either(one, other) if one is not None and other is not None else one or other


def type_of(described: Any) -> FieldType:
    """What values of a Python type are once they are plain data.

    Parameters
    ----------
    described
        A struct, a dataclass, a typed dictionary, or any other type that msgspec knows.
    """
    try:
        return _of(msgspec.inspect.type_info(described))
    except (NameError, TypeError):  # such as a name that only a type checker imports
        return ANY


def _of(info: msgspec.inspect.Type) -> FieldType:
    match info:
        case msgspec.inspect.Metadata(type=inner):
            return _of(inner)
        case msgspec.inspect.UnionType(types=types):
            held = [_of(one) for one in types if not isinstance(one, msgspec.inspect.NoneType)]
            return replace(found := union(held), nullable=len(held) < len(types) or found.nullable)
        case msgspec.inspect.BoolType():
            return TRUTH
        case msgspec.inspect.IntType() | msgspec.inspect.FloatType():
            return NUMBER
        case msgspec.inspect.EnumType(cls=cls):
            return _choice([one.value for one in cls])
        case msgspec.inspect.LiteralType(values=values):
            return _choice(values)
        case (
            msgspec.inspect.StructType(cls=cls, fields=fields)
            | msgspec.inspect.DataclassType(cls=cls, fields=fields)
            | msgspec.inspect.TypedDictType(cls=cls, fields=fields)
        ):
            said = documented(cls)
            return record(
                {
                    one.encode_name: replace(_of(one.type), about=said.get(one.name, ""))
                    for one in fields
                }
            )
        case msgspec.inspect.DictType(value_type=value):
            return record({}, _of(value))
        case msgspec.inspect.TupleType(item_types=types):
            return FieldType("list", of=union(map(_of, types)) if types else ANY)
        case msgspec.inspect.CollectionType(item_type=item):
            return FieldType("list", of=_of(item))
        case (
            msgspec.inspect.StrType()
            | msgspec.inspect.DateTimeType()
            | msgspec.inspect.DateType()
            | msgspec.inspect.BytesType()
        ):
            return TEXT
        case _:
            return ANY


def _choice(values: Iterable[Any]) -> FieldType:
    listed = list(values)
    if all(isinstance(one, str) for one in listed):
        return FieldType("text", words=tuple(listed))
    return NUMBER if all(isinstance(one, int | float) for one in listed) else ANY


_HEADING = re.compile(r"^Attributes\n-+\n", re.MULTILINE)


def documented(cls: type) -> dict[str, str]:
    """What the section ``Attributes`` of a class's docstring says of each field, in one line.

    Fields that are documented together (``ra, dec``) have the same text. What a class does not say
    is what its bases say.
    """
    said: dict[str, str] = {}
    for one in reversed(cls.__mro__):
        parts = _HEADING.split(inspect.cleandoc(one.__dict__.get("__doc__") or ""), maxsplit=1)
        for names, text in _entries(parts[1]) if len(parts) > 1 else ():
            said |= dict.fromkeys(names, text)
    return said


def _entries(section: str) -> Iterator[tuple[list[str], str]]:
    """Names and text of each entry, up to the next heading."""
    names: list[str] = []
    text: list[str] = []
    lines = section.splitlines()
    for line, below in zip(lines, [*lines[1:], ""], strict=True):
        if line and below and set(below) == {"-"}:
            break
        if line.startswith(" "):
            text.append(line.strip())
        elif line:
            if names:
                yield names, _plain(text)
            names, text = [one.strip() for one in line.partition(":")[0].split(",")], []
    if names:
        yield names, _plain(text)


def _plain(text: Sequence[str]) -> str:
    return " ".join(text).replace("``", "").replace("`", "")
