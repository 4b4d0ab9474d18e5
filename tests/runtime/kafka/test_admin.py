"""Topics that were made are waited for until a broker serves them; on a client that is made up."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import stamina

from ampelstream.errors import SourceError
from ampelstream.runtime.kafka.admin import _appeared
from ampelstream.runtime.kafka.plan import WantedTopic


@pytest.fixture(autouse=True)
def without_waits() -> Iterator[None]:
    with stamina.set_testing(testing=True, attempts=3):
        yield


class Client:
    """Tells of a topic whose leader is there from a look on."""

    def __init__(self, served_at: int) -> None:
        self.looks = 0
        self._served_at = served_at

    async def describe_topics(self) -> list[dict[str, Any]]:
        self.looks += 1
        leader = 1 if self.looks >= self._served_at else -1
        return [
            {"topic": "new", "partitions": [{"leader": leader}]},
            {"topic": "empty", "partitions": []},
        ]


def wanted(name: str) -> list[WantedTopic]:
    return [WantedTopic(name, 1, 1)]


@pytest.mark.parametrize("served_at", [1, 2, 3])
def test_until_it_has_a_leader(served_at: int) -> None:
    client = Client(served_at)
    asyncio.run(_appeared(client, wanted("new")))
    assert client.looks == served_at


@pytest.mark.parametrize("name", ["new", "empty", "missing"])
def test_one_that_never_appears(name: str) -> None:
    client = Client(4)
    with pytest.raises(SourceError, match=f"topics have no leader yet: {name}; look at"):
        asyncio.run(_appeared(client, wanted(name)))
    assert client.looks == 3
