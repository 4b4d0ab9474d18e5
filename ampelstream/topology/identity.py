"""What makes a topology the one it is: a record of its content that states and clusters keep.

A state, and the topic ``topology`` of a cluster, hold the `Identity` of the topology they belong
to. Three digests say how far two topologies agree (`identity_of`), and the whole content is kept
beside them, so that a difference can be told in words (``differences.py``).
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from ampelstream.topology.graph import BoundUnit, Topology

__all__ = ["Identity", "identity_of", "with_units_of"]


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
        Fingerprint of each unit, by its path in the file; holds the unit's version and those of the
        catalogues that it reads. Of who evaluates no candidates, only those of filters.
    reads
        Version of each catalogue, by its unit's path and its name there; None for one that is
        optional, and absent.
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
    reads: dict[str, str | None] = {}
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
        reads={
            f"{path}.{name}": version
            for path, bound in units.items()
            for name, version in bound.unit.reads().items()
        },
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
        parts: dict[str, Iterable[BoundUnit[Any]]] = {"filters": channel.filters}
        if topology.evaluates:
            parts |= {"match": channel.match, "units": channel.units}
        for part, units in parts.items():
            for bound in units:
                yield f"channels.{channel.name}.{part}.{bound.name}", bound
