"""Texts of the help, shown as they were written.

Typer reads them as Rich's markup, in which ``[deg]`` is a style and vanishes; here square brackets
hold units of measure.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.markup import escape
from typer.core import HAS_RICH

__all__ = ["keep_brackets"]


def keep_brackets(command: Any) -> None:
    """Mark the brackets in the texts of a command, and of all below it, as text.

    Parameters
    ----------
    command
        A command or group of Click. Its texts are escaped in place, so that this must be called
        once: where Typer builds its commands from the functions.
    """
    if not HAS_RICH:  # the help is then printed as it is
        return
    _escape(command)
    parameters: Iterable[Any] = command.params
    for one in parameters:
        _escape(one)
    below: Mapping[str, Any] = getattr(command, "commands", {})
    for one in below.values():
        keep_brackets(one)


def _escape(described: Any) -> None:
    for name in ("help", "short_help", "epilog"):
        text = getattr(described, name, None)
        if text:
            setattr(described, name, escape(text))
