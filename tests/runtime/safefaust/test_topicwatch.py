"""Topics that change underneath are noticed, and named."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from ampelstream.runtime.safefaust import topicwatch as module
from ampelstream.runtime.safefaust.failures import TopicError
from ampelstream.runtime.safefaust.topicwatch import Change, TopicWatch

LEADERLESS = 5
Shown = Mapping[str, int]
EXPECTED = {"ours": 2, "input": None}
RIGHT = {"ours": 2, "input": 7, "other": 1}


class Brokers:
    """Show topics, one look after the other; the last one for ever."""

    def __init__(self, *looks: Shown | None) -> None:
        self.looks = list(looks)
        self.asked = 0

    def __call__(self, **_options: Any) -> "Brokers":
        return self

    async def start(self) -> None:
        return

    async def close(self) -> None:
        return

    async def describe_topics(self) -> list[dict[str, Any]]:
        shown = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        self.asked += 1
        if shown is None:
            raise KafkaConnectionError("away")
        return [
            {
                "topic": name,
                "error_code": 0 if count > 0 else LEADERLESS,
                "partitions": [{}] * max(count, 0),
            }
            for name, count in shown.items()
        ]


def remedy(topic: str, change: Change) -> str:
    return f"mend {topic} that was {change.name}"


def watch(monkeypatch: pytest.MonkeyPatch, brokers: Brokers, **more: Any) -> None:
    """Look until it ends, or for long enough."""
    monkeypatch.setattr(module, "AIOKafkaAdminClient", brokers)
    watching = TopicWatch(dict, EXPECTED, remedy, every_seconds=0.01, again_seconds=0.005, **more)

    async def run() -> None:
        async with asyncio.timeout(0.3):
            await watching.run()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"input": 7}, "topic ours does not exist any longer: mend ours that was DELETED"),
        ({"ours": 2}, "topic input does not exist any longer: mend input that was DELETED"),
        (
            {"ours": 3, "input": 7},
            "topic ours has 3 partitions, and had 2: mend ours that was GROWN",
        ),
    ],
)
def test_a_change_ends_the_work_and_is_named(
    monkeypatch: pytest.MonkeyPatch, change: Shown, text: str
) -> None:
    brokers = Brokers(RIGHT, change)
    with pytest.raises(TopicError, match=text):
        watch(monkeypatch, brokers)
    assert brokers.asked == 4  # it makes sure


@pytest.mark.parametrize(
    "looks",
    [
        (RIGHT,),
        (RIGHT, {"ours": 2, "input": 8}),  # an input may grow
        (RIGHT, {}, {}, RIGHT),  # a broker that has just started knows nothing yet
        (RIGHT, None),  # nobody answers
        ({"ours": -1, "input": -1},),  # no leader now
    ],
)
def test_what_is_no_change_ends_nothing(
    monkeypatch: pytest.MonkeyPatch, looks: tuple[Shown | None, ...]
) -> None:
    brokers = Brokers(*looks)
    with pytest.raises(TimeoutError):
        watch(monkeypatch, brokers)
    assert brokers.asked > 4


def test_one_that_was_made_anew_has_another_id(monkeypatch: pytest.MonkeyPatch) -> None:
    known = [{"ours": "a", "input": ""}, {"ours": "a", "input": "x"}, {"ours": "b", "input": "x"}]

    async def ids() -> dict[str, str]:
        return known.pop(0) if len(known) > 1 else known[0]

    with pytest.raises(TopicError, match="made anew: mend ours that was MADE_ANEW"):
        watch(monkeypatch, Brokers(RIGHT), ids=ids)
