"""``python -m tests.kafka.day DIRECTORY``: a day of operation in some minutes, and its log.

Night, day, and what goes wrong on such a day, one after the other, with two workers under a
supervisor on a broker of its own. Only the log is shown: what happened must be told from it alone.
What was done, and when, is in ``deeds.ndjson`` beside it; `test_day.py` compares the two.
"""

import argparse
import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from ampelstream.testing.broker.broker import Broker
from ampelstream.testing.broker.ports import free_port
from tests.kafka.looking import answer
from tests.kafka.small import Small
from tests.kafka.workers import Running, wait_for_work, wait_until

__all__ = ["DEEDS", "Day"]

PACKETS = 2000
POISON_EVERY = 100
_MINUTE = 62.0
"""A little more than what is said once a minute needs [s]."""


class Day:
    """The deeds of a day, each of which leaves everything working.

    Parameters
    ----------
    directory
        For everything: state, topics, ``log``, ``deeds.ndjson``.
    broker
        That the day may restart.
    form
        ``text`` or ``json``.
    """

    def __init__(self, directory: Path, broker: Broker, form: str = "text") -> None:
        self.broker = broker
        self.directory = directory
        self.small = Small(
            broker.address, "day", directory, packets=PACKETS, poison_every=POISON_EVERY
        )
        self._port = free_port()
        self._fed = 0
        self._form = form
        self.supervisor = self.start()
        self.log = directory / "worker-day.log"

    def start(self) -> Running:
        """Start the supervisor of two workers."""
        options = ("--workers", "2", "--log", self._form, "--port", str(self._port))
        return self.small.worker(*options, index=None, log="day")

    def do(self, deed: Callable[["Day"], None]) -> None:
        """Do it, and write down when."""
        # as the log, or what a deed brings about in less than a millisecond would come before it
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"time": at, "deed": deed.__name__}
        with (self.directory / "deeds.ndjson").open("a") as file:
            file.write(json.dumps(line) + "\n")
        deed(self)

    def feed(self, count: int) -> None:
        """The next alerts; every hundredth cannot be read."""
        self.small.feed(range(self._fed + 1, self._fed + count + 1))
        self._fed += count

    def settled(self) -> None:
        """Wait until both workers are ready, and all work is done."""
        urls = [f"http://127.0.0.1:{self._port + index}/ready" for index in range(2)]
        wait_until(lambda: all(answer(url)[0] == 200 for url in urls), 90, "both are ready")
        wait_for_work(self.broker.address, "day")
        time.sleep(1.5)  # the log says that it is ready within a second

    def worker(self) -> int:
        """Process of the worker that was started first."""
        pid = self.supervisor.process.pid
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return int(listed.split()[0])


def start(day: Day) -> None:
    """Both workers come up."""
    day.settled()


def night(day: Day) -> None:
    """A notice, and alerts for a minute."""
    day.small.announce()
    for _ in range(6):
        day.feed(50)
        time.sleep(_MINUTE / 6)
    day.settled()


def daytime(day: Day) -> None:
    """Nothing comes in; nothing should be said."""
    del day
    time.sleep(_MINUTE)


def upgrade(day: Day) -> None:
    """A changed topology is started beside the workers, which stop for it."""
    text = day.small.topology.read_text()
    changed = day.small.topology.with_name("changed.yml")
    changed.write_text(text.replace("cumprob < 0.9", "cumprob < 0.5"))
    day.small.options[0] = changed
    before, day._port = day.supervisor, free_port()
    day.supervisor = day.start()
    assert before.process.wait(60) == 77
    day.feed(50)
    day.settled()


def worker_killed(day: Day) -> None:
    """By the kernel, for want of memory, say."""
    os.kill(day.worker(), signal.SIGKILL)
    day.feed(50)
    time.sleep(10.0)
    day.settled()


def broker_restarted(day: Day) -> None:
    """In an orderly way, and quickly."""
    day.broker.stop()
    day.broker.start()
    day.feed(50)
    day.settled()
    time.sleep(_MINUTE)


def broker_away(day: Day) -> None:
    """For most of a minute, while there is work."""
    day.feed(200)
    day.broker.kill()
    time.sleep(45.0)
    day.broker.start()
    day.settled()


def disk_full(day: Day) -> None:
    """No file of a worker may grow: so a full disk looks to a process."""
    resource.prlimit(day.worker(), resource.RLIMIT_FSIZE, (1, 1))
    day.feed(100)
    time.sleep(_MINUTE / 4)
    day.settled()


def stop(day: Day) -> None:
    """In order."""
    assert day.supervisor.stop() == 0


DEEDS = (
    start,
    night,
    daytime,
    upgrade,
    worker_killed,
    broker_restarted,
    broker_away,
    disk_full,
    stop,
)
"""In this order."""


def main() -> int:
    """Play the day and show its log."""
    parser = argparse.ArgumentParser(prog="python -m tests.kafka.day", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--log", choices=("text", "json"), default="text")
    args = parser.parse_args()
    args.directory.mkdir(parents=True)
    with Broker(args.directory / "broker") as broker:
        day = Day(args.directory, broker, args.log)
        try:
            for deed in DEEDS:
                sys.stderr.write(f"{deed.__name__}: {deed.__doc__}\n")
                day.do(deed)
        finally:
            if day.supervisor.process.poll() is None:
                day.supervisor.process.terminate()
                day.supervisor.process.wait(60)
    sys.stdout.write(day.log.read_text())
    return 0


if __name__ == "__main__":
    sys.exit(main())
