"""What is counted, once, for the summary of a replay and for Prometheus alike.

Counts that must add up, at any time and over any restart:

- alerts ``received`` = ``passed`` + ``rejected_by_all`` + ``failed`` + ``parked``, where a parked
  alert that is read again counts as received on the stream ``parked``;
- alerts ``passed`` = ``accepted`` + ``known`` + ``failed`` on the stream ``detections``;
- notices ``received`` = ``announced`` + ``failed``.

A processor counts into a `Tally` of its own. What stands there joins the accounts when the runtime
has made the batch durable, and vanishes with the processor when it has not: a batch that is done
again is counted once.
"""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType

__all__ = ["COUNTS", "OTHER", "Accounting", "CountKey", "Tally"]

CountKey = tuple[str, ...]
"""Name of a count, then its labels in the order of `COUNTS`."""

COUNTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "received": ("Records read from the inputs.", ("stream",)),
    "passed": ("Alerts that a channel accepted.", ()),
    "rejected_by_all": ("Alerts that every channel rejected, by the first reason.", ("reason",)),
    "rejected": ("Alerts that a channel rejected, by reason.", ("channel", "reason")),
    "failed": ("Records that could not be handled, so that they are dead letters.", ("stream",)),
    "parked": ("Alerts that were put aside until their schema is known.", ()),
    "watermark_refused": ("Alerts younger than the clock, which do not move event time.", ()),
    "accepted": ("Alerts that were new to their object.", ()),
    "known": ("Alerts and revisions of events that the state held already.", ("stream",)),
    "channel_accepted": ("Alerts new to a channel.", ("channel",)),
    "channel_known": ("Alerts that a channel had accepted before.", ("channel",)),
    "channel_failed": ("Alerts that a channel could not judge: a filter failed.", ("channel",)),
    "odd_magnitudes": ("Accepted alerts whose own magnitude is no magnitude.", ("kind",)),
    "unit_runs": ("Results that were computed.", ("channel", "unit")),
    "unit_cached": ("Results that were there already.", ("channel", "unit")),
    "unit_failed": (
        "Failures of units and filters, by what went wrong (numbers as #).",
        ("channel", "unit", "reason"),
    ),
    "refiltered": ("Alerts that were read again for changed filters.", ()),
    "unjudged": ("Alerts that could not be judged anew when they were read again.", ()),
    "backfilled": ("Alerts that changed filters accepted when they were read again.", ()),
    "announced": ("Notices that were understood.", ()),
    "remarks": (
        "What was put right in notices and sky maps, or left out of them, by event and what it is.",
        ("reason",),
    ),
    "revised": ("Revisions of events that were new.", ()),
    "dead_letters": (
        "Dead letters written, by stream, step and class of the error.",
        ("stream", "step", "error"),
    ),
    "candidates": ("Revisions of candidates.", ()),
    "reactions": ("Reactions, by outcome.", ("rule", "outcome")),
    "repeated": ("Candidates that a rule had looked at before.", ("rule",)),
}
"""Every count: what it means, and the names of its labels."""

OTHER = "other"
"""Reason under which is counted what comes after too many different ones."""
_OPEN = frozenset({"error", "reason"})
"""Labels whose values come from units and records."""
_MAX_REASONS = 50
_MAX_REASON_LENGTH = 120


class Tally:
    """Counts of one processor that are not durable yet; used by one thread at a time."""

    def __init__(self, accounting: "Accounting") -> None:
        self._accounting = accounting
        self._pending: Counter[CountKey] = Counter()
        self._examples: dict[str, str] = {}

    def count(self, name: str, *labels: str, n: int = 1) -> None:
        """Count ``n`` more of what the name and its labels mean."""
        self._pending[(name, *labels)] += n

    def example(self, name: str, text: str) -> None:
        """Name one of what is counted, for people; the first of a batch is kept."""
        self._examples.setdefault(name, text)

    def commit(self) -> None:
        """What was counted is durable: it joins the accounts."""
        if self._pending:
            self._accounting.add(self._pending, self._examples)
            self._pending, self._examples = Counter(), {}


class BackfillTally(Tally):
    """Counts of alerts that are read again: they have been counted when they were new.

    Only how many there were is counted, how many of them could not be judged anew, and what became
    a dead letter.
    """

    def count(self, name: str, *labels: str, n: int = 1) -> None:
        """Count, if it is not a repetition."""
        if name == "received":
            super().count("refiltered", n=n)
        elif name == "failed":
            super().count("unjudged", n=n)
        elif name == "dead_letters":
            super().count(name, *labels, n=n)


class Accounting:
    """The counts of one process, or of one state that outlives it; from any thread.

    Reasons beyond the fiftieth of a channel are counted as `OTHER`, so that a reason with a number
    in it fills neither this memory nor that of the monitoring.

    Parameters
    ----------
    counts
        What had been counted before.
    """

    def __init__(self, counts: Mapping[CountKey, int] | None = None) -> None:
        self._counts: Counter[CountKey] = Counter()
        self._examples: dict[str, str] = {}
        self._reasons: dict[CountKey, set[str]] = {}
        self._lock = threading.Lock()
        self.add(counts or {})

    def tally(self) -> Tally:
        """Counts for one processor."""
        return Tally(self)

    def backfill_tally(self) -> Tally:
        """Counts for one that filters earlier alerts anew."""
        return BackfillTally(self)

    def add(
        self, counts: Mapping[CountKey, int], examples: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Add counts, and what they are of by name; those of one call become visible together."""
        with self._lock:
            self._examples.update(examples)
            for key, n in counts.items():
                self._counts[self._bounded(key)] += n

    def _bounded(self, key: CountKey) -> CountKey:
        """The key, its reason or error (the last label of some counts) within bounds."""
        if not _OPEN.intersection(COUNTS[key[0]][1][-1:]):
            return key
        reason = key[-1][:_MAX_REASON_LENGTH]
        known = self._reasons.setdefault(key[:-1], set())
        if len(known) < _MAX_REASONS and reason != OTHER:
            known.add(reason)
        elif reason not in known:
            reason = OTHER
        return (*key[:-1], reason)

    def counts(self) -> dict[CountKey, int]:
        """Everything counted so far, by name and labels, as of one moment."""
        with self._lock:
            return dict(self._counts)

    def example(self, name: str) -> str:
        """One of what is counted: the first of the last batch that had any, in this process."""
        with self._lock:
            return self._examples.get(name, "")

    def total(self, name: str, *labels: str) -> int:
        """Sum of a count over the labels that are not given."""
        begin = (name, *labels)
        return sum(n for key, n in self.counts().items() if key[: len(begin)] == begin)

    def by(self, name: str, *labels: str) -> Iterator[tuple[str, int]]:
        """Give a count by its next label, sorted."""
        begin = (name, *labels)
        at = len(begin)
        found: Counter[str] = Counter()
        for key, n in self.counts().items():
            if key[:at] == begin and len(key) > at:
                found[key[at]] += n
        yield from sorted(found.items())
