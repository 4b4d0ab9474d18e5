"""One broker of Apache Kafka in a directory, which outlives the program that starts it."""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from ampelstream.errors import BrokerError
from ampelstream.testing.broker.directory import (
    Record,
    alone,
    as_text,
    check_users,
    format_storage,
    marker,
    pid_of,
    read_record,
    server_settings,
    write_record,
)
from ampelstream.testing.broker.jars import DEFAULT_VERSION, fetch, find_java
from ampelstream.testing.broker.ports import LOOPBACK, answers, free_port

__all__ = ["JAVA_OPTIONS", "Broker"]

# A small heap, and no second compiler: the first one alone starts a broker a quarter sooner.
JAVA_OPTIONS = ("-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
_LOG_OPTIONS = (
    "-Dorg.slf4j.simpleLogger.showDateTime=true",
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd'T'HH:mm:ss.SSSZ",
)
_QUIET = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
# Seconds between two looks at the process. No backoff (stamina): nothing is tried again, and longer
# waits would only make every test that starts a broker slower.
_PAUSE = 0.03
_LINES = 25

# A broker may outlive its object, and Popen complains where a process does: so none is forgotten.
_STARTED: list[subprocess.Popen[bytes]] = []


class Broker:
    """One Kafka broker in KRaft mode, its own controller, on the loopback interface only.

    Any number of objects may stand for the same directory, also in other processes: what runs is
    found through a record in the directory. As a context manager it starts and stops.

    Parameters
    ----------
    directory
        Where settings, log and data are; made where it is missing.
    version
        Kafka's version; fetched with Maven at the first start.
    port
        Port of the listener without login; by default the one the directory had before, else a
        free one.
    settings
        Settings of ``server.properties`` that replace or add to ours.
    listeners
        Further listeners, from name to security protocol, such as ``{"LOGIN": "SASL_PLAINTEXT"}``;
        each gets a free port (see `listener_address`), and those with SASL take SCRAM.
    scram_users
        Passwords of the users that SCRAM knows; they are stored when the directory is new.
    java_options
        Options of the Java machine.
    clock, sleep
        Seconds that pass, and how to let them pass.
    """

    def __init__(
        self,
        directory: Path,
        *,
        version: str = DEFAULT_VERSION,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        listeners: Mapping[str, str] | None = None,
        scram_users: Mapping[str, str] | None = None,
        java_options: Sequence[str] = JAVA_OPTIONS,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.directory = directory.resolve()
        self.version = version
        known = read_record(self.directory)
        self.port = port or (known.port if known else free_port())
        self._settings = dict(settings or {})
        self._listeners = {
            name: (protocol, free_port()) for name, protocol in (listeners or {}).items()
        }
        self._users = dict(scram_users or {})
        check_users(self._users)
        self._java_options = tuple(java_options)
        self._clock = clock
        self._sleep = sleep
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """Host and port for clients without login."""
        return f"{LOOPBACK}:{self.port}"

    def listener_address(self, name: str) -> str:
        """Host and port of a further listener."""
        return f"{LOOPBACK}:{self._listeners[name][1]}"

    @property
    def log(self) -> Path:
        """File of everything the broker says."""
        return self.directory / "broker.log"

    @property
    def data(self) -> Path:
        """Directory of topics and metadata."""
        return self.directory / "data"

    @property
    def pid(self) -> int | None:
        """Id of the process; None where it does not run."""
        # the kernel shows the arguments of a new process a moment late: trust our own child
        if self._child is not None and self._child.poll() is None:
            return self._child.pid
        return pid_of(self.directory, read_record(self.directory))

    @property
    def alive(self) -> bool:
        """Whether the process is there; a paused one is."""
        return self.pid is not None

    def start(self, timeout: float = 60.0) -> None:
        """Start the broker and wait until it serves clients; nothing happens where it runs.

        Parameters
        ----------
        timeout
            Longest wait, in seconds.

        Raises
        ------
        BrokerError
            Java or Kafka is missing, the port is taken, or the broker did not come up: then with
            the end of its log.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        with alone(self.directory / ".starting"):
            known = read_record(self.directory)
            if known is not None and pid_of(self.directory, known) is not None:
                self.port = known.port
                self.version = known.version
                begin = 0
            else:
                self._check_port()
                begin = self.log.stat().st_size if self.log.exists() else 0
                self._launch()
            self._wait_until_it_serves(timeout, begin)

    def stop(self, timeout: float = 30.0) -> None:
        """Ask the broker to end (SIGTERM) and wait; nothing happens where it does not run.

        Raises
        ------
        BrokerError
            It runs still after `timeout` seconds.
        """
        self.resume()  # a paused process would not hear it
        self._end(signal.SIGTERM, timeout)

    def kill(self, timeout: float = 10.0) -> None:
        """End the broker as a crash would (SIGKILL).

        Raises
        ------
        BrokerError
            It is there still after `timeout` seconds.
        """
        self._end(signal.SIGKILL, timeout)

    def pause(self) -> None:
        """Freeze the broker (SIGSTOP): its connections stay open and nothing answers."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen broker go on (SIGCONT)."""
        self._send(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        except BrokerError:
            self.kill()
            raise

    def _check_port(self) -> None:
        if answers(LOOPBACK, self.port):
            raise BrokerError(
                f"another Kafka broker serves {self.address} already; stop it or name another port"
            )

    def _java(self) -> list[str]:
        """Command that runs a class of Kafka, without the class."""
        jars = fetch(self.version)
        return [find_java(), *self._java_options, "-cp", f"{jars}{os.sep}*"]

    def _controller_port(self) -> int:
        taken = {self.port, *(port for _, port in self._listeners.values())}
        while (port := free_port()) in taken:
            pass
        return port

    def _launch(self) -> None:
        java = self._java()
        properties = self.directory / "server.properties"
        # a single voter may change its port: nobody else has to find it
        settings = server_settings(
            self.data, self.port, self._controller_port(), self._listeners, self._settings
        )
        properties.touch(mode=0o600)  # settings may hold passwords
        properties.write_text(as_text(settings))
        format_storage([*java, _QUIET], properties, Path(settings["log.dirs"]), self._users)
        command = [*java, *_LOG_OPTIONS, marker(self.directory), "kafka.Kafka"]
        with self.log.open("ab") as log:
            # a session of its own: Ctrl-C in the terminal is for the program, not for the broker
            self._child = subprocess.Popen(
                [*command, str(properties)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.directory,
                start_new_session=True,
            )
        _STARTED.append(self._child)
        known = Record(pid=self._child.pid, port=self.port, version=self.version)
        write_record(self.directory, known)

    def _wait_until_it_serves(self, timeout: float, begin: int) -> None:
        """Wait; `begin` is where the log of this start begins, in bytes."""
        end = self._clock() + timeout
        while not answers(LOOPBACK, self.port):
            if not self.alive:
                raise BrokerError(
                    f"Kafka {self.version} on {self.address} ended while it started; the end of "
                    f"{self.log}:\n{self._tail(begin)}"
                )
            if self._clock() > end:
                raise BrokerError(
                    f"Kafka {self.version} on {self.address} does not answer after {timeout:g} s; "
                    f"it runs still (stop it, or wait). The end of {self.log}:\n{self._tail(begin)}"
                )
            self._sleep(_PAUSE)

    def _tail(self, begin: int) -> str:
        """End of the log, or what follows the first error: an orderly end says much after it."""
        with self.log.open("rb") as log:
            log.seek(begin)
            lines = log.read().decode(errors="replace").splitlines()
        errors = [number for number, line in enumerate(lines) if "] ERROR " in line]
        first = errors[0] if errors else max(0, len(lines) - _LINES)
        return "\n".join(lines[first : first + _LINES])

    def _send(self, number: signal.Signals) -> int | None:
        """Send a signal; the process's id, or None where there is none."""
        pid = self.pid
        if pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        return pid

    def _end(self, number: signal.Signals, timeout: float) -> None:
        pid = self._send(number)
        end = self._clock() + timeout
        while pid is not None and self.pid == pid:
            if self._clock() > end:
                raise BrokerError(
                    f"Kafka on {self.address} (process {pid}) runs still {timeout:g} s after "
                    f"{number.name}; see {self.log}"
                )
            self._sleep(_PAUSE)
