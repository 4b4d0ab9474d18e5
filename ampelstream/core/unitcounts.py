"""What each unit of each channel did: how often it ran, and what it failed of."""

from collections.abc import Iterator

import msgspec

from ampelstream.core.accounting import OTHER, Accounting
from ampelstream.topology import Topology

__all__ = ["UnitCounts", "unit_counts"]


class UnitCounts(msgspec.Struct, frozen=True):
    """Counts of one unit, match filter or alert filter in one channel.

    Attributes
    ----------
    channel, unit
        Names of the channel, and of the unit in it.
    kind
        ``filter``, ``match`` or ``unit``.
    runs
        How often it was asked. Of an alert filter, how often by single alerts: it is so where it
        cannot judge columns, or fails on them. A unit whose ``needs`` gave nothing has had its turn
        too, and failed.
    cached
        Results that were there already, for the same input.
    failed
        How often it raised, or gave what it must not.
    reason
        What it failed of most often, numbers as ``#`` and without the name of the object; empty
        where it never did.
    """

    channel: str
    unit: str
    kind: str
    runs: int = 0
    cached: int = 0
    failed: int = 0
    reason: str = ""

    @property
    def always_fails(self) -> bool:
        """Whether it has been asked, and has never given anything."""
        return 0 < self.runs <= self.failed

    def __str__(self) -> str:
        """All of it for people."""
        name = f"{self.channel}/{self.unit}"
        cached = f", {self.cached} results from the cache" if self.cached else ""
        text = f"{name}: {self.runs} runs{cached}"
        if not self.failed:
            return text
        how = "all failed" if self.always_fails else f"{self.failed} failed"
        return f"{text}, {how}, most often of {self.reason}"


def unit_counts(topology: Topology, accounting: Accounting) -> Iterator[UnitCounts]:
    """Counts of all units, in the order of the topology."""
    for channel in topology.channels:
        kinds = (("filter", channel.filters), ("match", channel.match), ("unit", channel.units))
        for kind, units in kinds:
            for bound in units:
                of = (channel.name, bound.name)
                reasons = list(accounting.by("unit_failed", *of))
                yield UnitCounts(
                    *of,
                    kind,
                    accounting.total("unit_runs", *of),
                    accounting.total("unit_cached", *of),
                    sum(number for _, number in reasons),
                    # what is counted as other is of many kinds, none of them the commonest
                    max(reasons, key=lambda one: (one[0] != OTHER, one[1]), default=("", 0))[0],
                )
