"""An application that is stopped, whenever that is."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from ampelstream.runtime.faust import running
from ampelstream.runtime.faust.running import RunningApp


class App:
    """Faust, as far as it is seen: it says what is done with it."""

    crash_reason = None

    def __init__(self, seconds: float = 0.0) -> None:
        self.said: list[str] = []
        self._seconds = seconds
        self._crashed = asyncio.Event()

    async def start(self) -> None:
        self.said.append("starts")
        await asyncio.sleep(self._seconds)
        self.said.append("started")

    async def stop(self) -> None:
        self.said.append("stopped")


def make(app: App, reached: Sequence[bool]) -> RunningApp:
    connection: Any = None
    observer: Any = SimpleNamespace(progress=lambda _name: None)
    made = RunningApp("objects", app, connection, observer)
    answers = iter(reached)

    async def is_reached() -> bool:
        return next(answers)

    made._reached = is_reached  # type: ignore[method-assign]  # (a broker that says no at first)
    return made


def stopped_after(app: App, seconds: float, *, away: int = 0) -> list[str]:
    async def main() -> None:
        one = make(app, [False] * away + [True])
        task = asyncio.create_task(one.run())
        if seconds >= 0:
            await asyncio.sleep(seconds)
        await one.stop()
        await asyncio.sleep(0.1)
        task.cancel()

    asyncio.run(main())
    return app.said


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    real = asyncio.sleep
    monkeypatch.setattr(asyncio, "sleep", lambda seconds: real(min(seconds, 0.05)))
    monkeypatch.setattr(running, "_RETRY_SECONDS", 1)


@pytest.mark.parametrize("seconds", [-1.0, 0.02])
def test_what_has_not_started_does_not_start_afterwards(seconds: float) -> None:
    """Its cluster may come back: it would join its group, and nobody would stop it."""
    assert stopped_after(App(), seconds, away=1) == []


def test_what_is_starting_starts_first() -> None:
    assert stopped_after(App(0.04), 0.01) == ["starts", "started", "stopped"]


def test_what_works_is_stopped() -> None:
    assert stopped_after(App(), 0.03) == ["starts", "started", "stopped"]
