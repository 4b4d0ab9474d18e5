"""Who is let in, and when; with a topology log in memory."""

import asyncio
from collections.abc import Callable, Sequence

import msgspec
import pytest

from ampelstream.core.ownership import Word
from ampelstream.errors import ConfigError
from ampelstream.runtime.faust.admission import LOOK_SECONDS, Admission
from ampelstream.runtime.faust.inputs import Input
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.topologylog import Accepted, BackfillPlan, TopologyLog, fold
from ampelstream.topology import Identity

NOW = 1_000.0


def content(digest: str, *channels: str, where: str = "rb > 0.5") -> Identity:
    spec = {"name": "mine", "channels": {one: {"alerts": where} for one in channels}, "react": []}
    return Identity("mine", digest, digest, digest, where + str(channels), spec, {})


class Log(TopologyLog):
    """In memory; `meanwhile` is added before the next record that somebody adds."""

    def __init__(self, *records: Accepted) -> None:
        super().__init__(Connection(bootstrap=("nowhere:1",)), "log")
        self.records = list(records)
        self.meanwhile: Callable[[], None] = lambda: None

    async def read(self) -> Accepted | None:
        self.history = fold(enumerate(self.records))
        return self.current

    async def add(self, record: Accepted) -> bool:
        meanwhile, self.meanwhile = self.meanwhile, lambda: None
        meanwhile()
        self.records.append(record)
        return await self.read() == record


OLD = content("old", "a", "b")
NEW = content("new", "a", "b", where="rb > 0.9")
LESS = content("less", "a")
SAME_FILTERS = content("digest-of-same", "a", "b")


HERE = Connection(bootstrap=("b:1",))
ALERTS = Input("ingest-alerts", "group", "alerts", HERE, ("alerts",), True, None)  # noqa: FBT003  (as its fields are)


def admission(
    log: Log,
    of: Identity,
    now: float = NOW,
    alerts: Sequence[Input] | None = (ALERTS,),
    *,
    evaluates: bool = True,
) -> Admission:
    own = Connection(bootstrap=("nowhere:1",))
    return Admission(log, of, own, (), alerts, evaluates=evaluates, now=lambda: now)


@pytest.fixture
def worked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def worked_before(_self: Admission) -> bool:
        return True

    monkeypatch.setattr(Admission, "_worked_before", worked_before)


def test_a_note_that_comes_first_refuses_nobody() -> None:
    plan = BackfillPlan("x", OLD.filters)
    log = Log(Accepted(OLD, -1, 0.0, backfill=plan))

    def note() -> None:
        done = msgspec.structs.replace(plan, done=True)
        log.records.append(Accepted(OLD, 0, 5.0, backfill=done))

    log.meanwhile = note
    asyncio.run(admission(log, NEW).accept(Word.FROM_NOW_ON))
    assert log.current is not None
    assert log.current.content == NEW


def test_another_file_that_comes_first_does() -> None:
    log = Log(Accepted(OLD, -1, 0.0))
    log.meanwhile = lambda: log.records.append(Accepted(LESS, 0, 5.0))
    with pytest.raises(ConfigError, match="was replaced: version less"):
        asyncio.run(admission(log, NEW).accept(Word.FROM_NOW_ON))


@pytest.mark.parametrize("done", [False, True])
def test_a_channel_that_goes_does_not_end_a_backfill(done: bool) -> None:  # noqa: FBT001  (a case)
    """Nor one that was read, since objects may still be brought over."""
    log = Log(Accepted(OLD, -1, 0.0, backfill=BackfillPlan("x", OLD.filters, done=done)))
    asyncio.run(admission(log, LESS).accept(None))
    assert log.current is not None
    assert log.current.backfill is not None
    assert log.current.backfill.id != "x"


def test_a_word_that_comes_too_late_is_said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    log = Log(Accepted(OLD, -1, 0.0, word=Word.FROM_NOW_ON))
    asyncio.run(admission(log, OLD).accept(Word.FROM_NOW_ON))
    asyncio.run(admission(log, OLD).accept(None))
    assert not caplog.records
    asyncio.run(admission(log, OLD).accept(Word.BACKFILL))
    assert "--backfill changes nothing" in caplog.text


