"""What a broker is told: the text of its ``server.properties``."""

from collections.abc import Mapping
from pathlib import Path

from ampelstream.errors import BrokerError
from ampelstream.runtime.broker.ports import LOOPBACK

__all__ = ["MAIN", "SCRAM", "as_text", "server_settings"]

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
