"""Fixtures that every test may use."""

import os
from collections import Counter
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was not tested for want of a Kafka broker: a skip is easily overlooked."""
    reasons = Counter(
        str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        for report in terminalreporter.stats.get("skipped", [])
        if report.nodeid.startswith("tests/kafka/")
    )
    if not reasons:
        return
    count = reasons.total()
    terminalreporter.section(f"{count} TESTS ON KAFKA DID NOT RUN", sep="!", red=True, bold=True)
    for reason, times in reasons.most_common():
        terminalreporter.line(f"{times} x {reason.removeprefix('Skipped: ')}", red=True)
