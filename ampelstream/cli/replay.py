"""``ampelstream replay``: archives through a topology, from beginning to end."""

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from ampelstream.model.record import SourceRecord
    from ampelstream.report.model import ReplayReport
    from ampelstream.runtime.embedded.replay import ReplayResult
    from ampelstream.sources import Source
    from ampelstream.topology import Topology

__all__ = ["finish", "replay", "run_replay", "skipped_lines"]

_DEAD_LETTERS = 3
_SHOWN_LETTERS = 5
_SHOWN_SKIPPED = 5


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
    speed: Annotated[
        float | None,
        typer.Option(min=0.0, help="Pace by event time: 1 is real time, 60 a minute a second."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Candidates shown in the table.")] = 20,
) -> None:
    """Run archived alerts and notices through a topology and write a report.

    Example: ampelstream replay skymap-only --alerts night/ --notices lvk/ --out result
    """
    from ampelstream.cli.workflow import open_inputs, open_topology

    spec, built = open_topology(topology, catalogs)
    sources = open_inputs(alerts, notices or [])
    result = run_replay(built, sources, out, spec.description, speed=speed, simulated=False)
    finish(result.report, out, limit)


def run_replay(
    built: "Topology",
    sources: "Sequence[Source]",
    out: Path,
    description: str,
    *,
    speed: float | None,
    simulated: bool,
) -> "ReplayResult":
    """Replay with a progress bar, paced if asked."""
    from ampelstream.cli.progress import watch
    from ampelstream.runtime.embedded.pace import paced
    from ampelstream.runtime.embedded.replay import Replay

    def shown(
        records: Iterator["SourceRecord"], done: int, total: int | None
    ) -> Iterable["SourceRecord"]:
        return watch(paced(records, speed) if speed else records, done, total)

    work = Replay(built, sources, out, description=description, simulated=simulated)
    result = work.run(shown)
    if result.resumed:
        typer.echo(f"resumed the replay in {out} where it was interrupted", err=True)
    return result


def finish(report: "ReplayReport", out: Path, limit: int) -> None:
    """Show what came out; exit with 3 where there are dead letters."""
    import msgspec
    from rich.console import Console

    from ampelstream.report.terminal import candidate_table
    from ampelstream.runtime.outputs import candidate_row

    if sys.stdout.isatty():
        Console().print(candidate_table(report, limit))
    else:
        try:
            for candidate in report.candidates:
                sys.stdout.buffer.write(msgspec.json.encode(candidate_row(candidate)) + b"\n")
            sys.stdout.buffer.flush()
        except BrokenPipeError:  # the reader (head, less) has seen enough; the rest is for stderr
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    for line in skipped_lines(report.summary["skipped"]):
        typer.echo(line, err=True)
    if not report.summary["records_in"]:
        typer.echo("nothing was read: the inputs hold no file of a known kind", err=True)
    typer.echo(_numbers(report), err=True)
    typer.echo(f"report: {out / 'report.html'}", err=True)
    letters = int(report.summary["dead_letters"])
    if letters:
        typer.echo(_obituary(letters, out), err=True)
        raise typer.Exit(_DEAD_LETTERS)


def skipped_lines(skipped: Mapping[str, Any]) -> list[str]:
    """How many files were not read, and the first of them, for people."""
    if not skipped["count"]:
        return []
    lines = [f"{skipped['count']} files or archive members were not read:"]
    lines.extend(f"  {one['name']}: {one['reason']}" for one in skipped["first"][:_SHOWN_SKIPPED])
    if skipped["count"] > _SHOWN_SKIPPED:
        lines.append(f"  ... and {skipped['count'] - _SHOWN_SKIPPED} more")
    return lines


def _numbers(report: "ReplayReport") -> str:
    """One line for each input and channel."""
    alerts, notices = report.summary["alerts"], report.summary["notices"]
    rejected = sum(alerts["rejected"].values())
    first = (
        f"alerts: {alerts['records_in']} in, {alerts['decoded']} decoded, "
        f"{alerts['accepted']} accepted, {rejected} rejected, "
        f"{alerts['duplicates']} duplicates, {alerts['dead_letters']} dead letters"
    )
    second = (
        f"notices: {notices['records_in']} in, {notices['accepted']} new, "
        f"{notices['duplicates']} known, {notices['dead_letters']} dead letters"
    )
    lines = [first, second]
    for name, counts in report.summary["channels"].items():
        found = counts["candidates"]
        lines.append(
            f"channel {name}: {found['active']} candidates, {found['outside']} left outside, "
            f"{found['retracted']} retracted"
        )
    return "\n".join(lines)


def _obituary(letters: int, out: Path) -> str:
    """How many records died, and of what."""
    import msgspec

    path = out / "dead-letters.ndjson"
    lines = [f"{letters} records could not be handled; they are kept in {path}:"]
    with path.open("rb") as file:
        for number, line in enumerate(file):
            if number == _SHOWN_LETTERS:
                lines.append(f"  ... and {letters - _SHOWN_LETTERS} more")
                break
            row = msgspec.json.decode(line)
            named = row["member"] or f"{row['source']}[{row['partition']}]@{row['offset']}"
            lines.append(f"  {named}: {row['error']}: {row['reason']}")
    return "\n".join(lines)
