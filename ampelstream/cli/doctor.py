"""``ampelstream doctor``: what this installation runs on, and what makes it slow."""

import platform
import sys
from importlib.metadata import version
from typing import Annotated

import msgspec
import typer

from ampelstream import __version__
from ampelstream.model.display import LINE, printable

__all__ = ["doctor", "findings"]

_PACKAGES = ("aiokafka", "fastavro", "faust-streaming", "healpy", "numpy", "rocksdict")


def findings() -> dict[str, str]:
    """What there is, by name; in words for people."""
    from ampelstream.codecs.avro import backend

    if backend.CHOSEN.compiled:
        interpreter = "compiled"
    else:
        interpreter = (
            f"plain Python, which decodes and filters alerts some ten times slower: {backend.WHY}. "
            "With a C compiler and Python's headers (on Debian: apt install gcc python3-dev), "
            "install ampelstream again"
        )
    return {
        "ampelstream": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": platform.platform(),
        "interpreter of packets": interpreter,
        **{name: version(name) for name in _PACKAGES},
    }


def doctor(
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="One line of JSON, on a terminal too.")
    ] = False,
) -> None:
    """Show versions, and whether packets are decoded by the compiled interpreter."""
    found = findings()
    if as_json or not sys.stdout.isatty():
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
        return
    width = max(map(len, found))
    for name, text in found.items():
        typer.echo(f"{name:{width}}  {printable(text, LINE)}")
