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
    whose = "a finished replay of topology mine" if finished else "a replay of topology mine"
    assert f"belongs to {whose} with content " in said
    assert ", not to topology mine with content " in said
    assert ": give another directory (" in said


def test_what_is_no_replay_is_not_called_one(make_topology: Callable[[str], Topology]) -> None:
    topology, state = make_topology(TOPOLOGY), Transaction(MemoryBackend())
    claim(state, topology)
    with pytest.raises(ConfigError) as caught:
        claim(state, topology, "inputs")
    assert "belongs to topology mine with" in str(caught.value)
    assert ", not to a replay of topology mine with" in str(caught.value)
