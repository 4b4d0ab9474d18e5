import io

import pytest
from rich.console import Console
from rich.table import Table

from ampelstream.cli.tables import exact, print_table


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (12.869999885559082, "12.87"),  # a 32-bit 12.87
        (197.450371234567, "197.450371234567"),
        (-23.5, "-23.5"),
        (1e300, "1e+300"),
        (0.1, "0.1"),
        (1 / 3, "0.3333333333333333"),
        (float("nan"), "nan"),
        (float("inf"), "inf"),
    ],
)
def test_exact(value: float, shown: str) -> None:
    assert exact(value) == shown


def printed(width: int, keep: int = 2) -> str:
    table = Table()
    table.add_column("object", no_wrap=True)
    table.add_column("RA", no_wrap=True)
    table.add_column("what it is", overflow="fold", min_width=10)
    table.add_column("Dec", no_wrap=True)
    table.add_row("ZTF21abcdefg", "197.450371234", "a long text about it", "-23.381481")
    console = Console(file=io.StringIO(), width=width)
    print_table(table, keep=keep, console=console)
    return str(console.file.getvalue())  # type: ignore[attr-defined]  # (the StringIO)


def test_where_there_is_room_all_is_shown() -> None:
    text = printed(100)
    assert "a long text about it" in text
    assert "No room" not in text


@pytest.mark.parametrize("width", [36, 50, 56, 70])
def test_identifiers_and_numbers_are_whole_or_their_column_is_left_out(width: int) -> None:
    text = printed(width)
    assert "…" not in text
    assert "ZTF21abcdefg" in text
    assert "197.450371234" in text
    assert ("-23.381481" in text) is ("Dec" not in text.partition("No room for")[2])
    assert max(len(line) for line in text.splitlines()) <= width


def test_the_last_columns_go_first_and_are_named() -> None:
    assert "No room for Dec in 50 columns." in printed(50)
    assert "No room for what it is, Dec in 36 " in printed(36).replace("\n", " ")


def test_what_must_be_shown_is_broken_where_there_is_no_other_way() -> None:
    text = printed(20)
    assert "…" not in text
    assert "RA" in text
