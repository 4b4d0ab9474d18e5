"""A long wait for what the work needs is told, so that nobody takes it for a hang."""

import asyncio
from collections.abc import Sequence
from typing import Any, cast

import pytest

from ampelstream.runtime.kafka import intake as module
from ampelstream.runtime.kafka.intake import Intake
from ampelstream.runtime.kafka.outbox import Outbox, Outgoing
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.metrics import Metrics

WAIT, LIMIT, SIGN = 0.6, 0.3, 0.05


class Waiting:
    """Waits, and then asks what the watchdog would ask."""

    def __init__(self, health: Health) -> None:
        self._health = health
        self.reasons: list[str] = []

    async def prepare(self, records: Sequence[Any]) -> None:
        del records
        await asyncio.sleep(WAIT)
        self.reasons = self._health.alive()

    def work(self, records: Sequence[Any]) -> list[Outgoing]:
        del records
        return []


async def waited(*, plainly: bool) -> list[str]:
    health = Health(no_commit_after=LIMIT)
    worker = Waiting(health)
    intake = Intake(
        "ingest-parked",
        lambda: {"bootstrap_servers": "127.0.0.1:9"},
        "group",
        topics=["topic"],
        pattern=None,
        worker=worker,
        outbox=cast("Outbox", None),
        metrics=Metrics(),
        health=health,
    )
    health.set_ready("ingest-parked", ready=True)
    health.lag("ingest-parked", 5)
    await (worker.prepare([]) if plainly else intake._prepare([]))
    await intake.stop()
    return worker.reasons


def test_a_wait_on_purpose_is_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SIGN_SECONDS", SIGN)
    assert asyncio.run(waited(plainly=True)) != []
    assert asyncio.run(waited(plainly=False)) == []
