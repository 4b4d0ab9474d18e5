"""What has been counted; part of the state, so that a restart goes on counting where it was."""

from typing import Any

import msgspec

from ampelstream.core.ingest import Ingested

__all__ = ["ChannelCounts", "Counters", "StreamCounts"]


class ChannelCounts(msgspec.Struct):
    """One channel's view: accepted + duplicates + rejected = decoded alerts."""

    accepted: int = 0
    duplicates: int = 0
    rejected: dict[str, int] = msgspec.field(default_factory=dict)


class StreamCounts(msgspec.Struct):
    """One input.

    records_in = decoded + dead_letters, and decoded = accepted + duplicates + rejected.

    Attributes
    ----------
    dead_letters
        Records that could not be handled at any step.
    accepted
        Alerts that at least one channel accepted; notices that told something new.
    duplicates
        Alerts that the state held already; notices that were known.
    rejected
        Alerts that no channel accepted, by the first channel's reason.
    """

    records_in: int = 0
    decoded: int = 0
    duplicates: int = 0
    accepted: int = 0
    rejected: dict[str, int] = msgspec.field(default_factory=dict)
    dead_letters: int = 0


class Counters(msgspec.Struct):
    """All counts of a run."""

    alerts: StreamCounts = msgspec.field(default_factory=StreamCounts)
    notices: StreamCounts = msgspec.field(default_factory=StreamCounts)
    channels: dict[str, ChannelCounts] = msgspec.field(default_factory=dict)

    def stream(self, name: str) -> StreamCounts:
        """Counts of ``alerts`` or ``notices``."""
        return self.alerts if name == "alerts" else self.notices

    def alert(self, outcome: Ingested, duplicate_of: tuple[str, ...]) -> None:
        """Count an alert that was decoded and judged."""
        self.alerts.decoded += 1
        for name, reason in outcome.rejections:
            rejected = self.channels[name].rejected
            rejected[reason] = rejected.get(reason, 0) + 1
        if outcome.detection is None:
            reason = outcome.rejections[0][1]
            self.alerts.rejected[reason] = self.alerts.rejected.get(reason, 0) + 1
            return
        for name in outcome.detection.channels:
            if name in duplicate_of:
                self.channels[name].duplicates += 1
            else:
                self.channels[name].accepted += 1
        if len(duplicate_of) == len(outcome.detection.channels):
            self.alerts.duplicates += 1
        else:
            self.alerts.accepted += 1

    def notice(self, *, known: bool) -> None:
        """Count a notice that was decoded."""
        self.notices.decoded += 1
        if known:
            self.notices.duplicates += 1
        else:
            self.notices.accepted += 1

    def as_plain(self) -> dict[str, Any]:
        """Plain data with sorted reasons."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        for part in (data["alerts"], data["notices"], *data["channels"].values()):
            part["rejected"] = dict(sorted(part["rejected"].items()))
        del data["notices"]["rejected"]
        return data
