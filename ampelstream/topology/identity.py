"""What makes a topology the one it is: a record of its content that states and clusters keep.

A state, and the topic ``topology`` of a cluster, hold the `Identity` of the topology they belong
to. Three digests say how far two topologies agree (`identity_of`), and the whole content is kept
beside them, so that a difference can be told in words (``differences.py``).
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from ampelstream.topology.graph import BoundUnit, Topology

__all__ = ["UNIT_LISTS", "Identity", "Path", "identity_of", "shown", "with_units_of"]

Path = tuple[str, ...]
"""Where in a topology file: keys, and names where it has lists. No text with dots in between, since
names may have dots."""
UNIT_LISTS = ("filters", "match", "units")
"""Keys of a channel under which its units are."""


def shown(path: Path) -> str:
    """Give a path as text, another one for each: names that are no plain words are in quotes."""
    return ".".join(
        part if re.fullmatch(r"[\w-]+", part) else json.dumps(part, ensure_ascii=False)
        for part in path
    )


class Identity(msgspec.Struct, frozen=True):
    """A topology's content.

    Attributes
    ----------
    name, version
        As its file says.
    hash
        Digest of what its candidates follow from; candidates name it.
    digest
        Digest of everything that tells two topologies apart: also rules and retention.
    filters
        Digest of what ingest does for it: which alerts are accepted for which channel.
    spec
        Its validated file.
    prints
        Fingerprint of each unit, by its path in the file as `shown` says it; holds the unit's
        version and those of the catalogues that it reads. Of who evaluates no candidates, only
        those of filters.
    reads
        Versions of the catalogues that a unit reads, by its path and their names; None for one that
        is optional, and absent.
    file
        Digest of the file and the filters alone (see `Topology.file`).
    """

    name: str
    version: str
    hash: str
    digest: str
    filters: str
    spec: dict[str, Any]
    prints: dict[str, str]
    reads: dict[str, dict[str, str | None]] = {}
    file: str = ""


def identity_of(topology: Topology) -> Identity:
    """Content of a topology."""
    units = dict(_units(topology))
    return Identity(
        name=topology.name,
        version=topology.version,
        hash=topology.hash,
        digest=topology.digest,
        filters=topology.filters,
        spec=topology.spec.model_dump(mode="json"),
        prints={path: bound.config_hash for path, bound in units.items()},
        reads={path: dict(read) for path, bound in units.items() if (read := bound.unit.reads())},
        file=topology.file,
    )


def with_units_of(other: Identity, content: Identity) -> Identity:
    """A content that does not know its units, with what another says of them.

    Parameters
    ----------
    other
        Of who evaluates candidates; of units that are not in the content nothing follows.
    content
        Of who does not.
    """
    return msgspec.structs.replace(
        content, prints=other.prints | content.prints, reads=other.reads | content.reads
    )


def _units(topology: Topology) -> Iterator[tuple[str, BoundUnit[Any]]]:
    """(path in the file, unit) of those that have opened what they read."""
    for channel in topology.channels:
        for part in UNIT_LISTS if topology.evaluates else ("filters",):
            for bound in getattr(channel, part):
                yield shown(("channels", channel.name, part, bound.name)), bound
