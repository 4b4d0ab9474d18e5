"""Fixtures that every test may use, and what every run does."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import stamina
from stamina.instrumentation import RetryDetails, set_on_retry_hooks

from ampelstream.simulate import Night, simulate_night

pytest_plugins = ["tests.plugins.full", "tests.plugins.leftovers"]

REPOSITORY = Path(__file__).resolve().parents[1]
# Commands that tests start must be those of this tree, also where another one is installed.
_PATHS = [str(REPOSITORY), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, _PATHS)))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Directory of the real data; the test is skipped, with the reason, where it is absent."""
    named = os.environ.get("AMPELSTREAM_DATA")
    path = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not (path / "oracles").is_dir():
        pytest.skip(f"no real data in {path} (set AMPELSTREAM_DATA to its directory)")
    return path.resolve()


@pytest.fixture(scope="session")
def make_night(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Night]:
    """Simulate a night, each once (in a process of the run); it is there to be read only."""

    @cache
    def make(*, seed: int = 170817, alerts: int = 300) -> Night:
        return simulate_night(tmp_path_factory.mktemp("night"), seed=seed, alerts=alerts)

    return make


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what was not tested for want of a broker or browser: a skip is overlooked."""
    _say_skipped(terminalreporter, "tests/kafka/", "ON KAFKA")
    _say_skipped(terminalreporter, "tests/report/test_browser.py", "IN A BROWSER")


def _say_skipped(terminalreporter: pytest.TerminalReporter, where: str, what: str) -> None:
    reasons = Counter(
        str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr)
        for report in terminalreporter.stats.get("skipped", [])
        if report.nodeid.startswith(where)
    )
    if not reasons:
        return
    count = reasons.total()
    terminalreporter.section(f"{count} TESTS {what} DID NOT RUN", sep="!", red=True, bold=True)
    for reason, times in reasons.most_common():
        terminalreporter.line(f"{times} x {reason.removeprefix('Skipped: ')}", red=True)


@pytest.fixture
def direct(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server on this machine is asked without a proxy."""
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def retries() -> Iterator[list[RetryDetails]]:
    """What was tried again: as often as the code asks for, but without the waits."""
    seen: list[RetryDetails] = []

    def note(details: RetryDetails) -> None:
        seen.append(details)

    set_on_retry_hooks([note])
    with stamina.set_testing(testing=True, attempts=1000, cap=True):
        yield seen
    set_on_retry_hooks(None)
