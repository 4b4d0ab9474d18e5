"""A topic class for records that a serializer cannot read.

faust-streaming 0.15.3 acknowledges such a record, calls a hook that does nothing, and throws the
error into the agent (``transport/conductor.py:184-195``, ``channels.py:468-507``): one poisoned
byte stops the worker or is lost in silence. Here the record goes to whoever takes dead letters, and
the stream goes on. Our own topics carry plain bytes and cannot fail so; a topic with a serializer
that somebody adds is safe by this class.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from faust import Topic
from faust.types import Message

from ampelstream.errors import LostRecords

__all__ = ["SafeTopic"]

Bury = Callable[[Message, BaseException], Awaitable[None]]


class SafeTopic(Topic):
    """A topic whose unreadable records become dead letters.

    Attributes
    ----------
    bury
        Of the application: takes such a record, and returns when it is durable.
    """

    async def on_key_decode_error(self, exc: Any, message: Message) -> None:
        """Bury a record whose key cannot be read."""
        await self._bury(exc, message)

    async def on_value_decode_error(self, exc: Any, message: Message) -> None:
        """Bury a record whose value cannot be read."""
        await self._bury(exc, message)

    async def _bury(self, exc: BaseException, message: Message) -> None:
        bury: Bury | None = getattr(self.app, "bury", None)
        if bury is None:
            raise LostRecords(
                f"{message.topic}[{message.partition}]@{message.offset} cannot be read ({exc}) "
                "and nobody takes dead letters; give the application a `bury`"
            )
        await bury(message, exc)
