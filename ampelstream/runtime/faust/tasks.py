"""What a step does with one partition: pure work between what came in and what goes out."""

from collections.abc import Sequence
from typing import Protocol

from faust.types import Message

from ampelstream.runtime.kafka.outbox import Outgoing
from ampelstream.state.store import Transaction

__all__ = ["PartitionTask"]


class PartitionTask(Protocol):
    """The work on one partition.

    Methods run in a thread, one at a time. What they change waits in ``tables`` until the runtime
    has sent what they return, written the changelog and then the database. If any of that fails,
    the task is thrown away and made again from the database.

    Attributes
    ----------
    tables
        The partition's state and the changes that wait.
    """

    tables: Transaction

    @property
    def pending(self) -> int:
        """How much there is to do in the background."""
        ...

    def handle(self, messages: Sequence[Message]) -> list[Outgoing]:
        """Work on records, in order; give what is to be produced."""
        ...

    def again(self, keys: Sequence[bytes]) -> list[Outgoing]:
        """Make anew the records of these keys, as the state has them."""
        ...

    def background(self) -> list[Outgoing] | None:
        """Do a slice of what no record asks for; None where there is nothing to do."""
        ...