def test_a_word_that_nothing_asks_for_is_said(caplog: pytest.LogCaptureFixture) -> None:
    """And nobody who reads the log later takes it for a choice."""
    log = Log(Accepted(OLD, -1, 0.0))
    asyncio.run(admission(log, SAME_FILTERS).accept(Word.BACKFILL))
    assert "--backfill changes nothing: no difference asks for a word" in caplog.text
    assert log.current is not None
    assert (log.current.content, log.current.word) == (SAME_FILTERS, None)
    assert log.current.backfill is None


@pytest.mark.parametrize("alerts", [None, ()])
def test_who_reads_no_alerts_begins_no_backfill(alerts: Sequence[Input] | None) -> None:
    log = Log(Accepted(OLD, -1, 0.0))
    with pytest.raises(ConfigError, match="reads no alerts"):
        asyncio.run(admission(log, NEW, alerts=alerts).accept(Word.BACKFILL))
    assert len(log.records) == 1


def test_a_backfill_names_what_is_read_again() -> None:
    log = Log(Accepted(OLD, -1, 0.0))
    asyncio.run(admission(log, NEW).accept(Word.BACKFILL))
    assert log.current is not None
    assert log.current.backfill is not None
    assert log.current.backfill.groups == ("group",)


def test_the_end_of_a_backfill_is_not_that_of_its_successor() -> None:
    log = Log(Accepted(OLD, -1, 0.0, backfill=BackfillPlan("first", OLD.filters)))
    old = admission(log, OLD)

    async def play() -> Accepted | None:
        await old.alone()
        assert old.goes_on("first")
        await admission(log, NEW).accept(Word.BACKFILL)
        await old.is_superseded()  # it goes on for some seconds, and comes to the end of its own
        assert not old.goes_on("first")
        await old.note_backfilled("first")
        return await log.read()

    accepted = asyncio.run(play())
    assert accepted is not None
    assert accepted.backfill is not None
    assert (accepted.content, accepted.backfill.done) == (NEW, False)


def test_going_back_is_done_once() -> None:
    """Who is started again with the same words was not told of what came behind that."""
    third = content("digest-of-third", "a", "b")
    log = Log(Accepted(OLD, -1, 0.0), Accepted(SAME_FILTERS, 0, 1.0))
    with pytest.raises(ConfigError, match="--roll-back digest-of-same to go back"):
        asyncio.run(admission(log, OLD).accept(None))
    asyncio.run(admission(log, OLD).accept(None, roll_back="digest-of-same"))
    assert log.current is not None
    assert log.current.content == OLD
    asyncio.run(admission(log, third).accept(None))
    with pytest.raises(ConfigError, match="--roll-back digest-of-third to go back"):
        asyncio.run(admission(log, OLD).accept(None, roll_back="digest-of-same"))
    asyncio.run(admission(log, OLD).accept(None, roll_back="digest-of-t"))


UNIT = "channels.a.units.CatalogMatch"


def with_catalog(digest: str, file: str, version: str | None) -> Identity:
    """What a worker knows that opens catalogues."""
    spec = {
        "name": "mine",
        "description": file,
        "channels": {"a": {"units": [{"unit": "CatalogMatch"}]}},
        "react": [],
    }
    prints, reads = {UNIT: f"print {version}"}, {UNIT: {"GLADE+": version}}
    return Identity("mine", "1", digest, digest, "f", spec, prints, reads, file)


def without_catalogs(digest: str, file: str) -> Identity:
    """What one knows that does not."""
    return msgspec.structs.replace(with_catalog(digest, file, None), prints={}, reads={})


def test_who_evaluates_nothing_goes_on_whatever_the_catalogues() -> None:
    first, second = (with_catalog(f"c{n}", "x", str(n)) for n in (1, 2))
    log = Log(Accepted(first, -1, 0.0))
    ingest = admission(log, without_catalogs("i", "x"), evaluates=False)

    async def play() -> None:
        await ingest.accept(None)
        assert len(log.records) == 1
        await ingest.alone()
        await admission(log, second).accept(None)
        assert not await ingest.is_superseded()
        assert (await ingest.alone()).content == second

    asyncio.run(play())


