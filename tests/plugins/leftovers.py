"""A run that leaves a process behind has failed, and says which test started it.

Every process of a run carries the run's own mark in its environment, and pytest puts the name of
the current test there. So also those are found that have left their parent, as daemons do.
Linux only, where the environment of a process can be read in ``/proc``.
"""

import os
import signal
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from pathlib import Path

import pytest

MARK = "AMPELSTREAM_TEST_RUN"
_FOUND = pytest.StashKey[list["Process"]]()
_PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Process:
    """A process that runs, and the test that was running when it was started."""

    pid: int
    command: str
    test: str


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--leftover-seconds",
        type=float,
        default=10.0,
        help="longest wait for processes that are about to end, as workers of a killed supervisor",
    )


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # the processes of pytest-xdist are part of the run
        os.environ[MARK] = uuid.uuid4().hex
        # a run that is terminated ends as with Ctrl-C: fixtures are undone, and the rest is found
        signal.signal(signal.SIGTERM, signal.default_int_handler)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Look when the fixtures are done and the processes of pytest-xdist have ended."""
    if hasattr(session.config, "workerinput") or not (_PROC / "self" / "environ").exists():
        return
    end = time.monotonic() + float(session.config.getoption("leftover_seconds"))
    while (found := running()) and time.monotonic() < end:
        time.sleep(0.1)
    session.config.stash[_FOUND] = found
    for one in found:
        with suppress(ProcessLookupError):
            os.kill(one.pid, signal.SIGKILL)
    if found and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    found = config.stash.get(_FOUND, [])
    if not found:
        return
    terminalreporter.section(f"{len(found)} PROCESSES LEFT BEHIND", sep="!", red=True, bold=True)
    for one in found:
        terminalreporter.line(f"{one.pid} of {one.test}: {one.command}", red=True)


def running() -> list[Process]:
    """Processes of this run, and children of this process, that have not ended."""
    parents: dict[int, int] = {}
    marked: set[int] = set()
    mark = f"{MARK}={os.environ[MARK]}".encode()
    for directory in _PROC.iterdir():
        if not directory.name.isdigit():
            continue
        with suppress(OSError):  # it has ended meanwhile, or is another user's
            pid = int(directory.name)
            # the name of the program, in parentheses, may hold anything
            state, parent = (directory / "stat").read_text().rpartition(")")[2].split()[:2]
            if state != "Z":
                parents[pid] = int(parent)
                if mark in (directory / "environ").read_bytes().split(b"\0"):
                    marked.add(pid)
    here = os.getpid()
    ours = marked | {pid for pid in parents if here in _ancestors(pid, parents)}
    # multiprocessing's own helper lives as long as the process that used it, which is this one
    # where pytest-xdist has none
    tracker: int | None = getattr(resource_tracker._resource_tracker, "_pid", None)
    return [_process(pid) for pid in sorted(ours - {here} - {tracker or here})]


def _ancestors(pid: int, parents: dict[int, int]) -> set[int]:
    found: set[int] = set()
    while (pid := parents.get(pid, 0)) and pid not in found:
        found.add(pid)
    return found


def _process(pid: int) -> Process:
    command, test = "(ended)", "no test"
    with suppress(OSError):
        command = " ".join((_PROC / str(pid) / "cmdline").read_text().split("\0"))[:300]
        for line in (_PROC / str(pid) / "environ").read_text(errors="replace").split("\0"):
            if line.startswith("PYTEST_CURRENT_TEST="):
                test = line.partition("=")[2]
    return Process(pid, command, test)
