"""What is in hand: named before it is handled, so that a death can be laid to what caused it.

A record, or a unit that computes from it, may end the whole process (memory, a fault in a library,
``os._exit``), and no code of the core runs then. So each processor names what it is about to
handle; a runtime that writes this down (``runtime/service/journal.py``) knows at its next start
what was in hand, and after some deaths the processor is asked to set it aside: it becomes a dead
letter as it is, and what lies behind it is handled.
"""

from collections.abc import Sequence
from typing import Protocol

from ampelstream.model.coordinates import Coordinates

__all__ = ["WORKER_DIED", "InHand", "Unwatched", "What"]

What = Coordinates | tuple[str, str]
"""A record; or what a sweep matches: an event, and an object. Without an event: an object that a
backfill brings over."""

WORKER_DIED = "WorkerDied"
"""Error of a dead letter that was in hand when the worker died, again and again."""


class InHand(Protocol):
    """Is told what is in hand; several things may be at the same time."""

    def doubtful(self, what: What) -> bool:
        """Whether it was in hand when the process died: then it is handled alone."""
        ...

    def begin(self, what: What) -> str:
        """It is about to be handled.

        Returns
        -------
        str
            Why it must not be, but is to be set aside; empty otherwise.
        """
        ...

    def end(self, what: What) -> None:
        """It is handled, or set aside."""
        ...

    def begin_all(self, whats: Sequence[Coordinates]) -> bool:
        """Some records are about to be looked at together; not, where one of them is doubtful.

        Returns
        -------
        bool
            Whether they may be. Otherwise each is handled by itself.
        """
        ...

    def end_all(self) -> None:
        """They have been looked at."""
        ...

    def committed(self) -> None:
        """What has ended is durable."""
        ...


class Unwatched:
    """Nobody wants to know."""

    def doubtful(self, what: What) -> bool:  # noqa: ARG002  (the protocol's)
        """Nothing is."""
        return False

    def begin(self, what: What) -> str:  # noqa: ARG002  (the protocol's)
        """Go on."""
        return ""

    def end(self, what: What) -> None:
        """Nothing."""

    def begin_all(self, whats: Sequence[Coordinates]) -> bool:  # noqa: ARG002  (the protocol's)
        """Go on."""
        return True

    def end_all(self) -> None:
        """Nothing."""

    def committed(self) -> None:
        """Nothing."""
