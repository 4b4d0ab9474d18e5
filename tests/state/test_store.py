"""Both backends behave alike, and a transaction is all or nothing."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ampelstream.core.boundary import attempt
from ampelstream.errors import StateError, StorageError
from ampelstream.state.memory import MemoryBackend
from ampelstream.state.rocks import RocksBackend
from ampelstream.state.store import Backend, Transaction

keys = st.binary(min_size=1, max_size=3)
operations = st.lists(
    st.tuples(st.sampled_from(["put", "delete", "commit", "rollback"]), keys, keys), max_size=30
)


@pytest.fixture(params=["memory", "rocks"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    made: Backend = (
        MemoryBackend() if request.param == "memory" else RocksBackend(tmp_path / "rocks")
    )
    yield made
    made.close()


def test_scan_is_ordered_and_half_open(backend: Backend) -> None:
    backend.write({b"b": b"2", b"a": b"1", b"c": b"3"})
    assert list(backend.scan(b"a", b"c")) == [(b"a", b"1"), (b"b", b"2")]
    backend.write({b"a": None, b"absent": None})
    assert backend.get(b"a") is None
    assert list(backend.scan(b"", b"z")) == [(b"b", b"2"), (b"c", b"3")]


def test_transaction_reads_its_own_writes(backend: Backend) -> None:
    backend.write({b"a": b"old", b"b": b"old"})
    work = Transaction(backend)
    work.put(b"a", b"new")
    work.delete(b"b")
    work.put(b"c", b"new")
    assert (work.get(b"a"), work.get(b"b"), work.get(b"c")) == (b"new", None, b"new")
    assert list(work.scan(b"a", b"z")) == [(b"a", b"new"), (b"c", b"new")]
    assert backend.get(b"a") == b"old"
    work.rollback()
    assert work.get(b"a") == b"old"


@settings(deadline=None, max_examples=150)
@given(operations)
def test_transaction_equals_a_plain_dictionary(steps: list[tuple[str, bytes, bytes]]) -> None:
    backend = MemoryBackend()
    work = Transaction(backend)
    committed: dict[bytes, bytes] = {}
    current: dict[bytes, bytes] = {}
    for name, key, value in steps:
        if name == "commit":
            work.commit()
            committed = dict(current)
        elif name == "rollback":
            work.rollback()
            current = dict(committed)
        elif name == "put":
            work.put(key, value)
            current[key] = value
        else:
            work.delete(key)
            current.pop(key, None)
        assert list(work.scan(b"", b"\xff" * 4)) == sorted(current.items())
    assert list(backend.scan(b"", b"\xff" * 4)) == sorted(committed.items())


def test_rocks_keeps_its_content(tmp_path: Path) -> None:
    first = RocksBackend(tmp_path / "rocks")
    first.write({b"a": b"1"})
    first.close()
    second = RocksBackend(tmp_path / "rocks")
    assert second.get(b"a") == b"1"
    second.close()


def test_a_second_process_is_refused_by_name(tmp_path: Path) -> None:
    first = RocksBackend(tmp_path / "rocks")
    with pytest.raises(StateError, match="rocks") as caught:
        RocksBackend(tmp_path / "rocks")
    assert "another ampelstream process is using it" in str(caught.value)
    assert "lock" not in str(caught.value).lower().replace(str(tmp_path).lower(), "")
    first.close()


def test_a_disk_that_fails_is_no_fault_of_a_record(tmp_path: Path) -> None:
    """Each would become a dead letter, and a scan that ends early would look like a short one."""
    backend = RocksBackend(tmp_path / "rocks")
    backend.write({b"%04d" % number: b"x" * 5000 for number in range(200)})
    backend.close()
    for file in (tmp_path / "rocks").glob("*.sst"):
        data = bytearray(file.read_bytes())
        data[: len(data) // 2] = bytes(len(data) // 2)
        file.write_bytes(data)
    broken = RocksBackend(tmp_path / "rocks")
    try:
        with pytest.raises(StorageError, match=r"cannot read the state in .*rocks"):
            attempt(broken.get, b"0100")
        with pytest.raises(StorageError, match="cannot read the state"):
            list(broken.scan(b"0000", b"9999"))
    finally:
        broken.close()


def test_a_state_that_was_removed_is_noticed_and_said_in_words(tmp_path: Path) -> None:
    backend = RocksBackend(tmp_path / "rocks")
    backend.check()
    shutil.rmtree(backend.path)
    backend.write({b"a": b"1"})  # RocksDB goes on in files that have no name
    with pytest.raises(StorageError, match="was removed while it was in use"):
        backend.check()
    with pytest.raises(StorageError, match="was removed while it was in use"):
        backend.close()


def test_another_state_at_its_place_is_not_ours(tmp_path: Path) -> None:
    backend = RocksBackend(tmp_path / "rocks")
    backend.path.rename(tmp_path / "old")
    RocksBackend(tmp_path / "new").close()
    (tmp_path / "new").rename(backend.path)
    with pytest.raises(StorageError, match="was removed while it was in use"):
        backend.check()
    backend.close()


def test_what_ended_the_work_is_not_hidden_by_the_end(tmp_path: Path) -> None:
    def work() -> None:
        with RocksBackend(tmp_path / "rocks") as backend:
            backend.write({b"a": b"1"})
            shutil.rmtree(backend.path)
            raise KeyError

    with pytest.raises(KeyError):
        work()
