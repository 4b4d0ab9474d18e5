"""What is said beside an offset, and what is understood of it."""

import pytest

from ampelstream.runtime.safefaust.commitnotes import note, time_of, topic_of


def test_a_note_says_when_and_of_what() -> None:
    said = note("aB-c_1", 1000.4)
    assert (topic_of(said), time_of(said)) == ("aB-c_1", 1000.0)
    assert (topic_of(note("", 5.0)), time_of(note("", 5.0))) == ("", 5.0)


@pytest.mark.parametrize(
    ("text", "topic", "time"),
    [
        ("", "", None),
        ("topic-id=aB-c_1", "aB-c_1", None),  # of an earlier version
        ("by=somebody", "", None),
        ("at=nan topic-id=x", "x", None),
        ("at=1e999", "", None),
        ("at= topic-id", "", None),
    ],
)
def test_notes_of_others(text: str, topic: str, time: float | None) -> None:
    assert (topic_of(text), time_of(text)) == (topic, time)


def test_an_earlier_version_believes_the_offset() -> None:
    """It takes a note that begins with something else for none of its own."""
    assert not note("x", 1.0).startswith("topic-id=")
