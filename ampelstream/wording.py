"""What is wrong with what a person wrote, in our words, for whoever validates it with pydantic.

`problems` is the only place where an error of pydantic becomes text: of a topology, a file of
sources, the configuration of a unit, the options of a command. `close` and `mend` find the word
that was meant.
"""

import difflib
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

__all__ = ["Problem", "close", "mend", "problems"]

Path = tuple[str | int, ...]

_KEYS = "it must be keys with values, such as `name: mine`"
_LIST = "must be a list, such as [a, b]"
_NUMBER, _WHOLE, _SWITCH = "must be a number", "must be a whole number", "must be true or false"
_WORDS: Mapping[str, str] = {
    "missing": "is missing; add it",
    "missing_argument": "is missing; add it",
    "string_type": "must be text; put it into quotes",
    "string_unicode": "must be text in UTF-8",
    "string_pattern_mismatch": "may not be written like this: it must match {pattern}",
    "string_too_short": "must have {min_length} characters or more",
    "string_too_long": "must have {max_length} characters or fewer",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": f"{_WHOLE} of fewer digits",
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "bool_type": _SWITCH,
    "bool_parsing": _SWITCH,
    "finite_number": "must be a finite number",
    "multiple_of": "must be a multiple of {multiple_of}",
    "list_type": _LIST,
    "tuple_type": _LIST,
    "set_type": _LIST,
    "frozen_set_type": _LIST,
    "iterable_type": _LIST,
    "too_short": "must have {min_length} entries or more, and has {actual_length}",
    "too_long": "must have {max_length} entries or fewer",
    "none_required": "must be null, or left out",
    "path_type": "must be a path, as text",
    "url_type": "must be an address (URL), as text",
    "url_parsing": "must be an address (URL), such as https://example.org",
    "url_scheme": "must be an address (URL) that begins with {expected_schemes}",
    "date_type": "must be a date, such as 2024-01-15",
    "date_parsing": "must be a date, such as 2024-01-15",
    "date_from_datetime_parsing": "must be a date, such as 2024-01-15",
    "datetime_type": "must be a time, such as 2024-01-15T10:00:00Z",
    "datetime_parsing": "must be a time, such as 2024-01-15T10:00:00Z",
    "datetime_from_date_parsing": "must be a time, such as 2024-01-15T10:00:00Z",
    "time_delta_type": "must be a length of time",
    "time_delta_parsing": "must be a length of time",
}
"""What we say, by pydantic's type of error, with its context filled in."""
_NO_KEYS = frozenset(
    {
        "dataclass_type",
        "dict_type",
        "frozen_dict_type",
        "mapping_type",
        "model_attributes_type",
        "model_type",
    }
)
_CHOICES = frozenset({"literal_error", "enum"})
_OWN = frozenset({"value_error", "assertion_error"})
"""Errors that a validator raised, whose message is ours already."""
_TYPO = r"unknown key; did you mean {}\?"
_STRANGE = "may not be what it is here; look up what the key takes"
_BOUNDS = ("gt", "ge", "lt", "le")
_BOUNDED = {
    "greater_than": "gt",
    "greater_than_equal": "ge",
    "less_than": "lt",
    "less_than_equal": "le",
}

_LISTED = 20
"""How many names a message lists."""


class Problem(NamedTuple):
    """One thing that is wrong.

    Attributes
    ----------
    path
        Keys and indices that lead to it; empty for the whole.
    text
        What is wrong with it and what to do, as words that follow its name and a colon.
    """

    path: Path
    text: str

    @property
    def key(self) -> str:
        """The path as text."""
        return ".".join(map(str, self.path))


def close(word: str, among: Collection[str], most: int = 1) -> list[str]:
    """Names that may have been meant, the likeliest first; capital and small letters are alike."""
    lower = {one.lower(): one for one in among}
    found = difflib.get_close_matches(word.lower(), list(lower), n=most, cutoff=0.6)
    return [lower[one] for one in found]


def mend(word: str, among: Collection[str], *, known: str = "known are") -> str:
    """Suggest the name that was meant, or list those that there are.

    Parameters
    ----------
    word
        What was written.
    among
        The names that there are.
    known
        What stands before the list of all.
    """
    found = close(word, among)
    if found:
        return f"did you mean {found[0]}?"
    if len(among) <= _LISTED:
        return f"{known} {', '.join(sorted(among))}" if among else "there are none"
    near = difflib.get_close_matches(word, list(among), n=_LISTED, cutoff=0.0)
    return f"{known} {', '.join(near)} and {len(among) - len(near)} others"


def problems(
    error: ValidationError,
    model: type[BaseModel],
    content: Any,
    *,
    quote: bool = True,
) -> Iterator[Problem]:
    """Say in our words what pydantic found, one problem for each place.

    Parameters
    ----------
    error
        What it raised.
    model
        What was validated.
    content
        What it was made from.
    quote
        Whether values may be repeated; not where they may be secrets.
    """
    found: dict[Path, list[str]] = {}
    missing: set[Path] = set()
    short: set[Path] = set()
    for one in error.errors(include_url=False):
        path = _path(one["loc"], content, model)
        text = _text(one, model, path, quote=quote)
        said = found.setdefault(path, [])
        if text not in said:
            said.append(text)
        if one["type"] in {"missing", "too_short"}:
            (short if one["type"] == "too_short" else missing).add(path)
    meant = {(*path[:-1], word) for path, texts in found.items() for word in _meant(texts)}
    for path, texts in found.items():
        # a key that is there with a typo is not missing; a list of wrong entries is not short
        deeper = any(other != path and other[: len(path)] == path for other in found)
        follows = (path in missing & meant) or (path in short and deeper)
        if not follows:  # several texts where any of several forms would do
            yield Problem(path, ", or ".join(texts))


