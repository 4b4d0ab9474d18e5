"""What is read again is bounded as what is new is."""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from ampelstream.errors import UnreachableError
from ampelstream.model.coordinates import Coordinates
from ampelstream.model.record import SourceRecord
from ampelstream.runtime.embedded import engine as engine_module
from ampelstream.runtime.embedded import rereading as rereading_module
from ampelstream.runtime.embedded.rereading import Rereading


def test_a_step_holds_no_more_bytes_than_a_batch_of_what_is_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def merged(_sources: Any, _after: Mapping[Any, int]) -> Iterator[SourceRecord]:
        for offset in range(6):
            yield SourceRecord(Coordinates("night", 0, offset), "alerts", bytes(50))

    steps: list[int] = []
    progress = SimpleNamespace(offsets=lambda *, again=False: {} if again else {("night", 0): 4})
    engine: Any = SimpleNamespace(
        progress=progress,
        refilter=lambda batch: steps.append(len(batch)),
        refiltered=lambda: steps.append(0),
    )
    monkeypatch.setattr(rereading_module, "merge", merged)
    monkeypatch.setattr(engine_module, "_BATCH_BYTES", 100)
    rereading = Rereading(engine, list, batch=500)
    while rereading.step():
        pass
    assert steps == [2, 2, 1, 0]


def test_what_was_broken_off_is_read_on_and_does_not_count_as_done(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read: list[int] = []
    done: list[list[int]] = []
    away = iter([True, False])

    def merged(_sources: Any, after: Mapping[Any, int]) -> Iterator[SourceRecord]:
        for offset in range(after.get(("night", 0), -1) + 1, 4):
            if offset == 3 and next(away):
                raise UnreachableError("no broker answers")
            yield SourceRecord(Coordinates("night", 0, offset), "alerts", bytes(50))

    def offsets(*, again: bool = False) -> dict[tuple[str, int], int]:
        return {("night", 0): len(read) - 1 if again else 3}

    engine: Any = SimpleNamespace(
        progress=SimpleNamespace(offsets=offsets),
        refilter=lambda batch: read.extend(one.where.offset for one in batch),
        refiltered=lambda: done.append(list(read)),
    )
    opened: list[int] = []

    def reopen() -> list[Any]:
        opened.append(1)
        return []

    monkeypatch.setattr(rereading_module, "merge", merged)
    rereading = Rereading(engine, reopen, batch=2)
    assert rereading.step() == 2
    with pytest.raises(UnreachableError):
        rereading.step()
    assert done == []
    while rereading.step():
        pass
    assert done == [[0, 1, 2, 3]]
    assert opened == [1]  # each opening has clients of its own
