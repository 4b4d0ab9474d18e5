"""What a state of the embedded runtime says of itself, also while a process works on it."""

from pathlib import Path

from ampelstream.core.ownership import owner_of
from ampelstream.errors import StateError
from ampelstream.state.rocks import RocksBackend
from ampelstream.topology import Identity

__all__ = ["stored_topology"]


def stored_topology(state: Path, name: str) -> Identity:
    """Content of the topology that ran last on a state.

    Parameters
    ----------
    state
        Its directory, as `ampelstream run --state` had it.
    name
        Name of the topology.

    Raises
    ------
    StateError
        There is no state of that topology, or none of this version.
    """
    path = state / name / "rocks"
    if not path.is_dir():
        found = sorted(one.parent.name for one in state.glob("*/rocks"))
        there = f"it holds that of {', '.join(found)}" if found else "it holds none"
        raise StateError(
            f"topology {name} has no state in {state}; {there}. A topology is known by its name, "
            "which `ampelstream run --state` makes a directory of"
        )
    backend = RocksBackend(path, read_only=True)
    try:
        owner = owner_of(backend)
    finally:
        backend.close()
    if owner is None or owner.content is None:
        raise StateError(f"the state in {path} names no topology, or is of an earlier version")
    return owner.content
