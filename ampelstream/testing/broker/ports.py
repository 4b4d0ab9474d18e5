"""Ports of a broker: one that is free, and whether a broker answers at one."""

import random
import socket
import struct

from ampelstream.errors import BrokerError

__all__ = ["LOOPBACK", "answers", "free_port"]

_API_VERSIONS = 18
_METADATA = 3
_CORRELATION = 4711
_LONGEST = 1 << 20  # bytes; a broker's list has some hundred
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


def answers(host: str, port: int, timeout: float = 1.0) -> bool:
    """Whether a Kafka broker serves clients there.

    An open port is not enough: a broker that hangs has one too. It is asked which requests it
    knows, which every listener answers, also before a login. That of a controller answers as well,
    but not with what clients need.

    Parameters
    ----------
    host, port
        Where to ask.
    timeout
        Longest wait for each step, in seconds.
    """
    # length, request, version 0, correlation id, no client id
    request = struct.pack(">ihhih", 10, _API_VERSIONS, 0, _CORRELATION, -1)
    try:
        with socket.create_connection((host, port), timeout) as link:
            link.sendall(request)
            (length,) = struct.unpack(">i", _read(link, 4))
            return 0 < length <= _LONGEST and _METADATA in _requests(_read(link, length))
    except (OSError, struct.error):
        return False


def _requests(response: bytes) -> set[int]:
    """Numbers of the requests in a list of them; none in any other response."""
    correlation, fault, count = struct.unpack_from(">ihi", response)
    if (correlation, fault) != (_CORRELATION, 0):
        return set()
    return {struct.unpack_from(">h", response, 10 + 6 * row)[0] for row in range(count)}


def _read(link: socket.socket, count: int) -> bytes:
    """Exactly so many bytes."""
    result = b""
    while len(result) < count:
        part = link.recv(count - len(result))
        if not part:
            raise ConnectionError("closed before the end")
        result += part
    return result
