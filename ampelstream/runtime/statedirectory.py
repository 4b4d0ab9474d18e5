"""Where state lies on disk.

    STATE/NAME/worker-I/STEP/partition-NNNN   databases of a worker on Kafka
    STATE/NAME/rocks                          database of the embedded engine
    STATE/schemas                             schemas of packets, shared by all

NAME is that of the topology, so that several may share a STATE. Files of reactions are named by the
topology, relative to STATE.
"""

import logging
from pathlib import Path

from ampelstream.core.ownership import owner_of
from ampelstream.errors import ConfigError
from ampelstream.runtime.service.log import incident
from ampelstream.state.rocks import RocksBackend

__all__ = ["embedded_database", "in_hand_directory", "old_directories", "worker_directory"]

_LOG = logging.getLogger(__name__)
_DATABASE = "rocks"


def worker_directory(state: Path, topology: str, index: int) -> Path:
    """Directory of a worker on Kafka."""
    return state / topology / f"worker-{index}"


def old_directories(state: Path) -> list[Path]:
    """Directories of workers in the layout of earlier versions, which had no name in it."""
    steps = ("objects", "react")
    return sorted(
        one for one in state.glob("worker-*") if any((one / step).is_dir() for step in steps)
    )


def in_hand_directory(state: Path, topology: str) -> Path:
    """Where it is written what is in hand: for all workers of a machine, who share their deaths."""
    return state / topology / "in-hand"


def embedded_database(state: Path, topology: str) -> Path:
    """Directory of the embedded engine's database.

    One in the layout of earlier versions, ``STATE/rocks``, is moved there where it is the
    topology's: it is the only copy. That of a replay lies there, too, and stays.

    Raises
    ------
    ConfigError
        It is another's, or a replay's, or does not say whose it is; or it cannot be moved there.
    StateError
        It is in use.
    """
    path, old = state / topology / _DATABASE, state / _DATABASE
    if not (old / "CURRENT").is_file():  # every database of RocksDB has this file
        return path
    backend = RocksBackend(old)
    known = owner_of(backend)
    backend.close()
    if known is not None and known.of_replay:
        raise ConfigError(
            f"{state} holds a replay of topology {known.topology}, and stays as it is: only "
            "`ampelstream replay` goes on with it. Give `run` another --state"
        )
    found = "" if known is None else known.topology
    where = f"{old}, where earlier versions kept it, is the state of"
    if not found:
        raise ConfigError(f"{where} nobody that can be told; move it away")
    if found != topology:
        raise ConfigError(
            f"{where} {found}, not of {topology}. Run {found} once with this --state, which moves "
            "it to its new place, or give another --state"
        )
    if path.exists():
        raise ConfigError(f"{where} {topology}, and so is {path}; move one of them away")
    try:
        path.parent.mkdir(exist_ok=True)
        old.rename(path)
    except OSError as error:
        raise ConfigError(
            f"{where} {topology}, and cannot be moved to {path}: {error.strerror}"
        ) from error
    text = "the state was moved from where earlier versions kept it"
    incident(_LOG, logging.WARNING, "state_moved", text, old=str(old), new=str(path))
    return path
