"""A progress bar on standard error, with rate and time to go."""

from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from ampelstream.model.record import SourceRecord

__all__ = ["watch"]

_EVERY = 50


class _Rate(ProgressColumn):
    """Records per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:,.0f}/s" if task.speed else "-/s", style="progress.data.speed")


def watch(records: Iterator[SourceRecord], done: int, total: int | None) -> Iterable[SourceRecord]:
    """Pass records on, showing how many have passed.

    Parameters
    ----------
    records
        What is handled.
    done
        How many were handled before.
    total
        How many there are in all, where that is known.
    """
    console = Console(stderr=True)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("records", total=total, completed=done)
        waiting = 0
        for record in records:
            yield record
            waiting += 1
            if waiting == _EVERY:
                progress.advance(task, waiting)
                waiting = 0
        progress.advance(task, waiting)
