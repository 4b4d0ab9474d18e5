"""A message to the outside, with the id that lets it pass once."""

from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["Reaction"]


class Reaction(msgspec.Struct, frozen=True):
    """What is to be sent.

    Attributes
    ----------
    id
        Digest of topology, rule, event, object, channel, class and (from the third message on) the
        turn: the same for the same message, whatever is repeated.
    rule, topology
        Who decided.
    event_id, object_id, channel
        What it is about: with the rule, the matter.
    klass
        ``new`` when the rule first holds, ``withdrawn`` when it holds no longer, ``reinstated``
        when it holds again.
    payload
        What a message may say: the candidate's fields and its units' results.
    turn
        1 for the first message of the matter, 2 for the second, and so on.
    reason
        Why it was withdrawn: ``retracted``, ``outside`` (the region or window of the event's last
        revision), ``rejected`` (by a match filter), or ``condition`` (the rule's own no longer
        holds).
    """

    id: str
    rule: str
    topology: str
    event_id: str
    object_id: str
    channel: str
    klass: str
    payload: Mapping[str, Any]
    turn: int = 1
    reason: str = ""

    @property
    def about(self) -> tuple[str, str, str]:
        """(event, object, channel): the key of its candidate."""
        return (self.event_id, self.object_id, self.channel)
