"""``ampelstream skymap``: look at a sky map without a topology."""

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ampelstream.errors import ConfigError, SkyMapError, SourceError
from ampelstream.model.display import printable
from ampelstream.model.skyposition import declination, parse_position, right_ascension

if TYPE_CHECKING:
    from ampelstream.sky.crossmatch import Position
    from ampelstream.sky.skymap import SkyMap

__all__ = ["app"]

app = typer.Typer(help="Look at the sky map of an event.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Keep ``show`` a command of its own while it is the only one."""


@app.command()
def show(
    source: Annotated[
        Path,
        typer.Argument(metavar="MAP", help="FITS file (.gz too), or an IGWN notice with a map."),
    ],
    at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="RA,DEC[,DISTANCE_MPC]",
            help="A position, in degrees or like 13:09:48,-23:22:53, and a distance [Mpc].",
        ),
    ] = None,
    points: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Positions, one JSON object per line.")
    ] = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object, as when the output is no terminal.")
    ] = False,
) -> None:
    """Show areas and distance of a sky map, and what it says of positions."""
    positions = [read_position(text) for text in at or []]
    if points is not None:
        positions += read_positions(points)
    skymap = _open(source)
    for remark in skymap.remarks:
        typer.echo(f"warning: sky map {printable(skymap.name)}: {printable(remark)}", err=True)
    if skymap.t_obs_jd is None:
        typer.echo(
            f"warning: sky map {printable(skymap.name)} has no DATE-OBS: it can be looked at, but "
            "not be followed as an event without a trigger time",
            err=True,
        )
    facts = _facts(skymap, positions)
    if as_json or not _is_terminal():
        typer.echo(json.dumps(facts))
    else:
        _print(facts)


def _is_terminal() -> bool:
    return sys.stdout.isatty()


def _open(source: Path) -> "SkyMap":
    """Read a FITS file, or the map inside a notice."""
    from ampelstream.sky.skymap import SkyMap

    try:
        data = source.read_bytes()
    except OSError as error:
        raise SourceError(f"sky map {source} cannot be read: {error.strerror or error}") from error
    if data.lstrip()[:1] in {b"{", b"<"}:
        from ampelstream.codecs import notices

        notice = notices.decode(data, source.name)
        revision = notice.revision
        for remark in notice.remarks:
            typer.echo(f"warning: {printable(source.name)}: {printable(remark)}", err=True)
        data = notice.skymap or notice.combined_skymap
        if not data and notice.ellipses:
            return SkyMap.from_ellipses(
                notice.ellipses,
                name=revision.event_id,
                digest=revision.skymap_digest,
                t_obs_jd=revision.t0_jd,
            )
        if not data:
            raise SkyMapError(f"the notice {source} has no sky map ({notice.revision.alert_type})")
    return SkyMap.from_fits(data, name=source.name)


def _facts(skymap: "SkyMap", positions: Sequence["Position"]) -> dict[str, Any]:
    """All that is shown, as plain data; None where something does not apply."""
    from ampelstream.model.times import iso_from_jd

    found = zip(positions, skymap.crossmatch(positions), strict=True)
    return {
        "name": skymap.name,
        "digest": skymap.digest,
        "object": skymap.header.get("OBJECT"),
        "t_obs": None if skymap.t_obs_jd is None else iso_from_jd(skymap.t_obs_jd),
        "t_obs_jd": skymap.t_obs_jd,
        "area50_deg2": skymap.area(0.5),
        "area90_deg2": skymap.area(0.9),
        "distmean_mpc": skymap.distmean,
        "diststd_mpc": skymap.diststd,
        "points": [
            {
                "ra_deg": ra,
                "dec_deg": dec,
                "searched_prob": match.searched_prob,
                "probdensity_per_sr": match.probdensity_per_sr,
                "distance_mpc": distance,
                "searched_prob_vol": match.searched_prob_vol,
                "probdensity_vol": match.probdensity_vol,
            }
            for (ra, dec, distance), match in found
        ],
    }


