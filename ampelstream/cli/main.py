"""The command ``ampelstream``: its groups, and the process boundary.

Data goes to standard output, everything else to standard error. Exit codes: 0 done, 1 failed,
2 usage, 3 finished with dead letters, 70 a defect of ours; `run` has more
(``runtime/service/exitcodes.py``).
"""

import logging
import os
import select
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ampelstream import __version__
from ampelstream.cli import (
    candidates,
    catalogs,
    demo,
    dev,
    doctor,
    replay,
    run,
    skymaps,
    status,
    topics,
    topology,
    units,
)
from ampelstream.cli.helptext import keep_brackets
from ampelstream.errors import AmpelstreamError
from ampelstream.model.display import LINE, printable, printable_lines

__all__ = ["app", "main"]

_LOG = logging.getLogger(__name__)


def _reader_has_gone() -> int:
    """Exit code when nobody reads what we write; nothing may be said any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    poll = select.poll()
    poll.register(sys.stderr, 0)
    if any(event & select.POLLERR for _, event in poll.poll(0)):
        os.dup2(nowhere, sys.stderr.fileno())
        return 1  # it was not the data's reader: the work was not finished
    return 0  # the reader of the data (head, less) has seen enough


class _Commands(TyperGroup):
    """All commands; Typer would end one with 1 where the reader of its output has gone."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        keep_brackets(self)  # Typer builds groups from below: this is the last, and holds all

    def invoke(self, ctx: Any) -> Any:
        """Run a command and see its output off."""
        try:
            done = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            raise typer.Exit(_reader_has_gone()) from None
        return done


app = typer.Typer(
    cls=_Commands,
    name="ampelstream",
    help="Match telescope alerts against multi-messenger triggers, live or from archives.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("replay")(replay.replay)
app.command("run")(run.run)
app.command("status")(status.status)
app.command("demo")(demo.demo)
app.command("doctor")(doctor.doctor)
app.add_typer(topology.app, name="topology")
app.add_typer(topics.app, name="topics")
app.add_typer(candidates.app, name="candidates")
app.add_typer(units.app, name="units")
app.add_typer(catalogs.app, name="catalogs")
app.add_typer(skymaps.app, name="skymap")
app.add_typer(dev.app, name="dev")


class _Shown(logging.Formatter):
    """Shows text from outside as text: a message is one line, a traceback keeps its lines."""

    def format(self, record: logging.LogRecord) -> str:
        """Format a record."""
        record.exc_text = None  # another handler's formatter may have left it there as it came
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  (name of logging's)
        """Escape the message."""
        return printable(super().formatMessage(record), LINE)

    def formatException(self, ei: Any) -> str:  # noqa: N802  (name of logging's)
        """Escape the lines of a traceback."""
        return printable_lines(super().formatException(ei), indent="  ")

    def formatStack(self, stack_info: str) -> str:  # noqa: N802  (name of logging's)
        """Escape the lines of a stack."""
        return printable_lines(super().formatStack(stack_info), indent="  ")


class _Log(logging.StreamHandler[Any]):
    """Standard error, one line a message; when its reader has gone, the work goes on in silence."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  (name of logging's)
        """Say nothing where nobody reads; a message that cannot be made is shown as ever."""
        if not isinstance(sys.exception(), OSError):
            super().handleError(record)


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
    handler = _Log()
    handler.setFormatter(_Shown("%(levelname)-8s %(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler])


def _have_streams() -> None:
    """Where a standard stream was closed by whoever started us, have one that leads nowhere.

    Else the next file that is opened gets its number, and whatever a library writes to standard
    error goes into that file: into the state, say.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number, which is this one
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


def main() -> None:
    """Run the command line; an error becomes a line and an exit code, a defect of ours another."""
    _have_streams()
    try:
        app()
    except AmpelstreamError as error:
        sys.stderr.write(f"error: {printable_lines(error, indent='  ')}\n")
        sys.exit(1)
    except Exception as error:  # noqa: BLE001  (the boundary of the process)
        from ampelstream.runtime.service.endings import say_why

        sys.exit(say_why(_LOG, error))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
