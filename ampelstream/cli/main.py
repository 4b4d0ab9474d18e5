"""The command ``ampelstream``: its groups, and the process boundary.

Data goes to standard output, everything else to standard error. Exit codes: 0 done, 1 failed,
2 usage, 3 finished with dead letters.
"""

import logging
import os
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.logging import RichHandler

from ampelstream import __version__
from ampelstream.cli import (
    candidates,
    catalogs,
    demo,
    dev,
    replay,
    run,
    skymaps,
    topics,
    topology,
    units,
)
from ampelstream.errors import AmpelstreamError

__all__ = ["app", "main"]

app = typer.Typer(
    name="ampelstream",
    help="Match telescope alerts against multi-messenger triggers, live or from archives.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("replay")(replay.replay)
app.command("run")(run.run)
app.command("demo")(demo.demo)
app.add_typer(topology.app, name="topology")
app.add_typer(topics.app, name="topics")
app.add_typer(candidates.app, name="candidates")
app.add_typer(units.app, name="units")
app.add_typer(catalogs.app, name="catalogs")
app.add_typer(skymaps.app, name="skymap")
app.add_typer(dev.app, name="dev")


def _version(*, wanted: bool) -> None:
    if wanted:
        typer.echo(f"ampelstream {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    *,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Say more on stderr.")] = False,
    version: Annotated[  # noqa: ARG001  (typer calls the callback)
        bool,
        typer.Option("--version", callback=lambda value: _version(wanted=value), is_eager=True),
    ] = False,
) -> None:
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(message)s",
        handlers=[RichHandler(console=Console(stderr=True), show_path=False, show_time=False)],
    )


def main() -> None:
    """Run the command line; errors of ours become one line and an exit code."""
    try:
        app()
    except AmpelstreamError as error:
        sys.stderr.write(f"error: {error}\n")
        sys.exit(1)
    except BrokenPipeError:
        # the reader of our output (head, less) has gone: nothing is wrong, and nothing may be said
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
