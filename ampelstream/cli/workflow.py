"""What the commands that run a topology share: opening it and its inputs."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ampelstream.core.boundary import Failure, attempt
from ampelstream.errors import ConfigError, InputError
from ampelstream.sky.catalogs import CatalogStore
from ampelstream.sources import Source, open_source
from ampelstream.topology import Places, Topology, TopologySpec, build, load_placed
from ampelstream.units import Resources

if TYPE_CHECKING:
    from ampelstream.sources.writerschemas import GivenSchemas

__all__ = ["given_schemas", "open_inputs", "open_topology"]


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


def given_schemas(where: str | None, directory: Path) -> "GivenSchemas | None":
    """Open what ``--schemas`` names; None where it was not given.

    Parameters
    ----------
    where
        A directory, or the URL of a registry.
    directory
        Of the run: what a registry gives is kept in it.

    Raises
    ------
    ConfigError
        It is neither.
    """
    from ampelstream.cli.options import quiet_libraries
    from ampelstream.sources.writerschemas import open_schemas

    if where is None:
        return None
    quiet_libraries()
    return open_schemas(where, directory / "schemas")


def open_inputs(
    alerts: Sequence[Path], notices: Sequence[Path], schemas: "GivenSchemas | None" = None
) -> list[Source]:
    """Open the inputs, notices first: at equal times an event is known before its alerts.

    Parameters
    ----------
    alerts, notices
        Files, directories and archives.
    schemas
        Of alerts that only name theirs.

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
    of_alerts = [open_source(path, "alerts", schemas) for path in alerts]
    return [
        *(open_source(path, "notices") for path in notices),
        *(of_alerts if schemas is None else map(schemas.around, of_alerts)),
    ]
