"""Running a channel's units on one object and event.

A result is named by (unit, configuration, input): where the object's state already holds a result
of that name, whichever channel or event it was made for, it is taken and nothing is computed.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from ampelstream.core.boundary import Failure, attempt
from ampelstream.core.events import Event
from ampelstream.model.candidate import Candidate, UnitResult
from ampelstream.model.digest import digest
from ampelstream.model.lightcurve import LightCurve
from ampelstream.topology import BoundUnit, Channel
from ampelstream.units import Dependency, Inputs, ObjectUnit

__all__ = ["ResultCache", "failed_result", "plain", "results_of", "run_units"]

_encode = msgspec.msgpack.Encoder().encode
ResultCache = dict[tuple[str, str, str], UnitResult]
"""(unit, config hash, input digest) -> result."""


def results_of(candidates: Iterable[Candidate]) -> ResultCache:
    """Results that an object's candidates already hold."""
    return {
        (one.unit, one.config_hash, one.input_digest): one
        for candidate in candidates
        for one in candidate.results
    }


def _hook(value: Any) -> Any:
    """Numpy scalars and arrays as plain numbers and lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"a result may hold plain data only, not {type(value).__name__}")


def _finite(value: Any) -> Any:
    """Replace NaN and infinities, which JSON cannot say, with None."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_finite(one) for one in value]
    return value


def plain(body: Mapping[str, Any] | msgspec.Struct) -> dict[str, Any]:
    """A unit's result as data that JSON can say.

    Raises
    ------
    TypeError
        It holds something else than numbers, strings, lists and mappings.
    OverflowError, UnicodeEncodeError
        It holds an integer of more than 64 bits, or a text that is no Unicode.
    """
    data = _finite(msgspec.to_builtins(body, str_keys=True, enc_hook=_hook))
    if not isinstance(data, dict):
        raise TypeError(f"a result is a mapping or a struct, not {type(body).__name__}")
    _encode(data)  # what the state cannot hold is this unit's fault, and not its object's
    return data


def _compute(bound: BoundUnit[ObjectUnit], inputs: Inputs) -> dict[str, Any]:
    return plain((bound.compute or bound.unit.compute)(inputs))


def _wanted(
    unit: ObjectUnit, done: Sequence[tuple[str, UnitResult]]
) -> list[tuple[str, UnitResult]]:
    """Earlier results that the unit needs or uses, in the topology's order."""
    kinds = {*unit.needs, *unit.uses}
    return [(kind, one) for kind, one in done if kind in kinds]


def _failed_need(unit: ObjectUnit, done: Sequence[tuple[str, UnitResult]]) -> str:
    """Why the unit cannot run: an earlier unit that it needs gave no result."""
    for need in unit.needs:
        results = [one for kind, one in done if kind == need]
        if results and all(one.body is None for one in results):
            return f"needs {need}, but {results[0].name} gave no result"
    return ""


def run_units(
    channel: Channel, curve: LightCurve, event: Event, cache: ResultCache
) -> tuple[UnitResult, ...]:
    """Results of the channel's units, in order; those in the cache are not computed again.

    Parameters
    ----------
    channel
        Its units run.
    curve
        Light curve in the channel's time range.
    event
        Gives the current revision and its sky map.
    cache
        Known results; what is computed is added.
    """
    done: list[tuple[str, UnitResult]] = []
    event_digest = ""
    if event.current is not None and event.current_place is not None:
        event_digest = digest([event.current.content_digest, event.current_place[1]])
    for bound in channel.units:
        wanted = _wanted(bound.unit, done)
        named = [(one.name, one.config_hash, one.input_digest) for _, one in wanted]
        input_digest = digest([curve.digest, event_digest if bound.unit.needs_event else "", named])
        key = (type(bound.unit).__name__, bound.config_hash, input_digest)
        known = cache.get(key)
        if known is None:
            known = _run(bound, curve, event, wanted, input_digest, _failed_need(bound.unit, done))
            cache[key] = known
        elif known.name != bound.name:
            known = msgspec.structs.replace(known, name=bound.name)
        done.append((bound.unit.provides, known))
    return tuple(one for _, one in done)


def _run(
    bound: BoundUnit[ObjectUnit],
    curve: LightCurve,
    event: Event,
    wanted: Sequence[tuple[str, UnitResult]],
    input_digest: str,
    hindrance: str,
) -> UnitResult:
    """Run one unit; whatever it raises becomes the result's error."""
    if hindrance:
        return failed_result(bound, input_digest, Failure("UnitError", hindrance))
    inputs = Inputs(
        lightcurve=curve,
        event=event.current,
        skymap=event.skymap() if bound.unit.needs_event else None,
        dependencies=tuple(
            Dependency(kind, one.name, one.body) for kind, one in wanted if one.body is not None
        ),
    )
    outcome = attempt(_compute, bound, inputs)
    if isinstance(outcome, Failure):
        return failed_result(bound, input_digest, outcome)
    return _result(bound, input_digest, body=outcome)


def _result(
    bound: BoundUnit[Any], input_digest: str, *, body: dict[str, Any] | None = None, error: str = ""
) -> UnitResult:
    """Name what was run on what, and say what came out."""
    return UnitResult(
        name=bound.name,
        unit=type(bound.unit).__name__,
        version=bound.unit.version,
        config_hash=bound.config_hash,
        input_digest=input_digest,
        body=body,
        error=error,
    )


def failed_result(bound: BoundUnit[Any], input_digest: str, failure: Failure) -> UnitResult:
    """Give the result of a unit that failed."""
    return _result(bound, input_digest, error=f"{failure.error}: {failure.reason}")
