"""Rows of a Parquet file in Fink's alert layout, histories left in Arrow until asked for."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ampelstream.errors import SourceError

__all__ = ["rows"]

_COLUMNS = ("objectId", "candid", "schemavsn", "candidate", "prv_candidates", "fp_hists")
_LAZY = ("prv_candidates", "fp_hists")
_BATCH = 256


class _Row(Mapping[str, Any]):
    """A row whose lists become Python objects when they are read."""

    __slots__ = ("_at", "_batch", "_fields")

    def __init__(self, fields: dict[str, Any], batch: pa.RecordBatch, at: int) -> None:
        self._fields = fields
        self._batch = batch
        self._at = at

    def __getitem__(self, name: str) -> Any:
        if name not in self._fields and name in _LAZY and name in self._batch.schema.names:
            self._fields[name] = self._batch.column(name)[self._at].as_py()
        return self._fields[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._batch.schema.names)

    def __len__(self) -> int:
        return len(self._batch.schema.names)


def rows(path: Path) -> Iterator[Mapping[str, Any]]:
    """Give the rows of a file.

    Raises
    ------
    SourceError
        It cannot be read, or has no alerts in it.
    """
    try:
        file = pq.ParquetFile(path)
    except (OSError, pa.ArrowException) as error:
        raise SourceError(f"{path} cannot be read as Parquet: {error}") from error
    with file:
        names = [name for name in _COLUMNS if name in file.schema_arrow.names]
        if "candidate" not in names:
            raise SourceError(f"{path} holds no alerts: it has no column `candidate`")
        eager = [name for name in names if name not in _LAZY]
        batches = file.iter_batches(batch_size=_BATCH, columns=names)
        while True:
            try:
                batch = next(batches, None)
            except (OSError, pa.ArrowException) as error:
                raise SourceError(f"{path} breaks off: {error}") from error
            if batch is None:
                return
            columns = {name: batch.column(name).to_pylist() for name in eager}
            for at in range(batch.num_rows):
                yield _Row({name: columns[name][at] for name in eager}, batch, at)
