"""Ids of a cluster and of its topics, by which one that was made anew is told from the old one.

A topic that was deleted and made again has its old name, and offsets that begin anew. Kafka gives
every topic an id since 2.8 (KIP-516), in versions of the Metadata request that aiokafka 0.14 does
not speak (``aiokafka/protocol/metadata.py`` ends at version 5). Two of them are written down here.
"""

import base64
import random
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any, TypeAlias

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, NodeNotReadyError, UnknownTopicOrPartitionError, for_code
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest_v4, MetadataRequest_v5
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from ampelstream.runtime.safefaust.failures import ReadError

__all__ = ["Topics", "ask", "topic_ids"]

_ASK_SECONDS = 20.0
_NO_LEADER = 5
"""Error code of a topic that is there, and has no leader just now."""


@dataclass(frozen=True, slots=True)
class Topics:
    """A cluster, and some of its topics.

    Attributes
    ----------
    cluster_id
        Empty where the brokers do not tell.
    ids
        For each topic that exists its id, as Kafka's own tools write it; empty where the brokers
        are older than 2.8 and have none.
    """

    cluster_id: str
    ids: Mapping[str, str]


async def topic_ids(options: Mapping[str, Any], topics: Collection[str]) -> Topics:
    """Ask a cluster for its id and those of topics; nothing is created by that.

    Parameters
    ----------
    options
        Connection, as keyword arguments of aiokafka.
    topics
        Names; those that do not exist are not in the answer.

    Raises
    ------
    ReadError
        The brokers do not answer, or do not say.
    """
    client = AIOKafkaAdminClient(**options, request_timeout_ms=int(_ASK_SECONDS * 1000))
    try:
        with _words(topics):
            await client.start()
        return await ask(client._client, topics)  # noqa: SLF001  (it has no public way)
    finally:
        await client.close()


async def ask(client: Any, topics: Collection[str]) -> Topics:
    """Ask over the connection of an ``AIOKafkaClient``; see `topic_ids`."""
    with _words(topics):
        nodes = [broker.nodeId for broker in client.cluster.brokers()]
        random.shuffle(nodes)
        failed: KafkaError = NodeNotReadyError("no broker is known")
        for node in nodes:
            try:
                return _read(await client.send(node, _MetadataRequest(sorted(topics))))
            except KafkaError as error:
                failed = error
        raise failed


@contextmanager
def _words(topics: Collection[str]) -> Iterator[None]:
    """Say what a failure means."""
    try:
        yield
    except (KafkaError, OSError, TimeoutError, NotImplementedError) as error:
        raise ReadError(
            f"the brokers do not say what {', '.join(sorted(topics))} are "
            f"({type(error).__name__}); see that they are up, and that we may describe these topics"
        ) from error


def _read(answer: Any) -> Topics:
    said = answer.to_object()
    ids: dict[str, str] = {}
    for one in said["topics"]:
        code = one["error_code"]
        if code == UnknownTopicOrPartitionError.errno:
            continue
        if code and code != _NO_LEADER:
            raise for_code(code)(one["topic"])
        ids[one["topic"]] = one.get("topic_id", "")
    return Topics(said["cluster_id"] or "", ids)


class _Uuid(AbstractType[str]):  # type: ignore[misc]  # aiokafka has no types
    """An id of 16 bytes, as text; that of zeros, which says that there is none, as empty text."""

    SIZE = 16

    @classmethod
    def encode(cls, value: str) -> bytes:
        return base64.urlsafe_b64decode(value + "==") if value else bytes(cls.SIZE)

    @classmethod
    def decode(cls, data: BytesIO) -> str:
        value = data.read(cls.SIZE)
        if len(value) != cls.SIZE:
            raise ValueError("the answer of the brokers ends within an id")
        return base64.urlsafe_b64encode(value).decode().rstrip("=") if any(value) else ""


_BROKERS = CompactArray(
    ("node_id", Int32),
    ("host", CompactString("utf-8")),
    ("port", Int32),
    ("rack", CompactString("utf-8")),
    ("tags", TaggedFields),
)
_PARTITIONS = CompactArray(
    ("error_code", Int16),
    ("partition", Int32),
    ("leader", Int32),
    ("leader_epoch", Int32),
    ("replicas", CompactArray(Int32)),
    ("isr", CompactArray(Int32)),
    ("offline_replicas", CompactArray(Int32)),
    ("tags", TaggedFields),
)
_TOPICS = CompactArray(
    ("error_code", Int16),
    ("topic", CompactString("utf-8")),
    ("topic_id", _Uuid),
    ("is_internal", Boolean),
    ("partitions", _PARTITIONS),
    ("authorized_operations", Int32),
    ("tags", TaggedFields),
)
_ANSWER = (
    ("throttle_time_ms", Int32),
    ("brokers", _BROKERS),
    ("cluster_id", CompactString("utf-8")),
    ("controller_id", Int32),
    ("topics", _TOPICS),
)
_ASKED = CompactArray(
    ("topic_id", _Uuid), ("topic", CompactString("utf-8")), ("tags", TaggedFields)
)


class _MetadataResponse_v10(Response):  # type: ignore[misc]  # noqa: N801  (as aiokafka names them)
    API_KEY = 3
    API_VERSION = 10
    SCHEMA = Schema(*_ANSWER, ("authorized_operations", Int32), ("tags", TaggedFields))


class _MetadataResponse_v12(Response):  # type: ignore[misc]  # noqa: N801  (as aiokafka names them)
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(*_ANSWER, ("tags", TaggedFields))


class _MetadataRequest_v10(RequestStruct):  # type: ignore[misc]  # noqa: N801  (as aiokafka names them)
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 10
    RESPONSE_TYPE = _MetadataResponse_v10
    SCHEMA = Schema(
        ("topics", _ASKED),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _MetadataRequest_v12(RequestStruct):  # type: ignore[misc]  # noqa: N801  (as aiokafka names them)
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _MetadataResponse_v12
    SCHEMA = Schema(
        ("topics", _ASKED),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


_Versions: TypeAlias = (
    MetadataRequest_v4 | MetadataRequest_v5 | _MetadataRequest_v10 | _MetadataRequest_v12
)


class _MetadataRequest(Request[_Versions]):  # type: ignore[misc]  # aiokafka has no types
    """In the newest version that both sides speak; the first two give no ids of topics."""

    API_KEY = 3

    def __init__(self, topics: list[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_Versions]) -> _Versions:
        if not request_struct_class.FLEXIBLE_VERSION:
            return request_struct_class(self._topics, False)  # noqa: FBT003  (create none)
        asked: list[tuple[str, str, dict[int, bytes]]] = [("", name, {}) for name in self._topics]
        flags = [False] * (len(request_struct_class.SCHEMA) - 2)
        return request_struct_class(asked, *flags, {})
