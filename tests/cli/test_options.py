from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from pydantic import BaseModel, ConfigDict, Field
from typer.testing import CliRunner

from ampelstream.cli.options import takes
from ampelstream.runtime.settings import Option


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


class Painting(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    subject: Annotated[str, Field(description="What to paint."), Option(positional=True)]
    canvas: Annotated[Path, Field(description="Where."), Option()]
    colour: Annotated[Colour, Field(description="Of the ground."), Option(panel="Paint")] = (
        Colour.RED
    )
    brushes: Annotated[tuple[Path, ...], Field(description="May be repeated.")] = ()
    layers: Annotated[
        tuple[str, ...], Field(description="With commas."), Option(commas=True)
    ] = ("a", "b")  # fmt: skip
    dry_after: Annotated[
        float, Field(ge=1, le=9, description="Time to dry."), Option(unit="s", variable="DRY")
    ] = 3.0
    sign: Annotated[bool, Field(description="With a name.")] = False
    name: Annotated[str, Field(max_length=5, description="The name.")] = "me"


def run(*words: str, env: dict[str, str] | None = None) -> tuple[Any, Painting | None]:
    app = typer.Typer()
    seen: list[Painting] = []

    @app.command()
    @takes(Painting)
    def paint(settings: Painting) -> None:
        """Paint it."""
        seen.append(settings)

    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "200", **(env or {})})
    return result, seen[0] if seen else None


def test_defaults_are_those_of_the_model() -> None:
    result, seen = run("sunset", "--canvas", "c")
    assert result.exit_code == 0
    assert seen == Painting(subject="sunset", canvas=Path("c"))


def test_every_kind_of_option() -> None:
    words = "--canvas c --colour green --brushes x --brushes y --dry-after 4 --sign --name I"
    _, seen = run("sunset", *words.split(), "--layers", "c,, d")
    assert seen == Painting(
        subject="sunset",
        canvas=Path("c"),
        colour=Colour.GREEN,
        brushes=(Path("x"), Path("y")),
        layers=("c", "d"),
        dry_after=4.0,
        sign=True,
        name="I",
    )


def test_a_default_from_the_environment() -> None:
    _, seen = run("sunset", "--canvas", "c", env={"DRY": "7"})
    assert seen is not None
    assert seen.dry_after == 7.0


def test_the_help_says_what_the_model_says() -> None:
    result, _ = run("--help")
    for text in (
        "Paint it.",
        "What to paint.",
        "─ Paint ─",
        "SECONDS",
        "1<=x<=9",
        "env var: DRY",
        "default: 3.0",
        "default: a,b",
        "--sign",
    ):
        assert text in result.output
    assert "--no-sign" not in result.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--dry-after 0.5", "Invalid value for '--dry-after'"),
        ("--colour blue", "'blue' is not one of 'red', 'green'"),
        ("--name abcdef", "Invalid value for --name: must have 5 characters or fewer"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(words: str, message: str) -> None:
    result, seen = run("sunset", "--canvas", "c", *words.split())
    assert result.exit_code == 2
    assert seen is None
    assert message in result.output
    assert "Traceback" not in result.output
