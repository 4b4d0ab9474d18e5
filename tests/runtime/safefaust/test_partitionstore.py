"""The databases of a table: batches with their offset, and errors that are not swallowed."""

import asyncio
import pickle
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from operator import add
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest
from faust.types import TP

from ampelstream.runtime.safefaust.failures import RecoveryError, StoreError
from ampelstream.runtime.safefaust.partitionstore import PartitionStore
from ampelstream.runtime.safefaust.table import StateTable

CHANGELOG = "app-state-changelog"
RESTORED: list[int] = []


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
    table.on_restored = RESTORED.append
    RESTORED.clear()
    made = table.partitions_store
    yield made
    made.close()


def event(
    offset: int, key: bytes | None, value: bytes | None, partition: int = 0, topic: str = CHANGELOG
) -> Any:
    message = SimpleNamespace(topic=topic, partition=partition, offset=offset, key=key, value=value)
    return SimpleNamespace(message=message)


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


def test_a_batch_goes_to_its_partitions(store: PartitionStore) -> None:
    batch: Iterable[Any] = [
        event(3, b"a", b"1"),
        event(7, b"a", b"other", partition=1),
        event(4, b"b", b"2"),
        event(6, b"a", b"3"),
        event(9, b"b", None),
    ]
    store.apply_changelog_batch(batch)
    assert (store.backend(0).get(b"a"), store.backend(0).get(b"b")) == (b"3", None)
    assert store.backend(1).get(b"a") == b"other"
    assert (offset_of(store), offset_of(store, 1)) == (9, 7)
    assert sum(RESTORED) == 3  # keys: two records were of one


def test_other_topics_and_records_without_a_key_are_ignored(store: PartitionStore) -> None:
    store.apply_changelog_batch(
        [event(3, b"a", b"1", topic="another-changelog"), event(4, None, b"2")]
    )
    assert offset_of(store) is None
    assert store.backend(0).get(b"a") is None


def test_state_and_offset_outlive_the_process(store: PartitionStore) -> None:
    store.write(2, {b"a": b"1"}, 5)
    store.close()
    assert store.opened(2) is None
    assert (store.backend(2).get(b"a"), offset_of(store, 2)) == (b"1", 5)


def test_a_failure_is_kept_and_nothing_is_applied_after_it(
    store: PartitionStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.write(0, {b"a": b"1"}, 5)
    backend = store.backend(0)

    def full(_batch: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(backend, "write", full)
        store.apply_changelog_batch([event(6, b"a", b"2")])
    store.apply_changelog_batch([event(7, b"b", b"3")])
    assert (backend.get(b"a"), backend.get(b"b"), offset_of(store)) == (b"1", None, 5)
    with pytest.raises(RecoveryError, match="the disk is full"):
        asyncio.run(store.on_recovery_completed({TP(CHANGELOG, 0)}, set()))


def test_partitions_that_went_elsewhere_are_closed(store: PartitionStore) -> None:
    for partition in (0, 1, 2):
        store.write(partition, {b"a": b"1"}, 1)
    assigned = {TP(CHANGELOG, 1), TP("source", 2)}
    asyncio.run(store.on_rebalance(assigned, set(), set()))
    assert [store.opened(partition) is not None for partition in (0, 1, 2)] == [False, True, False]


def test_partitions_are_opened_when_restored(store: PartitionStore) -> None:
    asyncio.run(store.on_recovery_completed({TP(CHANGELOG, 3)}, set()))
    assert store.opened(3) is not None


def test_a_database_that_was_not_written_for_long_is_made_anew(store: PartitionStore) -> None:
    """Its changelog may have forgotten by now that a key was removed, and the key would stay."""
    store.write(0, {b"a": b"1"}, 5)
    now = store._now
    for days, kept in ((3.4, b"1"), (3.6, None)):
        store.close()
        store._now = partial(add, now(), days * 86_400)
        assert store.backend(0).get(b"a") == kept


@pytest.mark.parametrize("what", ["reset_state", "restore_backup"])
def test_what_an_operator_does_is_refused(store: PartitionStore, what: str) -> None:
    with pytest.raises(StoreError):
        getattr(store, what)()


def test_there_is_no_other_backup(store: PartitionStore) -> None:
    with pytest.raises(StoreError, match="the changelog is the copy"):
        asyncio.run(store.backup_partition(TP(CHANGELOG, 0)))
