"""Small catalogues on disk."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from ampelstream.sky.catalogs.builder import Built, build
from ampelstream.sky.catalogs.sourcetable import SourceTable

Maker = Callable[..., Built]


@pytest.fixture(scope="session")
def make() -> Maker:
    """Make a catalogue from columns: ``make(root, name, {"ra": [...], ...}, largest=...)``."""

    def maker(
        root: Path, name: str, table: Mapping[str, Sequence[Any]], /, **options: Any
    ) -> Built:
        source = SourceTable(Path("table.csv"), pa.table(dict(table)))
        return build(root, name, source, **options)

    return maker
