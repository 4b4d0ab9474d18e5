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
        Digest of topology, rule, event, object, channel and class: the same for the same matter.
    rule, topology
        Who decided.
    event_id, object_id, channel
        What it is about.
    klass
        ``new`` when the rule first holds, ``withdrawn`` when that candidate is taken back.
    payload
        What a message may say: the candidate's fields and its units' results.
    """

    id: str
    rule: str
    topology: str
    event_id: str
    object_id: str
    channel: str
    klass: str
    payload: Mapping[str, Any]
