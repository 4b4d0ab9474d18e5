"""Scenarios in which what an agent produces does not arrive, or arrives late."""

import asyncio
import os
import sys
from typing import Any

from tests.kafka.loss.agents import committed, source_of
from tests.kafka.loss.variants import Setup, finish, make_app, say, start, wait_for_end

__all__ = ["failing", "slow"]

VALUE_BYTES = 12_000


def writer(app: Any, setup: Setup) -> Any:
    """Give what writes one value: to a table and so its changelog, or to a topic."""
    text = os.urandom(VALUE_BYTES // 2).hex()  # does not shrink when compressed
    if setup.params["where"] == "changelog":
        table = app.Table("texts", default=str, partitions=1)

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
    """L4: the brokers refuse what the agent produces, or say nothing for longer than we wait."""
    app = make_app(setup, producer_request_timeout=1.5)
    write = writer(app, setup)

    async def work(stream: Any) -> None:
        async for event in stream.events():
            if setup.params.get("gate") and event.message.offset == 1:
                await asyncio.sleep(0.3)  # the first record is through: its topic is known
                say("fetched")
                await asyncio.to_thread(sys.stdin.readline)
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
