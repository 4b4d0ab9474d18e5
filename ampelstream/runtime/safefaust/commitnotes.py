"""What is committed beside an offset: when that was, and which topic it belongs to.

Kafka keeps the time of a commit where no client can ask for it, so that nobody could tell from
outside whether a member of a group is at work or hangs. Its note comes back with the offset.
"""

import math

__all__ = ["note", "time_of", "topic_of"]

# the time first: versions that know a note of the topic alone take one that begins otherwise for
# none, and believe the offset
_TIME, _TOPIC = "at", "topic-id"


def note(topic_id: str, now: float) -> str:
    """Note for an offset of the topic with that id, committed now [s, Unix time]."""
    return f"{_TIME}={now:.0f} {_TOPIC}={topic_id}"


def _said(text: str, name: str) -> str:
    found = (part.partition("=") for part in text.split())
    return next((value for key, _, value in found if key == name), "")


def topic_of(text: str) -> str:
    """Id of the topic; empty where the note does not say it."""
    return _said(text, _TOPIC)


def time_of(text: str) -> float | None:
    """When the offset was committed [s, Unix time]; None where the note does not say it."""
    try:
        when = float(_said(text, _TIME))
    except ValueError:
        return None
    return when if math.isfinite(when) else None
