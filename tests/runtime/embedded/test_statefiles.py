"""Who holds the files of a state, seen from another process."""

import subprocess
import sys
from pathlib import Path

import pytest

from ampelstream.errors import StateError
from ampelstream.runtime.embedded.statefiles import StateFiles, found_files

HOLDER = """
import sys
from pathlib import Path
from ampelstream.runtime.embedded.statefiles import StateFiles
lock = StateFiles(Path(sys.argv[1]), "simple").hold()
print("held", flush=True)
sys.stdin.read()
"""


def test_held_as_long_as_the_process_lives(tmp_path: Path) -> None:
    files = StateFiles(tmp_path, "simple")
    assert not files.in_use()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert files.in_use()
        assert files.in_use()  # a look takes nothing away
        process.kill()
        process.wait()
    assert not files.in_use()


def test_a_directory_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "simple").write_text("")
    with pytest.raises(StateError, match="simple cannot be used: File exists"):
        StateFiles(tmp_path, "simple").hold()


def test_topologies_of_a_state_are_found_by_their_status(tmp_path: Path) -> None:
    for name in ("b", "a", "rocks"):
        (tmp_path / name).mkdir()
    for name in ("b", "a"):
        StateFiles(tmp_path, name).status.write_text("{}")
    assert [one.topology for one in found_files(tmp_path)] == ["a", "b"]
    assert found_files(tmp_path / "nowhere") == []
