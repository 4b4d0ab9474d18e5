"""What was measured, where and at which commit: one line of JSON for each row of a benchmark.

A benchmark that keeps its rows takes the option, begins before it measures and writes at the end::

    add_option(parser)
    ...
    history = History.begin(options.history, "decode")
    ...
    history.add("decode", microseconds=116.0, ratio=4.5, rounds=7, data="549 real ZTF packets")
    history.write()

`History.add_all` adds the medians of one interleaved run. ``plot.py`` draws the file. Git ignores
it: figures hold for one machine, and a file that every run changes would make every tree dirty and
every merge a conflict. What is to be kept of it goes into the documents.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Self

from ampelstream.codecs.avro.backend import CHOSEN

__all__ = ["DEFAULT", "History", "add_option", "interpreter", "peak_mib"]

ROOT = Path(__file__).resolve().parents[1]
DEFAULT = Path(__file__).with_name("history.ndjson")
LIBRARIES = ("fastavro", "numpy", "rocksdict", "healpy", "faust-streaming", "aiokafka")


def add_option(parser: argparse.ArgumentParser) -> None:
    """Let the user name another file."""
    parser.add_argument(
        "--history",
        type=Path,
        default=DEFAULT,
        metavar="FILE",
        help="to which the rows are appended (default: %(default)s)",
    )


def interpreter() -> str:
    """Which interpreter of packets runs: ``compiled`` or ``plain``."""
    return "compiled" if CHOSEN.compiled else "plain"


def peak_mib(pid: int | str = "self") -> float:
    """Most memory that a process has had [MiB]; of Linux."""
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) / 1024 for line in text.split("\n") if "VmHWM" in line)


def _git(*words: str) -> str:
    """What git says of this repository; nothing where there is none."""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), *words],  # noqa: S607  (whichever git the user has)
            capture_output=True,
            text=True,
            check=False,
        )
    except OSError:
        return ""
    return done.stdout.strip() if not done.returncode else ""


def _processor() -> str:
    """Name of the processor, as far as the system tells."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _load() -> list[float]:
    """Load of the last 1, 5 and 15 minutes."""
    return [round(one, 2) for one in os.getloadavg()]


class History:
    """Rows of one run of one benchmark.

    Parameters
    ----------
    path
        File that they are appended to; a new one is made.
    benchmark
        Its name.
    about
        What holds for all rows: commit, machine, versions, and the load before.
    """

    def __init__(self, path: Path, benchmark: str, about: Mapping[str, Any]) -> None:
        self._path = path
        self._benchmark = benchmark
        self._about = about
        self._rows: list[dict[str, Any]] = []

    @classmethod
    def begin(cls, path: Path, benchmark: str) -> Self:
        """Look at the machine before something is measured."""
        about = {
            "commit": _git("rev-parse", "HEAD") or None,
            "committed": _git("show", "-s", "--format=%cI", "HEAD") or None,
            "dirty": bool(_git("status", "--porcelain", "--untracked-files=no")),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {
                "processor": _processor(),
                "cores": os.cpu_count(),
                "system": platform.platform(),
                "load_before": _load(),
            },
            "python": f"{platform.python_version()} ({platform.python_implementation()})",
            "libraries": {name: _version(name) for name in LIBRARIES},
            "interpreter": interpreter(),
        }
        return cls(path, benchmark, about)

    def add(
        self,
        row: str,
        *,
        microseconds: float | None,
        ratio: float | None,
        rounds: int,
        data: str = "",
        **more: Any,
    ) -> None:
        """Add a row.

        Parameters
        ----------
        row
            What was measured.
        microseconds
            Of one alert (or of what ``data`` says).
        ratio
            Speed over that of bare cached fastavro (or of the benchmark's own yardstick) in the
            same run; None where there is none.
        rounds
            How often it was run; the figures are medians.
        data
            What it was measured with.
        more
            What else there is to say, such as ``mib``.
        """
        self._rows.append(
            {
                "benchmark": self._benchmark,
                "row": row,
                "data": data,
                "microseconds": None if microseconds is None else round(microseconds, 3),
                "ratio": None if ratio is None else round(ratio, 4),
                "rounds": rounds,
                **more,
            }
        )

    def add_all(
        self, medians: Mapping[str, float], bare: str, packets: int, *, rounds: int, data: str
    ) -> None:
        """Add the medians [us] of one interleaved run of so many packets."""
        for row, median in medians.items():
            ratio = medians[bare] / median
            self.add(row, microseconds=median / packets, ratio=ratio, rounds=rounds, data=data)

    def write(self) -> None:
        """Append the rows to the file, and say so."""
        self._about["machine"]["load_after"] = _load()
        lines = [json.dumps({**self._about, **row}) + "\n" for row in self._rows]
        with self._path.open("a", encoding="utf-8") as file:
            file.writelines(lines)
        load = " and ".join(str(self._about["machine"][f"load_{one}"][0]) for one in _WHEN)
        print(f"{len(lines)} rows appended to {self._path}; load {load}", file=sys.stderr)
        self._rows.clear()


_WHEN = ("before", "after")
