"""``ampelstream topics``, as far as it needs no broker."""

import pytest

from ampelstream.cli.topics import _keeps


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({}, "latest"),
        ({"retention.ms": "604800000"}, "7 d"),
        ({"retention.ms": "-1"}, "all"),
    ],
)
def test_what_a_topic_keeps(config: dict[str, str], words: str) -> None:
    assert _keeps(config) == words
