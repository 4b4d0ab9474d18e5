"""Does a broker answer? One request of Kafka's protocol, without a client library."""

import socket
import struct

__all__ = ["answers"]

_API_VERSIONS = 18
_METADATA = 3
_CORRELATION = 4711
_LONGEST = 1 << 20  # bytes; a broker's list has some hundred


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
