"""Who is waited for before a worker begins, and who is not."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    GroupLoadInProgressError,
    KafkaConnectionError,
    NotCoordinatorForGroupError,
)

from ampelstream.errors import SourceError
from ampelstream.runtime.faust import admission as admission_module
from ampelstream.runtime.faust.admission import Admission, client_id
from ampelstream.runtime.kafka.clients import reaching
from ampelstream.runtime.kafka.connection import Connection

OWN, OTHERS = Connection(bootstrap=("ours:1",)), Connection(bootstrap=("theirs:1",))
OURS, OLD = ("id", client_id("new"), "host-1"), ("id", client_id("old"), "host-2")
Answer = tuple[int, tuple[tuple[str, str, str], ...]] | Exception


def others(monkeypatch: pytest.MonkeyPatch, answers: Mapping[str, Answer]) -> set[str]:
    """What the groups ``ours`` and ``theirs`` say, each on its cluster."""

    class Client:
        async def describe_consumer_groups(self, groups: list[str]) -> list[Any]:
            answer = answers[groups[0]]
            if isinstance(answer, Exception):
                raise answer
            code, members = answer
            return [SimpleNamespace(groups=[(code, groups[0], "", "", "", members)])]

    @asynccontextmanager
    async def open_admin(connection: Connection) -> AsyncIterator[Any]:
        with reaching(connection):
            yield Client()

    monkeypatch.setattr(admission_module, "open_admin", open_admin)
    content: Any = SimpleNamespace(digest="evaluates", file="new")
    log: Any = None
    groups = [
        ("ours", OWN),
        ("theirs", OTHERS),
        *([("objects", OWN)] if "objects" in answers else []),
    ]
    admission = Admission(log, content, OWN, groups, None, objects=("objects", OWN))
    return asyncio.run(admission._others())


def test_members_with_another_topology_are_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"ours": (0, (OURS, OLD)), "theirs": (0, (OURS,))}
    assert others(monkeypatch, answers) == {"ours at host-2"}


def test_where_candidates_are_evaluated_catalogues_count_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    same = ("id", client_id("evaluates"), "host-1")
    other = ("id", client_id("evaluates with another catalogue"), "host-2")
    known = {"ours": (0, ()), "theirs": (0, ())}
    assert others(monkeypatch, known | {"objects": (0, (same, other))}) == {"objects at host-2"}


@pytest.mark.parametrize(
    "answer",
    [
        (GroupLoadInProgressError.errno, ()),
        (NotCoordinatorForGroupError.errno, ()),
        KafkaConnectionError("gone"),
        TimeoutError(),
    ],
)
def test_what_our_brokers_do_not_say_is_not_taken_for_nobody(
    monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    [found] = others(monkeypatch, {"ours": answer, "theirs": (0, ())})
    assert found.startswith("ours, of which")


@pytest.mark.parametrize(
    "answer",
    [
        KafkaConnectionError("away"),
        OSError("no route"),
        GroupAuthorizationFailedError("not yours"),
        (GroupAuthorizationFailedError.errno, ()),
    ],
)
def test_a_cluster_of_others_that_is_away_or_says_nothing_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, answer: Answer
) -> None:
    assert others(monkeypatch, {"ours": (0, (OURS,)), "theirs": answer}) == set()


def test_our_own_cluster_has_to_let_us_look(monkeypatch: pytest.MonkeyPatch) -> None:
    refused = GroupAuthorizationFailedError("no")
    with pytest.raises(SourceError, match="GroupAuthorizationFailed"):
        others(monkeypatch, {"ours": refused, "theirs": (0, ())})