def test_who_evaluates_nothing_brings_a_changed_file_and_leaves_the_catalogues() -> None:
    log = Log(Accepted(with_catalog("c", "x", "1"), -1, 0.0))
    old = admission(log, with_catalog("c", "x", "1"))
    ingest = admission(log, without_catalogs("i", "y"), evaluates=False)
    asyncio.run(old.alone())
    asyncio.run(ingest.accept(None))
    assert log.current is not None
    assert not log.current.whole
    assert log.current.content.reads == {UNIT: {"GLADE+": "1"}}
    assert old.superseded
    # a new pod whose volume is empty
    with pytest.raises(ConfigError, match="candidates lose what it says; see --catalogs"):
        asyncio.run(admission(log, with_catalog("d", "y", None)).accept(None))
    asyncio.run(admission(log, with_catalog("c2", "y", "1")).accept(None))
    assert log.current.content.digest == "c2"
    assert not ingest.superseded
    # and back, the one behind the other
    back = admission(log, without_catalogs("i0", "x"), evaluates=False)
    asyncio.run(back.accept(None, roll_back="c2"))
    asyncio.run(old.accept(None))
    assert log.current.content.digest == "c"


def test_an_earlier_catalogue_does_not_come_back_by_itself() -> None:
    first, second = (with_catalog(f"c{n}", "x", str(n)) for n in (1, 2))
    log = Log(Accepted(first, -1, 0.0), Accepted(second, 0, 1.0))
    with pytest.raises(ConfigError, match=r"(?s)From that to this:.*print 2 -> .*print 1"):
        asyncio.run(admission(log, first).accept(None))


@pytest.mark.usefixtures("worked")
def test_an_empty_log_of_a_topology_that_worked_asks_for_a_word() -> None:
    log = Log()
    with pytest.raises(ConfigError, match="does not say with which file"):
        asyncio.run(admission(log, OLD).accept(None))
    assert not log.records
    asyncio.run(admission(log, OLD).accept(Word.BACKFILL))
    assert log.current is not None
    assert log.current.backfill is not None
    log = Log()
    asyncio.run(admission(log, OLD).accept(Word.FROM_NOW_ON))
    assert log.current is not None
    assert log.current.backfill is None


def test_an_empty_log_of_a_new_topology_asks_for_nothing() -> None:
    log = Log()
    asyncio.run(admission(log, OLD).accept(None))
    assert log.current is not None
    assert log.current.backfill is None


def test_who_missed_that_there_was_another_topology_stops_all_the_same() -> None:
    """The one that is in force again may have a backfill of which this worker knows nothing."""
    log = Log(Accepted(OLD, -1, 0.0))
    worker = admission(log, OLD)

    async def superseded() -> list[bool]:
        await log.read()
        await worker.alone()
        log.records.append(Accepted(OLD, 0, 1.0))  # the end of a backfill is noted
        seen = [await worker.is_superseded()]
        log.records += [Accepted(NEW, 1, 2.0), Accepted(OLD, 2, 3.0)]
        return [*seen, await worker.is_superseded()]

    assert asyncio.run(superseded()) == [False, True]


def test_what_came_into_force_later_is_known_by_its_first_record() -> None:
    log = Log(Accepted(OLD, -1, 1.0), Accepted(NEW, 0, 2.0), Accepted(NEW, 1, 3.0))
    assert log.since is None
    asyncio.run(log.read())
    assert log.since == 2.0


@pytest.mark.parametrize(
    ("records", "wait"),
    [
        ((Accepted(NEW, -1, NOW),), 0.0),
        ((Accepted(OLD, -1, 0.0), Accepted(NEW, 0, NOW - 1.0)), 2 * LOOK_SECONDS - 1.0),
        ((Accepted(OLD, -1, 0.0), Accepted(NEW, 0, NOW - 60.0), Accepted(NEW, 1, NOW)), 0.0),
    ],
)
def test_who_was_let_in_just_before_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, records: tuple[Accepted, ...], wait: float
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    log = Log(*records)

    async def alone() -> None:
        await log.read()
        await admission(log, NEW).alone()

    asyncio.run(alone())
    assert slept == [wait]
