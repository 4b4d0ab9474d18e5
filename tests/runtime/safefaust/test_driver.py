"""What is fetched, put back and committed: our driver beside Faust's own."""

import asyncio
import logging
import time
from collections import defaultdict
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import CommitFailedError, KafkaConnectionError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.exceptions import ConsumerNotStarted
from faust.transport.drivers import aiokafka as stock
from faust.types import TP

from ampelstream.runtime.safefaust import driver
from ampelstream.runtime.safefaust.commitnotes import time_of
from ampelstream.runtime.safefaust.driver import Consumer, Fetched, Producer, _Thread
from ampelstream.runtime.safefaust.failures import LostRecords, ProduceError, ReadError
from ampelstream.runtime.safefaust.inbox import Chunk, Inbox
from ampelstream.runtime.safefaust.topicids import Topics
from ampelstream.runtime.safefaust.unreadable import unreadable

CHANGELOG, HERE = TP("changelog", 0), TP("source", 0)


def record(offset: int, tp: TP = HERE) -> Any:
    return SimpleNamespace(topic=tp.topic, partition=tp.partition, offset=offset, value=b"1")


# --- the client's thread ------------------------------------------------------------------------


class Client:
    """As much of aiokafka's consumer as the thread needs."""

    _closed = False
    _max_poll_records = 500

    def __init__(self, position: int = 0) -> None:
        self._fetcher = self
        self._subscriptions = SimpleNamespace(fetch_context=nullcontext)
        state = SimpleNamespace(position=position, has_valid_position=True)
        assignment = SimpleNamespace(active=True, tps={HERE}, state_value=lambda _tp: state)
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=assignment))
        self.seeks: list[tuple[TP, int]] = []
        self.committed_offsets: dict[TP, int | None] = {}
        self.metadata = ""
        self.commits: dict[Any, Any] = {}
        self.error: KafkaError | None = None
        self._coordinator = self._client = self
        self.ids = {HERE.topic: "id1"}
        self.silent = 0

    @property
    def _closing(self) -> "asyncio.Future[None]":
        return asyncio.get_running_loop().create_future()  # it is not being closed

    async def fetched_records(self, _partitions: set[TP], **_how: Any) -> dict[TP, list[Any]]:
        return {}

    def seek(self, tp: TP, offset: int) -> None:
        self.seeks.append((tp, offset))

    def assignment(self) -> set[TP]:
        return set(self.committed_offsets)

    async def fetch_committed_offsets(self, _tps: list[TP]) -> dict[TP, Any]:
        known = {tp: one for tp, one in self.committed_offsets.items() if one is not None}
        return {tp: OffsetAndMetadata(one, self.metadata) for tp, one in known.items()}

    async def beginning_offsets(self, tps: list[TP]) -> dict[TP, int]:
        return dict.fromkeys(tps, 4)

    async def commit(self, offsets: Any) -> None:
        if self.error is not None:
            raise self.error
        self.commits.update(offsets)


@pytest.fixture(autouse=True)
def ids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client above answer what the ids of topics are."""

    async def ask(client: Client, topics: set[str]) -> Topics:
        if client.silent:
            client.silent -= 1
            raise ReadError("no broker is known")
        return Topics("", {topic: client.ids.get(topic, "") for topic in topics})

    monkeypatch.setattr(driver, "ask", ask)
    monkeypatch.setattr(driver, "_TRY_SECONDS", 0.0)


def thread_of(client: Client) -> Any:
    thread: Any = _Thread.__new__(_Thread)
    thread.consumer = SimpleNamespace(flow_active=True)
    thread._consumer = client
    thread.app = SimpleNamespace(conf=SimpleNamespace(id="app"))
    return thread


def test_the_client_is_told_what_faust_has_no_setting_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where aiokafka has them when it begins to fetch."""

    async def made() -> None:
        client = AIOKafkaConsumer()
        monkeypatch.setattr(
            stock.AIOKafkaConsumerThread, "_create_worker_consumer", lambda *_: client
        )
        assert {"_fetch_max_bytes", "_isolation_level"} <= vars(client).keys()
        assert thread_of(Client())._create_worker_consumer(None) is client
        assert client._fetch_max_bytes == driver.FETCH_BYTES
        assert client._isolation_level == "read_committed"
        await client.stop()

    asyncio.run(made())


