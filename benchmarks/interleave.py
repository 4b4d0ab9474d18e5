"""Timing several pieces of work in turn, so that a drifting machine moves them together."""

import statistics
import time
from collections.abc import Callable, Mapping

__all__ = ["interleaved"]

Work = Callable[[], object]


def interleaved(
    work: Mapping[str, Callable[[], Work]],
    *,
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, float]:
    """Median time of each piece of work.

    Parameters
    ----------
    work
        Name to a function that prepares a fresh run (not timed) and gives the run (timed).
    rounds
        How often each is run, A B C A B C ...
    clock
        What time is taken from [s]: ``time.process_time`` leaves out what others do meanwhile.

    Returns
    -------
    dict
        Name to median time [us].
    """
    times: dict[str, list[float]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, prepare in work.items():
            run = prepare()
            began = clock()
            run()
            times[name].append((clock() - began) * 1e6)
    return {name: statistics.median(values) for name, values in times.items()}
