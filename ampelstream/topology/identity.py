"""What makes a topology the one it is: a record of its content that states and clusters keep.

A state, and the topic ``topology`` of a cluster, hold the `Identity` of the topology they belong
to. Three digests say how far two topologies agree (`identity_of`), and the whole content is kept
beside them, so that a difference can be told in words (``differences.py``).
"""

import json
import re
from typing import Any

import msgspec

from ampelstream.topology.graph import Topology

__all__ = ["UNIT_LISTS", "Identity", "Path", "identity_of", "shown"]

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
        version and those of the catalogues that it reads.
    """

    name: str
    version: str
    hash: str
    digest: str
    filters: str
    spec: dict[str, Any]
    prints: dict[str, str]


def identity_of(topology: Topology) -> Identity:
    """Content of a topology."""
    return Identity(
        name=topology.name,
        version=topology.version,
        hash=topology.hash,
        digest=topology.digest,
        filters=topology.filters,
        spec=topology.spec.model_dump(mode="json"),
        prints={
            shown(("channels", channel.name, part, bound.name)): bound.config_hash
            for channel in topology.channels
            for part in UNIT_LISTS
            for bound in getattr(channel, part)
        },
    )
