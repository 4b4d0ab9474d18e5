"""Candidates in the order that the report shows them, each with its number and its anchor."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ampelstream.model.candidate import Candidate, CandidateStatus
from ampelstream.report.facts import Facts, facts_of, score_of
from ampelstream.report.model import EventReport, ReplayReport

__all__ = ["EventView", "Listing", "Row", "arrange", "score_order", "trigger_jd"]

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class Row:
    """One candidate in its place.

    Attributes
    ----------
    candidate, facts
        What is shown.
    rank
        Place within its event and channel, from 1.
    label
        The rank, with the channel's letter where the report has several channels.
    score
        The number that the channel ranks by; None where the unit gave none.
    anchor
        Where its card is, or would be.
    """

    candidate: Candidate
    facts: Facts
    rank: int
    label: str
    score: float | None
    anchor: str


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
    """An event with its listings and its anchor."""

    event: EventReport
    anchor: str
    listings: Sequence[Listing]

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
