"""What is said of the clusters of a worker: that one is away, and that it is back.

A broker that restarts is silent for seconds. One that is silent for longer is told of once, for all
steps that read it, and once more when it answers.
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
        How long a cluster may be silent [s].
    """

    def __init__(self, steps: Iterable[tuple[str, str]], limit: float) -> None:
        self._of = dict(steps)
        self._limit = limit
        self._away: dict[str, float] = {}
        """Clusters that were told of, and for how long they have been silent [s]."""

    def look(self, silent: Mapping[str, float]) -> None:
        """Take note of how long the brokers of each step have been silent [s]."""
        longest: dict[str, float] = {}
        for step, seconds in silent.items():
            where = self._of.get(step)
            if where is not None:
                longest[where] = max(seconds, longest.get(where, 0.0))
        for where, seconds in longest.items():
            if seconds > self._limit:
                if where not in self._away:
                    self._say_away(where, seconds)
                self._away[where] = seconds
            elif where in self._away:
                text, lasted = f"{where} answers again", round(self._away.pop(where))
                incident(_LOG, logging.INFO, "broker_back", text, seconds=lasted)

    def _say_away(self, where: str, seconds: float) -> None:
        steps = sorted(step for step, of in self._of.items() if of == where)
        text = (
            f"no broker answers at {where} since {seconds:.0f} s; these steps wait for it, and go "
            "on by themselves. Is it up? Are address, security and credentials right?"
        )
        incident(_LOG, logging.WARNING, "broker_away", text, steps=steps)
