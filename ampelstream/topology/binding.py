"""The units of a list of the file: found, configured, opened; and whether they fit together."""

import inspect
from collections.abc import Collection, Iterable, Sequence
from typing import Any, TypeVar

from pydantic import ValidationError

from ampelstream.errors import AmpelstreamError, ConfigError
from ampelstream.model.candidate import DETECTIONS, SPOKEN_OF
from ampelstream.topology.findings import Findings, Path
from ampelstream.topology.ownmodules import hidden
from ampelstream.topology.spec import UnitSpec
from ampelstream.units import AlertFilter, MatchFilter, ObjectUnit, Resources, Unit
from ampelstream.units.discovery import providing, resolve
from ampelstream.units.usercode import FAULTS, blamed
from ampelstream.wording import close, mend, problems

__all__ = ["bind", "check_alert_fields", "check_alone", "check_fields", "check_needs"]

U = TypeVar("U", bound=Unit)

_TAKEN = frozenset({*SPOKEN_OF, DETECTIONS, "true", "false", "null"})
"""Words of conditions, which no unit's entry may have as its name."""
_LISTS: tuple[tuple[type[Unit], str, str, str], ...] = (
    (AlertFilter, "filters", "an alert filter", "evaluate"),
    (MatchFilter, "match", "a match filter", "evaluate"),
    (ObjectUnit, "units", "an object unit", "compute"),
)
"""Each kind of unit, the list in which it stands, how it is called, and the method that it has."""


def bind(
    specs: Sequence[UnitSpec],
    kind: type[U],
    path: Path,
    resources: Resources | None,
    findings: Findings,
) -> list[tuple[str, U | None]]:
    """Configure the units of one list; open them, where there are resources.

    Parameters
    ----------
    specs
        What the file says.
    kind
        What stands in the list.
    path
        Of the list.
    resources
        What they read.
    findings
        Takes what is wrong.

    Returns
    -------
    list of tuple
        Names, and the units; None instead of one with which something is wrong.
    """
    bound: list[tuple[str, U | None]] = []
    seen: set[str] = set()
    for number, spec in enumerate(specs):
        entry = (*path, number)
        named = (*entry, "name" if spec.name else "unit")
        if spec.label in seen:
            findings.wrong(named, f"the name {spec.label} is taken; give this one a `name`")
        elif issubclass(kind, ObjectUnit) and spec.label in _TAKEN:
            findings.wrong(
                named,
                f"{spec.label} is a word of the conditions of rules (`when`), where it would no "
                f"longer be what it is; give this one another `name`, such as my_{spec.label}",
            )
        seen.add(spec.label)
        bound.append((spec.label, _unit(spec, kind, entry, resources, findings)))
    return bound


def _unit(
    spec: UnitSpec, kind: type[U], entry: Path, resources: Resources | None, findings: Findings
) -> U | None:
    found = _class(spec.unit, kind, (*entry, "unit"), findings)
    unit = None if found is None else _configured(spec, found, (*entry, "config"), findings)
    if unit is None or resources is None:
        return unit
    try:
        unit.open(resources)
    except AmpelstreamError as error:
        fault = type(error) if isinstance(error, ConfigError) else ConfigError
        findings.wrong(entry, f"{spec.label}: {error}", fault)
        return None
    except FAULTS as error:
        findings.wrong(entry, f"{spec.label} cannot be opened: {blamed(error)}")
        return None
    return unit


def _class(name: str, kind: type[U], path: Path, findings: Findings) -> type[U] | None:
    """Class of a unit, if it can stand in this list."""
    try:
        found = resolve(name)
    except ConfigError as error:
        findings.wrong(path, str(error))
        return None
    other = hidden(name.partition(":")[0]) if ":" in name else None
    if other is not None:
        own, where = other
        findings.wrong(
            path, f"{own.name} beside the file is hidden by {where}; give it another name"
        )
        return None
    if not issubclass(found, kind):
        findings.wrong(path, _misplaced(name, found, kind))
        return None
    _, _, called, method = next(one for one in _LISTS if issubclass(found, one[0]))
    if getattr(found, method) is getattr(kind, method):
        findings.wrong(path, f"{name} is {called} without `{method}`{_where(found)}; write it")
        return None
    if issubclass(found, ObjectUnit) and not isinstance(getattr(found, "provides", None), str):
        findings.wrong(
            path,
            f"{name} does not say what it `provides`{_where(found)}; add a line such as "
            '`provides: ClassVar[str] = "mine"` to the class',
        )
        return None
    return found