def test_a_fetch_that_brings_nothing_says_where_reading_goes_on() -> None:
    thread = thread_of(Client(position=12))
    assert asyncio.run(thread._fetch({HERE}, 1.0)) == Fetched(0, {}, {HERE: 12})


def test_rewind_goes_to_the_committed_offset_or_to_the_beginning() -> None:
    """aiokafka stays where it is without a committed offset, and at offset 0."""
    client = Client()
    client.committed_offsets = {HERE: 0, TP("source", 1): 9, TP("source", 2): None}
    thread = thread_of(client)
    assert asyncio.run(thread._rewind()) == (1, client.committed_offsets)
    assert sorted(client.seeks) == [(HERE, 0), (TP("source", 1), 9), (TP("source", 2), 4)]


def test_an_offset_of_a_topic_that_had_the_name_before_does_not_count(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One that is committed while the topic is made anew would pass over its first records."""
    client = Client()
    client.committed_offsets = {HERE: 9}
    thread = thread_of(client)
    asyncio.run(thread._rewind())  # offsets of earlier versions say nothing of their topic
    assert asyncio.run(thread._commit({HERE: 9}))
    client.metadata = client.commits[HERE].metadata
    assert asyncio.run(thread._rewind())[1] == {HERE: 9}
    assert not caplog.messages
    client.ids = {HERE.topic: "id2"}
    assert asyncio.run(thread._rewind())[1] == {HERE: None}
    assert client.seeks == [(HERE, 9), (HERE, 9), (HERE, 4)]
    assert "source was made anew" in caplog.text
    client.ids = {}  # a broker that does not tell
    assert asyncio.run(thread._rewind())[1] == {HERE: 9}


def test_offsets_are_committed_for_the_topic_that_was_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = Client()
    client.committed_offsets = {HERE: 0}
    thread = thread_of(client)
    asyncio.run(thread._rewind())
    client.ids = {HERE.topic: "id2"}  # made anew while it is read
    asyncio.run(thread._commit({HERE: 7}))
    client.committed_offsets, client.metadata = {HERE: 7}, client.commits[HERE].metadata
    assert asyncio.run(thread._rewind())[1] == {HERE: None}
    assert len(caplog.messages) == 1


@pytest.mark.parametrize(("silent", "answers"), [(4, True), (5, False)])
def test_brokers_that_need_a_moment_are_asked_again(silent: int, *, answers: bool) -> None:
    client = Client()
    client.committed_offsets, client.silent = {HERE: 3}, silent
    thread = thread_of(client)
    if answers:
        assert asyncio.run(thread._rewind())[1] == {HERE: 3}
    else:
        with pytest.raises(ReadError):
            asyncio.run(thread._rewind())


def test_put_back_unless_rewound_meanwhile() -> None:
    client = Client()
    client.committed_offsets = {HERE: 2}
    thread = thread_of(client)
    asyncio.run(thread._put_back(0, {HERE: 7, TP("gone", 0): 1}))
    assert client.seeks == [(HERE, 7)]
    asyncio.run(thread._rewind())
    asyncio.run(thread._put_back(0, {HERE: 7}))
    assert client.seeks == [(HERE, 7), (HERE, 2)]


@pytest.mark.parametrize(
    ("error", "level"),
    [
        (CommitFailedError("rebalanced"), logging.DEBUG),  # that is normal
        (KafkaConnectionError("away"), logging.DEBUG),
        (KafkaError("not allowed"), logging.WARNING),
    ],
)
def test_a_commit_that_fails_ends_nothing(
    error: KafkaError, level: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    client = Client()
    thread = thread_of(client)
    assert asyncio.run(thread._commit({HERE: 3}))
    client.error = error
    assert not asyncio.run(thread._commit({HERE: 4}))
    assert [(one.levelno, one.name) for one in caplog.records if "safefaust" in one.name] == [
        (level, "ampelstream.runtime.safefaust.driver")
    ]


# --- what is delivered and committed ------------------------------------------------------------


class Work:
    def __init__(self) -> None:
        self.told: list[str] = []

    def pause(self) -> None:
        self.told.append("pause")

    def forget(self) -> None:
        self.told.append("forget")

    def committed(self) -> None:
        self.told.append("committed")

    def assigned(self, partitions: set[TP]) -> None:
        self.told.append(f"assigned {sorted(tp.topic for tp in partitions)}")

    def revoked(self, partitions: set[TP]) -> None:
        self.told.append(f"revoked {sorted(tp.topic for tp in partitions)}")


def test_the_agent_is_told_what_the_group_gives_and_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    consumer = make_consumer()
    both, passed = {HERE, CHANGELOG}, []

    async def on_partitions(_self: Any, partitions: set[TP], *more: int) -> None:
        passed.append((partitions, *more))

    monkeypatch.setattr(stock.Consumer, "on_partitions_revoked", on_partitions)
    monkeypatch.setattr(stock.Consumer, "on_partitions_assigned", on_partitions)

    async def run() -> None:
        await consumer.on_partitions_revoked(both)
        await consumer.on_partitions_assigned(both, 7)

    asyncio.run(run())
    assert consumer.work.told == ["pause", "revoked ['source']", "assigned ['source']"]
    assert passed == [(both,), (both, 7)]


def test_an_agent_that_fails_does_not_wait_for_brokers() -> None:
    """They may be what it failed for, and a commit would wait until they are back."""
    consumer = make_consumer()
    consumer.inbox.settle(HERE, 3)

    async def never(_offsets: Any) -> bool:
        await asyncio.sleep(3600)
        return True

    consumer._commit = never

    async def run() -> None:
        async with asyncio.timeout(1.0):
            await consumer.on_task_error(ValueError())

    asyncio.run(run())


def make_consumer() -> Any:
    """A consumer without a connection."""
    consumer: Any = object.__new__(Consumer)
    consumer.app = SimpleNamespace(
        rebalancing=False,
        crashed=False,
        should_stop=False,
        conf=SimpleNamespace(id="app"),
        tables=SimpleNamespace(changelog_topics={CHANGELOG.topic}),
    )
    consumer.inbox = Inbox()
    consumer.inbox.open()
    consumer.work = Work()
    consumer.flow_active = True
    consumer.term_seconds = 0.05
    consumer.rebalance_began = 0.0
    consumer._committed_offset = defaultdict(lambda: None)
    consumer._committing = asyncio.Lock()
    consumer._thread = SimpleNamespace(
        _consumer=None,
        assignment=lambda: {HERE},
        put_back=put_back(consumer),
        commit=commit(consumer),
    )
    consumer.back, consumer.asked, consumer.refuse = [], [], False
    return consumer


def put_back(consumer: Any) -> Any:
    async def back(epoch: int, offsets: dict[TP, int]) -> None:
        consumer.back.append((epoch, offsets))

    return back


def commit(consumer: Any) -> Any:
    async def ask(offsets: dict[TP, int]) -> bool:
        consumer.asked.append(dict(offsets))
        return not consumer.refuse

    return ask


def deliver(consumer: Any, fetched: Fetched) -> list[int]:
    asyncio.run(consumer._deliver(fetched))
    chunks = consumer.inbox.take(500, one_partition=False)
    return [one.offset for chunk in chunks for one in chunk.records]


def test_a_fetch_goes_on_whole() -> None:
    assert deliver(make_consumer(), Fetched(0, {HERE: [record(4), record(9)]})) == [4, 9]


def test_what_comes_while_the_inbox_is_closed_is_put_back() -> None:
    consumer = make_consumer()
    consumer.inbox.close()
    assert deliver(consumer, Fetched(0, {HERE: [record(4), record(5)]})) == []
    assert consumer.back == [(0, {HERE: 4})]


def test_a_batch_that_was_not_read_is_put_back_from_its_first_record() -> None:
    consumer = make_consumer()
    bad = unreadable(HERE.topic, HERE.partition, 4, 9, "4 to 9")
    assert deliver(consumer, Fetched(0, {HERE: [bad, record(10)]})) == [4, 10]
    consumer.inbox.close()
    assert deliver(consumer, Fetched(0, {HERE: [bad, record(10)]})) == []
    assert consumer.back == [(0, {HERE: 4})]


def test_what_was_fetched_before_a_rewind_is_dropped() -> None:
    """Reading has begun anew at the committed offset: it comes again."""
    consumer = make_consumer()
    consumer.inbox.rewound(1)
    assert deliver(consumer, Fetched(0, {HERE: [record(4)]})) == []
    assert consumer.back == [(0, {HERE: 4})]  # which does nothing, in the thread


def test_a_fetch_has_a_set_of_its_own_and_reads_no_changelog() -> None:
    """Whoever pauses partitions does so at any time, and aiokafka takes an empty set for all."""
    consumer = make_consumer()
    consumer._active_partitions = {HERE, CHANGELOG}
    consumer._thread._consumer = consumer
    consumer._thread.assignment = lambda: {HERE, CHANGELOG, TP("source", 1)}
    asked: list[set[TP]] = []

    async def fetch(active: set[TP], _seconds: float) -> Fetched:
        consumer.pause_partitions({HERE})
        asked.append(active)
        return Fetched(0, {HERE: [record(4)]})

    consumer._paused_partitions = set()
    consumer._thread.fetch = fetch
    asyncio.run(consumer._drain())
    assert asked == [{HERE}]


def test_a_partition_without_room_is_left_out_and_the_others_are_read() -> None:
    """One whose records take long keeps nobody else waiting."""
    consumer, other = make_consumer(), TP("source", 1)
    consumer._active_partitions, consumer._paused_partitions = {HERE, other}, set()
    consumer._thread._consumer = consumer
    consumer._thread.assignment = lambda: {HERE, other}
    asked: list[tuple[set[TP], float]] = []

    async def fetch(active: set[TP], seconds: float) -> Fetched:
        asked.append((active, seconds))
        return Fetched(0, {HERE: [record(n) for n in range(1000)]} if len(asked) == 1 else {})

    consumer._thread.fetch = fetch
    for _ in range(2):
        asyncio.run(consumer._drain())
    consumer.inbox.take(500, one_partition=True)
    asyncio.run(consumer._drain())
    assert [active for active, _ in asked] == [{HERE, other}, {other}, {HERE, other}]
    assert asked[1][1] < asked[0][1]  # it may soon have room again


def test_where_no_partition_has_room_it_waits_until_one_has() -> None:
    consumer = make_consumer()
    consumer._active_partitions, consumer._paused_partitions = {HERE}, set()
    consumer._thread._consumer = consumer
    consumer.inbox.put(Chunk(HERE, [record(n) for n in range(2000)]))
    consumer.suspend_flow = asyncio.Event()

    async def wait_first(*waits: Any, **_how: Any) -> None:
        tasks = [asyncio.ensure_future(one) for one in waits]
        done, left = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED, timeout=0.05)
        assert bool(done) == consumer.inbox.empty
        for one in left:
            one.cancel()

    consumer.wait_first = wait_first

    async def run() -> None:
        await consumer._drain()
        asyncio.get_running_loop().call_soon(lambda: consumer.inbox.take(5000, one_partition=True))
        await consumer._drain()

    asyncio.run(run())


def test_markers_of_transactions_are_settled_once_all_before_them_is() -> None:
    consumer = make_consumer()
    consumer.inbox.held = True
    asyncio.run(consumer._deliver(Fetched(0, {}, {HERE: 12})))
    assert consumer.inbox.settled == {}
    consumer.inbox.held = False
    asyncio.run(consumer._deliver(Fetched(0, {}, {HERE: 12})))
    assert consumer.inbox.settled == {HERE: 12}
    asyncio.run(consumer._deliver(Fetched(0, {}, {HERE: 11})))
    assert consumer.inbox.settled == {HERE: 12}


def test_committed_is_what_was_settled_and_only_once() -> None:
    consumer = make_consumer()
    assert not asyncio.run(consumer.commit())
    consumer.inbox.settle(HERE, 5)
    consumer.inbox.settle(TP("source", 1), 7)  # went elsewhere
    assert asyncio.run(consumer.commit())
    assert not asyncio.run(consumer.commit())
    assert (consumer.asked, consumer.work.told) == ([{HERE: 5}], ["committed"])


def test_a_commit_that_failed_is_tried_again() -> None:
    """Faust takes it for done (consumer.py:1080)."""
    consumer = make_consumer()
    consumer.inbox.settle(HERE, 5)
    consumer.refuse = True
    assert not asyncio.run(consumer.commit())
    consumer.refuse = False
    assert asyncio.run(consumer.commit())
    assert consumer.asked == [{HERE: 5}] * 2


def test_a_rebalance_waits_for_the_batch_in_hand_and_commits_it() -> None:
    consumer = make_consumer()

    async def run() -> None:
        await consumer.inbox.in_hand.acquire()
        waiting = asyncio.create_task(consumer.wait_empty())
        await asyncio.sleep(0.02)
        assert not waiting.done()
        consumer.inbox.settle(HERE, 5)
        consumer.inbox.in_hand.release()
        await waiting

    asyncio.run(run())
    assert (consumer.asked, consumer.work.told) == ([{HERE: 5}], ["forget", "committed"])


def test_a_rebalance_does_not_wait_longer_than_the_group() -> None:
    consumer = make_consumer()
    reasons: list[BaseException] = []

    async def crash(reason: BaseException) -> None:
        reasons.append(reason)

    async def run() -> None:
        await consumer.inbox.in_hand.acquire()
        await consumer.wait_empty()

    consumer.crash = crash
    asyncio.run(run())
    assert isinstance(reasons[0], LostRecords)
    assert consumer.asked == []


def test_after_a_crash_nothing_is_waited_for() -> None:
    consumer = make_consumer()
    consumer.app.crashed = True

    async def run() -> None:
        await consumer.inbox.in_hand.acquire()
        await consumer.wait_empty()

    asyncio.run(run())
    assert consumer.asked == []


def test_late_is_only_who_lets_a_rebalance_wait() -> None:
    consumer = make_consumer()
    assert not consumer.late
    consumer.app.rebalancing = True
    assert consumer.late


def test_a_client_that_cannot_go_on_ends_the_application() -> None:
    consumer = make_consumer()
    consumer._stopped = asyncio.Event()

    async def fetch(_active: object, _seconds: float) -> None:
        raise KafkaError("no brokers")

    consumer._active_partitions = {HERE}
    consumer._thread._consumer = consumer
    consumer._thread.fetch = fetch
    fetcher = SimpleNamespace(_stopped=asyncio.Event())
    with pytest.raises(ReadError, match="no brokers"):
        asyncio.run(consumer._drain_messages(fetcher))


def test_before_there_is_a_client_it_has_no_partitions() -> None:
    """Whoever asks early, for the lag, must not end for that."""
    consumer = make_consumer()
    consumer._thread = _Thread.__new__(_Thread)
    with pytest.raises(ConsumerNotStarted):
        consumer.assignment()
    assert consumer.sources() == set()


# --- the producer -------------------------------------------------------------------------------


def test_faust_sends_nothing(tmp_path: Path) -> None:
    app: Any = faust.App("app", broker="safefaust://nowhere", datadir=str(tmp_path))
    producer = app.producer
    assert isinstance(producer, Producer)
    assert not isinstance(producer, stock.Producer)

    async def run() -> None:
        await producer.start()  # with no broker there
        with pytest.raises(ProduceError, match="with an Outbox"):
            _ = await producer.send("topic", b"key", b"value", None, None, None)
        with pytest.raises(ProduceError, match="asked to send to topic"):
            app.topic("topic").send_soon(value=b"1").cancel()

    asyncio.run(run())


def test_an_offset_says_when_it_was_committed() -> None:
    client = Client()
    client.committed_offsets = {HERE: 0}
    began = int(time.time())
    asyncio.run(thread_of(client)._commit({HERE: 7}))
    said = time_of(client.commits[HERE].metadata)
    assert said is not None
    assert began <= said <= time.time() + 1
