"""From the name of a unit to its class, and from a configuration to a unit.

A unit is named by the class name of one that ships, by an entry point of an installed package, or
by its import path. Modules are imported only when a unit of theirs is asked for.
"""

import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from ampelstream.errors import ConfigError
from ampelstream.units import Unit
from ampelstream.units.usercode import FAULTS, blamed
from ampelstream.wording import close, problems

__all__ = ["ENTRY_POINTS", "available", "configure", "providing", "resolve"]

ENTRY_POINTS = "ampelstream.units"
"""Entry point group in which a package offers units by name."""

_UNITS = "ampelstream.units"
_OWN: Mapping[str, str] = MappingProxyType(
    {
        "CatalogMatch": f"{_UNITS}.context.catalogmatch",
        "DecentFilter": f"{_UNITS}.filters.decent",
        "DigestRedshifts": f"{_UNITS}.context.redshifts",
        "InfantScore": f"{_UNITS}.scores.infant",
        "KilonovaScore": f"{_UNITS}.scores.kilonova",
        "PredetectionFilter": f"{_UNITS}.filters.predetection",
        "RiseDecline": f"{_UNITS}.features.risedecline",
        "RubinFilter": f"{_UNITS}.filters.rubin",
        "SkyMapProbability": f"{_UNITS}.context.skymapprobability",
        "WatchlistFilter": f"{_UNITS}.filters.watchlist",
    }
)
"""Units that ship, and the modules that are imported only when one is asked for."""


def available() -> list[str]:
    """Names of the units that ship and of those that installed packages offer, sorted."""
    return sorted({*_OWN, *(point.name for point in entry_points(group=ENTRY_POINTS))})


def providing(what: str) -> list[str]:
    """Names of the units that ship and provide a kind of result."""
    return [name for name in sorted(_OWN) if getattr(resolve(name), "provides", None) == what]


def resolve(name: str) -> type[Unit]:
    """Find a unit's class.

    Parameters
    ----------
    name
        Class name of a unit that ships, the name of an entry point of the group
        ``ampelstream.units``, or an import path: ``package.module:Class`` or
        ``package.module.Class``.

    Raises
    ------
    ConfigError
        There is no such unit; says what was tried, and names that are close.
    """
    if name in _OWN:
        return _import(name, _OWN[name], name)
    for point in entry_points(group=ENTRY_POINTS, name=name):
        module, _, attribute = point.value.partition(":")
        return _import(name, module.strip(), attribute.strip())
    for separator in (":", "."):
        module, found, attribute = name.rpartition(separator)
        if found and all(part.isidentifier() for part in (*module.split("."), attribute)):
            return _import(name, module, attribute)
    raise ConfigError(
        f"no unit named {name!r}: it is neither one that ships, nor an entry point of the group "
        f"{ENTRY_POINTS}, nor an import path (package.module:Class).{_close(name, available())} "
        "`ampelstream units list` shows all"
    )


def _close(word: str, among: list[str]) -> str:
    """Suggest close names, if any, as a sentence with a space before it."""
    found = close(word, among, most=3)
    return f" Did you mean {' or '.join(found)}?" if found else ""


def _import(name: str, module: str, attribute: str) -> type[Unit]:
    try:
        holder = importlib.import_module(module)
    except FAULTS as error:
        if isinstance(error, ModuleNotFoundError) and _is_part(error.name, module):
            last = module.rpartition(".")[2]
            raise ConfigError(
                f"unit {name!r}: there is no module {module}.{_close(name, available())} Put "
                f"{last}.py beside the topology file, install its package, or put the directory "
                "that holds it on PYTHONPATH"
            ) from error
        raise ConfigError(
            f"unit {name!r}: the module {module} cannot be imported: {blamed(error)}"
        ) from error
    found = getattr(holder, attribute, None)
    if isinstance(found, type) and issubclass(found, Unit):
        return found
    if found is None:
        here = [key for key, value in vars(holder).items() if _is_unit(value, module)]
        listed = f" Its units are {', '.join(here)}" if here else " It has no units"
        raise ConfigError(
            f"unit {name!r}: the module {module} has no {attribute}."
            f"{_close(attribute, here) or listed}"
        )
    raise ConfigError(
        f"unit {name!r}: {attribute} of {module} is not a unit; derive it from AlertFilter, "
        "MatchFilter or ObjectUnit of ampelstream.units"
    )


def _is_part(missing: str | None, module: str) -> bool:
    """Whether what is missing is the module itself, or a package that holds it."""
    return missing is not None and f"{module}.".startswith(f"{missing}.")


def _is_unit(value: Any, module: str) -> bool:
    return isinstance(value, type) and issubclass(value, Unit) and value.__module__ == module


def configure(name: str, config: Mapping[str, Any]) -> Unit:
    """Build a unit.

    Parameters
    ----------
    name
        As for `resolve`.
    config
        Its configuration.

    Raises
    ------
    ConfigError
        There is no such unit, or keys are unknown, missing or wrong: all are listed.
    """
    unit = resolve(name)
    try:
        return unit.model_validate(dict(config))
    except ValidationError as error:
        found = "\n".join(
            f"  {one.key or 'all of it'}: {one.text}" for one in problems(error, unit, config)
        )
        raise ConfigError(
            f"unit {name!r} cannot be configured like this:\n{found}\n"
            f"`ampelstream units show {name}` describes its keys"
        ) from error
