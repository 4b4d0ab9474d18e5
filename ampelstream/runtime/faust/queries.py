"""Read-only questions about the state of a worker, over HTTP."""

import asyncio
from collections.abc import Iterator
from typing import Any

import aiohttp
import msgspec
from aiokafka.partitioner import DefaultPartitioner
from faust.types import TP

from ampelstream.core import keys
from ampelstream.core.state import ObjectState, decode
from ampelstream.model.candidate import Candidate
from ampelstream.runtime.faust.app import StepApp
from ampelstream.runtime.outputs import candidate_row, point_row
from ampelstream.runtime.service.server import Answer
from ampelstream.state.rocks import RocksBackend

__all__ = ["StateQueries"]

_partition_of = DefaultPartitioner()
_PEER_SECONDS = 10.0


class StateQueries:
    """Answers from the databases of this worker; committed state only.

    Parameters
    ----------
    objects
        The objects step.
    url
        Where this worker answers.
    partitions
        Of the objects.
    """

    def __init__(self, objects: StepApp, url: str, partitions: int) -> None:
        self._objects = objects
        self._url = url
        self._partitions = partitions

    async def object(self, object_id: str) -> Answer:
        """Give an object's state, or where to ask for it."""
        every = list(range(self._partitions))
        partition = _partition_of(object_id.encode(), every, every)
        backend = self._backends().get(partition)
        if backend is None:
            return self._elsewhere(partition, f"/objects/{object_id}")
        value = await asyncio.to_thread(backend.get, keys.object_key(object_id))
        if value is None:
            return Answer(404, {"error": f"no object {object_id} is in the state"})
        return Answer(200, _object_row(decode.object(value)))

    def _elsewhere(self, partition: int, path: str) -> Answer:
        url = self._owners().get(partition)
        if url is None or url == self._url:
            return Answer(503, {"error": f"partition {partition} is with no worker at the moment"})
        return Answer(307, {"ask": url + path}, location=url + path)

    async def candidates(self, event_id: str, local: bool) -> Answer:  # noqa: FBT001  (the server's interface)
        """Give an event's candidates, those of all workers unless only ours are wanted."""
        backends = self._backends()
        rows = await asyncio.to_thread(_candidates, list(backends.values()), event_id)
        missing = set(range(self._partitions)) - set(backends)
        if not local:
            for url in {self._owners().get(one) for one in missing} - {None, self._url}:
                body = await _ask(f"{url}/events/{event_id}/candidates?local=1")
                rows += body.get("candidates", ())
                missing -= set(body.get("partitions", ()))
        rows.sort(key=lambda row: (row["object_id"], row["channel"]))
        held = sorted(set(range(self._partitions)) - missing)
        body = {"event_id": event_id, "partitions": held, "complete": not missing}
        return Answer(200, {**body, "candidates": rows})

    def _backends(self) -> dict[int, RocksBackend]:
        """Databases of the partitions that this worker works on."""
        store = self._objects.table.partitions_store
        found = {one: store.opened(one) for one in self._objects.step.partitions}
        return {one: backend for one, backend in found.items() if backend is not None}

    def _owners(self) -> dict[int, str]:
        """Addresses of the workers that have the partitions, as the last rebalance told."""
        topic = self._objects.table.changelog_topic_name
        assignor = self._objects.app.assignor
        known: dict[TP, str] = assignor._tps_url  # noqa: SLF001  (Faust's router asks it too)
        return {
            tp.partition: str(url).rstrip("/") for tp, url in known.items() if tp.topic == topic
        }


def _object_row(state: ObjectState) -> dict[str, Any]:
    return {
        "object_id": state.object_id,
        "survey": state.survey,
        "alerts": [
            {
                "candid": one.candid,
                "jd": one.jd,
                "ra": one.ra,
                "dec": one.dec,
                "channels": one.channels,
                "record": str(one.where),
            }
            for one in state.alerts
        ],
        "datapoints": [point_row(one) for one in state.datapoints],
        "candidates": [candidate_row(one) for one in state.candidates],
    }


async def _ask(url: str) -> dict[str, Any]:
    """Answer of another worker; nothing where it does not answer."""
    timeout = aiohttp.ClientTimeout(total=_PEER_SECONDS)
    try:
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            body: dict[str, Any] = msgspec.json.decode(await response.read(), type=dict[str, Any])
            return body
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError):
        return {}


def _candidates(backends: list[RocksBackend], event_id: str) -> list[dict[str, Any]]:
    return [candidate_row(one) for backend in backends for one in _of(backend, event_id)]


def _of(backend: RocksBackend, event_id: str) -> Iterator[Candidate]:
    for _, value in backend.scan(keys.OBJECT, keys.stop_of(keys.OBJECT)):
        state: ObjectState = decode.object(value)
        yield from (one for one in state.candidates if one.event_id == event_id)
