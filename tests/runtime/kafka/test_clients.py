"""What is said of a cluster that fails: our words, and the library's name for it."""

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    KafkaError,
    NodeNotReadyError,
    TopicAuthorizationFailedError,
)

from ampelstream.errors import SourceError, UnreachableError
from ampelstream.runtime.kafka.clients import reaching
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.safefaust.failures import ReadError

OURS = Connection(bootstrap=("b:1",))
RAW = "Attempt to send a request to node which is not ready (node id 1)."


def said(error: Exception, cause: Exception | None = None) -> SourceError:
    with pytest.raises(SourceError) as raised, reaching(OURS):
        raise error from cause
    return raised.value


@pytest.mark.parametrize(
    ("error", "cause", "name"),
    [
        (NodeNotReadyError(RAW), None, "NodeNotReadyError"),
        (TimeoutError(RAW), None, "TimeoutError"),
        (ReadError("they do not say"), NodeNotReadyError(RAW), "NodeNotReadyError"),
        (KafkaConnectionError(RAW), None, "no broker answers at"),
    ],
)
def test_what_passes_is_told_in_our_words(
    error: Exception, cause: Exception | None, name: str
) -> None:
    found = said(error, cause)
    assert isinstance(found, UnreachableError)
    assert found.cluster == OURS.describe()
    assert name in str(found)
    assert RAW not in str(found)
    assert "b:1 (PLAINTEXT)" in str(found)


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (TopicAuthorizationFailedError(RAW), None),
        (ReadError("they do not say"), TopicAuthorizationFailedError(RAW)),
    ],
)
def test_what_does_not_pass_is_not_waited_for(error: Exception, cause: KafkaError | None) -> None:
    found = said(error, cause)
    assert not isinstance(found, UnreachableError)
    assert "refuse what was asked of them (TopicAuthorizationFailedError)" in str(found)
    assert RAW not in str(found)
