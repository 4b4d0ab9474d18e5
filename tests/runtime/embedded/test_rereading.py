"""What is read again is bounded as what is new is."""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest

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
