"""A JSON document of very many values is known before anything is made of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampelstream.codecs import alerts
from ampelstream.codecs.jsonsize import has_more_values
from ampelstream.errors import DecodeError

documents = st.recursive(
    st.none() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=30,
)


def values(document: Any) -> int:
    """Values, the keys of mappings not counted."""
    if isinstance(document, dict):
        return 1 + sum(map(values, document.values()))
    return 1 + sum(map(values, document)) if isinstance(document, list) else 1


@given(documents, st.integers(0, 40))
def test_more_than_that_is_always_found(document: Any, most: int) -> None:
    text = json.dumps(document, separators=(",", ":")).encode()
    if has_more_values(text, most):
        assert text.count(b",") + text.count(b"[") + text.count(b"{") > most
    else:
        # the first value of a list or mapping has no comma
        assert values(document) <= 2 * most + 1


def test_rows_of_very_many_values_are_refused() -> None:
    few = b'{"objectId": "a", "x": [' + b"{}," * 300_000 + b"0]}"
    with pytest.raises(DecodeError) as caught:
        alerts.decode(few)
    assert "more than" not in str(caught.value)
    with pytest.raises(DecodeError, match="more than 1000000 values"):
        alerts.decode(few.replace(b"[", b"[" + b"0," * 900_000))
