"""What the commands that run a topology share: opening it and its inputs."""

from collections.abc import Sequence
from pathlib import Path

from ampelstream.core.boundary import Failure, attempt
from ampelstream.errors import ConfigError, InputError
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.sources import Source, open_source
from ampelstream.topology import Places, Topology, TopologySpec, build, load_placed
from ampelstream.units import Resources

__all__ = ["open_inputs", "open_topology"]


def open_topology(
    path: str, catalogs: Path | None = None, *, evaluates: bool = True
) -> tuple[TopologySpec, Topology]:
    """Load, check and build a topology.

    Parameters
    ----------
    path
        Its file, or the name of one that ships.
    catalogs
        Directory of the catalogues; otherwise the topology's own, otherwise the default one.
    evaluates
        Whether candidates will be evaluated (see `build`).

    Raises
    ------
    ConfigError
        It is not valid, or asks for what is not there.
    """
    spec, places = load_placed(path)
    root = catalogs
    if root is None and spec.catalogs is not None:
        root = Path(path).parent / spec.catalogs
    store = CatalogStore(root if root is not None else CatalogStore.default_root())
    # modules of units are other people's code: whatever they raise, the next start raises it again
    built = attempt(_build, spec, Resources(catalogs=store), places, evaluates=evaluates)
    if isinstance(built, Failure):
        raise ConfigError(f"{path}: a unit cannot be opened: {built.error}: {built.reason}")
    if isinstance(built, ConfigError):
        raise built
    return spec, built


def _build(
    spec: TopologySpec, resources: Resources, places: Places, *, evaluates: bool
) -> Topology | ConfigError:
    try:
        return build(spec, resources, places, evaluates=evaluates)
    except ConfigError as error:
        return error


def open_inputs(alerts: Sequence[Path], notices: Sequence[Path]) -> list[Source]:
    """Open the inputs, notices first: at equal times an event is known before its alerts.

    Raises
    ------
    InputError
        One is not there; or two have the same name, by which their records are known, so that
        those of one would be taken for those of the other.
    """
    named: dict[str, Path] = {}
    for path in (*notices, *alerts):
        name = path.resolve().name if path.is_dir() else path.name
        if name in named:
            raise InputError(
                f"{named[name]} and {path} have the same name {name!r}, and records are known by "
                "it: give each input once, and rename one of two that differ"
            )
        named[name] = path
    return [
        *(open_source(path, "notices") for path in notices),
        *(open_source(path, "alerts") for path in alerts),
    ]
