"""The note that a broker's process leaves in its directory, and whether it still holds."""

import os
import subprocess
from pathlib import Path

import msgspec

__all__ = ["Record", "marker", "pid_of", "read", "write"]

_NAME = "broker.json"


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Which process serves a directory.

    Attributes
    ----------
    pid
        Its process id when it was started; the process may have ended since.
    port
        Port of its listener without login.
    version
        Kafka's version.
    """

    pid: int
    port: int
    version: str


def marker(directory: Path) -> str:
    """Argument on the command line of the directory's broker, and of no other process."""
    return f"-Dampelstream.broker={directory}"


def read(directory: Path) -> Record | None:
    """The record of a directory; None where there is none that can be read."""
    try:
        return msgspec.json.decode((directory / _NAME).read_bytes(), type=Record)
    except (FileNotFoundError, msgspec.DecodeError):
        return None  # a file cut short by a full disk or a lost machine is as good as none


def write(directory: Path, record: Record) -> None:
    """Leave a record, at once or not at all."""
    draft = directory / f".{_NAME}.{os.getpid()}"
    draft.write_bytes(msgspec.json.encode(record))
    draft.rename(directory / _NAME)


def pid_of(directory: Path, record: Record | None) -> int | None:
    """Id of the running broker of a directory; None where it does not run.

    A number alone proves nothing: after a reboot it is another process. Hence the marker.
    """
    if record is None or record.pid <= 1:
        return None
    return record.pid if _has_argument(record.pid, marker(directory)) else None


def _has_argument(pid: int, argument: str) -> bool:
    """Whether a process runs and was started with an argument; an ended one has none."""
    kernel = Path("/proc")
    if (kernel / "self" / "cmdline").exists():
        try:
            text = (kernel / str(pid) / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return False
        return os.fsencode(argument) in text.split(b"\0")
    done = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)],  # noqa: S607  (ps from the PATH)
        capture_output=True,
        check=False,
    )
    return os.fsencode(f" {argument} ") in done.stdout
