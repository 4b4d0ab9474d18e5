"""What is in hand survives a death; who is to blame is found, and who is not is forgotten."""

import json
import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ampelstream.errors import StateError
from ampelstream.model.coordinates import Coordinates
from ampelstream.runtime.service.journal import _SLOTS, DEATHS, Journal, Journals
from ampelstream.runtime.settings import WorkerSettings

BAD = Coordinates("ampel.kilonova.detections", 3, 17)
OBJECT = ("S230518h", "ZTF23aaaaaaa")


def at(offset: int) -> Coordinates:
    return Coordinates("ampel.kilonova.detections", 3, offset)


def die(journal: Journal) -> None:
    """As far as the next process can see; the lock goes with the page."""
    journal._page = bytearray()


def incidents(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [record.incident for record in caplog.records if hasattr(record, "incident")]


@pytest.mark.parametrize("bad", [BAD, OBJECT])
def test_what_was_in_hand_at_three_deaths_is_given_up(bad: Any, tmp_path: Path) -> None:
    for _ in range(DEATHS):
        journal = Journal(tmp_path, "objects")
        for offset in range(10):
            assert journal.begin(at(offset)) == ""
            journal.end(at(offset))
        assert journal.begin(bad) == ""
        die(journal)
    journal = Journal(tmp_path, "objects")
    said = journal.begin(bad)
    assert said.startswith("it was in hand at 3 deaths of the process that handled it")
    journal.end(bad)
    assert journal.begin(at(1)) == ""
    journal.end(at(1))
    die(journal)  # before that was durable: it is not forgotten
    journal = Journal(tmp_path, "objects")
    assert journal.begin(bad) == said
    journal.end(bad)
    journal.committed()
    assert journal.begin(bad) == ""  # somebody wants it tried again


def test_what_was_handled_after_a_death_is_forgotten_when_it_is_durable(tmp_path: Path) -> None:
    """A kill from outside may hit anything: only what is in hand time and again is to blame."""
    for _ in range(2 * DEATHS):
        journal = Journal(tmp_path, "objects")
        assert journal.begin(BAD) == ""
        journal.end(BAD)
        journal.committed()
        assert not journal.doubtful(BAD)
        journal.begin(BAD)
        die(journal)


def test_what_was_set_aside_in_a_batch_that_was_dropped_is_not_forgotten(tmp_path: Path) -> None:
    """Its partition went elsewhere before the commit; the next commit is that of another batch."""
    for _ in range(DEATHS):
        journal = Journal(tmp_path, "objects")
        journal.begin(BAD)
        die(journal)
    journal = Journal(tmp_path, "objects")
    said = journal.begin(BAD)
    journal.end(BAD)
    journal.abandoned()
    journal.begin(at(3))
    journal.end(at(3))
    journal.committed()
    assert journal.begin(BAD) == Journal(tmp_path, "objects").begin(BAD) == said != ""


def test_each_of_several_things_in_hand_is_doubtful(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "objects")
    for offset in range(4):
        journal.begin(at(offset))
    journal.end(at(1))
    die(journal)
    journal = Journal(tmp_path, "objects")
    assert [journal.doubtful(at(offset)) for offset in range(5)] == [True, False, True, True, False]
    journal.begin(at(2))
    die(journal)
    journal = Journal(tmp_path, "objects")
    assert {what: deaths for what, (deaths, _) in journal._deaths.items()} == {
        at(0): 1,
        at(3): 1,
        at(2): 2,
    }


def test_the_death_is_told_with_topic_partition_and_offset(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(DEATHS):
        journal = Journal(tmp_path, "objects")
        journal.begin(BAD)
        die(journal)
    journal = Journal(tmp_path, "objects")
    told = incidents(caplog)
    assert [one.event for one in told] == ["died_in_hand"] * DEATHS
    assert [record.levelno for record in caplog.records] == [
        logging.WARNING,
        logging.WARNING,
        logging.ERROR,
    ]
    assert told[0].text == (
        "objects: the last process died while it handled record ampel.kilonova.detections[3]@17"
    )
    assert told[2].text.endswith(", as 2 before it: it becomes a dead letter")
    where = {"source": "ampel.kilonova.detections", "partition": 3, "offset": 17}
    assert told[0].fields.items() >= {**where, "step": "objects", "deaths": 1}.items()
    journal.begin(OBJECT)
    die(journal)
    Journal(tmp_path, "objects")
    assert "object ZTF23aaaaaaa for event S230518h" in incidents(caplog)[-1].text


def test_nobody_is_blamed_where_the_end_had_another_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journals = Journals(tmp_path)
    journals.open("objects").begin(BAD)
    guilty = journals.open("react")
    guilty.begin(at(4))
    journals.ending({"react": "hung"})
    guilty.begin(at(5))  # a thread that goes on meanwhile
    again = Journals(tmp_path)
    assert not again.open("objects").doubtful(BAD)
    react = again.open("react")
    assert react._deaths == {at(4): (1, "hung")}
    assert [one.fields["how"] for one in incidents(caplog)] == ["hung"]


@pytest.mark.parametrize(
    ("error", "suspects"),
    [
        (None, set()),
        (StateError("full"), set()),
        (KeyboardInterrupt(), set()),
        (OSError(5, "defect"), {BAD}),
    ],
)
def test_an_error_that_nobody_foresaw_may_come_of_what_is_in_hand(
    error: BaseException | None, suspects: set[Any], tmp_path: Path
) -> None:
    journals = Journals(tmp_path)
    journals.open("objects").begin(BAD)
    journals.__exit__(type(error) if error else None, error, None)
    assert Journal(tmp_path, "objects")._deaths.keys() == suspects


def test_processes_that_share_a_directory_have_a_page_each(tmp_path: Path) -> None:
    first, second = Journal(tmp_path, "objects"), Journal(tmp_path, "objects")
    first.begin(BAD)
    second.begin(at(2))
    die(first)
    third = Journal(tmp_path, "objects")
    assert third.doubtful(BAD)
    assert not third.doubtful(at(2))
    names = ["objects-0", "objects-1", "objects.deaths"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_deaths_of_all_processes_count_together(tmp_path: Path) -> None:
    """The partition of a record that kills goes from one worker to the next."""
    workers = [Journal(tmp_path, "objects") for _ in range(DEATHS + 1)]
    for number, worker in enumerate(workers[:DEATHS]):
        worker.consult()
        assert worker.doubtful(BAD) is (number > 0)
        assert worker.begin(BAD) == ""
        die(worker)
    last = workers[DEATHS]
    assert last.begin(at(1)) == ""
    last.consult()
    assert last.begin(BAD).startswith("it was in hand at 3 deaths")
    last.end(BAD)
    last.committed()
    again = Journal(tmp_path, "objects")
    assert not again.doubtful(BAD)
    assert again._deaths == last._deaths == {}
    last.begin(BAD)
    again.consult()  # what a living process has in hand is nobody's death
    assert again._deaths == {}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(junk=st.binary(max_size=300), place=st.integers(0, 66_000))
def test_a_page_that_a_death_left_half_written_is_read(
    junk: bytes, place: int, tmp_path: Path
) -> None:
    path = Path(tempfile.mkdtemp(dir=tmp_path))  # a new one for each example
    journal = Journal(path, "objects")
    journal.begin(BAD)
    journal._page[place : place + len(junk)] = junk
    die(journal)
    assert Journal(path, "objects").begin(at(1)) == ""


def test_what_has_no_room_is_not_noted_and_handled_all_the_same(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "objects")
    long = Coordinates("x" * 5000, 0, 1)
    assert journal.begin(long) == ""
    journal.end(long)
    for offset in range(200):
        journal.begin(at(offset))
    for offset in range(200):
        journal.end(at(offset))
    assert len(journal._free) == 64
    for offset in range(0, 300, 50):
        for one in range(offset, offset + 50):
            journal.begin(at(one))
        die(journal)
        journal = Journal(tmp_path, "objects")
    assert len(journal._deaths) == 300


def test_what_was_looked_at_together_is_handled_alone_after_a_death(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    some = [at(n) for n in (*range(100, 400), *range(7, 9))]
    journal = Journal(tmp_path, "ingest")
    assert journal.begin_all(some)
    journal.end_all()
    die(journal)
    journal = Journal(tmp_path, "ingest")
    assert not any(map(journal.doubtful, some))
    assert journal.begin_all(some)
    die(journal)
    journal = Journal(tmp_path, "ingest")
    assert all(map(journal.doubtful, some))
    assert not journal.doubtful(at(99))
    assert [one for one in caplog.text.splitlines() if "302 records together" in one]
    assert not journal.begin_all([at(1), at(250)])
    assert journal.begin_all([at(1), at(2)])
    journal.end_all()
    assert journal.begin(at(250)) == ""  # one death is no proof
    journal.end(at(250))
    journal.committed()
    assert not journal.doubtful(at(250))


def test_of_too_long_names_some_are_noted(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "ingest")
    some = [Coordinates(f"{n}{'x' * 290}", 0, n) for n in range(500)]
    assert journal.begin_all(some)
    die(journal)
    assert 50 < sum(map(Journal(tmp_path, "ingest").doubtful, some)) < 500


PATH = "archive/" * 500


@pytest.mark.parametrize(
    ("bad", "other"),
    [
        (Coordinates(f"{PATH}a.avro", 0, 1), Coordinates(f"{PATH}b.avro", 0, 1)),
        (Coordinates(f"{PATH}a.avro", 0, 1), Coordinates(f"{PATH}a.avro", 0, 2)),
        (("\U0001f52d" * 256, "\U0001f4a5" * 256), ("\U0001f52d" * 256, "\U0001f4a5" * 255)),
    ],
)
def test_a_name_that_is_longer_than_a_slot_is_found_out_too(
    bad: Any, other: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(DEATHS):
        journal = Journal(tmp_path, "objects")
        assert journal.doubtful(bad) is (number > 0)
        assert journal.begin(bad) == ""
        die(journal)
    journal = Journal(tmp_path, "objects")
    assert not journal.doubtful(other)
    assert journal.begin(other) == ""
    journal.end(other)
    assert journal.begin(bad).startswith("it was in hand at 3 deaths")
    journal.end(bad)
    journal.committed()
    assert not Journal(tmp_path, "objects").doubtful(bad)
    assert all(len(one.text) < 400 for one in incidents(caplog))


def test_there_is_room_for_all_that_may_be_in_hand_at_once() -> None:
    """As many objects as the pool has processes (`tests/core/test_inhand.py`)."""
    bounds = WorkerSettings.model_fields["pool_processes"].metadata
    assert [one.le for one in bounds if hasattr(one, "le")] == [_SLOTS]


def test_a_directory_that_cannot_be_used_is_a_state_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StateError, match="cannot hold what is in hand"):
        Journal(tmp_path / "file", "objects")


def test_the_page_survives_the_death_of_a_real_process(tmp_path: Path) -> None:
    program = f"""
import os, sys
from pathlib import Path
from ampelstream.model.coordinates import Coordinates
from ampelstream.runtime.service.journal import Journal
journal = Journal(Path({json.dumps(str(tmp_path))}), "objects")
for offset in range(100_000):
    where = Coordinates("topic", 1, offset)
    if journal.begin(where):
        print(offset)
        break
    if offset == 41_234:
        os._exit(9)
    journal.end(where)
"""
    codes = []
    for _ in range(DEATHS + 1):
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        codes.append(done.returncode)
    assert codes == [9, 9, 9, 0]
    assert done.stdout == "41234\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["objects-0", "objects.deaths"]
