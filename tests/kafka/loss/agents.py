"""Scenarios with plain agents, as the documentation of Faust shows them."""

import asyncio
from typing import Any

from tests.kafka.loss.variants import Setup, make_app, start, until, wait_for_end

__all__ = ["exception", "in_flight", "poison", "rebalance"]


def source_of(app: Any, setup: Setup) -> Any:
    """Give the source topic, whose values are whole numbers."""
    return app.topic(f"{setup.name}-source", key_type=bytes, value_type=int)


def committed(app: Any) -> int:
    """Give the offset to which the application has committed its source."""
    return max((offset or 0 for offset in app.consumer._committed_offset.values()), default=0)


async def rebalance(setup: Setup) -> dict[str, Any]:
    """L1: the rewind after an assignment falls between two records of a batch in delivery."""
    app = make_app(setup)
    app.Table("seen", default=int, partitions=1)
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
    seek, getmany = consumer.perform_seek, consumer.getmany
    delivered, rewound = 0, asyncio.Event()

    async def late_seek() -> None:
        await until(lambda: delivered >= records, seconds)
        await seek()
        rewound.set()

    async def busy_getmany(timeout: float) -> Any:  # noqa: ASYNC109  (Faust's signature)
        nonlocal delivered
        async for tp, message in getmany(timeout):
            if tp.topic == topic and delivered == records:
                await rewound.wait()
            delivered += tp.topic == topic
            yield tp, message

    consumer.perform_seek, consumer.getmany = late_seek, busy_getmany


async def exception(setup: Setup) -> dict[str, Any]:
    """L2: an agent raises; stock in Faust's usual form, ours in the form that we prescribe."""
    app = make_app(setup)
    done: list[int] = []

    async def handle(value: int) -> None:
        await asyncio.sleep(0.02)
        if value == setup.params["poison"]:
            raise ValueError("this record cannot be handled")
        done.append(value)

    async def usual(stream: Any) -> None:
        async for event in stream.events():
            await handle(event.value)

    async def prescribed(stream: Any) -> None:
        async for event in stream.noack().events():
            await handle(event.value)
            await stream.ack(event)

    app.agent(source_of(app, setup), name="work")(prescribed if setup.ours else usual)
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


async def poison(setup: Setup) -> dict[str, Any]:
    """A record that the serializer of the topic cannot read; some bury it, or try to."""
    app = make_app(setup)
    done: list[int] = []
    buried: list[int] = []

    async def bury(message: Any, _error: BaseException) -> None:
        if setup.params["bury"] == "fails":
            raise OSError("nobody takes dead letters")
        await asyncio.sleep(0.5)  # commits go on meanwhile
        buried.append(message.offset)

    if setup.params["bury"] != "nobody":
        app.bury = bury

    async def work(stream: Any) -> None:
        async for event in stream.events():
            done.append(event.value)  # noqa: PERF401  (what came before a crash counts)

    app.agent(source_of(app, setup))(work)
    await start(app)
    crash = await wait_for_end(app, lambda: committed(app) == setup.params["records"], 15)
    return {"done": done, "buried": buried, "crash": crash}
