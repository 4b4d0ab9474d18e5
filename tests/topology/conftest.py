"""Topologies from text, with empty catalogues."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ampelstream.cli.workflow import open_topology
from ampelstream.topology import Topology


@pytest.fixture
def make(tmp_path: Path) -> Callable[[str], Topology]:
    """Write a topology file and open it."""

    def opened(text: str) -> Topology:
        path = tmp_path / "mine.yml"
        path.write_text(text)
        return open_topology(str(path), tmp_path / "catalogs")[1]

    return opened
