"""Does a broker answer? One request of Kafka's protocol, without a client library."""

import socket
import struct

__all__ = ["answers"]

_API_VERSIONS = 18
_CORRELATION = 4711


def answers(host: str, port: int, timeout: float = 1.0) -> bool:
    """Whether a Kafka broker answers there.

    An open port is not enough: a broker that starts or hangs has one too. It is asked which
    requests it knows, which every listener answers, also before a login.

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
            head = b""
            while len(head) < 10:  # noqa: PLR2004  (length, correlation id and error code)
                part = link.recv(10 - len(head))
                if not part:
                    return False
                head += part
    except OSError:
        return False
    _, correlation, fault = struct.unpack(">iih", head)
    return bool(correlation == _CORRELATION and fault == 0)
