"""What stands in square brackets in the texts of the help is there on the screen, too."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer
from typer.main import get_command
from typer.testing import CliRunner

from ampelstream.cli.helptext import keep_brackets
from ampelstream.cli.main import _Commands, app

BRACKETS = re.compile(r"\[[^\]]*\]")


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name, below in getattr(command, "commands", {}).items():
        yield from commands(below, (*path, name))


def as_written(command: Any) -> list[str]:
    """Brackets in a command's texts, which have been escaped for Rich by now."""
    texts = [command.help or "", *(getattr(one, "help", "") or "" for one in command.params)]
    return [found for text in texts for found in BRACKETS.findall(text.replace("\\[", "["))]


def test_every_bracket_of_every_command_is_shown() -> None:
    seen = []
    for path, command in commands(get_command(app)):
        shown = CliRunner().invoke(app, [*path, "--help"], env={"COLUMNS": "300"}).output
        for bracket in as_written(command):
            assert bracket in shown, f"{' '.join(path)} --help lacks {bracket}"
            seen.append(bracket)
        assert "\\[" not in shown
    assert {"[deg]", "[arcsec]"} <= set(seen)


@pytest.mark.parametrize("unit", ["[deg]", "[AB mag]", "[arcsec, at 1 Mpc]", "[1/sr]", "[red]"])
def test_units_in_the_help_of_options_commands_and_groups(unit: str) -> None:
    made = typer.Typer(cls=_Commands, help=f"All {unit}.")

    @made.command(help=f"One {unit}.", epilog=f"End {unit}.")
    def one(size: float = typer.Option(1.0, help=f"Size {unit}.")) -> None:
        raise AssertionError(size)

    @made.command()
    def other() -> None:
        """Another."""

    root = CliRunner().invoke(made, ["--help"], env={"COLUMNS": "200"}).output
    below = CliRunner().invoke(made, ["one", "--help"], env={"COLUMNS": "200"}).output
    assert root.count(unit) == 2
    assert below.count(unit) == 3


def test_without_rich_nothing_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ampelstream.cli.helptext.HAS_RICH", False)
    made = typer.Typer(help="All [deg].")
    made.command()(lambda: None)
    command = get_command(made)
    keep_brackets(command)
    assert "\\" not in (command.help or "")
