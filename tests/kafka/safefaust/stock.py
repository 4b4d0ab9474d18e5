"""Scenarios with plain agents, as the documentation of Faust shows them, on Faust as it is."""

import asyncio
import os
import sys
from collections.abc import Callable
from typing import Any

from tests.kafka.safefaust.variants import Setup, finish, make_app, say, start, until, wait_for_end

__all__ = ["exception", "failing", "in_flight", "rebalance", "slow"]

VALUE_BYTES = 12_000


def source_of(app: Any, setup: Setup) -> Any:
    """Give the source topic, whose values are whole numbers."""
    return app.topic(f"{setup.name}-source", key_type=bytes, value_type=int)


def committed(app: Any) -> int:
    """Give the offset to which the application has committed its source."""
    return max((offset or 0 for offset in app.consumer._committed_offset.values()), default=0)


async def rebalance(setup: Setup) -> dict[str, Any]:
    """L1: the rewind after an assignment falls between two records of a batch in delivery."""
    app = make_app(setup)
    app.Table("state", default=int, partitions=1)
    done: list[int] = []

    async def work(stream: Any) -> None:
        async for event in stream.events():
            await asyncio.sleep(0.005)
            done.append(event.message.offset)

    app.agent(source_of(app, setup))(work)
    rewind_amid_a_batch(app.consumer, f"{setup.name}-source", records=40, seconds=2.0)
    await start(app)
    crash = await wait_for_end(app, lambda: committed(app) == setup.params["records"], 12)
    return {"done": done, "crash": crash}


def rewind_amid_a_batch(consumer: Any, topic: str, records: int, seconds: float) -> None:
    """Let the rewind wait for some records, but not longer, and the next record for the rewind.

    So a slow answer of the brokers and a busy event loop have it.
    """
    getmany = consumer.getmany
    delivered, rewound = 0, asyncio.Event()

    async def busy_getmany(timeout: float) -> Any:  # noqa: ASYNC109  (Faust's signature)
        nonlocal delivered
        async for tp, message in getmany(timeout):
            if tp.topic == topic and delivered == records:
                await rewound.wait()
            delivered += tp.topic == topic
            yield tp, message

    late_rewind(consumer, lambda: delivered >= records, seconds, rewound.set)
    consumer.getmany = busy_getmany


def late_rewind(
    consumer: Any, enough: Callable[[], bool], seconds: float, rewound: Callable[[], None]
) -> None:
    """Let the rewind wait until enough was delivered, but not longer."""
    seek = consumer.perform_seek

    async def late_seek() -> None:
        await until(enough, seconds)
        await seek()
        rewound()

    consumer.perform_seek = late_seek


async def exception(setup: Setup) -> dict[str, Any]:
    """L2: an agent raises."""
    app = make_app(setup)
    done: list[int] = []

    async def work(stream: Any) -> None:
        async for event in stream.events():
            await asyncio.sleep(0.02)
            if event.value == setup.params["poison"]:
                raise ValueError("this record cannot be handled")
            done.append(event.value)

    app.agent(source_of(app, setup), name="work")(work)
    await start(app)
    crash = await wait_for_end(app, lambda: committed(app) == setup.params["records"], 15)
    return {"done": done, "crash": crash}


async def in_flight(setup: Setup) -> dict[str, Any]:
    """L3: record 3 stays in work while the other instance of the agent goes on; then a kill."""
    app = make_app(setup)
    done: list[int] = []

    async def work(stream: Any) -> None:
        async for event in stream.events():
            if event.value == setup.params["slow"]:
                await asyncio.Event().wait()
            await asyncio.sleep(0.1)
            done.append(event.value)

    app.agent(source_of(app, setup), concurrency=2)(work)
    await start(app)
    await asyncio.sleep(setup.params["seconds"])
    return {"done": sorted(done)}


def writer(app: Any, setup: Setup) -> Any:
    """Give what writes one value: to a table and so its changelog, or to a topic."""
    text = os.urandom(VALUE_BYTES // 2).hex()  # does not shrink when compressed
    if setup.params["where"] == "changelog":
        table = app.Table("state", default=str, partitions=1)

        async def write(offset: int) -> None:
            table[f"key-{offset}"] = text
    else:
        topic = app.topic(f"{setup.name}-output", value_type=str)

        async def write(offset: int) -> None:
            if setup.params.get("soon"):
                topic.send_soon(value=f"{offset} {text}")  # from a buffer, as a changelog
            else:
                await topic.send(value=f"{offset} {text}")  # done when its client has it

    return write


async def failing(setup: Setup) -> dict[str, Any]:
    """L4: the brokers refuse what the agent produces."""
    app = make_app(setup, producer_request_timeout=1.5)
    write = writer(app, setup)

    async def work(stream: Any) -> None:
        async for event in stream.events():
            await write(event.message.offset)

    app.agent(source_of(app, setup))(work)
    await start(app)
    crash = await wait_for_end(app, lambda: committed(app) == setup.params["records"], 12)
    return {"crash": crash}


async def slow(setup: Setup) -> dict[str, Any]:
    """L5: the brokers do not answer for a while; a kill comes right after the first commit."""
    app = make_app(setup)
    write = writer(app, setup)

    async def work(stream: Any) -> None:
        async for event in stream.events():
            if event.message.offset == 0:
                say("fetched")
                await asyncio.to_thread(sys.stdin.readline)
            await write(event.message.offset)

    app.agent(source_of(app, setup))(work)
    commit = app.consumer._commit

    async def commit_and_die(offsets: Any) -> bool:
        done = bool(await commit(offsets))
        finish({"committed": max(offsets.values()), "unsent": app.producer.buffer.size})
        return done

    app.consumer._commit = commit_and_die
    await start(app)
    await asyncio.sleep(20)
    return {"committed": None}
