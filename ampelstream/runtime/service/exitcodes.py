"""What a process says when it ends."""

import signal
from enum import IntEnum
from typing import Self

__all__ = ["ExitCode", "meaning"]


class ExitCode(IntEnum):
    """Exit codes of all commands; from 70 on as in the BSD convention of ``sysexits.h``.

    One way out has no code of its own: a process that never releases the interpreter lock is ended
    by Python's fault handler, which knows only 1 (``FAILED``), after it wrote the stacks.

    Attributes
    ----------
    meaning
        In words, for log lines.
    """

    meaning: str

    def __new__(cls, value: int, meaning: str) -> Self:
        """A code and what it means."""
        member = int.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    DONE = 0, "done"
    """All went well; or a stop was asked for and everything was committed."""
    FAILED = 1, "failed"
    """An error that the message names; a new start may help."""
    USAGE = 2, "wrong usage of the command line"
    """The command line is not valid; a new start does not help."""
    DEAD_LETTERS = 3, "finished with dead letters"
    """All was handled, but some records could not be; they are among the dead letters."""
    CRASHED = 70, "crashed"
    """An error that nobody foresaw, a defect; a new start may help."""
    HUNG = 75, "hung, ended by its watchdog"
    """Nothing went on for too long; a new start goes on where the last commit was."""
    ORPHANED = 76, "its parent process was gone"
    """The parent process ended and a stop took too long, or there was nothing to stop."""
    SUPERSEDED = 77, "another topology file is in force"
    """A worker with a changed file has taken over; what was in hand is committed."""
    CONFIGURATION = 78, "the configuration is wrong"
    """Topology, settings or installed versions are not usable; a new start does not help."""
    INTERRUPTED = 130, "interrupted"
    """Ctrl-C, where a command cannot stop in order."""


def meaning(code: int) -> str:
    """An exit code in words.

    Parameters
    ----------
    code
        As `subprocess` gives it: negative where a signal ended the process.
    """
    if code < 0:
        try:
            return f"killed by {signal.Signals(-code).name}"
        except ValueError:
            return f"killed by signal {-code}"
    try:
        return ExitCode(code).meaning  # type: ignore[call-arg]  # (the enum takes a value alone)
    except ValueError:
        return "not a code of ours"
