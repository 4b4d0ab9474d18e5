"""Units of these tests: some that hang, sleep, kill or break clients, a heavy one.

Those that do mischief look at a marker, a file: no marker, no mischief.
"""

import asyncio
import gc
import os
import time
from pathlib import Path
from typing import Any, ClassVar, Literal

from aiokafka import AIOKafkaConsumer

from ampelstream.model.alert import Alert
from ampelstream.units import ACCEPT, AlertFilter, Inputs, ObjectUnit, Verdict

__all__ = ["Deadly", "Heavy", "Killer", "Lethal", "Saboteur", "Sleeper", "Slow", "SlowHeavy"]


def _named(marker: Path) -> int:
    """The candid that a marker names."""
    return int(marker.read_text()) if marker.exists() else 0


class Killer(ObjectUnit):
    """Ends the process where the light curve holds the datapoint that the marker names."""

    provides: ClassVar[str] = "killer"
    marker: Path

    def compute(self, inputs: Inputs) -> dict[str, Any]:
        if _named(self.marker) in {point.id for point in inputs.lightcurve.datapoints}:
            os._exit(9)
        return {"points": len(inputs.lightcurve.datapoints)}


class Deadly(AlertFilter):
    """Ends the process where it sees the alert that the marker names."""

    marker: Path

    def evaluate(self, alert: Alert) -> Verdict:
        if alert.candid == _named(self.marker):
            os._exit(9)
        return ACCEPT


class Lethal(AlertFilter):
    """Ends the process where it sees one of every so many alerts, by their numbers."""

    every: int

    def evaluate(self, alert: Alert) -> Verdict:
        if alert.candid % self.every == 0:
            os._exit(9)
        return ACCEPT


class Slow(ObjectUnit):
    """Takes its time for each object of a certain name, and each revision."""

    provides: ClassVar[str] = "slow"
    needs_event: ClassVar[bool] = True
    seconds: float
    prefix: str

    def compute(self, inputs: Inputs) -> dict[str, Any]:
        slow = inputs.lightcurve.object_id.startswith(self.prefix)
        time.sleep(self.seconds if slow else 0.0)
        return {"slow": slow}


class SlowHeavy(Slow):
    """The same, in the pool."""

    heavy: ClassVar[bool] = True


class Sleeper(ObjectUnit):
    """Does not come back while the marker is there."""

    provides: ClassVar[str] = "sleep"
    marker: Path

    def compute(self, inputs: Inputs) -> dict[str, Any]:
        del inputs
        while self.marker.exists():
            time.sleep(0.05)
        return {"slept": False}


class Saboteur(AlertFilter):
    """Breaks this process's client of a consumer group, once, as no test could from outside.

    A filter, since filters run where the partitions of the input are.

    ``pause``: it seems well and gives no more records. ``end``: its coordinator's task ends.
    """

    marker: Path
    group: str
    how: Literal["pause", "end"]

    def evaluate(self, alert: Alert) -> Verdict:
        del alert
        if self.marker.exists():
            clients = [one for one in gc.get_objects() if isinstance(one, AIOKafkaConsumer)]
            for client in clients:
                if client._group_id == self.group:
                    self._break(client)
            self.marker.unlink()  # it is broken now, whatever comes next
        return ACCEPT

    def _break(self, client: AIOKafkaConsumer) -> None:
        loop: asyncio.AbstractEventLoop = client._loop

        async def break_it() -> None:
            if self.how == "pause":
                client.pause(*client.assignment())
            else:
                client._coordinator._coordination_task.cancel()

        # the loop is that of the client's own thread, and this is another one
        asyncio.run_coroutine_threadsafe(break_it(), loop).result(10)


class Heavy(ObjectUnit):
    """Says which process it ran in."""

    provides: ClassVar[str] = "process"
    heavy: ClassVar[bool] = True

    def compute(self, inputs: Inputs) -> dict[str, Any]:
        del inputs
        return {"pid": os.getpid(), "parent": os.getppid()}
