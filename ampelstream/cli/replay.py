"""``ampelstream replay``: archives through a topology, from beginning to end."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ampelstream.cli.options import SchemasOption
from ampelstream.cli.summarylines import number_lines
from ampelstream.model.display import LINE, counted, printable

if TYPE_CHECKING:
    from ampelstream.model.record import SourceRecord
    from ampelstream.report.content import ReplayReport
    from ampelstream.runtime.embedded.replayer import ReplayResult
    from ampelstream.runtime.unittimes import UnitTimes
    from ampelstream.sources import Source
    from ampelstream.sources.writerschemas import GivenSchemas
    from ampelstream.topology import Topology

__all__ = ["Piped", "finish", "replay", "run_replay", "skipped_lines"]

_DEAD_LETTERS = 3
_SHOWN_LETTERS = 5
_SHOWN_SKIPPED = 5
_WIDE = 1000
"""Columns of what is no terminal: more than a table ever has, so that no cell is cut."""
_LETTER = "dead letter, of what could not be handled, is"
_LETTERS = "dead letters, of what could not be handled, are"
_NAMING = 3
"""Columns of the table that are always there: they say which candidate it is."""


class Piped(Enum):
    """What a standard output that is no terminal gets."""

    DATA = "one JSON document for each candidate"
    TABLE = "the table for people"


def replay(
    topology: Annotated[str, typer.Argument(help="Topology file, or the name of a shipped one.")],
    alerts: Annotated[
        list[Path], typer.Option(help="File, directory or archive of alerts; may be repeated.")
    ],
    out: Annotated[Path, typer.Option(help="Directory for the outputs.")],
    notices: Annotated[
        list[Path] | None, typer.Option(help="File or directory of notices; may be repeated.")
    ] = None,
    catalogs: Annotated[Path | None, typer.Option(help="Directory of the catalogues.")] = None,
    schemas: SchemasOption = None,
    speed: Annotated[
        float | None,
        typer.Option(min=0.0, help="Pace by event time: 1 is real time, 60 a minute a second."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Candidates shown in the table.")] = 20,
    *,
    forget: Annotated[
        bool,
        typer.Option(
            "--forget",
            help="Forget what the topology's retention says, by event time, as a live run does.",
        ),
    ] = False,
    overwrite: Annotated[
        bool,
        typer.Option("--overwrite", help="Replace the result of another replay in --out."),
    ] = False,
    fetch_maps: Annotated[
        bool,
        typer.Option(
            "--fetch-maps",
            help="Fetch the sky maps that notices only name by address, as a live run does.",
        ),
    ] = False,
    cutouts: Annotated[
        bool,
        typer.Option(help="Images in the report: the alerts of its cards are read once more."),
    ] = True,
) -> None:
    """Run archived alerts and notices through a topology and write a report.

    Example: ampelstream replay skymap-only --alerts night/ --notices lvk/ --out result
    """
    from ampelstream.cli.workflow import given_schemas, open_inputs, open_topology

    spec, built = open_topology(topology, catalogs)
    given = given_schemas(schemas, out)
    sources = open_inputs(alerts, notices or [], given)
    result = run_replay(
        *(built, sources, out, spec.description),
        speed=speed,
        simulated=False,
        forget=forget,
        paths=[*alerts, *(notices or [])],
        overwrite=overwrite,
        fetch_maps=fetch_maps,
        schemas=given,
        cutouts=cutouts,
    )
    finish(result.report, out, limit, times=result.times)


def run_replay(
    built: "Topology",
    sources: "Sequence[Source]",
    out: Path,
    description: str,
    *,
    speed: float | None,
    simulated: bool,
    forget: bool = False,
    paths: Sequence[Path] = (),
    overwrite: bool = False,
    fetch_maps: bool = False,
    schemas: "GivenSchemas | None" = None,
    cutouts: bool = True,
) -> "ReplayResult":
    """Replay with a progress bar, paced if asked."""
    from ampelstream.cli.progress import watch
    from ampelstream.model.localisation import no_map
    from ampelstream.runtime.embedded.engine import BATCH
    from ampelstream.runtime.embedded.replayer import Replay, paced
    from ampelstream.runtime.mapfetch import MapFetcher
    from ampelstream.runtime.service.allocator import collect_seldom

    def shown(
        records: Iterator["SourceRecord"], done: int, total: int | None
    ) -> Iterable["SourceRecord"]:
        return watch(paced(records, speed, schemas=schemas) if speed else records, done, total)

    work = Replay(
        built,
        sources,
        out,
        description=description,
        simulated=simulated,
        batch=1 if speed else BATCH,
        forget=forget,
        paths=[str(path.resolve()) for path in paths],
        overwrite=overwrite,
        map_at=MapFetcher().fetch if fetch_maps else no_map,
        schemas=schemas,
        cutouts=cutouts,
    )
    collect_seldom()
    result = work.run(shown)
    if result.resumed:
        typer.echo(f"resumed the replay in {printable(out)} where it was interrupted", err=True)
    return result


def finish(
    report: "ReplayReport",
    out: Path,
    limit: int,
    *,
    piped: Piped = Piped.DATA,
    times: "UnitTimes | None" = None,
) -> None:
    """Show what came out; exit with 3 where there are dead letters.

    Parameters
    ----------
    report
        What came out.
    out
        Where the outputs are.
    limit
        Most candidates of each channel in the table.
    piped
        What goes to a standard output that is no terminal.
    times
        How long the units took.
    """
    table = sys.stdout.isatty() or piped is Piped.TABLE
    try:
        if table:
            _write_table(report, limit)
        else:
            _write_data(report)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader (head, less) has seen enough; the rest is for stderr
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if not report.summary["records_in"]:
        typer.echo("nothing was read: the inputs hold no file of a known kind", err=True)
    for line in skipped_lines(report.summary["skipped"]):
        typer.echo(line, err=True)
    time_of = times.in_words if times is not None else (lambda _unit: "")
    for line in number_lines(report.summary, time_of):
        typer.echo(line, err=True)
    for name, file in (("report", "report.html"), ("candidates", "candidates.ndjson")):
        # of a demo they are what there is to go on with, and no program reads its table
        typer.echo(f"{name}: {printable(out / file, LINE)}", err=piped is not Piped.TABLE)
    letters = int(report.summary["dead_letters"])
    if letters:
        typer.echo(_obituary(letters, out), err=True)
        raise typer.Exit(_DEAD_LETTERS)


def _write_data(report: "ReplayReport") -> None:
    import msgspec

    from ampelstream.runtime.outputs import candidate_row

    for candidate in report.candidates:
        sys.stdout.buffer.write(msgspec.json.encode(candidate_row(candidate)) + b"\n")


def _write_table(report: "ReplayReport", limit: int) -> None:
    """The ranked candidates; where no terminal sets a width, as wide as they are."""
    from rich.console import Console

    from ampelstream.cli.tables import print_table
    from ampelstream.report.candidatetable import candidate_table

    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    with console.capture() as text:  # Rich would end the process where the reader has gone
        print_table(candidate_table(report, limit), keep=_NAMING, console=console)
    sys.stdout.write(text.get())


def _not_read(count: int) -> str:
    return counted(
        count, "file or archive member was not read:", "files or archive members were not read:"
    )


def skipped_lines(skipped: Mapping[str, Any]) -> list[str]:
    """How many files were not read, and the first of them, for people."""
    if not skipped["count"]:
        return []
    lines = [_not_read(skipped["count"])]
    lines.extend(
        f"  {printable(one['name'], LINE)}: {printable(one['reason'], LINE)}"
        for one in skipped["first"][:_SHOWN_SKIPPED]
    )
    if skipped["count"] > _SHOWN_SKIPPED:
        lines.append(f"  ... and {skipped['count'] - _SHOWN_SKIPPED} more")
    return lines


def _obituary(letters: int, out: Path) -> str:
    """How many records died, and of what."""
    import msgspec

    path = out / "dead-letters.ndjson"
    where = printable(path, LINE)
    lines = [f"{counted(letters, _LETTER, _LETTERS)} in {where}:"]
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if number == _SHOWN_LETTERS:
                lines.append(f"  ... and {letters - _SHOWN_LETTERS} more")
                break
            row = msgspec.json.decode(line)
            named = row["member"] or f"{row['source']}[{row['partition']}]@{row['offset']}"
            lines.append(f"  {printable(named)}: {row['error']}: {printable(row['reason'], LINE)}")
    return "\n".join(lines)
