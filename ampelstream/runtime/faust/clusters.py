"""What is said of the clusters of a worker: that one is away, and that it is back.

A broker that restarts is silent for seconds, and nothing but a rebalance comes of it. One that is
silent for longer is told of once, for all steps that read it, and once more when it answers.
"""

import logging
from collections.abc import Iterable, Mapping

from ampelstream.runtime.service.log import incident

__all__ = ["Clusters"]

_LOG = logging.getLogger(__name__)


class Clusters:
    """Says of each cluster when it goes away and when it comes back.

    Parameters
    ----------
    steps
        Name of each step, or of a part of it, and how its cluster is described.
    limit
        How long a cluster may be silent before that is a warning [s].
    notice
        From which silence on it is told of at all [s]; more than lies between two questions.
    """

    def __init__(
        self, steps: Iterable[tuple[str, str]], limit: float, notice: float = 10.0
    ) -> None:
        self._of = dict(steps)
        self._limit = limit
        self._notice = notice
        self._silent: dict[str, float] = {}
        """Clusters that were told of, and the longest silence since [s]."""
        self._away: set[str] = set()

    def look(self, silent: Mapping[str, float]) -> None:
        """Take note of how long the brokers of each step have been silent [s]."""
        longest: dict[str, float] = {}
        for step, seconds in silent.items():
            where = self._of.get(step)
            if where is not None:
                longest[where] = max(seconds, longest.get(where, 0.0))
        for where, seconds in longest.items():
            if seconds > self._notice:
                self._is_silent(where, seconds)
            elif where in self._silent:
                lasted = round(self._silent.pop(where))
                self._away.discard(where)
                text = f"{where} answers again"
                incident(_LOG, logging.INFO, "broker_back", text, silent_s=lasted)

    def _is_silent(self, where: str, seconds: float) -> None:
        facts = {"steps": sorted(step for step, of in self._of.items() if of == where)}
        if where not in self._silent:
            text = f"no broker answers at {where}"
            incident(_LOG, logging.INFO, "broker_silent", text, silent_s=round(seconds), **facts)
        if seconds > self._limit and where not in self._away:
            self._away.add(where)
            text = (
                f"no broker answers at {where} since {seconds:.0f} s; these steps wait for it, and "
                "go on by themselves. Is it up? Are address, security and credentials right?"
            )
            incident(_LOG, logging.WARNING, "broker_away", text, **facts)
        self._silent[where] = seconds
