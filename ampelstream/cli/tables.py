"""Tables on a terminal: nothing is cut in the middle; what has no room is left out, and said."""

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = ["exact", "print_table"]


def exact(value: float) -> str:
    """Fewest digits that give the number again, also where it came from 32 bits.

    A magnitude that a file holds as the 32-bit number 12.87 is 12.869999885559082 in 64 bits.
    """
    try:
        narrow: float = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        return repr(value)
    if narrow == value:
        for digits in range(1, 9):  # nine always do; repr is then no longer
            short = f"{value:.{digits}g}"
            if struct.unpack("<f", struct.pack("<f", float(short)))[0] == value:
                return repr(float(short))
    return repr(value)


def print_table(table: "Table", *, keep: int, console: "Console | None" = None) -> None:
    """Print a table, without the last columns where it is wider than the terminal.

    Parameters
    ----------
    table
        The most important columns first. Those that must not be broken (numbers, identifiers) have
        ``no_wrap``; cells of the others go on below.
    keep
        So many columns are always shown, broken where there is no other way.
    console
        Where; standard output by default.
    """
    from rich.console import Console
    from rich.text import Text

    console = console or Console()
    for column in table.columns:
        if column.no_wrap:  # else Rich cuts it before it breaks a text that may be broken
            shown = [column.header, *column.cells]
            column.min_width = max(console.measure(one).maximum for one in shown)
    left_out: list[str] = []
    while _least_width(table, console) > console.width and len(table.columns) > keep:
        left_out.insert(0, str(table.columns.pop().header))
    if _least_width(table, console) > console.width:
        for column in table.columns:
            column.no_wrap, column.min_width, column.overflow = False, None, "fold"
    console.print(table)
    if left_out:
        words = f"No room for {', '.join(left_out)} in {console.width} columns."
        console.print(Text(words, style="dim"))


def _least_width(table: "Table", console: "Console") -> int:
    from rich.measure import Measurement

    # at a width without limit: asked at the terminal's own, a table never says that it has no room
    options = console.options.update(width=100_000)
    return Measurement.get(console, options, table).minimum
