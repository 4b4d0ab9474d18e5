"""Where state lies, whose it is, and that nobody else has it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from ampelstream.core.state import claim
from ampelstream.errors import ConfigError, StateError
from ampelstream.runtime.statedirectory import (
    embedded_database,
    occupy,
    old_directories,
    worker_directory,
)
from ampelstream.state.rocks import RocksBackend
from ampelstream.state.store import Transaction
from ampelstream.topology import Topology

OCCUPY = """
import asyncio, sys
from pathlib import Path
from ampelstream.runtime.statedirectory import occupy
asyncio.run(occupy(Path(sys.argv[1]), 0.0))
print("ours", flush=True)
sys.stdin.readline()
"""


@contextmanager
def another_process(directory: Path) -> Iterator[subprocess.Popen[str]]:
    """One that has the directory."""
    process = subprocess.Popen(
        [sys.executable, "-c", OCCUPY, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ours\n"
        try:
            yield process
        finally:
            process.kill()


def test_workers_and_topologies_do_not_share_a_directory(tmp_path: Path) -> None:
    found = {worker_directory(tmp_path, name, index) for name in ("a", "b") for index in (0, 1)}
    assert len(found) == 4
    assert embedded_database(tmp_path, "a") != embedded_database(tmp_path, "b")


def test_a_directory_that_another_process_has_is_refused(tmp_path: Path) -> None:
    directory = tmp_path / "worker-0" / "objects"
    with another_process(directory) as other:
        with pytest.raises(ConfigError, match=f"used by another worker, process {other.pid}"):
            asyncio.run(occupy(directory, 0.0))
        other.kill()  # the system frees what it had
        other.wait()
        asyncio.run(occupy(directory, 0.0))
    assert (directory / "in-use").read_text() == str(os.getpid())


def test_one_that_is_about_to_end_is_waited_for(tmp_path: Path) -> None:
    async def both(other: "subprocess.Popen[str]") -> None:
        asyncio.get_running_loop().call_later(0.3, other.kill)
        await occupy(tmp_path, 20.0)

    with another_process(tmp_path) as other:
        asyncio.run(both(other))


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("somebody's")
    with pytest.raises(ConfigError, match="file/objects"):
        asyncio.run(occupy(tmp_path / "file" / "objects", 0.0))
    assert (tmp_path / "file").read_text() == "somebody's"


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
def old_state(tmp_path: Path, small: Topology) -> Callable[[str], Path]:
    """Make the state of a topology where earlier versions had it."""

    def make(name: str) -> Path:
        backend = RocksBackend(tmp_path / "rocks")
        state = Transaction(backend)
        if name:
            claim(state, replace(small, name=name))
        state.put(b"oZTF", b"1")
        state.commit()
        backend.close()
        return tmp_path

    return make


def test_ours_is_moved_to_its_new_place(
    old_state: Callable[[str], Path], caplog: pytest.LogCaptureFixture
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
    old_state: Callable[[str], Path], owner: str, said: str
) -> None:
    state = old_state(owner)
    with pytest.raises(ConfigError, match=said):
        embedded_database(state, "mine")
    assert (state / "rocks" / "CURRENT").is_file()
    assert not (state / "mine").exists()


def test_two_are_not_chosen_between(old_state: Callable[[str], Path]) -> None:
    state = old_state("mine")
    (state / "mine" / "rocks").mkdir(parents=True)
    with pytest.raises(ConfigError, match="move one of them away"):
        embedded_database(state, "mine")


def test_a_topology_of_that_very_name(old_state: Callable[[str], Path]) -> None:
    state = old_state("rocks")
    with pytest.raises(ConfigError, match="cannot be moved"):
        embedded_database(state, "rocks")
    assert (state / "rocks" / "CURRENT").is_file()


def test_one_that_is_in_use_is_not_moved(old_state: Callable[[str], Path]) -> None:
    state = old_state("mine")
    backend = RocksBackend(state / "rocks")
    with pytest.raises(StateError, match="another ampelstream process"):
        embedded_database(state, "mine")
    backend.close()
