"""The databases of a table: batches with their offset, opened and closed, and whose they are."""

import asyncio
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from functools import partial
from operator import add
from pathlib import Path
from typing import Any

import faust
import pytest
from faust.types import TP

from ampelstream.runtime.safefaust.failures import ForeignState, SettingsError, StoreError
from ampelstream.runtime.safefaust.partitionstore import Owner, PartitionStore
from ampelstream.runtime.safefaust.table import StateTable

CHANGELOG = "app-state-changelog"
OURS = Owner("app", CHANGELOG, "idOfTheTopic", "idOfTheCluster")


class Database:
    """A database that is a file, whole."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._file = path / "data"
        self._data: dict[bytes, bytes] = {}
        if self._file.exists():
            self._data = pickle.loads(self._file.read_bytes())  # noqa: S301  (our own)

    def get(self, key: bytes) -> bytes | None:
        return self._data.get(key)

    def scan(self, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter([(key, self._data[key]) for key in sorted(self._data) if start <= key < stop])

    def write(self, batch: Mapping[bytes, bytes | None]) -> None:
        data = {**self._data, **batch}
        self._data = {key: value for key, value in data.items() if value is not None}
        self._file.write_bytes(pickle.dumps(self._data))

    def close(self) -> None:
        pass


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PartitionStore]:
    app: Any = faust.App("app", broker="kafka://nowhere", datadir=str(tmp_path), web_enabled=False)
    table = StateTable(app, name="state", key_type=bytes, value_type=bytes)
    table.state_directory = tmp_path / "databases"
    table.open_database = Database
    made = table.partitions_store
    made.claim(OURS)
    yield made
    made.close()


def offset_of(store: PartitionStore, partition: int = 0) -> int | None:
    return store.persisted_offset(TP(CHANGELOG, partition))


def test_new_partition_has_no_offset(store: PartitionStore) -> None:
    assert offset_of(store) is None


def test_changes_and_offset_go_in_together(store: PartitionStore) -> None:
    store.write(0, {b"a": b"1", b"b": b"2"}, 5)
    store.write(0, {b"a": None}, 8)
    assert (store.backend(0).get(b"a"), store.backend(0).get(b"b"), offset_of(store)) == (
        None,
        b"2",
        8,
    )
    assert list(store.backend(0).scan(b"\x01", b"\xff")) == [(b"b", b"2")]


def test_state_and_offset_outlive_the_process(store: PartitionStore) -> None:
    store.write(2, {b"a": b"1"}, 5)
    store.close()
    assert store.opened(2) is None
    assert (store.backend(2).get(b"a"), offset_of(store, 2)) == (b"1", 5)


def test_partitions_that_went_elsewhere_are_closed(store: PartitionStore) -> None:
    for partition in (0, 1, 2):
        store.write(partition, {b"a": b"1"}, 1)
    assigned = {TP(CHANGELOG, 1), TP("source", 2)}
    asyncio.run(store.on_rebalance(assigned, set(), set()))
    assert [store.opened(partition) is not None for partition in (0, 1, 2)] == [False, True, False]


def test_a_database_that_was_not_written_for_long_is_made_anew(store: PartitionStore) -> None:
    """Its changelog may have forgotten by now that a key was removed, and the key would stay."""
    store.write(0, {b"a": b"1"}, 5)
    now = store._now
    for days, kept in ((3.4, b"1"), (3.6, None)):
        store.close()
        store._now = partial(add, now(), days * 86_400)
        assert store.backend(0).get(b"a") == kept


@pytest.mark.parametrize(
    "what", ["apply_changelog_batch", "reset_state", "backup_partition", "restore_backup"]
)
def test_what_faust_might_do_to_it_is_refused(store: PartitionStore, what: str) -> None:
    with pytest.raises(StoreError, match="the changelog is the copy"):
        getattr(store, what)(0)


# --- whose it is --------------------------------------------------------------------------------


def reopen(store: PartitionStore, owner: Owner) -> bytes | None:
    """Open the database of partition 0 for somebody, as a new process does; gives a value."""
    store.close()
    store.claim(owner)
    return store.backend(0).get(b"a")


@pytest.mark.parametrize("field", ["application", "changelog", "topic_id", "cluster_id"])
def test_the_state_of_another_is_refused_and_left_alone(store: PartitionStore, field: str) -> None:
    store.write(0, {b"a": b"1"}, 5)
    other = replace(OURS, **{field: "another"})
    with pytest.raises(ForeignState, match="another") as caught:
        reopen(store, other)
    assert str(OURS) in str(caught.value)
    assert str(other) in str(caught.value)
    assert isinstance(caught.value, SettingsError)  # so that nobody tries it again
    assert reopen(store, OURS) == b"1"


def test_a_database_that_is_open_is_looked_at_again(store: PartitionStore) -> None:
    """A topic may be made anew while a worker waits for its partitions."""
    store.write(0, {b"a": b"1"}, 5)
    store.claim(replace(OURS, topic_id="another"))
    with pytest.raises(ForeignState):
        store.persisted_offset(TP(CHANGELOG, 0))


def test_it_is_marked_before_anything_goes_in(store: PartitionStore) -> None:
    store.backend(0)
    with pytest.raises(ForeignState):
        reopen(store, replace(OURS, application="another"))


def test_brokers_that_tell_no_ids_are_believed_by_the_names(store: PartitionStore) -> None:
    silent = replace(OURS, topic_id="", cluster_id="")
    store.claim(silent)
    store.write(0, {b"a": b"1"}, 5)
    assert reopen(store, OURS) == b"1"  # they were renewed, and tell
    with pytest.raises(ForeignState):
        reopen(store, replace(OURS, topic_id="another"))
    assert reopen(store, silent) == b"1"


def test_nothing_is_opened_before_it_is_known_whose_it_has_to_be(store: PartitionStore) -> None:
    store.owner = None
    with pytest.raises(StoreError, match="before the brokers have said"):
        store.backend(0)
    assert not store._directory.exists()


def test_one_of_an_earlier_version_is_made_anew(
    store: PartitionStore, caplog: pytest.LogCaptureFixture
) -> None:
    """It does not say whose it is, and the changelog is the copy that lasts."""
    store.write(0, {b"a": b"1"}, 5)
    store.backend(0).write({b"\x00owner": None})
    assert reopen(store, OURS) is None
    assert offset_of(store) is None
    assert "restored from the changelog" in caplog.text
    assert not caplog.text.count("partition-0001")


def test_a_database_that_is_not_ours_at_all_is_left_alone(
    store: PartitionStore, tmp_path: Path
) -> None:
    theirs = Database(tmp_path / "databases" / "partition-0000")
    theirs.write({b"a": b"theirs"})
    with pytest.raises(ForeignState, match="not one of ours"):
        reopen(store, OURS)
    assert Database(tmp_path / "databases" / "partition-0000").get(b"a") == b"theirs"


@pytest.mark.parametrize("mark", [b"", b"[]", b"{}", b'{"application": "app"}', b"\xff"])
def test_a_mark_that_nobody_understands_is_no_mark_of_ours(
    store: PartitionStore, mark: bytes
) -> None:
    store.write(0, {b"a": b"1", b"\x00owner": mark}, 5)
    with pytest.raises(ForeignState):
        reopen(store, OURS)


def test_what_two_do_not_know_makes_no_difference() -> None:
    for field in asdict(OURS):
        assert OURS.fits(replace(OURS, **{field: ""}))
        assert replace(OURS, **{field: ""}).fits(OURS)
        assert not OURS.fits(replace(OURS, **{field: "x"}))
