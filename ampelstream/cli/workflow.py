"""What the commands that run a topology share: opening it and its inputs."""

from collections.abc import Sequence
from pathlib import Path

from ampelstream.errors import AmpelstreamError
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.sources import Source, open_source
from ampelstream.topology import Topology, TopologySpec, build, load
from ampelstream.units.inputs import Resources

__all__ = ["open_inputs", "open_topology"]


def open_topology(path: str, catalogs: Path | None = None) -> tuple[TopologySpec, Topology]:
    """Load, check and build a topology.

    Parameters
    ----------
    path
        Its file, or the name of one that ships.
    catalogs
        Directory of the catalogues; otherwise the topology's own, otherwise the default one.

    Raises
    ------
    AmpelstreamError
        It is not valid, or asks for what is not there.
    """
    spec = load(path)
    root = catalogs
    if root is None and spec.catalogs is not None:
        root = Path(path).parent / spec.catalogs
    store = CatalogStore(root if root is not None else CatalogStore.default_root())
    try:
        return spec, build(spec, Resources(catalogs=store))
    except AmpelstreamError as error:
        # the parts know their place in the file, but not the file
        raise type(error)(f"{path}: {error}") from error


def open_inputs(alerts: Sequence[Path], notices: Sequence[Path]) -> list[Source]:
    """Open the inputs, notices first: at equal times an event is known before its alerts."""
    return [
        *(open_source(path, "notices") for path in notices),
        *(open_source(path, "alerts") for path in alerts),
    ]
