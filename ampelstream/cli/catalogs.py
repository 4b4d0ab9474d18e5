"""``ampelstream catalogs``: make, list and search the catalogues on disk."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ampelstream.cli.arguments import TakesNegative
from ampelstream.model.display import LINE, counted, printable
from ampelstream.model.skyposition import WAYS, parse_position

if TYPE_CHECKING:
    from ampelstream.sky.catalogs import CatalogStore
    from ampelstream.sky.catalogs.hats import CatalogInfo

__all__ = ["app"]

app = typer.Typer(
    help="Make, list and search the catalogues that units match against.", no_args_is_help=True
)

_Name = Annotated[str, typer.Argument(help="Name of the catalogue.")]
_Root = Annotated[
    Path | None,
    typer.Option(help="Directory of the catalogues; else AMPELSTREAM_CATALOGS, else your own."),
]


@app.command()
def add(
    name: _Name,
    table: Annotated[Path, typer.Argument(help="Parquet, CSV, FITS table or VOTable.")],
    ra: Annotated[str | None, typer.Option(help="Column of the right ascension [deg].")] = None,
    dec: Annotated[str | None, typer.Option(help="Column of the declination [deg].")] = None,
    columns: Annotated[
        str | None, typer.Option(help="Columns to keep, with commas between; else all.")
    ] = None,
    epoch: Annotated[float | None, typer.Option(help="Epoch of the positions, a year.")] = None,
    root: _Root = None,
    *,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the catalogue of that name.")
    ] = False,
) -> None:
    """Make a catalogue from a table.

    Example: ampelstream catalogs add GLADE+ glade_plus.parquet
    """
    from ampelstream.sky.catalogs.builder import build
    from ampelstream.sky.catalogs.sourcetable import read_table

    source = read_table(table)
    kept = [one.strip() for one in columns.split(",")] if columns is not None else None
    built = build(
        _store(root).root,
        name,
        source,
        ra=ra,
        dec=dec,
        columns=kept,
        epoch=epoch,
        replace=replace,
    )
    if built.invalid:
        _say(f"left out {counted(built.invalid, 'row')} of {table} without a valid position")
    if source.left_out and columns is None:
        _say(f"left out columns that are not single values: {', '.join(source.left_out)}")
    _say(f"positions from {built.info.ra}, {built.info.dec} [deg]")
    _show([{**_summary(built.info), "partitions": built.partitions}])


@app.command("list")
def list_(root: _Root = None) -> None:
    """List the catalogues."""
    store = _store(root)
    names = store.names()
    if not names:
        _say(f"no catalogues in {store.root}; add one: ampelstream catalogs add NAME TABLE")
    _show([_summary(store.open(name).info) for name in names])


@app.command()
def show(name: _Name, root: _Root = None) -> None:
    """Show what is known of a catalogue: columns, units, version, source."""
    import msgspec

    catalog = _store(root).open(name)
    facts = {**msgspec.to_builtins(catalog.info), "path": str(catalog.path)}
    if sys.stdout.isatty():
        facts = {key: _flat(value) for key, value in facts.items()}
        _show([{"what": key, "value": value} for key, value in facts.items()])
    else:
        _show([facts])


@app.command(cls=TakesNegative)
def cone(
    name: _Name,
    position: Annotated[str, typer.Argument(help="RA,DEC in degrees, or like 13:09:48,-23:22:53.")],
    radius: Annotated[float, typer.Argument(min=0.0, help="Radius [arcsec].")],
    columns: Annotated[
        str | None, typer.Option(help="Columns to show, with commas between; else all.")
    ] = None,
    root: _Root = None,
) -> None:
    """Show the rows within a cone, nearest first.

    Example: ampelstream catalogs cone GLADE+ 197.45037,-23.38148 30
    """
    ra, dec = _position(position)
    catalog = _store(root).open(name)
    wanted = [one.strip() for one in columns.split(",")] if columns is not None else None
    matches = catalog.cone(ra, dec, radius, wanted)
    if not matches:
        _say(f"nothing in {name} within {radius} arcsec of {ra}, {dec}")
    # the separation of a match is no column of the catalogue, and goes by its AMPEL name
    _show([{"dist2transient": one.separation_arcsec, **one.row} for one in matches])


def _position(text: str) -> tuple[float, float]:
    try:
        ra, dec, rest = parse_position(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no position: {error}") from None
    if rest:
        raise typer.BadParameter(f"{text!r} is no position: more than RA,DEC, like {WAYS}")
    return ra, dec


def _store(root: Path | None) -> "CatalogStore":
    from ampelstream.sky.catalogs import CatalogStore

    return CatalogStore(root or CatalogStore.default_root())


def _summary(info: "CatalogInfo") -> dict[str, Any]:
    return {
        "name": info.name,
        "rows": info.rows,
        "columns": len(info.columns),
        "order": info.order,
        "version": info.version,
        "source": info.source,
    }


def _say(text: str) -> None:
    typer.echo(printable(text, LINE), err=True)


def _flat(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} [{one}]" for key, one in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return ", ".join(map(str, value))
    return "" if value is None else str(value)


def _show(rows: Sequence[Mapping[str, Any]]) -> None:
    """A table for people, one JSON document per line for programs."""
    if not rows:
        return
    if not sys.stdout.isatty():
        import msgspec

        for row in rows:
            typer.echo(msgspec.json.encode(row).decode())
        return
    from rich.table import Table
    from rich.text import Text

    from ampelstream.cli.tables import exact, print_table

    table = Table()
    for name, first in rows[0].items():
        number = isinstance(first, int | float)
        table.add_column(
            name, overflow="fold", no_wrap=number, justify="right" if number else "left"
        )
    for row in rows:
        cells = (exact(one) if isinstance(one, float) else _flat(one) for one in row.values())
        table.add_row(*(Text(printable(cell, LINE)) for cell in cells))
    print_table(table, keep=min(2, len(table.columns)))
