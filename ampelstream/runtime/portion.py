"""A batch bounded by time: records are handed to a processor one by one, as long as there is time.

How long a record takes is not known before: a unit may compute for seconds. So a processor is given
records until the time is up, and the runtime commits what it handled of them; the others are the
beginning of the next portion.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

__all__ = ["PORTION_SECONDS", "Portion"]

PORTION_SECONDS = 1.0
"""For how long records are handed out before there is a commit, about [s]."""

R = TypeVar("R")


class Portion(Generic[R]):
    """Records that are handed out, at least one, until the time is up; to be iterated once.

    Parameters
    ----------
    records
        In order.
    seconds
        For how long they are handed out [s].
    clock
        Seconds that never go back.
    """

    def __init__(
        self,
        records: Sequence[R],
        seconds: float = PORTION_SECONDS,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._records = records
        self._seconds = seconds
        self._clock = clock
        self.handled = len(records)
        """How many are done with when the processor has come back: all that it asked for, and the
        others too where it was not the time that ended them."""

    def __iter__(self) -> Iterator[R]:
        clock = self._clock
        until = clock() + self._seconds
        for number, record in enumerate(self._records):
            if number and clock() >= until:
                self.handled = number
                return
            yield record
