"""What may be the name of an object or of an event."""

import pytest

from ampelstream.errors import DecodeError
from ampelstream.model.identifiers import NAME_LIMIT, checked_name


@pytest.mark.parametrize(
    "name", ["ZTF21abiuvdk", "GRB 180116026", "ss4711", "Überfall", "x" * NAME_LIMIT]
)
def test_names(name: str) -> None:
    assert checked_name(name, "objectId") == name


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "objectId is '', not a name"),
        (None, "objectId is None"),
        (5, "objectId is 5"),
        ("x" * (NAME_LIMIT + 1), "objectId is 257 characters long; a name has at most 256"),
        ("a\nb", r"a\\nb"),
        ("a\x1fb", r"a\\x1fb"),
        ("a\x00", "not a name"),
        ("\x1b[31m", "not a name"),
        ("a\u202eb", r"a\\u202eb"),
        ("a\ud800", r"a\\ud800"),
    ],
)
def test_what_is_no_name(name: object, words: str) -> None:
    with pytest.raises(DecodeError, match=words) as raised:
        checked_name(name, "objectId")
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 200
