"""Read-only questions about the state of a worker, over HTTP."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import msgspec
from aiokafka.partitioner import DefaultPartitioner
from faust.types import TP
from rocksdict import DbClosedError

from ampelstream.core.lookup import Lookup
from ampelstream.core.state import ObjectState
from ampelstream.model.candidate import Candidate
from ampelstream.runtime.faust.running import RunningApp
from ampelstream.runtime.outputs import candidate_row, point_row
from ampelstream.runtime.safefaust.partitionstore import Database
from ampelstream.runtime.safefaust.table import StateTable
from ampelstream.runtime.service.server import Answer
from ampelstream.topology import Topology

__all__ = ["StateQueries"]

R = TypeVar("R")
_partition_of = DefaultPartitioner()
_PEER_SECONDS = 10.0


_LOOK_EVERY = 50
"""Candidates between two looks whether the partition is still ours."""


class _MovedError(Exception):
    """The partition goes to another worker; never leaves this module."""


class StateQueries:
    """Answers from the databases of this worker; committed state only.

    Parameters
    ----------
    topology
        The workflow.
    objects
        The objects step.
    url
        Where this worker answers.
    partitions
        Of the objects.
    """

    def __init__(self, topology: Topology, objects: RunningApp, url: str, partitions: int) -> None:
        self._topology = topology
        self._objects = objects
        self._url = url
        self._partitions = partitions
        # one at a time: whoever asks much must not take the threads of the work
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ampelstream-queries")

    async def _in_thread(self, call: Callable[..., R], *args: Any) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._thread, call, *args)

    def _candidates(self, event_id: str) -> tuple[list[dict[str, Any]], set[int], bool]:
        """Candidates of our partitions, which these are, and whether they know the event.

        A partition that goes elsewhere meanwhile is left out; a scan of it ends at once, since it
        would keep the files of the database from being opened again.
        """
        rows: list[dict[str, Any]] = []
        read: set[int] = set()
        known = False
        for partition, backend in self._backends().items():
            try:
                known |= Lookup(self._topology, backend).knows(event_id)
                found = [candidate_row(one) for one in self._of(partition, backend, event_id)]
            except (_MovedError, DbClosedError):
                continue
            rows += found
            read.add(partition)
        return rows, read, known

    async def object(self, object_id: str) -> Answer:
        """Give an object's state, or where to ask for it."""
        every = list(range(self._partitions))
        partition = _partition_of(object_id.encode(), every, every)
        backend = self._backends().get(partition)
        if backend is None:
            return self._elsewhere(partition, f"/objects/{quote(object_id, safe='')}")
        try:
            lookup = Lookup(self._topology, backend)
            return await self._in_thread(_object, lookup, object_id)
        except DbClosedError:
            return Answer(503, {"error": f"partition {partition} is moving to another worker"})

    def _elsewhere(self, partition: int, path: str) -> Answer:
        url = self._owners().get(partition)
        if url is None or url == self._url:
            return Answer(503, {"error": f"partition {partition} is with no worker at the moment"})
        return Answer(307, {"ask": url + path}, location=url + path)

    async def candidates(self, event_id: str, local: bool) -> Answer:  # noqa: FBT001  (the server's interface)
        """Give an event's candidates, those of all workers unless only ours are wanted.

        Every partition knows every event: one that none of ours knows is unknown.
        """
        rows, read, known = await self._in_thread(self._candidates, event_id)
        missing = set(range(self._partitions)) - read
        if not local:
            for url in {self._owners().get(one) for one in missing} - {None, self._url}:
                body = await _ask(f"{url}/events/{quote(event_id, safe='')}/candidates?local=1")
                rows += body.get("candidates", ())
                known |= "candidates" in body
                missing -= set(body.get("partitions", ()))
        if not known and (read or len(missing) < self._partitions):
            return Answer(404, {"error": f"no event {event_id} is in the state"})
        rows.sort(key=lambda row: (row["object_id"], row["channel"]))
        held = sorted(set(range(self._partitions)) - missing)
        body = {"event_id": event_id, "partitions": held, "complete": not missing}
        return Answer(200, {**body, "candidates": rows})

    def _of(self, partition: int, backend: Database, event_id: str) -> Iterator[Candidate]:
        found = Lookup(self._topology, backend).candidates_for(event_id)
        for number, candidate in enumerate(found):
            if number % _LOOK_EVERY == 0 and self._backends().get(partition) is not backend:
                raise _MovedError
            yield candidate

    def _backends(self) -> dict[int, Database]:
        """Databases of the partitions that this worker works on."""
        table = self._table
        found = {one: table.partitions_store.opened(one) for one in list(table.processors)}
        return {one: backend for one, backend in found.items() if backend is not None}

    @property
    def _table(self) -> StateTable:
        table = self._objects.table
        if table is None:
            raise TypeError("the objects step has a table")
        return table

    def _owners(self) -> dict[int, str]:
        """Addresses of the workers that have the partitions, as of the last rebalance."""
        topic = self._table.changelog_topic_name
        assignor = self._objects.app.assignor
        known: dict[TP, str] = assignor._tps_url  # noqa: SLF001  (Faust's router asks it too)
        return {
            tp.partition: str(url).rstrip("/") for tp, url in known.items() if tp.topic == topic
        }


def _object(lookup: Lookup, object_id: str) -> Answer:
    state = lookup.get(object_id)
    if state is None:
        return Answer(404, {"error": f"no object {object_id} is in the state"})
    return Answer(200, _object_row(lookup, state))


def _object_row(lookup: Lookup, state: ObjectState) -> dict[str, Any]:
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
        "candidates": [candidate_row(one) for one in lookup.candidates_of(state)],
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
