"""What is committed, and what counts as done: our driver beside Faust's own."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import pytest
from faust.transport import consumer as stock_consumer
from faust.transport.drivers import aiokafka as stock
from faust.types import TP, ConsumerMessage, Message

from ampelstream.errors import ProduceError
from ampelstream.runtime.faust.driver import Consumer

HERE = TP("source", 0)
GENERATION = 7


class Flow:
    active = True

    def is_active(self) -> bool:
        return self.active


def make_consumer(kind: type[Any] = Consumer) -> Any:
    """A consumer without a connection, only with its books."""
    consumer: Any = object.__new__(kind)
    consumer.app = SimpleNamespace(
        topics=SimpleNamespace(acks_enabled_for=lambda _topic: True),
        flow_control=Flow(),
        consumer_generation_id=GENERATION,
        producer=SimpleNamespace(failure=None),
    )
    consumer._committed_offset = defaultdict(lambda: None)
    consumer._acked, consumer._acked_index = defaultdict(list), defaultdict(set)
    consumer._gap = defaultdict(vars(stock_consumer)["IntervalTree"])
    consumer._unacked_messages, consumer._waiting_for_ack = WeakSet(), None
    consumer._n_acked = 0
    consumer._delivered, consumer._delivering = defaultdict(set), defaultdict(set)
    consumer._highest = {}
    return consumer


def message(offset: int, generation: int = GENERATION) -> Message:
    return ConsumerMessage(
        HERE.topic,
        HERE.partition,
        offset,
        0.0,
        0,
        [],
        None,
        b"",
        None,
        tp=HERE,
        generation_id=generation,
    )


def deliver(consumer: Any, offsets: Iterable[int]) -> dict[int, Message]:
    """Hand records over as the fetcher does."""
    messages = {offset: message(offset) for offset in offsets}
    for offset in messages:
        if isinstance(consumer, Consumer):
            consumer._delivered[HERE].add(offset)
            consumer._highest[HERE] = offset
    return messages


def commit(consumer: Any) -> int | None:
    """Commit what the consumer would."""
    offset: int | None = consumer._new_offset(HERE)
    if offset is not None and consumer._should_commit(HERE, offset):
        consumer._committed_offset[HERE] = offset
    committed: int | None = consumer._committed_offset[HERE]
    return committed


@pytest.mark.parametrize(("kind", "committed"), [(stock.Consumer, 8), (Consumer, 3)])
def test_record_in_work(kind: type[Any], committed: int) -> None:
    consumer = make_consumer(kind)
    messages = deliver(consumer, range(8))
    for offset in (0, 1, 2):
        consumer.ack(messages[offset])
    assert commit(consumer) == 3
    for offset in (4, 5, 6, 7):
        consumer.ack(messages[offset])
    assert commit(consumer) == committed
    consumer.ack(messages[3])
    assert commit(consumer) == 8


def test_first_record_in_work() -> None:
    consumer = make_consumer()
    messages = deliver(consumer, range(10, 14))
    consumer.ack(messages[12])
    assert commit(consumer) == 10
    for offset in (10, 11, 13):
        consumer.ack(messages[offset])
    assert commit(consumer) == 14


def test_holes_of_compaction_are_passed() -> None:
    consumer = make_consumer()
    for one in deliver(consumer, [3, 9, 200]).values():
        consumer.ack(one)
    assert commit(consumer) == 201


@pytest.mark.parametrize(("kind", "committed"), [(stock.Consumer, 2), (Consumer, 1)])
def test_record_that_a_stream_skips_while_the_flow_is_held(kind: type[Any], committed: int) -> None:
    consumer = make_consumer(kind)
    messages = deliver(consumer, range(2))
    consumer.ack(messages[0])
    consumer.app.flow_control.active = False
    consumer.ack(messages[1])
    assert commit(consumer) == committed


@pytest.mark.parametrize(("kind", "committed"), [(stock.Consumer, 1), (Consumer, None)])
def test_record_of_an_assignment_that_is_over(kind: type[Any], committed: int | None) -> None:
    consumer = make_consumer(kind)
    deliver(consumer, [0])
    consumer.ack(message(0, GENERATION - 1))
    assert commit(consumer) == committed


def test_settled_counts_whatever_the_flow_does() -> None:
    consumer = make_consumer()
    messages = deliver(consumer, range(3))
    consumer.app.flow_control.active = False
    consumer.settle(messages[0])
    consumer.settle(messages[1])
    assert commit(consumer) == 2


def test_settled_too_late_does_not_count() -> None:
    consumer = make_consumer()
    messages = deliver(consumer, range(3))
    consumer.app.consumer_generation_id += 1
    for one in messages.values():
        consumer._unacked_messages.add(one)
        consumer.settle(one)
    assert commit(consumer) is None
    assert not consumer._unacked_messages  # a rebalance does not wait for it


def test_record_in_delivery_is_not_passed() -> None:
    """One that cannot be decoded is acknowledged before anybody has taken it."""
    consumer = make_consumer()
    messages = deliver(consumer, range(2))
    consumer._delivering[HERE].add(1)
    consumer.ack(messages[0])
    consumer.ack(messages[1])
    assert commit(consumer) == 1
    consumer._delivering[HERE].discard(1)
    assert commit(consumer) == 2


def test_no_commit_after_a_failed_produce(monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = make_consumer()
    crashes: list[BaseException] = []
    asked: list[object] = []

    async def crash(reason: BaseException) -> None:
        crashes.append(reason)

    async def sent(_self: object, offsets: object) -> bool:
        asked.append(offsets)
        return True

    monkeypatch.setattr(stock.Consumer, "_commit", sent)
    consumer.crash = crash
    consumer.on_committed = lambda _offsets: None
    assert asyncio.run(consumer._commit({HERE: 1}))
    consumer.app.producer.failure = OSError("gone")
    assert not asyncio.run(consumer._commit({HERE: 2}))
    assert asked == [{HERE: 1}]
    assert isinstance(crashes[0], ProduceError)
