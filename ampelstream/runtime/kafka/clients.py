"""aiokafka clients that are closed after use, and whose failures say which cluster failed."""

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaConnectionError, KafkaError

from ampelstream.errors import AmpelstreamError, SourceError, UnreachableError
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.safefaust.receiving import receive_directly
from ampelstream.runtime.safefaust.unreadable import set_aside

__all__ = [
    "open_admin",
    "open_consumer",
    "open_producer",
    "reaching",
    "topic_names",
]

_LOG = logging.getLogger(__name__)


@contextmanager
def reaching(connection: Connection) -> Iterator[None]:
    """Turn failures of aiokafka into ours.

    Raises
    ------
    UnreachableError
        No broker answers, or none can answer now.
    SourceError
        The cluster refuses.
    """
    where = connection.describe()
    try:
        yield
    except AmpelstreamError:
        raise
    except KafkaConnectionError as error:
        raise UnreachableError(
            f"no broker answers at {where}, or none lets us in; check the address, security and "
            "credentials, and whether it is up",
            where,
        ) from error
    except (KafkaError, OSError, TimeoutError) as error:
        # an error of our own (`ReadError`) is what led to it
        cause = error.__cause__ if isinstance(error.__cause__, KafkaError) else error
        name = type(cause).__name__
        _LOG.debug("%s: %s: %s", where, name, cause)
        if isinstance(cause, KafkaError) and not cause.retriable:
            raise SourceError(
                f"the brokers at {where} refuse what was asked of them ({name}); see what this "
                "user may do there, and what they log"
            ) from error
        raise UnreachableError(
            f"the brokers at {where} do not answer as they should ({name}); see whether they are "
            "up, and what they log",
            where,
        ) from error


@asynccontextmanager
async def open_admin(connection: Connection) -> AsyncIterator[Any]:
    """Give an admin client; SourceError where the cluster fails."""
    with reaching(connection):
        client = AIOKafkaAdminClient(**connection.client_options(), request_timeout_ms=20_000)
        try:
            await client.start()
            yield client
        finally:
            await client.close()


@asynccontextmanager
async def open_consumer(
    connection: Connection, *, sets_aside: bool = False, **options: Any
) -> AsyncIterator[Any]:
    """Give a consumer; SourceError where the cluster fails.

    Parameters
    ----------
    connection
        To which cluster.
    sets_aside
        Whether a batch of records that cannot be inflated is given as one record with a fault (see
        ``safefaust/unreadable.py``); otherwise it is a failure.
    options
        Of aiokafka's consumer.
    """
    with reaching(connection):
        receive_directly()
        client = AIOKafkaConsumer(**connection.client_options(), **options)
        try:
            await client.start()
            if sets_aside:
                set_aside(client)
            yield client
        finally:
            await client.stop()


@asynccontextmanager
async def open_producer(connection: Connection, **options: Any) -> AsyncIterator[Any]:
    """Give a producer; what it was given is sent before it closes. SourceError as above."""
    with reaching(connection):
        client = AIOKafkaProducer(**connection.client_options(), **options)
        try:
            await client.start()
            yield client
        finally:
            await client.stop()


async def topic_names(connection: Connection) -> set[str]:
    """Names of all topics of a cluster; SourceError where it is away.

    To be asked before a consumer reads a topic that may be missing: aiokafka would look for it
    until its time is over.
    """
    async with open_admin(connection) as admin:
        return {one["topic"] for one in await admin.describe_topics()}
