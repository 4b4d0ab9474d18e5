"""Whose a state is, as a person is told."""

from collections.abc import Callable

import pytest

from ampelstream.core.ownership import claim, finish
from ampelstream.errors import ConfigError
from ampelstream.state.memory import MemoryBackend
from ampelstream.state.store import Transaction
from ampelstream.topology import Topology

TOPOLOGY = '{name: mine, version: "1", channels: {all: {window: [0, 10]}}}'


@pytest.mark.parametrize("finished", [False, True])
def test_the_state_of_a_replay_is_called_so(
    make_topology: Callable[[str], Topology], *, finished: bool
) -> None:
    topology, state = make_topology(TOPOLOGY), Transaction(MemoryBackend())
    claim(state, topology, "inputs")
    if finished:
        finish(state)
    with pytest.raises(ConfigError) as caught:
        claim(state, topology)
    said = str(caught.value)
    end = "has come to its end" if finished else "has not come to its end"
    assert f", in a replay that {end}, not to topology mine with content" in said
    assert "With the state of a replay only that `replay` goes on" in said


def test_what_is_no_replay_is_not_called_one(make_topology: Callable[[str], Topology]) -> None:
    topology, state = make_topology(TOPOLOGY), Transaction(MemoryBackend())
    claim(state, topology)
    with pytest.raises(ConfigError) as caught:
        claim(state, topology, "inputs")
    assert "that `replay` goes on" not in str(caught.value)
