"""A state belongs to one topology."""

from ampelstream.errors import StateError
from ampelstream.runtime.embedded.book import RunBook, RunIdentity
from ampelstream.state.store import Backend, Transaction
from ampelstream.topology import Topology

__all__ = ["claim"]


def claim(backend: Backend, topology: Topology) -> None:
    """Mark a new state as the topology's, or see that it is.

    Raises
    ------
    StateError
        It belongs to another topology, or to another content of this one: its candidates and
        offsets would not fit.
    """
    tables = Transaction(backend)
    book = RunBook(tables)
    known = book.identity()
    if known is None:
        book.save_identity(RunIdentity(topology.hash, ""))
        tables.commit()
    elif known.topology_hash != topology.hash:
        raise StateError(
            f"this state belongs to a topology with hash {known.topology_hash}, not to "
            f"{topology.name} ({topology.hash}). Name another --state, and replay what it missed."
        )
