"""From the name of a unit to its class, and from a configuration to a unit.

A unit is named by the class name of one that ships, by an entry point of an installed package, or
by its import path. Modules are imported only when a unit of theirs is asked for.
"""

import difflib
import importlib
from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from ampelstream.errors import ConfigError
from ampelstream.units import Unit

__all__ = ["ENTRY_POINTS", "available", "configure", "resolve"]

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
        "SkyMapProbability": f"{_UNITS}.context.skymapprobability",
        "WatchlistFilter": f"{_UNITS}.filters.watchlist",
    }
)
"""Units that ship, and the modules that are imported only when one is asked for."""


def available() -> list[str]:
    """Names of the units that ship and of those that installed packages offer, sorted."""
    return sorted({*_OWN, *(point.name for point in entry_points(group=ENTRY_POINTS))})


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
    lower = {one.lower(): one for one in among}
    found = difflib.get_close_matches(word.lower(), list(lower), n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(lower[one] for one in found)}?" if found else ""


def _import(name: str, module: str, attribute: str) -> type[Unit]:
    try:
        holder = importlib.import_module(module)
    except (ImportError, SyntaxError) as error:
        last = module.rpartition(".")[2]
        raise ConfigError(
            f"unit {name!r}: the module {module} cannot be imported ({error})."
            f"{_close(name, available())} A unit of your own must be importable: install its "
            f"package, or put the directory that holds {last}.py on PYTHONPATH"
        ) from error
    found = getattr(holder, attribute, None)
    if isinstance(found, type) and issubclass(found, Unit):
        return found
    if found is None:
        here = [key for key, value in vars(holder).items() if _is_unit(value)]
        raise ConfigError(
            f"unit {name!r}: the module {module} has no {attribute}.{_close(attribute, here)}"
        )
    raise ConfigError(
        f"unit {name!r}: {attribute} of {module} is not a unit; derive it from AlertFilter, "
        "MatchFilter or ObjectUnit of ampelstream.units"
    )


def _is_unit(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Unit)


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
        problems = [_problem(unit, one) for one in error.errors(include_url=False)]
        raise ConfigError(
            f"unit {name!r} cannot be configured like this:\n"
            + "\n".join(f"  {problem}" for problem in problems)
            + f"\n`ampelstream units show {name}` describes its keys"
        ) from error


def _problem(unit: type[Unit], error: Mapping[str, Any]) -> str:
    """One line: key, problem and, where it is known, the remedy."""
    where = ".".join(str(step) for step in error["loc"])
    top = len(error["loc"]) == 1
    if error["type"] == "extra_forbidden" and top:
        known = list(unit.model_fields)
        return f"{where}: no such key.{_close(where, known) or f' Known: {_listed(known)}'}"
    if error["type"] == "missing":
        field = unit.model_fields.get(where) if top else None
        said = f" ({field.description})" if field is not None and field.description else ""
        return f"{where}: is missing{said}"
    message = str(error["msg"]).removeprefix("Value error, ")
    if not where:
        return message
    return f"{where}: {message} (given: {error['input']!r})"


def _listed(names: list[str]) -> str:
    return ", ".join(names) if names else "none, it has no configuration"
