"""The directory of a broker: its settings, its storage, the note of its process, and a lock.

One broker serves a directory, and any number of programs may find it there.
"""

import contextlib
import fcntl
import os
import re
import subprocess
import uuid
from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from ampelstream.errors import BrokerError
from ampelstream.testing.broker.ports import LOOPBACK

__all__ = [
    "Record",
    "alone",
    "as_text",
    "check_users",
    "format_storage",
    "marker",
    "pid_of",
    "read_record",
    "server_settings",
    "write_record",
]

_RECORD_NAME = "broker.json"
_FORMAT_SECONDS = 60.0
_SHOWN_LINES = 15
MAIN = "PLAINTEXT"
_CONTROLLER = "CONTROLLER"
SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
_LARGEST_MESSAGE = 16 * 1024 * 1024  # bytes; a sky map of many tiles is a few MiB
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_ONE_NODE = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "5",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "5",
    "num.network.threads": "2",
    "num.io.threads": "4",
    # a killed broker is let in again when the session of its former self has ended: 9 s by default
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "auto.create.topics.enable": "false",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "1000",  # a test need not wait 6 s for a dead consumer
    "log.cleaner.enable": "true",
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),  # 128 MiB by default: too much here
    # messages bear the times of their alerts; by age, a night of last year would be gone at once
    "log.retention.ms": "-1",
    "replica.fetch.max.bytes": str(_LARGEST_MESSAGE),
}


@contextlib.contextmanager
def alone(path: Path) -> Iterator[None]:
    """Hold a lock file; wait while another process holds it. The system frees a dead one's."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


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


def read_record(directory: Path) -> Record | None:
    """The record of a directory; None where there is none that can be read."""
    try:
        return msgspec.json.decode((directory / _RECORD_NAME).read_bytes(), type=Record)
    except (FileNotFoundError, msgspec.DecodeError):
        return None  # a file cut short by a full disk or a lost machine is as good as none


def write_record(directory: Path, record: Record) -> None:
    """Leave a record, at once or not at all."""
    draft = directory / f".{_RECORD_NAME}.{os.getpid()}"
    draft.write_bytes(msgspec.json.encode(record))
    draft.rename(directory / _RECORD_NAME)


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


def server_settings(
    data: Path,
    port: int,
    controller_port: int,
    listeners: Mapping[str, tuple[str, int]],
    settings: Mapping[str, str],
) -> dict[str, str]:
    """All settings of a broker that is its own controller.

    Parameters
    ----------
    data
        Where it keeps its logs.
    port
        Port of the listener without encryption or login.
    controller_port
        Port on which it talks to itself.
    listeners
        Further listeners: name, and its security protocol and port. One with SASL takes SCRAM.
    settings
        What replaces or adds to all this.
    """
    security = {MAIN: "PLAINTEXT", _CONTROLLER: "PLAINTEXT"}
    security |= {name: protocol for name, (protocol, _) in listeners.items()}
    open_to = [f"{MAIN}://{LOOPBACK}:{port}"]
    open_to += [f"{name}://{LOOPBACK}:{number}" for name, (_, number) in listeners.items()]
    result = {
        **_ONE_NODE,
        "log.dirs": str(data),
        "controller.quorum.voters": f"1@{LOOPBACK}:{controller_port}",
        "controller.listener.names": _CONTROLLER,
        "inter.broker.listener.name": MAIN,
        "listeners": ",".join([*open_to, f"{_CONTROLLER}://{LOOPBACK}:{controller_port}"]),
        "advertised.listeners": ",".join(open_to),
        "listener.security.protocol.map": ",".join(f"{a}:{b}" for a, b in security.items()),
    }
    for name, (protocol, _) in listeners.items():
        if protocol.startswith("SASL_"):
            result |= _scram(f"listener.name.{name.lower()}")
    return {**result, **settings}


def _scram(listener: str) -> dict[str, str]:
    """Settings that let a listener check SCRAM users."""
    module = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    result = {f"{listener}.{kind.lower()}.sasl.jaas.config": module for kind in SCRAM}
    return result | {f"{listener}.sasl.enabled.mechanisms": ",".join(SCRAM)}


def as_text(settings: Mapping[str, str]) -> str:
    """Text of a properties file, one setting a line.

    Raises
    ------
    BrokerError
        A name has a character that would end it.
    """
    for name in settings:
        if not name or any(sign in name for sign in " =:#!\\\n\t"):
            raise BrokerError(f"{name!r} is no name of a setting of Kafka")
    return "".join(f"{name}={value.translate(_ESCAPES)}\n" for name, value in settings.items())


def check_users(users: Mapping[str, str]) -> None:
    """Refuse what Kafka's tool would take apart wrongly; the message shows no password.

    Raises
    ------
    BrokerError
        A name or password is empty or has a character that the tool uses itself.
    """
    for name, password in users.items():
        if not re.fullmatch(r"[\w.@-]+", name) or not re.fullmatch(r"[^\s,\"\[\]]+", password):
            raise BrokerError(
                f"SCRAM user {name!r}: the name may have letters, digits and . _ @ -; the "
                'password anything but blanks and , " [ ]'
            )


def format_storage(
    java: Sequence[str], properties: Path, data: Path, users: Mapping[str, str]
) -> None:
    """Format a broker's storage where that has not been done.

    Parameters
    ----------
    java
        Command that runs a class of Kafka, without the class.
    properties
        The broker's settings.
    data
        Where they say that the logs are.
    users
        Users and passwords that SCRAM listeners know from the start.

    Raises
    ------
    BrokerError
        Kafka's tool failed.
    """
    if (data / "meta.properties").exists():
        return
    identity = urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "_")
    command = [*java, "kafka.tools.StorageTool", "format", "-t", identity, "-c", str(properties)]
    # by way of a file: every user of the machine can read a command line
    secrets = properties.with_name(".scram-users")
    try:
        if users:
            secrets.touch(mode=0o600)
            secrets.write_text("".join(_scram_lines(users)))
            command.append(f"@{secrets}")
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
            timeout=_FORMAT_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise BrokerError(f"formatting {data} took more than {_FORMAT_SECONDS:.0f} s") from error
    finally:
        secrets.unlink(missing_ok=True)
    if done.returncode:
        said = "\n".join(done.stdout.splitlines()[-_SHOWN_LINES:])
        for password in users.values():
            said = said.replace(password, "***")
        hint = "Kafka 4 needs Java 17 or later" if "UnsupportedClass" in said else "see there"
        raise BrokerError(f"Kafka could not format {data} ({hint}):\n{said}")


def _scram_lines(users: Mapping[str, str]) -> list[str]:
    """Arguments of the tool, one a line, for each user and each kind of SCRAM."""
    return [
        f'--add-scram\n{kind}=[name="{name}",password="{password}"]\n'
        for name, password in users.items()
        for kind in SCRAM
    ]
