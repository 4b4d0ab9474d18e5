"""Options that all commands with a Kafka cluster share."""

import logging
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from ampelstream.runtime.kafka.connection import Connection

__all__ = ["BROKER", "BrokerOption", "TopologyArgument", "connect", "create_command"]

BROKER = "AMPELSTREAM_BROKER"
"""Environment variable with the default of ``--broker``."""

BrokerOption = Annotated[
    str,
    typer.Option(
        "--broker",
        envvar=BROKER,
        metavar="ADDRESS|FILE",
        help="host:port of our own cluster, several with commas; or a YAML file with bootstrap, "
        "security, mechanism, username, password.",
    ),
]
TopologyArgument = Annotated[
    str, typer.Argument(help="Topology file, or the name of a shipped one.")
]


def connect(broker: str) -> "Connection":
    """Give the connection that ``--broker`` means; ConfigError where it means none."""
    from ampelstream.runtime.kafka.sources import load_connection

    if not logging.getLogger().isEnabledFor(logging.DEBUG):
        # at INFO it tells of every subscription and login
        logging.getLogger("aiokafka").setLevel(logging.WARNING)
    return load_connection(broker)


def create_command(topology: str, broker: str) -> str:
    """Give the command that creates the topics of a topology, for messages."""
    return shlex.join(["ampelstream", "topics", "create", topology, "--broker", broker, "--yes"])
