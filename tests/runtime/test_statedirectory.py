"""Where state lies, and whose that is which lies where earlier versions had it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ampelstream.core.ownership import claim, finish
from ampelstream.errors import ConfigError, StateError
from ampelstream.runtime.statedirectory import (
    embedded_database,
    old_directories,
    worker_directory,
)
from ampelstream.state.rocks import RocksBackend
from ampelstream.state.store import Transaction
from ampelstream.topology import Topology


def test_workers_and_topologies_do_not_share_a_directory(tmp_path: Path) -> None:
    found = {worker_directory(tmp_path, name, index) for name in ("a", "b") for index in (0, 1)}
    assert len(found) == 4
    assert embedded_database(tmp_path, "a") != embedded_database(tmp_path, "b")


def test_directories_of_earlier_versions_are_known(tmp_path: Path) -> None:
    for name in (
        "worker-0/objects",
        "worker-1/react",
        "worker-2/else",
        "kilonova/worker-0/objects",
    ):
        (tmp_path / name).mkdir(parents=True)
    assert old_directories(tmp_path) == [tmp_path / "worker-0", tmp_path / "worker-1"]


# --- the embedded engine's database in its old place --------------------------------------------


@pytest.fixture
def old_state(tmp_path: Path, small: Topology) -> Callable[..., Path]:
    """Make the state of a topology where earlier versions had it."""

    def make(name: str, inputs: str = "", *, finished: bool = False) -> Path:
        backend = RocksBackend(tmp_path / "rocks")
        state = Transaction(backend)
        if name:
            claim(state, replace(small, name=name), inputs)
        if finished:
            finish(state)
        state.put(b"oZTF", b"1")
        state.commit()
        backend.close()
        return tmp_path

    return make


def test_ours_is_moved_to_its_new_place(
    old_state: Callable[..., Path], caplog: pytest.LogCaptureFixture
) -> None:
    """It is the only copy."""
    state = old_state("mine")
    path = embedded_database(state, "mine")
    assert path == state / "mine" / "rocks"
    assert not (state / "rocks").exists()
    backend = RocksBackend(path)
    assert backend.get(b"oZTF") == b"1"
    backend.close()
    assert "moved" in caplog.text
    assert embedded_database(state, "mine") == path


@pytest.mark.parametrize(("owner", "said"), [("other", "state of other"), ("", "state of nobody")])
def test_that_of_another_is_refused_and_stays(
    old_state: Callable[..., Path], owner: str, said: str
) -> None:
    state = old_state(owner)
    with pytest.raises(ConfigError, match=said):
        embedded_database(state, "mine")
    assert (state / "rocks" / "CURRENT").is_file()
    assert not (state / "mine").exists()


def test_two_are_not_chosen_between(old_state: Callable[..., Path]) -> None:
    state = old_state("mine")
    (state / "mine" / "rocks").mkdir(parents=True)
    with pytest.raises(ConfigError, match="move one of them away"):
        embedded_database(state, "mine")


def test_a_topology_of_that_very_name(old_state: Callable[..., Path]) -> None:
    state = old_state("rocks")
    with pytest.raises(ConfigError, match="cannot be moved"):
        embedded_database(state, "rocks")
    assert (state / "rocks" / "CURRENT").is_file()


def test_one_that_is_in_use_is_not_moved(old_state: Callable[..., Path]) -> None:
    state = old_state("mine")
    backend = RocksBackend(state / "rocks")
    with pytest.raises(StateError, match="another ampelstream process"):
        embedded_database(state, "mine")
    backend.close()


@pytest.mark.parametrize("owner", ["mine", "other"])
@pytest.mark.parametrize("finished", [False, True])
def test_that_of_a_replay_is_refused_and_stays(
    old_state: Callable[..., Path], owner: str, *, finished: bool
) -> None:
    """It lies where earlier versions of `run` had theirs."""
    state = old_state(owner, "night and notices", finished=finished)
    with pytest.raises(ConfigError, match=f"holds a replay of topology {owner}.* another --state"):
        embedded_database(state, "mine")
    assert (state / "rocks" / "CURRENT").is_file()
    assert not (state / "mine").exists()
