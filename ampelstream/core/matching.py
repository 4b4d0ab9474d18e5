"""Object x event x channel: whether it is a candidate, and what the units say.

``evaluate`` is a function of what is known of the object and of the event, and of nothing else.
That is why the order of arrival does not matter: whichever came last, the same sets are looked at.
"""

from collections.abc import Sequence

import msgspec

from ampelstream.core.boundary import Failure, attempt
from ampelstream.core.events import Event
from ampelstream.core.results import ResultCache, failed_result, run_units
from ampelstream.core.state import AcceptedAlert, ObjectState
from ampelstream.model.candidate import Candidate, CandidateStatus, Provenance, UnitResult
from ampelstream.model.lightcurve import LightCurve
from ampelstream.topology import Channel, Topology
from ampelstream.units import MatchInputs

__all__ = ["evaluate", "inside", "rejection", "with_evidence"]


def inside(
    channel: Channel, alerts: Sequence[AcceptedAlert], event: Event, place: tuple[float, str]
) -> list[AcceptedAlert]:
    """Alerts that the channel accepted and that lie in its region and window around a trigger."""
    t0 = place[0]
    region = event.places[place][channel.region]
    first, last = t0 + channel.window[0], t0 + channel.window[1]
    return [
        alert
        for alert in alerts
        if first <= alert.jd <= last and channel.name in alert.channels and alert.pixel in region
    ]


def rejection(
    channel: Channel, curve: LightCurve, event: Event
) -> tuple[str, tuple[UnitResult, ...]]:
    """Judge the object for the event with the channel's match filters.

    Returns
    -------
    reason
        Of the first filter that rejects; empty where all pass.
    errors
        Of filters that failed: they do not reject, the candidate carries their error.
    """
    errors: list[UnitResult] = []
    if event.current is None:
        return "", ()
    for bound in channel.match:
        verdict = attempt(bound.unit.judge, MatchInputs(lightcurve=curve, event=event.current))
        if isinstance(verdict, Failure):
            errors.append(failed_result(bound, curve.digest, verdict))
        elif not verdict.accept:
            return verdict.reason, ()
    return "", tuple(errors)


def _status(channel: Channel, state: ObjectState, event: Event) -> CandidateStatus | None:
    """Where the object stands; None where no revision of the event ever held it."""
    current = event.current_place
    if current is not None and inside(channel, state.alerts, event, current):
        return CandidateStatus.RETRACTED if event.retracted else CandidateStatus.ACTIVE
    for place in event.places:
        if place != current and inside(channel, state.alerts, event, place):
            return CandidateStatus.RETRACTED if event.retracted else CandidateStatus.OUTSIDE
    return None


def _rank(channel: Channel, candidate: Candidate) -> float | None:
    """The number that the channel ranks by."""
    if channel.rank_by is None:
        return None
    value = (candidate.result(channel.rank_by.unit) or {}).get(channel.rank_by.field)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value)


def evaluate(
    topology: Topology,
    channel: Channel,
    state: ObjectState,
    curve: LightCurve,
    event: Event,
    cache: ResultCache,
) -> Candidate | None:
    """Last revision of the candidate, as the state keeps it.

    Parameters
    ----------
    topology, channel
        The workflow and the selection.
    state
        The object.
    curve
        Its light curve, whole.
    event
        The event.
    cache
        Results that need not be computed again; new ones are added.

    Returns
    -------
    Candidate or None
        None where it is no candidate. Without light curve and record coordinates, which
        ``with_evidence`` puts in.
    """
    status = _status(channel, state, event)
    if status is None or event.current is None or event.current.t0_jd is None:
        return None
    reason, errors = rejection(channel, curve, event)
    if reason:
        return None
    t0 = event.current.t0_jd
    seen = curve.between(t0 - channel.before, t0 + channel.after)
    position = seen.position or curve.position
    candidate = Candidate(
        object_id=state.object_id,
        event_id=event.event_id,
        channel=channel.name,
        status=status,
        provenance=Provenance(
            topology=topology.name,
            topology_version=topology.version,
            topology_hash=topology.hash,
            lightcurve_digest=seen.digest,
            event_revision=event.state.revisions[-1].revision.revision_id,
            event_digest=event.state.revisions[-1].revision.content_digest,
            alerts=tuple(a.candid for a in state.alerts if channel.name in a.channels),
        ),
        t0_jd=t0,
        ra=position[0] if position else None,
        dec=position[1] if position else None,
    )
    if status is not CandidateStatus.ACTIVE:
        return candidate
    results = errors + run_units(channel, seen, event, cache)
    candidate = msgspec.structs.replace(candidate, results=results)
    return msgspec.structs.replace(candidate, rank=_rank(channel, candidate))


def with_evidence(
    channel: Channel, candidate: Candidate, state: ObjectState, curve: LightCurve, event: Event
) -> Candidate:
    """The candidate with its light curve and the coordinates of the records it came from."""
    t0 = candidate.t0_jd or 0.0
    records = [a.where for a in state.alerts if channel.name in a.channels]
    records.extend([event.state.revisions[-1].where] if event.state.revisions else [])
    return msgspec.structs.replace(
        candidate,
        provenance=msgspec.structs.replace(candidate.provenance, records=tuple(records)),
        lightcurve=curve.between(t0 - channel.before, t0 + channel.after).datapoints,
    )
