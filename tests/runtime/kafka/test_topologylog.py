"""Which of the topologies in the log is in force."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ampelstream.errors import ConfigError
from ampelstream.runtime.kafka.connection import Connection
from ampelstream.runtime.kafka.topologylog import Accepted, TopologyLog, fold
from ampelstream.topology import Identity


def record(digest: str, after: int) -> Accepted:
    return Accepted(Identity("mine", "1", "h", digest, "f", {}, {}), after, 0.0)


def test_each_replaces_the_one_before_it() -> None:
    log = [(0, record("a", -1)), (3, record("b", 0)), (4, record("a", 3))]
    assert fold(log) == log


def test_of_two_at_the_same_moment_the_first_counts() -> None:
    log = [(0, record("a", -1)), (1, record("b", -1)), (2, record("c", 0)), (3, record("d", 0))]
    assert [(offset, one.content.digest) for offset, one in fold(log)] == [(0, "a"), (2, "c")]


@given(st.lists(st.integers(-1, 8), max_size=9))
def test_what_counts_never_changes_when_more_is_added(after: list[int]) -> None:
    log = [(offset, record(str(offset), one)) for offset, one in enumerate(after)]
    for length in range(len(log)):
        counts = fold(log[: length + 1])
        assert counts[: len(fold(log[:length]))] == fold(log[:length])


@pytest.mark.parametrize("value", [b"", b"xx", b"{}"])
def test_a_record_of_somebody_else_is_for_a_person_to_mend(value: bytes) -> None:
    log = TopologyLog(Connection(bootstrap=("nowhere:1",)), "log")
    with pytest.raises(ConfigError, match="record 7 of topic log names no topology"):
        log._decoded(7, value)
