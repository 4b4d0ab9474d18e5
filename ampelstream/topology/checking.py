"""Whether conditions and rankings speak of what there is: fields of alerts, events and results."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ampelstream.codecs.alertfields import ALERT_FIELDS
from ampelstream.errors import ConfigError
from ampelstream.model.candidate import DETECTIONS, SPOKEN_OF, Candidate
from ampelstream.model.event import KNOWN_KEYS, EventRevision
from ampelstream.model.fieldtypes import ANY, NUMBER, FieldType, type_of, union
from ampelstream.topology.conditions import Condition
from ampelstream.topology.conditiontypes import Names, faults
from ampelstream.topology.findings import Findings, Path
from ampelstream.topology.spec import AlertsSpec, RankSpec
from ampelstream.units import ObjectUnit
from ampelstream.wording import close, mend

__all__ = [
    "alert_fields",
    "check_rank",
    "check_told",
    "checked",
    "event_names",
    "names_of_alerts",
    "names_of_candidates",
    "results_of",
]

_OTHER_NAMES = {"rubin": "lsst", "vera rubin": "lsst", "palomar": "ztf"}
"""What surveys are called, and what a file calls them."""
_KINDS: Mapping[str, FieldType] = {
    one: FieldType(one, nullable=True) for one in ("number", "truth", "text")
}


def alert_fields(
    spec: AlertsSpec, path: Path, findings: Findings
) -> Mapping[str, FieldType] | None:
    """Fields of the alerts of a channel; None where no survey has the name, which is noted."""
    known = ALERT_FIELDS.get(spec.survey)
    if known is None:
        other = _OTHER_NAMES.get(spec.survey.lower())
        meant = f"did you mean {other}?" if other else mend(spec.survey, ALERT_FIELDS)
        findings.wrong((*path, "survey"), f"there is no survey {spec.survey}; {meant}")
        return None
    return {**known, **{name: _KINDS[kind] for name, kind in spec.fields.items()}}


def names_of_alerts(survey: str, fields: Mapping[str, FieldType]) -> Names:
    """What a condition on alerts may speak of."""
    return Names(fields, f"alerts of {survey} have no field")


def event_names(kinds: Sequence[str] = ()) -> Names:
    """What a condition on events may speak of; where kinds are named, of no other."""
    fields = dict(type_of(EventRevision).fields)
    fields["kind"] = replace(fields["kind"], words=tuple(kinds))
    for name, keys in KNOWN_KEYS.items():
        held = fields[name]
        of = held.of or ANY
        fields[name] = FieldType(
            "record", held.nullable, of=of, fields={**dict.fromkeys(keys, of), **held.fields}
        )
    return Names(fields, "events have no")


def results_of(units: Iterable[tuple[str, ObjectUnit]]) -> dict[str, FieldType]:
    """Fields of the results of a channel's units, by name, in the order of the file."""
    return {name: unit.result_fields() for name, unit in units}


def check_told(results: Mapping[str, FieldType], path: Path, findings: Findings) -> None:
    """Note which units do not say what they give."""
    for number, (name, held) in enumerate(results.items()):
        if held.open:
            findings.note(
                (*path, number),
                f"{name} does not say which fields its result has, so that conditions and rankings "
                "by them are not checked; have its `compute` return a msgspec.Struct",
            )


def names_of_candidates(
    channels: Sequence[Mapping[str, FieldType]], called: Sequence[str] = ()
) -> Names:
    """What a rule may speak of: the candidate, and the results of the channels that it is for.

    Where it is said what these are called, of no other channel.
    """
    own = type_of(Candidate).fields
    fields = {name: own[name] for name in SPOKEN_OF} | {DETECTIONS: NUMBER}
    fields["channel"] = replace(fields["channel"], words=tuple(called))
    for name in {name for results in channels for name in results}:
        fields[name] = union([results[name] for results in channels if name in results])
    return Names(fields, "nothing is called")


def checked(text: str, names: Names | None, path: Path, findings: Findings) -> Condition:
    """Read a condition.

    Parameters
    ----------
    text
        Its source.
    names
        What it may speak of; None where that is not known.
    path
        Where it stands.
    findings
        Takes what is wrong with it.
    """
    try:
        condition = Condition(text)
    except ConfigError as error:
        findings.wrong(path, str(error))
        return Condition()
    for fault in faults(condition, names) if names is not None else ():
        findings.wrong(path, fault)
    return condition


def check_rank(
    spec: RankSpec, results: Mapping[str, FieldType], path: Path, findings: Findings
) -> tuple[str, str] | None:
    """Give unit and field by which a channel ranks; None where they are not there."""
    unit, _, field = spec.field.partition(".")
    if unit not in results:
        meant = mend(unit, results, known="units are") if results else "the channel has no units"
        findings.wrong(path, f"{spec.field!r} is not UNIT.FIELD of a unit; {meant}")
        return None
    held = results[unit]
    fields = [name for name, of in held.fields.items() if of.kind in {"number", "any"}]
    if not field:
        known = ", ".join(f"{unit}.{name}" for name in fields[:5])
        such = f", such as {known}" if known else f", as in {unit}.score"
        findings.wrong(path, f"{spec.field!r} says no field; say which one of {unit}{such}")
        return None
    inner = held.fields.get(field)
    if inner is None and held.kind == "record" and (held.of is None or close(field, held.fields)):
        findings.wrong(path, f"{unit} has no {field}; {mend(field, fields or held.fields)}")
    elif inner is not None and inner.kind not in {"number", "any"}:
        findings.wrong(path, f"{spec.field} is {inner}; rank by a number: {', '.join(fields)}")
    return unit, field
