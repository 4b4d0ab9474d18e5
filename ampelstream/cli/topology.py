"""Topologies."""

import typer

app = typer.Typer()


@app.command("x")
def x() -> None:
    """Nothing."""


@app.command("y")
def y() -> None:
    """Nothing."""
