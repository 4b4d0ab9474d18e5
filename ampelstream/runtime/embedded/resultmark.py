"""Whose result a directory holds: so that a replay does not overwrite another's.

The mark is a small file beside the outputs. It names topology and inputs, as paths, so that two
nights whose files have the same names are told apart.
"""

from collections.abc import Sequence
from pathlib import Path

import msgspec

from ampelstream.errors import ConfigError
from ampelstream.model.display import LINE, printable
from ampelstream.runtime.outputs import write_json
from ampelstream.topology import Topology

__all__ = ["ResultMark", "check_result"]

_FILE = ".replay.json"
_RESULT = "summary.json"
"""A directory with this file holds a result."""


class ResultMark(msgspec.Struct, frozen=True):
    """What a result is of.

    Attributes
    ----------
    topology, content
        Name of the topology, and digest of its content.
    inputs
        Their paths, sorted.
    """

    topology: str
    content: str
    inputs: tuple[str, ...]

    @classmethod
    def of(cls, topology: Topology, inputs: Sequence[str]) -> "ResultMark":
        """Make that of a replay."""
        return cls(topology.name, topology.digest, tuple(sorted(inputs)))

    def write(self, out: Path) -> None:
        """Put it beside the outputs."""
        write_json(out / _FILE, msgspec.to_builtins(self))


def check_result(out: Path, mark: ResultMark, *, overwrite: bool) -> str:
    """See that a directory holds no result of another replay.

    Parameters
    ----------
    out
        The directory.
    mark
        Of the replay that is to write there.
    overwrite
        Whether another's result may be replaced all the same.

    Returns
    -------
    str
        What is to be said of a result that will be replaced; empty where there is nothing to say.

    Raises
    ------
    ConfigError
        It holds the result of another replay, or of one that nobody knows.
    """
    if not (out / _RESULT).exists():
        return ""
    known = _read(out / _FILE)
    if known == mark:
        return ""
    where = printable(out, LINE)
    if known is None:
        what = f"{where} holds the result of a replay that left no word of what it was of"
    elif (known.topology, known.inputs) == (mark.topology, mark.inputs):
        return f"the result in {where}, of an earlier content of this topology, will be replaced"
    else:
        of = printable(", ".join(known.inputs), LINE)
        what = f"{where} holds the result of topology {printable(known.topology)} over {of}"
    if overwrite:
        return f"{what}: it will be replaced"
    raise ConfigError(f"{what}. Name another directory with --out, or replace it with --overwrite")


def _read(path: Path) -> ResultMark | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=ResultMark)
    except (OSError, msgspec.DecodeError):
        return None
