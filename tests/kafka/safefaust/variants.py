"""Two Faust applications that differ only in our mends: stock and ours."""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Setup", "finish", "make_app", "say", "start", "until", "wait_for_end"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Setup:
    """What a scenario is told: a variant, a broker, a name for its topics, a place for files."""

    variant: str
    address: str
    name: str
    directory: Path
    params: dict[str, Any]

    @property
    def ours(self) -> bool:
        return self.variant == "ours"


def make_app(setup: Setup, **changes: Any) -> Any:
    """Make an application; for stock, with our settings but without our classes."""
    import faust  # noqa: PLC0415  (with Cython for stock, without for ours: see program.py)

    from ampelstream.runtime.safefaust.appsettings import (  # noqa: PLC0415  (stock imports Faust first)
        safe_settings,
    )

    settings = safe_settings(
        setup.name,
        {"bootstrap_servers": [setup.address]},
        url="http://127.0.0.1:6066",
        directory=setup.directory / "faust",
        session=6.0,
        heartbeat=1.0,
        rebalance=10.0,
    ) | {"broker_commit_interval": 0.2}
    if not setup.ours:
        settings |= {"broker": f"kafka://{setup.address}", "store": "memory://"}
        settings |= {"producer_acks": -1, "broker_commit_every": 1000}
        for mend in ("TableManager", "PartitionAssignor", "Table", "agent_supervisor"):
            del settings[mend]
    Path(settings["datadir"]).mkdir(parents=True, exist_ok=True)
    app = faust.App(**{**settings, **changes})
    app.in_worker = True
    return app


async def start(app: Any) -> None:
    """Start an application."""
    app.finalize()
    await app.start()


async def until(true: Callable[[], bool], seconds: float) -> bool:
    """Wait until something is true; whether it became so."""
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            return False
        await asyncio.sleep(0.02)
    return True


async def wait_for_end(app: Any, done: Callable[[], bool], seconds: float) -> str | None:
    """Wait until the work is done or the application has crashed; then stop it as its worker does.

    Gives what it crashed of.
    """
    await until(lambda: app.crashed or done(), seconds)
    reason = None if not app.crashed else repr(app.crash_reason)
    await asyncio.wait({asyncio.ensure_future(app.stop())}, timeout=5)
    return reason


def say(line: str) -> None:
    """Tell the test something."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def finish(result: dict[str, Any]) -> None:
    """Give the result, and end as a kill would."""
    _LOG.info("result: %s", result)
    say(json.dumps(result))
    os._exit(0)
