"""What libraries say: the normal is left out, the rest is said once in a while."""

import logging
import ssl
import sys
from collections.abc import Iterator

import pytest
import stamina
from aiokafka.errors import AuthenticationFailedError, KafkaConnectionError
from stamina.instrumentation import get_on_retry_hooks, set_on_retry_hooks

from ampelstream.runtime.service.libraries import LibraryFilter, log_retries


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(
    name: str, text: str, level: int = logging.ERROR, *args: object, error: bool = False
) -> logging.LogRecord:
    info = sys.exc_info() if error else None
    return logging.LogRecord(name, level, "file", 1, text, args or (1,), info)


def test_a_librarys_message_passes_once_in_a_while_with_its_count() -> None:
    clock = Clock()
    only = LibraryFilter(30.0, clock=clock)
    assert only.filter(record("aiokafka.conn", "cannot do %d"))
    assert not any(only.filter(record("aiokafka.conn", "cannot do %d")) for _ in range(5))
    assert only.filter(record("aiokafka.conn", "another of %d"))
    clock.now = 31.0
    again = record("aiokafka.conn", "cannot do %d")
    assert only.filter(again)
    assert again.getMessage() == "cannot do 1 (and 5 times more)"


def test_our_own_messages_always_pass() -> None:
    only = LibraryFilter(clock=Clock())
    ours = [record("ampelstream.runtime.faust.worker", "objects: %d") for _ in range(3)]
    assert all(only.filter(one) for one in ours)


def test_a_sink_that_takes_nothing_is_said_once_in_a_while() -> None:
    only = LibraryFilter(clock=Clock())
    name = "ampelstream.reactions.dispatch"
    assert only.filter(record(name, "reaction %d could not be sent"))
    assert not only.filter(record(name, "reaction %d could not be sent"))


@pytest.mark.parametrize(
    "text",
    [
        "Group Coordinator Request failed: %s",
        "Marking the coordinator dead (node %s)for group %s.",
        "Heartbeat session expired - marking coordinator dead",
        "Heartbeat failed for group %s because it is rebalancing",
        "Heartbeat failed: local member_id was not recognized; resetting and re-joining group",
        "OffsetCommit failed for group %s due to group error (%s), will rejoin",
        "LeaveGroup request failed: %s",
    ],
)
def test_what_a_rebalance_brings_is_no_error(text: str) -> None:
    only = LibraryFilter(clock=Clock())
    one = record("aiokafka.client", text)
    assert not only.filter(one)
    assert one.levelno == logging.DEBUG


@pytest.mark.parametrize(
    "text",
    [
        "Unable to update metadata from %s",
        'Unable to request metadata from "%s:%s": %s',
        "Error sending %s to node %s [%s] -- marking coordinator dead",
        "Heartbeat send request failed: %s. Will retry.",
        "Failed fetch messages from %s: %s",
        "Got error produce response on topic-partition %s, retrying. Error: %s",
    ],
)
def test_a_broker_that_restarts_is_one_line_of_information(text: str) -> None:
    clock = Clock()
    only = LibraryFilter(60.0, clock=clock)
    words = ["x"] * text.count("%s")
    first = record("aiokafka.client", text, logging.ERROR, *words)
    assert only.filter(first)
    assert (first.levelname, first.incident.event) == ("INFO", "connection_lost")  # type: ignore[attr-defined]  # (the filter sets it)
    refused = "Unable connect to node with id %s: %s"
    more = record("aiokafka", refused, logging.ERROR, 1, ConnectionRefusedError())
    for clock.now in (0.0, 50.0, 100.0, 150.0):
        assert not only.filter(more)  # whatever else is said of it, and as long as it goes on
    clock.now = 211.0
    assert only.filter(record("aiokafka.client", text, logging.ERROR, *words))


def test_the_normal_passes_as_debug_where_that_is_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    one = record("aiokafka.client", "LeaveGroup request failed: %s")
    assert LibraryFilter(clock=Clock()).filter(one)
    assert one.levelname == "DEBUG"


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (ConnectionRefusedError(111, "refused"), "INFO"),
        (TimeoutError(), "INFO"),
        (KafkaConnectionError("closed"), "INFO"),
        (ssl.SSLCertVerificationError(1, "self-signed"), "ERROR"),
        (AuthenticationFailedError("wrong password"), "ERROR"),
    ],
)
def test_whom_a_broker_does_not_let_in_hears_of_it(error: Exception, level: str) -> None:
    text = "Unable connect to node with id %s: %s"
    one = record("aiokafka", text, logging.ERROR, 1, error)
    assert LibraryFilter(clock=Clock()).filter(one)
    assert one.levelname == level


def test_faust_is_heard_only_where_it_swallows_an_exception() -> None:
    only = LibraryFilter(clock=Clock())
    ours, faust = "ampelstream.runtime.safefaust.recovery", "faust.transport.drivers.aiokafka"
    assert not only.filter(record(ours, "[^--SafeRecovery]: Resuming flow... %d", logging.INFO))
    assert not only.filter(record(ours, "[^--_Thread]: Aiokafka has not sent fetch request"))
    assert not only.filter(record("mode.services", "[^-App]: Recovery rebalancing again"))
    try:
        int("seven")
    except ValueError:
        crash = record("mode.services", "[^-App]: Crashed reason=%r", error=True)
        swallowed = record(faust, "[^--Consumer]: Drain messages raised: %r", error=True)
    assert not only.filter(crash)  # the worker says why it ends
    assert only.filter(swallowed)


@pytest.fixture
def set_up_retries() -> Iterator[None]:
    log_retries()
    yield
    set_on_retry_hooks(None)


@pytest.mark.usefixtures("set_up_retries")
def test_a_retry_that_succeeds_is_said_at_debug_only_and_counted_nowhere(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    tries = []
    for attempt in stamina.retry_context(on=ValueError, wait_initial=0.001, wait_jitter=0):
        with attempt:
            tries.append(attempt.num)
            if len(tries) < 3:
                raise ValueError("busy")
    assert tries == [1, 2, 3]
    assert [one.levelno for one in caplog.records] == [logging.DEBUG] * 2
    assert caplog.records[0].getMessage() == "tried again in 0.0 s: ValueError: busy"
    assert len(get_on_retry_hooks()) == 1  # ours, and not the one that counts in Prometheus
