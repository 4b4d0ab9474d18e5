"""Free ports that no client will take meanwhile."""

import random
import socket

from ampelstream.errors import BrokerError

__all__ = ["LOOPBACK", "free_port"]

LOOPBACK = "127.0.0.1"
# Below the range from which systems take the ports of outgoing connections. A client that keeps
# trying a port of that range while its broker is down can be given the same port as its own end:
# it then talks to itself, and the broker cannot come back.
_RANGE = range(20_000, 32_000)
_TRIES = 100


def free_port() -> int:
    """Port of the loopback interface on which nobody listens now.

    Raises
    ------
    BrokerError
        A hundred were tried and all were taken.
    """
    dice = random.SystemRandom()
    for _ in range(_TRIES):
        port = dice.choice(_RANGE)
        with socket.socket() as probe:
            # as Java does: a port whose old connections are still closing is free
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise BrokerError(
        f"no free port on {LOOPBACK} between {_RANGE.start} and {_RANGE.stop}; name one, or end "
        "the processes that hold them"
    )
