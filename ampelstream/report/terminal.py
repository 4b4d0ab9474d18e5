"""The ranked candidates as a table for a terminal."""

from rich import box
from rich.table import Table
from rich.text import Text

from ampelstream.model.display import printable
from ampelstream.report.columns import (
    first_text,
    latest_text,
    level_text,
    redshift_text,
    score_text,
)
from ampelstream.report.model import ReplayReport
from ampelstream.report.quantities import DASH
from ampelstream.report.ranking import EventView, Row, arrange, score_order

__all__ = ["candidate_table"]

_CELL = 60
"""Most characters of a cell: identifiers of the surveys and of GCN have less than thirty."""


def candidate_table(report: ReplayReport, limit: int = 20) -> Table:
    """List the best candidates of each channel, over all events.

    Parameters
    ----------
    report
        What to list.
    limit
        Most rows per channel.
    """
    views = arrange(report)
    table = Table(
        title="Simulated data" if report.simulated else None,
        title_style="bold red",
        box=box.SIMPLE_HEAD,  # without frames, the table fits into 80 columns
        padding=0,
        pad_edge=False,
    )
    channels = sorted({listing.channel for view in views for listing in view.listings})
    if len(channels) > 1:
        table.add_column("channel", no_wrap=True)
    table.add_column("event", no_wrap=True)
    table.add_column("object", no_wrap=True)
    for name in ("score", "RA", "Dec", "first", "latest", "level", "z"):
        table.add_column(name, justify="right", no_wrap=True)
    shown = total = 0
    for channel in channels:
        rows = _best(views, channel)
        total += len(rows)
        for row in rows[:limit]:
            first = [channel] if len(channels) > 1 else []
            table.add_row(*(Text(printable(part, _CELL)) for part in [*first, *_cells(row)]))
            shown += 1
        table.add_section()
    table.caption = (
        f"{shown} of {total} active candidates; RA, Dec in deg (ICRS), first detection in d after "
        "the trigger, latest in AB mag"
    )
    return table


def _best(views: list[EventView], channel: str) -> list[Row]:
    """Active candidates of a channel: by score, then by event, then by rank."""
    found = [
        (listing.ascending, view.event.event_id, row)
        for view in views
        for listing in view.listings
        if listing.channel == channel
        for row in listing.active
    ]

    def order(one: tuple[bool, str, Row]) -> tuple[bool, float, str, int]:
        ascending, event_id, row = one
        return (*score_order(row.score, ascending=ascending), event_id, row.rank)

    return [row for _, _, row in sorted(found, key=order)]


def _cells(row: Row) -> list[str]:
    candidate, facts = row.candidate, row.facts
    return [
        candidate.event_id,
        candidate.object_id,
        score_text(row),
        DASH if candidate.ra is None else f"{candidate.ra:.5f}",
        DASH if candidate.dec is None else f"{candidate.dec:+.5f}",
        first_text(facts),
        latest_text(facts),
        level_text(facts),
        redshift_text(facts),
    ]
