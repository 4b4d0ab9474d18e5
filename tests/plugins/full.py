"""Which tests run: without ``--full`` those marked ``full`` are left out, and their number is said.

``make test`` must be quick enough to be run before each commit; what only repeats more of the same
(30 rounds of a fault, each of six shapes) is marked ``full`` and waits for ``make test-all``.
"""

from typing import Any

import pytest

_LEFT = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--full",
        choices=("without", "only", "with"),
        default="without",
        help="the long tests, marked full: run without them (default), only them, or with them",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = config.getoption("full")
    full = [item for item in items if item.get_closest_marker("full")]
    short = [item for item in items if not item.get_closest_marker("full")]
    kept = {"without": short, "only": full, "with": items}[chosen]
    left = {"without": full, "only": short, "with": []}[chosen]
    if left:
        config.hook.pytest_deselected(items=left)
    # the longest first: the quick ones then fill the time until the last process has finished
    items[:] = sorted(kept, key=_allowed_seconds, reverse=True)
    _note(config, len(full) if chosen == "without" else 0)


def _allowed_seconds(item: pytest.Item) -> float:
    """How long a slow test may take; 0 for quick ones, which so stay in their order."""
    allowed = item.get_closest_marker("timeout")
    if item.get_closest_marker("slow") is None:
        return 0.0
    return float(allowed.args[0]) if allowed else 1.0


def _note(config: pytest.Config, left: int) -> None:
    config.stash[_LEFT] = left
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is not None:  # a process of pytest-xdist collects, and the first process reports
        output["left"] = left


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    node.config.stash[_LEFT] = getattr(node, "workeroutput", {}).get("left", 0)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    left = config.stash.get(_LEFT, 0)
    if left:
        terminalreporter.section(f"{left} long tests are left to make test-all", yellow=True)
