"""What counts as a broker that serves clients."""

import socket
import struct
import threading

import pytest

from ampelstream.testing.broker.ports import LOOPBACK, answers, free_port


def response(
    *, correlation: int = 4711, fault: int = 0, requests: tuple[int, ...] = (0, 3)
) -> bytes:
    rows = b"".join(struct.pack(">hhh", number, 0, 9) for number in requests)
    body = struct.pack(">ihi", correlation, fault, len(requests)) + rows
    return struct.pack(">i", len(body)) + body


@pytest.mark.parametrize(
    ("sent", "serves"),
    [
        (response(), True),
        (response(requests=(1, 52)), False),  # a controller
        (response(fault=-1), False),
        (response(correlation=1), False),
        (response()[:-1], False),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", False),
        (b"\0\0\0\2ab", False),
        (b"", False),
    ],
)
def test_only_a_brokers_list_of_requests_counts(sent: bytes, *, serves: bool) -> None:
    with socket.create_server((LOOPBACK, 0)) as server:

        def serve() -> None:
            link, _ = server.accept()
            with link:
                link.recv(14)
                link.sendall(sent)

        thread = threading.Thread(target=serve)
        thread.start()
        assert answers(LOOPBACK, server.getsockname()[1], timeout=5.0) is serves
        thread.join()


def test_a_port_that_is_closed_or_silent() -> None:
    assert not answers(LOOPBACK, free_port())
    with socket.create_server((LOOPBACK, 0)) as server:
        assert not answers(LOOPBACK, server.getsockname()[1], timeout=0.1)