def _print(facts: Mapping[str, Any]) -> None:
    """Two tables for people."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from ampelstream.cli.tables import print_table

    console = Console()
    distance = "-"
    if facts["distmean_mpc"] is not None:
        distance = f"{facts['distmean_mpc']:.1f} +- {facts['diststd_mpc'] or 0:.1f} Mpc"
    summary = Table(title=Text(f"Sky map {printable(facts['name'])}"), show_header=False)
    for _ in range(2):
        summary.add_column(overflow="fold")
    summary.add_row("observed (UTC)", facts["t_obs"] or "-")
    summary.add_row("50 % area", f"{facts['area50_deg2']:,.1f} deg2")
    summary.add_row("90 % area", f"{facts['area90_deg2']:,.1f} deg2")
    summary.add_row("distance", distance)
    console.print(summary)
    if not facts["points"]:
        return
    table = Table(title="Positions")
    columns = {
        "ra_deg": ("RA (deg)", "position"),
        "dec_deg": ("Dec (deg)", "position"),
        "searched_prob": ("credible level", ".4f"),
        "probdensity_per_sr": ("density (1/sr)", ".4g"),
        "distance_mpc": ("distance (Mpc)", ".1f"),
        "searched_prob_vol": ("level in volume", ".4f"),
        "probdensity_vol": ("density (1/Mpc3)", ".4g"),
    }
    for title, _ in columns.values():
        table.add_column(title, justify="right", no_wrap=True)
    for point in facts["points"]:
        table.add_row(*(_cell(point[key], form) for key, (_, form) in columns.items()))
    print_table(table, keep=_COORDINATE_COLUMNS, console=console)


_COORDINATE_COLUMNS = 2


def _cell(value: float | None, form: str) -> str:
    """A number in a form; a coordinate with all digits that are known, and five at least."""
    from ampelstream.cli.tables import exact

    if value is None:
        return "-"
    return max(f"{value:.5f}", exact(value), key=len) if form == "position" else format(value, form)


_POLE = 90.0


def _fault(ra: float, dec: float, distance: float | None) -> str:
    """What is wrong with a position; empty where nothing is."""
    if not abs(ra) < float("inf") or not abs(dec) <= _POLE:
        return f"ra={ra}, dec={dec} is no position on the sky: give degrees, |dec| <= 90"
    if distance is not None and not 0 < distance < float("inf"):
        return f"the distance {distance} Mpc is not positive"
    return ""


def read_position(text: str) -> "Position":
    """Read ``RA,DEC`` or ``RA,DEC,DISTANCE_MPC``, decimal or sexagesimal.

    Raises
    ------
    typer.BadParameter
        It is neither, or not a position.
    """
    try:
        ra, dec, rest = parse_position(text)
        distance, *more = (*(float(part) for part in rest), None)
    except ValueError as error:
        raise typer.BadParameter(f"{error}; a distance in Mpc may follow") from None
    if more[1:]:
        raise typer.BadParameter(f"{text!r} has more than RA,DEC,DISTANCE_MPC")
    fault = _fault(ra, dec, distance)
    if fault:
        raise typer.BadParameter(fault)
    return ra, dec, distance


def read_positions(path: Path) -> list["Position"]:
    """Read positions from a file of JSON lines.

    A line has ``ra_deg`` and ``dec_deg`` (or ``ra`` and ``dec``, which may be text like
    ``"13:09:48"``) and may have ``distance_mpc``; whatever else it has is left alone. Empty lines
    are skipped.

    Raises
    ------
    SourceError
        The file cannot be read.
    ConfigError
        A line is not like that.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"positions {path} cannot be read: {error}") from error
    return [
        _position(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()
    ]


def _position(line: str, where: str) -> "Position":
    try:
        row = json.loads(line)
    except ValueError as error:
        raise ConfigError(f"{where}: not JSON ({error}); give one object per line") from error
    if not isinstance(row, dict):
        raise ConfigError(f"{where}: not a JSON object; give ra_deg and dec_deg")
    ra, dec = (_number(row, key, where) for key in ("ra", "dec"))
    if ra is None or dec is None:
        raise ConfigError(f"{where}: ra_deg or dec_deg is missing")
    distance = _number(row, "distance_mpc", where)
    fault = _fault(ra, dec, distance)
    if fault:
        raise ConfigError(f"{where}: {fault}")
    return ra, dec, distance


_COORDINATES = {"ra": right_ascension, "dec": declination}


def _number(row: dict[str, Any], key: str, where: str) -> float | None:
    """Number of that key, or of the key with its unit; None without one."""
    value = row.get(f"{key}_deg", row.get(key))
    if value is None:
        return None
    if isinstance(value, str) and key in _COORDINATES:
        try:
            return _COORDINATES[key](value)
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(f"{where}: {key} is {value!r}, not a number")
    return float(value)
