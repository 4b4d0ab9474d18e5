"""How long units took in this process, for whoever waits for a replay.

A time is not the same twice, so that it stands in no output of a replay: it is shown at its end.
"""

import threading
from collections import Counter, defaultdict

__all__ = ["UnitTimes"]


class UnitTimes:
    """Sums of what `ampelstream.runtime.unitpool.in_production` measures; from any thread."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, unit: str, seconds: float) -> None:
        """Note that a unit has computed for so long [s]."""
        with self._lock:
            self._seconds[unit] += seconds
            self._calls[unit] += 1

    def in_words(self, unit: str) -> str:
        """Its time in all, and for one computation; empty where it has not computed."""
        with self._lock:
            calls, seconds = self._calls[unit], self._seconds[unit]
        return f"{seconds:.1f} s in all, {1e3 * seconds / calls:,.3f} ms each" if calls else ""
