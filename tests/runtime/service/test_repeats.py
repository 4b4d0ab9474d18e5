"""What libraries repeat is passed once in a while; what we say always."""

import logging

from ampelstream.runtime.service.repeats import RepeatFilter


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def record(name: str, text: str, level: int = logging.ERROR) -> logging.LogRecord:
    return logging.LogRecord(name, level, "file", 1, text, (1,), None)


def test_a_librarys_message_passes_once_in_a_while_with_its_count() -> None:
    clock = Clock()
    only = RepeatFilter(30.0, clock=clock)
    assert only.filter(record("aiokafka.conn", "cannot connect to %d"))
    assert not any(only.filter(record("aiokafka.conn", "cannot connect to %d")) for _ in range(5))
    assert only.filter(record("aiokafka.conn", "another of %d"))
    clock.now = 31.0
    again = record("aiokafka.conn", "cannot connect to %d")
    assert only.filter(again)
    assert again.getMessage() == "cannot connect to 1 (and 5 times more)"


def test_our_own_messages_always_pass() -> None:
    only = RepeatFilter(clock=Clock())
    ours = [record("ampelstream.runtime.faust.worker", "objects ended: %d") for _ in range(3)]
    assert all(only.filter(one) for one in ours)


def test_fausts_services_under_our_names_are_held_to_warnings() -> None:
    only = RepeatFilter(clock=Clock())
    name = "ampelstream.runtime.faust.recovery"
    assert not only.filter(record(name, "[^--SafeRecovery]: Resuming flow... %d", logging.INFO))
    assert only.filter(record(name, "[^--SafeRecovery]: Crashed reason=%d"))
