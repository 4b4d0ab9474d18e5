"""What the runtime itself remembers: offsets, dead letters, counts, which run it is."""

from collections.abc import Iterator

import msgspec

from ampelstream.model.coordinates import Coordinates
from ampelstream.model.deadletter import DeadLetter
from ampelstream.runtime.embedded.counters import Counters
from ampelstream.state.store import KeyValue

__all__ = ["RunBook", "RunIdentity"]

_OFFSET, _LETTER = b"p", b"d"
_COUNTS, _RUN = b"n", b"i"
_PLACE = msgspec.msgpack.Decoder(tuple[str, int])
_encode = msgspec.msgpack.Encoder().encode


class RunIdentity(msgspec.Struct):
    """Which run the state belongs to.

    Attributes
    ----------
    topology_hash
        Digest of the workflow.
    inputs
        Digest of the names of the inputs.
    finished
        Whether it came to its end.
    """

    topology_hash: str
    inputs: str
    finished: bool = False


class RunBook:
    """Typed access to the runtime's own part of the store.

    Parameters
    ----------
    tables
        The store; a transaction, so that all this is committed with the state that it belongs to.
    """

    def __init__(self, tables: KeyValue) -> None:
        self._tables = tables

    def offsets(self) -> dict[tuple[str, int], int]:
        """Last offset handled, for each (source, partition)."""
        return {
            _PLACE.decode(key[1:]): int(value) for key, value in self._tables.scan(_OFFSET, b"q")
        }

    def handled(self, where: Coordinates) -> None:
        """Note that the record was handled, whatever became of it."""
        self._tables.put(
            _OFFSET + _encode((where.source, where.partition)), str(where.offset).encode()
        )

    def add_letter(self, letter: DeadLetter) -> None:
        """Keep a dead letter, under its coordinates."""
        self._tables.put(_LETTER + _encode(letter.where), _encode(letter))

    def letters(self) -> Iterator[DeadLetter]:
        """Dead letters, in the order of their keys."""
        for _, value in self._tables.scan(_LETTER, b"e"):
            yield msgspec.msgpack.decode(value, type=DeadLetter)

    def counters(self) -> Counters:
        """The counts so far."""
        value = self._tables.get(_COUNTS)
        return Counters() if value is None else msgspec.msgpack.decode(value, type=Counters)

    def save_counters(self, counters: Counters) -> None:
        """Keep the counts."""
        self._tables.put(_COUNTS, _encode(counters))

    def identity(self) -> RunIdentity | None:
        """Which run this is; None in a new store."""
        value = self._tables.get(_RUN)
        return None if value is None else msgspec.msgpack.decode(value, type=RunIdentity)

    def save_identity(self, identity: RunIdentity) -> None:
        """Note which run this is."""
        self._tables.put(_RUN, _encode(identity))