def _meant(texts: Sequence[str]) -> list[str]:
    """The key that an unknown key was to be."""
    return [found[1] for text in texts if (found := re.fullmatch(_TYPO.format("(.+)"), text))]


def _path(loc: Sequence[str | int], content: Any, model: type[BaseModel]) -> Path:
    """Where it is, without the names that pydantic gives to the forms that it tried."""
    path: Path = ()
    for part in loc:
        if isinstance(content, Mapping):
            if part not in content and _field(model, (*path, part)) is None:
                continue
            content = content.get(part)
        elif isinstance(content, list | tuple) and isinstance(part, int):
            content = content[part] if part < len(content) else None
        else:
            continue
        path = (*path, part)
    return path


def _text(one: Any, model: type[BaseModel], path: Path, *, quote: bool) -> str:
    """What is wrong in one place, and the mend."""
    kind, context = one["type"], one.get("ctx", {})
    if kind == "extra_forbidden":
        allowed = _keys(model, path)
        none = "unknown key; it has no keys, drop it"
        return (
            f"unknown key; {mend(str(path[-1]), allowed, known='known keys:')}" if allowed else none
        )
    if kind in _NO_KEYS:
        what = "nothing stands here" if one["input"] is None else "this is something else"
        return f"{what}; {_KEYS}"
    # of a whole part of the file its message says what matters
    whole = isinstance(one["input"], Mapping | BaseModel)
    got = f" (got {one['input']!r:.60})" if quote and not whole else ""
    if kind == "missing":
        about = _description(_field(model, path))
        return _WORDS[kind] + (f" ({about})" if about else "")
    if kind in _OWN:
        return f"{context.get('error', _STRANGE)}{got}"
    if kind in _CHOICES:
        return _choice(one["input"], str(context.get("expected", "")), got)
    if kind in _BOUNDED:
        return f"{_range(_field(model, path), kind, context)}{got}"
    if kind == "string_pattern_mismatch" and (about := _description(_field(model, path))):
        return f"may not be written like this{got}. It is: {about}"
    if kind == "too_short" and context.get("min_length") == 1:
        return "must not be empty; write at least one entry"
    if quote and _WORDS.get(kind) == _LIST and isinstance(one["input"], str | int | float):
        return f"must be a list, such as [{one['input']!s:.40}]{got}"
    return f"{_WORDS.get(kind, _STRANGE).format_map(context)}{got}"


def _choice(value: Any, expected: str, got: str) -> str:
    """One of some words was to stand there."""
    names = re.findall(r"'([^']*)'", expected)
    close_ones = close(value, names) if isinstance(value, str) else []
    meant = f"; did you mean {close_ones[0]}?" if close_ones else ""
    if not names:
        return f"must be {expected}{got}"
    words = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} or {names[-1]}"
    return f"must be {words}{got}{meant}"


def _range(field: FieldInfo | None, kind: str, context: Mapping[str, Any]) -> str:
    """The bounds of a number: all that are known, not only the one that it broke."""
    bounds = {_BOUNDED[kind]: context[_BOUNDED[kind]]}
    infos = () if field is None else (field, *_infos(field.annotation))
    for one in (limit for info in infos for limit in info.metadata):
        bounds |= {
            name: value for name in _BOUNDS if (value := getattr(one, name, None)) is not None
        }
    words = {"gt": "more than {}", "ge": "{} or more", "lt": "less than {}", "le": "{} or less"}
    said = [words[name].format(f"{bounds[name]:g}") for name in _BOUNDS if name in bounds]
    return f"must be {' and '.join(said)}"


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """First pydantic model inside an annotation."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _model_of(one))), None)


def _holder(model: type[BaseModel], path: Path) -> type[BaseModel] | None:
    """The model that the last key of a path belongs to."""
    current: type[BaseModel] | None = model
    for part in path[:-1]:
        if isinstance(part, int) or current is None or part not in current.model_fields:
            continue  # an index, or a name the user chose: the model stays
        current = _model_of(current.model_fields[part].annotation)
    return current


def _keys(model: type[BaseModel], path: Path) -> list[str]:
    """Keys that are allowed where the last one of the path stands."""
    holder = _holder(model, path)
    return sorted(holder.model_fields) if holder else []


def _field(model: type[BaseModel], path: Path) -> FieldInfo | None:
    """The field at a path, or the one whose list holds what is there."""
    while path and isinstance(path[-1], int):
        path = path[:-1]
    holder = _holder(model, path)
    return holder.model_fields.get(str(path[-1])) if holder and path else None


def _infos(annotation: Any) -> Iterator[FieldInfo]:
    """What is said of the types within a type, such as those of the elements of a list."""
    yield from (
        one for one in getattr(annotation, "__metadata__", ()) if isinstance(one, FieldInfo)
    )
    for inner in get_args(annotation):
        if not isinstance(inner, FieldInfo):
            yield from _infos(inner)


def _description(field: FieldInfo | None) -> str:
    """What a field is, without a full stop."""
    if field is None:
        return ""
    infos = (field, *_infos(field.annotation))
    return next((one.description for one in infos if one.description), "").rstrip(".")
