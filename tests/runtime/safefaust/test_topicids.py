"""Ids of topics: what goes over the wire, and what is made of the answer."""

import asyncio
from collections.abc import Mapping
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError, NodeNotReadyError
from aiokafka.protocol.metadata import MetadataResponse_v5

from ampelstream.runtime.safefaust.failures import ReadError
from ampelstream.runtime.safefaust.topicids import (
    Topics,
    _MetadataRequest,
    _MetadataResponse_v10,
    _MetadataResponse_v12,
    ask,
    topic_ids,
)

ID = "0Qg1anvPRiuxbOrqbREkLg"
ID_BYTES = bytes.fromhex("d108356a7bcf462bb16ceaea6d11242e")
NAMED = b"\x07topic1"  # a compact string: its length, plus one, before it


def request(version: int) -> Any:
    return _MetadataRequest(["topic1"]).prepare({3: (0, version)})


@pytest.mark.parametrize(
    ("newest", "version", "sent"),
    [
        (5, 5, b"\x00\x00\x00\x01\x00\x06topic1\x00"),
        (9, 5, b"\x00\x00\x00\x01\x00\x06topic1\x00"),  # 6 to 9 are not spoken, and have no ids
        (10, 10, b"\x02" + bytes(16) + NAMED + b"\x00" + bytes(3) + b"\x00"),
        (11, 10, b"\x02" + bytes(16) + NAMED + b"\x00" + bytes(3) + b"\x00"),
        (13, 12, b"\x02" + bytes(16) + NAMED + b"\x00" + bytes(2) + b"\x00"),
    ],
)
def test_the_request_in_the_newest_version_that_both_speak(
    newest: int, version: int, sent: bytes
) -> None:
    """A null id, the name, no tags; then flags, of which the first says to create nothing."""
    made = request(newest)
    assert (made.API_KEY, made.API_VERSION, made.encode()) == (3, version, sent)


def topic_bytes(code: int, topic_id: bytes) -> bytes:
    partition = b"\x00\x00" + bytes(4) + b"\x00\x00\x00\x01" + b"\x00\x00\x00\x05"
    partition += (b"\x02\x00\x00\x00\x01" * 2) + b"\x01" + b"\x00"
    operations = b"\x80\x00\x00\x00"
    head = code.to_bytes(2, "big") + NAMED + topic_id + b"\x00"
    return head + b"\x02" + partition + operations + b"\x00"


def answer_bytes(version: int, code: int = 0, topic_id: bytes = ID_BYTES) -> bytes:
    broker = b"\x00\x00\x00\x01" + b"\x05host" + b"\x00\x00\x23\x84" + b"\x00" + b"\x00"
    head = bytes(4) + b"\x02" + broker + b"\x04abc" + b"\x00\x00\x00\x01"
    operations = b"\x80\x00\x00\x00" if version == 10 else b""
    return head + b"\x02" + topic_bytes(code, topic_id) + operations + b"\x00"


ANSWERS: Mapping[int, Any] = {10: _MetadataResponse_v10, 12: _MetadataResponse_v12}


class Client:
    """A client of some brokers, each of which answers something."""

    def __init__(self, *answers: Any) -> None:
        self.asked: list[int] = []
        self._answers = answers
        brokers = [SimpleNamespace(nodeId=number) for number in range(len(answers))]
        self.cluster = SimpleNamespace(brokers=lambda: brokers)

    async def send(self, node: int, _request: Any) -> Any:
        self.asked.append(node)
        answer = self._answers[node]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.mark.parametrize("version", [10, 12])
def test_the_answer(version: int) -> None:
    data = BytesIO(answer_bytes(version))
    answer = ANSWERS[version].decode(data)
    assert data.read() == b""  # all of it was understood
    found = asyncio.run(ask(Client(answer), ["topic1"]))
    assert found == Topics("abc", {"topic1": ID})


@pytest.mark.parametrize(
    ("code", "topic_id", "ids"),
    [
        (3, bytes(16), {}),  # there is none
        (5, ID_BYTES, {"topic1": ID}),  # it has no leader just now
        (0, bytes(16), {"topic1": ""}),  # made before Kafka gave ids, and not upgraded yet
    ],
)
def test_topics_that_are_missing_or_have_no_id(
    code: int, topic_id: bytes, ids: dict[str, str]
) -> None:
    answer = _MetadataResponse_v12.decode(answer_bytes(12, code, topic_id))
    assert asyncio.run(ask(Client(answer), ["topic1"])).ids == ids


def test_brokers_before_ids() -> None:
    answer = MetadataResponse_v5(0, [], "abc", 1, [(0, "topic1", False, []), (3, "x", False, [])])
    assert asyncio.run(ask(Client(answer), ["topic1", "x"])) == Topics("abc", {"topic1": ""})


def test_a_broker_that_is_away_is_no_matter_where_another_answers() -> None:
    answer = _MetadataResponse_v12.decode(answer_bytes(12))
    client = Client(NodeNotReadyError("away"), answer, NodeNotReadyError("away"))
    assert asyncio.run(ask(client, ["topic1"])).ids == {"topic1": ID}


@pytest.mark.parametrize(
    "client",
    [
        Client(),
        Client(NodeNotReadyError("away")),
        Client(OSError("no route")),
        Client(NotImplementedError("too old")),
        Client(_MetadataResponse_v12.decode(answer_bytes(12, 29))),  # not authorised
    ],
)
def test_failures_say_what_was_asked(client: Client) -> None:
    with pytest.raises(ReadError, match="do not say what topic1 are"):
        asyncio.run(ask(client, ["topic1"]))


def test_an_answer_that_is_cut_off() -> None:
    with pytest.raises(ValueError, match="ends within an id"):
        _MetadataResponse_v12.decode(answer_bytes(12)[:45])


def test_nobody_listens() -> None:
    with pytest.raises(ReadError) as caught:
        asyncio.run(topic_ids({"bootstrap_servers": "127.0.0.1:1"}, ["topic1"]))
    assert isinstance(caught.value.__cause__, KafkaConnectionError | KafkaError)
