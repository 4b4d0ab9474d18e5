"""The results as a table in Markdown."""

import signal
import statistics
from collections.abc import Iterable

from tests.kafka.soak.run import Result

__all__ = ["table"]

_HEAD = (
    *("fault", "rounds", "packets", "lost", "doubled", "dead letters", "candidates"),
    *("reactions", "sent twice", "done after [s]", "workers' ends"),
)
_SHOWN = 6


def _end(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else str(code)


def _row(one: Result) -> tuple[str, ...]:
    times = one.catch_up or [0.0]
    ends = ", ".join(f"{_end(code)}: {count}" for code, count in sorted(one.deaths.items()))
    return (
        one.fault,
        str(one.rounds),
        f"{one.packets:,}",
        str(len(one.lost)),
        str(len(one.doubled)),
        str(one.letters),
        f"{one.candidates} {'equal' if one.equal else 'DIFFERENT'}",
        str(one.sent),
        str(len(one.sent_twice)),
        f"{statistics.median(times):.0f} (worst {max(times):.0f})",
        ends or "none",
    )


def table(results: Iterable[Result]) -> str:
    """Give a line for each fault, and below them what else was wrong."""
    results = list(results)
    rows = [_HEAD, ("---",) * len(_HEAD), *map(_row, results)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    for one in results:
        lines += [f"\n{one.fault}: {what}" for what in one.wrong[:_SHOWN]]
        if len(one.wrong) > _SHOWN:
            lines.append(f"\n{one.fault}: and {len(one.wrong) - _SHOWN} more like these")
        if one.lost:
            lines.append(f"\n{one.fault}: lost {sorted(one.lost)[:20]}")
        if one.sent_twice:
            lines.append(f"\n{one.fault}: sent twice {sorted(one.sent_twice)[:20]}")
    return "\n".join(lines) + "\n"
