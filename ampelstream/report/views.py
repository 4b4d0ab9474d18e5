"""What a report shows of each candidate and event, in which order, and how its numbers are worded.

`arrange` turns a `ReplayReport` into views: an `EventView` per event, in it a `Listing` per
channel, in it a `Row` per candidate, each with its rank, its anchor in the page and its `Facts`.
The page, the terminal and the drawings read nothing but views. The wording of facts that tables,
cards and terminal share stands at the end.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ampelstream.model.candidate import Candidate, CandidateStatus
from ampelstream.model.display import counted
from ampelstream.model.lightcurve import Datapoint
from ampelstream.model.position import APART_ARCSEC
from ampelstream.model.times import iso_from_jd
from ampelstream.report.content import EventReport, ReplayReport, ReportMap, Stamp, StampsOf
from ampelstream.report.quantities import DASH, is_number, number
from ampelstream.units.cosmology import distances

__all__ = [
    "EventView",
    "Facts",
    "Listing",
    "Row",
    "arrange",
    "counts_text",
    "facts_of",
    "first_day",
    "first_text",
    "is_test",
    "latest_text",
    "level_text",
    "position_text",
    "redshift_text",
    "score_of",
    "score_order",
    "score_text",
    "strays_text",
    "trigger_jd",
    "with_stamps",
]

# Where several units say the same thing, the first that says it wins. These are the spellings in
# use: AMPEL's, which the project's own units keep, and ligo.skymap's.
_LEVELS = ("cumprob", "searched_prob", "credible_level")
_REDSHIFTS = ("redshift", "ampel_z", "z")
_REDDENINGS = ("ebv", "mwebv", "sfd_ebv", "ebv_sfd", "E(B-V)")
_DISTANCES = ("distance_mpc", "luminosity_distance_mpc", "dist_mpc")


@dataclass(frozen=True, slots=True)
class Facts:
    """The columns of the candidate tables.

    Attributes
    ----------
    first_days
        First detection that is brighter than the reference minus the trigger [d]; None without an
        event.
    first_alert
        The earliest alert that the channel accepted, as the light curve has it.
    latest
        Latest detection; those fainter than the reference are none (`Datapoint.is_detection`).
    level
        Credible level of the position in the event's sky map.
    redshift
        As a unit gave it; above 0.
    distance_mpc
        Luminosity distance [Mpc]: as a unit gave it, otherwise that of the redshift (Planck 2015).
    detections, negative, forced
        Number of detections, of those fainter than the reference, and of forced measurements.
    ebv
        Reddening E(B-V) in the Milky Way [mag], as a unit gave it.
    has_trigger
        Whether there is an event with a trigger time.
    """

    first_days: float | None
    first_alert: Datapoint | None
    latest: Datapoint | None
    level: float | None
    redshift: float | None
    distance_mpc: float | None
    detections: int
    negative: int
    forced: int
    ebv: float | None
    has_trigger: bool


def facts_of(candidate: Candidate, skymap: ReportMap | None) -> Facts:
    """Gather the facts; the credible level falls back on the sky map itself."""
    detections = sorted(
        (p for p in candidate.lightcurve if p.is_detection), key=lambda p: (p.jd, p.id)
    )
    first = None
    if detections and candidate.t0_jd is not None:
        first = detections[0].jd - candidate.t0_jd
    level = _named(candidate, _LEVELS)
    redshift = _positive(candidate, _REDSHIFTS)
    accepted = set(candidate.provenance.alerts)
    found = (p for p in candidate.lightcurve if p.id in accepted and not p.forced)
    return Facts(
        first_days=first,
        first_alert=min(found, key=lambda p: (p.jd, p.id), default=None),
        latest=detections[-1] if detections else None,
        level=_level_in(candidate, skymap) if level is None else level,
        redshift=redshift,
        distance_mpc=_positive(candidate, _DISTANCES) or _distance(redshift),
        detections=len(detections),
        negative=sum(p.is_negative for p in candidate.lightcurve),
        forced=sum(p.forced for p in candidate.lightcurve),
        ebv=_named(candidate, _REDDENINGS),
        has_trigger=candidate.t0_jd is not None,
    )


def score_of(candidate: Candidate, path: str | None) -> float | None:
    """Value at ``path`` ("Unit.key", or deeper) of the results; without a path, the rank."""
    if path is None:
        return candidate.rank
    name, *keys = path.split(".")
    value: Any = candidate.result(name)
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return float(value) if is_number(value) else None


def _level_in(candidate: Candidate, skymap: ReportMap | None) -> float | None:
    if skymap is None or candidate.ra is None or candidate.dec is None:
        return None
    level = float(skymap.credible_levels(np.array([candidate.ra]), np.array([candidate.dec]))[0])
    return level if math.isfinite(level) else None


def _positive(candidate: Candidate, names: tuple[str, ...]) -> float | None:
    """A redshift or distance; units write 0, too, where they have none."""
    value = _named(candidate, names)
    return value if value is not None and value > 0 else None


def _distance(redshift: float | None) -> float | None:
    found = None if redshift is None else distances(redshift)
    return None if found is None else found.luminosity_mpc


def _named(candidate: Candidate, names: tuple[str, ...]) -> float | None:
    for name in names:
        for value in _values(candidate, name):
            if is_number(value):
                return float(value)
    return None


def _values(candidate: Candidate, name: str) -> Iterator[Any]:
    for result in candidate.results:
        if result.body is not None and name in result.body:
            yield result.body[name]


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate and its rank.

    Attributes
    ----------
    candidate, facts
        What is shown.
    rank
        Within its event and channel, from 1.
    label
        The rank, with the channel's letter where the report has several channels.
    score
        The number that the channel ranks by; None where the unit gave none.
    anchor
        Where its card is, or would be.
    stamps
        Images for its card.
    """

    candidate: Candidate
    facts: Facts
    rank: int
    label: str
    score: float | None
    anchor: str
    stamps: tuple[Stamp, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """Candidates of one event in one channel.

    Attributes
    ----------
    channel, letter
        The channel, and its letter in labels (empty where there is only one channel).
    score_path
        What it ranks by; None where the topology does not say.
    ascending
        Whether low values come first.
    active
        Best first.
    others
        Outside or retracted, in the same order.
    """

    channel: str
    letter: str
    score_path: str | None
    ascending: bool
    active: Sequence[Row]
    others: Sequence[Row]


@dataclass(frozen=True, slots=True)
class EventView:
    """An event with its listings and its anchor; or, without a name, what follows no event."""

    event: EventReport
    anchor: str
    listings: Sequence[Listing]

    @property
    def title(self) -> str:
        """What it is called."""
        return self.event.event_id or "Objects without an event"

    @property
    def active(self) -> list[Row]:
        """The active candidates of all channels."""
        return [row for listing in self.listings for row in listing.active]


def arrange(report: ReplayReport) -> list[EventView]:
    """Events with active candidates first, then by trigger time; candidates by their score."""
    by_event: dict[str, list[Candidate]] = {}
    for candidate in report.candidates:
        by_event.setdefault(candidate.event_id, []).append(candidate)
    # A candidate is shown even when nobody handed over its event.
    orphans = [
        EventReport(event_id=name, revisions=(), skymap=None, retracted=False)
        for name in sorted(by_event.keys() - {event.event_id for event in report.events})
    ]
    letters = _letters(report)
    pairs = [(event, by_event.get(event.event_id, [])) for event in [*report.events, *orphans]]
    pairs.sort(key=_event_order)
    return [
        EventView(
            event=event,
            anchor=f"e{index}",
            listings=[
                _listing(event, channel, candidates, letters[channel], report.ranking, f"e{index}")
                for channel in sorted({candidate.channel for candidate in candidates})
            ],
        )
        for index, (event, candidates) in enumerate(pairs, 1)
    ]


def is_test(event: EventReport) -> bool:
    """Whether the event is a test, an injection, or a mock one."""
    return any(one.revision.test for one in event.revisions)


_MOST_STAMPED = 200
"""Cards with cutouts: some 15 kB each, so that they add 3 MB to the page at most."""


def with_stamps(views: Sequence[EventView], stamps: StampsOf, cards: int) -> list[EventView]:
    """The same views, with cutouts for the candidates that have a card: the first 200 of them."""
    shown = [row for view in views for one in view.listings for row in one.active[:cards]]
    found = stamps([row.candidate for row in shown[:_MOST_STAMPED]])

    def stamped(row: Row) -> Row:
        return replace(row, stamps=found.get(row.candidate.key, ()))

    return [
        replace(
            view,
            listings=[
                replace(one, active=[stamped(row) for row in one.active]) for one in view.listings
            ],
        )
        for view in views
    ]


def trigger_jd(event: EventReport) -> float | None:
    """Trigger time [JD, UTC] of the latest revision that gives one (a retraction does not)."""
    times = [one.revision.t0_jd for one in event.revisions]
    return next((t0 for t0 in reversed(times) if t0 is not None), None)


def _event_order(pair: tuple[EventReport, Sequence[Candidate]]) -> tuple[bool, float, str]:
    event, candidates = pair
    t0 = trigger_jd(event)
    has_active = any(one.status is CandidateStatus.ACTIVE for one in candidates)
    return (not has_active, float("inf") if t0 is None else t0, event.event_id)


def _letters(report: ReplayReport) -> dict[str, str]:
    channels = set(report.ranking) | {candidate.channel for candidate in report.candidates}
    if len(channels) == 1:
        return dict.fromkeys(channels, "")
    return {
        name: _LETTERS[index] if index < len(_LETTERS) else f"{_LETTERS[-1]}{index}."
        for index, name in enumerate(sorted(channels))
    }


def _listing(
    event: EventReport,
    channel: str,
    candidates: Sequence[Candidate],
    letter: str,
    ranking: Mapping[str, tuple[str, bool]],
    anchor: str,
) -> Listing:
    path, ascending = ranking.get(channel, (None, False))
    mine = [candidate for candidate in candidates if candidate.channel == channel]

    def rows(*, active: bool) -> list[Row]:
        half = [one for one in mine if (one.status is CandidateStatus.ACTIVE) is active]
        scored = [(score_of(one, path), one) for one in half]
        scored.sort(
            key=lambda pair: (*score_order(pair[0], ascending=ascending), pair[1].object_id)
        )
        return [
            Row(
                candidate=candidate,
                facts=facts_of(candidate, event.skymap),
                rank=rank,
                label=f"{letter}{rank}",
                score=score,
                anchor=f"{anchor}-{letter.lower() or 'c'}{rank}",
            )
            for rank, (score, candidate) in enumerate(scored, 1)
        ]

    return Listing(
        channel=channel,
        letter=letter,
        score_path=path,
        ascending=ascending,
        active=rows(active=True),
        others=rows(active=False),
    )


def score_order(score: float | None, *, ascending: bool) -> tuple[bool, float]:
    """Sort key by which the best comes first and those without a score last."""
    if score is None:
        return True, 0.0
    return False, score if ascending else -score


def score_text(row: Row) -> str:
    """Score to four significant digits."""
    return DASH if row.score is None else number(row.score)


def position_text(candidate: Candidate) -> str:
    """Right ascension and declination [deg] to 1e-5, about 0.04 arcsec."""
    if candidate.ra is None or candidate.dec is None:
        return DASH
    return f"{candidate.ra:.5f} {candidate.dec:+.5f}"


def strays_text(candidate: Candidate) -> str:
    """What there is to say of detections that lie elsewhere; empty where none does."""
    if not candidate.strays:
        return ""
    words = counted(candidate.strays, "detection lies", "detections lie")
    scatter = candidate.scatter_arcsec or 0.0
    return f"{words} more than {APART_ARCSEC:g}\N{DOUBLE PRIME} away (median {_angle(scatter)})"


def _angle(arcsec: float) -> str:
    degrees = arcsec / 3600.0
    return f"{degrees:.3g}\N{DEGREE SIGN}" if degrees >= 1.0 else f"{arcsec:.3g}\N{DOUBLE PRIME}"


def counts_text(facts: Facts) -> str:
    """How many detections there are, and of what else."""
    words = counted(facts.detections, "detection")
    words += f", {facts.negative} negative" if facts.negative else ""
    return words + (f", {facts.forced} forced" if facts.forced else "")


def first_text(facts: Facts) -> str:
    """First detection after the trigger [d], with its sign; without an event the day that it was.

    It is then that of the first alert that the channel accepted.
    """
    if facts.first_days is not None:
        return f"{facts.first_days:+.2f}"
    day = first_day(facts)
    return DASH if day is None else iso_from_jd(day)[:10]


def first_day(facts: Facts) -> float | None:
    """Day of the first alert that passed [JD], where there is no trigger to count from."""
    return None if facts.has_trigger or facts.first_alert is None else facts.first_alert.jd


def latest_text(facts: Facts) -> str:
    """Latest magnitude and its band."""
    if facts.latest is None or facts.latest.mag is None:
        return DASH
    return f"{facts.latest.mag:.2f} {facts.latest.band}"


def level_text(facts: Facts) -> str:
    """Credible level in percent, finely where it is close to 100 %."""
    if facts.level is None:
        return DASH
    return f"{100 * facts.level:.1f} %" if facts.level < 0.999 else f"{100 * facts.level:.3f} %"  # noqa: PLR2004  (99.9 %)


def redshift_text(facts: Facts) -> str:
    """Redshift to three significant digits."""
    return DASH if facts.redshift is None else number(facts.redshift, 3)
