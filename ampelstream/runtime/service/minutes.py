"""What a worker did, once a minute: the counts that grew, by what they mean.

Nothing is logged for each alert, dead letter or reaction: their number has no bound. The topics
hold them one by one.
"""

import logging
from collections import Counter
from collections.abc import Callable

from ampelstream.core.accounting import Accounting, CountKey
from ampelstream.runtime.service.log import incident

__all__ = ["Minutes"]

_LOG = logging.getLogger(__name__)
_MOST = 20
"""Different reasons in one line."""


class Minutes:
    """Says what has changed since it was last asked to.

    Parameters
    ----------
    accounting
        The counts.
    """

    def __init__(self, accounting: Accounting) -> None:
        self._accounting = accounting
        self._before = accounting.counts()

    def say(self) -> None:
        """Log what was counted since the last time; nothing where nothing was."""
        counts = self._accounting.counts()
        new = {key: n - self._before.get(key, 0) for key, n in counts.items()}
        self._before = counts
        new = {key: n for key, n in new.items() if n > 0}
        self._work(new)
        self._refused(new)
        _by(new, "dead_letters", "dead_letters", "records became dead letters", _letter)
        _by(new, "remarks", "notices_mended", "notices were put right, or read in part", _remark)
        _by(new, "unit_failed", "units_failed", "units and filters failed", _unit)
        _by(new, "reactions", "reactions_failed", "sinks did not take reactions", _failed)

    @staticmethod
    def _work(new: dict[CountKey, int]) -> None:
        facts = {
            "alerts": _total(new, "received", "alerts"),
            "passed": _total(new, "passed"),
            "rejected": _total(new, "rejected_by_all"),
            "notices": _total(new, "received", "notices"),
            "parked": _total(new, "parked"),
            "candidates": _total(new, "candidates"),
            "reactions_decided": _outcome(new, "decided"),
            "reactions_sent": _outcome(new, "sent"),
        }
        facts = {name: n for name, n in facts.items() if n}
        if facts:
            incident(_LOG, logging.INFO, "work", "done since the last such line", **facts)

    def _refused(self, new: dict[CountKey, int]) -> None:
        refused = _total(new, "watermark_refused")
        if refused:
            text = "alerts that say that they are younger than the clock did not move event time"
            facts = {"records": refused, "such_as": self._accounting.example("watermark_refused")}
            incident(_LOG, logging.WARNING, "watermark_refused", text, **facts)


def _total(new: dict[CountKey, int], *begin: str) -> int:
    return sum(n for key, n in new.items() if key[: len(begin)] == begin)


def _outcome(new: dict[CountKey, int], outcome: str) -> int:
    return sum(n for key, n in new.items() if key[0] == "reactions" and key[-1] == outcome)


def _letter(key: CountKey) -> str:
    return " ".join(key[1:])


def _remark(key: CountKey) -> str:
    return key[-1]


def _unit(key: CountKey) -> str:
    return f"{key[1]}/{key[2]}: {key[3]}"


def _failed(key: CountKey) -> str | None:
    return key[1] if key[-1] == "failed" else None


def _by(
    new: dict[CountKey, int],
    name: str,
    event: str,
    text: str,
    reason: Callable[[CountKey], str | None],
) -> None:
    """Warn of what was counted under a name, by reason; the most frequent first."""
    found: Counter[str] = Counter()
    for key, n in new.items():
        why = reason(key) if key[0] == name else None
        if why is not None:
            found[why] += n
    if found:
        most = [f"{n} x {why}" for why, n in found.most_common(_MOST)]
        incident(_LOG, logging.WARNING, event, text, records=found.total(), reasons=most)
