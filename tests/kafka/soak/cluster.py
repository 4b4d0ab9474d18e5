"""The workers: processes of the command line, under their supervisor."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

__all__ = ["Log", "Workers", "ampelstream", "run_command"]

TIMES = (
    *("--session", "6", "--produce-timeout", "8", "--stuck-after", "30"),
    *("--no-commit-after", "40", "--grace", "20"),
)


def ampelstream(*words: object) -> list[str]:
    """Command line of the program."""
    return [sys.executable, "-m", "ampelstream", *map(str, words)]


def run_command(
    topology: Path, broker: str, state: Path, workers: int, *options: object
) -> list[str]:
    """Command line of workers."""
    return ampelstream(
        *("run", topology, "--engine", "faust", "--broker", broker, "--workers", workers),
        *("--state", state, "--port", 0, "--log", "json", *TIMES, *options),
    )


class Log:
    """Incidents of a log of JSON lines that is still being written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._position = 0
        self.incidents: list[dict[str, Any]] = []

    def read(self) -> list[dict[str, Any]]:
        """All incidents so far."""
        with self.path.open("rb") as file:
            file.seek(self._position)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self._position += len(whole)
        for line in whole.splitlines():
            if line.startswith(b'{"time"'):  # the console's reactions are not JSON
                try:
                    self.incidents.append(json.loads(line))
                except json.JSONDecodeError:  # two processes wrote at once
                    continue
        return self.incidents


class Workers:
    """A supervisor with its workers, or a single worker with a number of its own."""

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.log = Log(log)
        self._command = list(command)
        self._env = {**os.environ, **(env or {})}
        self._kills: Counter[int] = Counter()
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self.log.path.open("ab") as file:
            return subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                env=self._env,
            )

    def pids(self) -> dict[int, int]:
        """Process ids of the workers that run, by their numbers."""
        running: dict[int, int] = {}
        for one in self.log.read():
            if one["event"] == "worker_started":
                running[one["worker"]] = one["fields"]["pid"]
            elif one["event"] == "worker_died":
                running.pop(one["worker"], None)
        return running

    def started(self) -> int:
        """How often a worker has begun to work."""
        return sum(one["event"] == "started" for one in self.log.read())

    def deaths(self) -> Counter[int]:
        """How often workers ended, by exit code: those of a supervisor, or by `kill`."""
        return self._kills + Counter(
            one["fields"]["exit_code"] for one in self.log.read() if one["event"] == "worker_died"
        )

    def stop(self, timeout: float = 60.0) -> int:
        """SIGTERM, and wait; gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return self.process.returncode

    def kill(self) -> None:
        """SIGKILL; workers notice the end of their supervisor."""
        self.process.kill()
        self._kills[self.process.wait()] += 1

    def start_again(self) -> None:
        """Start once more what has ended."""
        self.process = self._start()

    def roll(self, command: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start another command beside the one that runs, which is given, and has to end itself."""
        before, self._command = self.process, list(command)
        self.process = self._start()
        return before

    def wait_started(self, count: int, timeout: float = 90.0) -> None:
        """Wait until workers have begun to work that often."""
        end = time.monotonic() + timeout
        while self.started() < count:
            if self.process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the workers do not start; see {self.log.path}")
            time.sleep(0.1)
