"""Packets to decode: real ones where they are there, simulated ones always."""

import os
from pathlib import Path

import pytest

from ampelstream.simulate import simulate_packets

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def packets() -> list[bytes]:
    """Packets of many schema versions; simulated ones only where the real data is absent."""
    named = os.environ.get("AMPELSTREAM_DATA")
    root = (Path(named) if named else REPOSITORY.parent / "shared" / "data") / "ztf"
    made = simulate_packets(20, seed=3)
    return made + [path.read_bytes() for path in sorted(root.rglob("*.avro"))]
