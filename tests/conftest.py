"""Fixtures that every test may use."""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Directory of the real data; the test is skipped, with the reason, where it is absent."""
    named = os.environ.get("AMPELSTREAM_DATA")
    path = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not (path / "oracles").is_dir():
        pytest.skip(f"no real data in {path} (set AMPELSTREAM_DATA to its directory)")
    return path.resolve()
