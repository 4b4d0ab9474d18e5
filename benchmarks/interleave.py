"""Timing several pieces of work in turn, so that a drifting machine moves them together."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

__all__ = ["Work", "interleaved", "interleaved_by"]

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
    return interleaved_by(work, rounds=rounds, clocks=[clock])[0]


def interleaved_by(
    work: Mapping[str, Callable[[], Work]],
    *,
    rounds: int,
    clocks: Sequence[Callable[[], float]],
) -> list[dict[str, float]]:
    """The same by several clocks at once: what `interleaved` gives, for each of them."""
    times: dict[str, list[list[float]]] = {name: [] for name in work}
    for _ in range(rounds):
        for name, prepare in work.items():
            run = prepare()
            began = [clock() for clock in clocks]
            run()
            pairs = zip(clocks, began, strict=True)
            times[name].append([(clock() - start) * 1e6 for clock, start in pairs])
    return [
        {name: statistics.median(one[n] for one in rows) for name, rows in times.items()}
        for n in range(len(clocks))
    ]
