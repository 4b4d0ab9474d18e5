"""No word of pydantic reaches a person."""

import re
from datetime import date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import pytest
from pydantic import BaseModel, ConfigDict, Field, HttpUrl, ValidationError, field_validator
from pydantic_core import ErrorDetails, PydanticKnownError
from pydantic_core.core_schema import ErrorType

from ampelstream.wording import mend, problems


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    size: Annotated[float, Field(gt=0, le=10, description="How large [mm].")]


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    count: int = 1
    ratio: float = 1.0
    finite: Annotated[float, Field(allow_inf_nan=False)] = 1.0
    switch: bool = False
    name: Annotated[str, Field(pattern="^[a-z]+$", max_length=5)] = "a"
    letter: Annotated[str, Field(pattern="^[a-z]$", description="A small letter.")] = "a"
    pair: tuple[float, float] = (0, 1)
    many: Annotated[list[int], Field(min_length=1, max_length=2)] = [1]
    word: Literal["one", "two"] = "one"
    colour: Colour = Colour.RED
    inner: Inner | None = None
    named: dict[str, Inner] = {}
    either: int | list[str] = 1
    where: Path | None = None
    site: HttpUrl | None = None
    day: date | None = None
    moment: datetime | None = None
    even: int = 0
    odd: object = None

    @field_validator("even")
    @classmethod
    def _even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("must be even; take the next one")
        return value


def said(**content: Any) -> dict[str, str]:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(content)
    return {one.key: one.text for one in problems(caught.value, Outer, content)}


CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"count": "x"}, "count", "must be a whole number (got 'x')"),
    ({"count": 1.5}, "count", "must be a whole number (got 1.5)"),
    ({"ratio": [1]}, "ratio", "must be a number (got [1])"),
    ({"finite": float("inf")}, "finite", "must be a finite number (got inf)"),
    ({"switch": "perhaps"}, "switch", "must be true or false (got 'perhaps')"),
    ({"name": 3}, "name", "must be text; put it into quotes (got 3)"),
    ({"name": "a b"}, "name", "may not be written like this: it must match ^[a-z]+$ (got 'a b')"),
    ({"name": "abcdef"}, "name", "must have 5 characters or fewer (got 'abcdef')"),
    ({"letter": "A"}, "letter", "may not be written like this (got 'A'). It is: A small letter"),
    ({"pair": 1}, "pair", "must be a list, such as [1] (got 1)"),
    ({"pair": [1]}, "pair.1", "is missing; add it"),
    ({"many": []}, "many", "must not be empty; write at least one entry"),
    ({"many": [1, 2, 3]}, "many", "must have 2 entries or fewer (got [1, 2, 3])"),
    ({"word": "tow"}, "word", "must be one or two (got 'tow'); did you mean two?"),
    ({"colour": "green"}, "colour", "must be red or blue (got 'green')"),
    ({"inner": {}}, "inner.size", "is missing; add it (How large [mm])"),
    ({"inner": {"size": 11}}, "inner.size", "must be more than 0 and 10 or less (got 11)"),
    ({"inner": {"sise": 1}}, "inner.sise", "unknown key; did you mean size?"),
    (
        {"named": {"a": 1}},
        "named.a",
        ("this is something else; it must be keys with values, such as `name: mine`"),
    ),
    (
        {"either": "x"},
        "either",
        ("must be a whole number (got 'x'), or must be a list, such as [x] (got 'x')"),
    ),
    ({"where": 3}, "where", "must be a path, as text (got 3)"),
    (
        {"site": "nowhere"},
        "site",
        ("must be an address (URL), such as https://example.org (got 'nowhere')"),
    ),
    ({"day": "soon"}, "day", "must be a date, such as 2024-01-15 (got 'soon')"),
    ({"moment": "soon"}, "moment", "must be a time, such as 2024-01-15T10:00:00Z (got 'soon')"),
    ({"even": 1}, "even", "must be even; take the next one (got 1)"),
    (
        {"zzz": 1},
        "zzz",
        (
            "unknown key; known keys: colour, count, day, either, even, finite, inner, "
            "letter, many, moment, name, named, odd, pair, ratio, site, switch, where, word"
        ),
    ),
]


@pytest.mark.parametrize(("content", "key", "text"), CASES)
def test_each_mistake(content: dict[str, Any], key: str, text: str) -> None:
    assert said(**content) == {key: text}


def test_a_typo_is_one_mistake() -> None:
    """The key that was meant is not reported as missing, too."""
    assert list(said(inner={"sise": 1}, count="x")) == ["count", "inner.sise"]


def test_values_may_be_secrets() -> None:
    content = {"count": "secret", "word": "secret", "pair": "secret", "even": "secret"}
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(content)
    found = [one.text for one in problems(caught.value, Outer, content, quote=False)]
    assert len(found) == 4
    assert not any("secret" in text for text in found)


class _Told:
    """An error of each kind that pydantic knows, as `problems` sees it."""

    def __init__(self, kind: str, context: dict[str, Any]) -> None:
        message = PydanticKnownError(kind, context or None).message()  # type: ignore[arg-type]  # (one of all)
        self.message = message
        self.one: ErrorDetails = {
            "type": kind, "loc": ("odd",), "msg": message, "input": "x", "ctx": context,
        }  # fmt: skip

    def errors(self, **_: object) -> list[ErrorDetails]:
        return [self.one]


CONTEXT: dict[str, Any] = {
    "gt": 1, "ge": 1, "lt": 1, "le": 1, "multiple_of": 2, "min_length": 2, "max_length": 3,
    "actual_length": 1, "field_type": "List", "pattern": "^a$", "expected": "'a' or 'b'",
    "error": ValueError("ours"), "class": "Thing", "class_name": "Thing", "method_name": "size",
    "expected_schemes": "https", "attribute": "size", "encoding": "utf-8", "encoding_error": "x",
    "max_digits": 2, "decimal_places": 2, "whole_digits": 2, "discriminator": "kind", "tag": "x",
    "expected_tags": "'a'", "tz_expected": 0, "tz_actual": 1, "expected_version": 4,
    "mapping_type": "x",
}  # fmt: skip


def context_of(kind: str) -> dict[str, Any]:
    """What an error of that kind is told with: found by asking for what it misses."""
    context: dict[str, Any] = {}
    for _ in range(5):
        try:
            PydanticKnownError(kind, context or None)  # type: ignore[arg-type]  # (one of all)
        except TypeError as error:
            missing = re.search(r"'(\w+)' required in context", str(error))
            if missing:
                context[missing[1]] = CONTEXT.get(missing[1], "x")
            elif "must" in str(error):
                context[re.findall(r"'(\w+)'", str(error))[-1]] = "x"
            else:
                raise
        else:
            break
    return context


@pytest.mark.parametrize("kind", sorted(get_args(ErrorType)))
def test_every_kind_of_error_has_words_of_ours(kind: str) -> None:
    told = _Told(kind, context_of(kind))
    [problem] = problems(told, Outer, {"odd": "x"})  # type: ignore[arg-type]  # (it has what is asked)
    assert problem.path == ("odd",)
    assert problem.text
    theirs = told.message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    assert kind in {"value_error", "assertion_error"} or theirs not in problem.text
    assert not re.search(r"[Ii]nput should|pydantic|[{}]", problem.text)


def test_the_mend_lists_no_more_than_can_be_read() -> None:
    names = [f"name{number}" for number in range(100)]
    assert mend("zzz", names).endswith(" and 80 others")
    assert mend("zzz", []) == "there are none"
    assert mend("NAME3", names) == "did you mean name3?"