def _misplaced(name: str, found: type[Unit], kind: type[Unit]) -> str:
    wanted = next(place for base, place, _, _ in _LISTS if issubclass(kind, base))
    for base, place, called, _ in _LISTS:
        if issubclass(found, base):
            return f"{name} is {called}: move it from `{wanted}` to `{place}`"
    return f"{name} is no filter and no object unit; derive it from one of those"


def _where(found: type[Unit]) -> str:
    """File and line of a class, for a message."""
    try:
        line = inspect.getsourcelines(found)[1]
        return f" ({inspect.getsourcefile(found)}:{line})"
    except (OSError, TypeError):  # its source is not at hand
        return ""


def _configured(spec: UnitSpec, found: type[U], path: Path, findings: Findings) -> U | None:
    try:
        return found.model_validate(spec.config)
    except ValidationError as error:
        for one in problems(error, found, spec.config):
            findings.wrong(
                (*path, *one.path), one.text if one.path else f"{spec.label}: {one.text}"
            )
    except FAULTS as error:  # of a validator
        findings.wrong(path, f"{spec.label} cannot be configured: {blamed(error)}")
    return None


def check_needs(units: Sequence[tuple[str, ObjectUnit]], path: Path, findings: Findings) -> None:
    """Find units whose needs nobody before them provides."""
    for number, (name, unit) in enumerate(units):
        for need in unit.needs:
            if any(other.provides == need for _, other in units[:number]):
                continue
            later = [other for other, of in units[number:] if of.provides == need]
            findings.wrong(
                (*path, number), f"{name} needs {need}; {_remedy(name, need, later, units)}"
            )


def _remedy(
    name: str, need: str, later: Sequence[str], units: Iterable[tuple[str, ObjectUnit]]
) -> str:
    if later and later[0] != name:
        return f"move {later[0]} above {name}"
    such = providing(need)
    if such:
        return f"list a unit that provides {need} above it, such as {such[0]}"
    provided = {unit.provides for other, unit in units if other != name}
    meant = close(need, provided)
    return f"list a unit that provides {need} above it" + (
        f"; or did {name} mean to need {meant[0]}?" if meant else ""
    )


def check_alone(units: Sequence[tuple[str, ObjectUnit]], path: Path, findings: Findings) -> None:
    """Find units that ask for an event, where there is none."""
    for number, (name, unit) in enumerate(units):
        if unit.needs_event:
            findings.wrong(
                (*path, number),
                f"{name} needs an event, and the channel follows none; take it out, or write "
                "`follow: events`",
            )


def check_alert_fields(
    units: Sequence[tuple[str, ObjectUnit]],
    survey: str,
    known: Collection[str],
    path: Path,
    findings: Findings,
) -> None:
    """Find units that ask for fields of alerts which the channel's survey does not have."""
    for number, (name, unit) in enumerate(units):
        asked = unit.alert_fields
        if asked and survey not in asked:
            findings.wrong(
                (*path, number),
                f"{name} asks for fields of alerts of {', '.join(sorted(asked))}, and the channel "
                f"reads {survey}; say in its `alert_fields` which ones of {survey}",
            )
        for field in asked.get(survey, ()):
            if field not in known:
                findings.wrong(
                    (*path, number),
                    f"{name} asks for {field}, and alerts of {survey} have no such field; "
                    f"{mend(field, known)}",
                )


def check_fields(
    unit: AlertFilter, name: str, survey: str, known: Iterable[str], path: Path, findings: Findings
) -> None:
    """Note which fields a filter looks at that the alerts of a survey do not have."""
    try:
        asked: Any = unit.asks()
    except FAULTS as error:
        findings.wrong(path, f"{name} cannot say what it asks for: {blamed(error)}")
        return
    strange = sorted(asked.fields.difference(known)) if asked is not None else []
    if strange:
        findings.note(
            path,
            f"{name} looks at {', '.join(strange)}, which alerts of {survey} do not have: it may "
            "reject all of them",
        )
