"""What a run says of processes that it left behind, and of tests that it left out."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

TESTS = """
import os
import subprocess
import sys
import time

import pytest


def test_quick():
    pass


@pytest.mark.full
def test_long():
    pass


@pytest.mark.full
def test_longer():
    pass


def test_leaves():
    if os.environ["LEAVE"]:
        clean = {} if os.environ["LEAVE"] == "clean" else None
        command = [sys.executable, "-c", "import time; time.sleep(60)"]
        # as a daemon does: no more a child of ours, nor of our session
        daemon = "import subprocess, sys; subprocess.Popen(sys.argv[1:], start_new_session=True)"
        if os.environ["LEAVE"] == "wait":
            subprocess.Popen(command, start_new_session=True)
            open("waiting", "w").close()
            time.sleep(60)
        if os.environ["LEAVE"] == "daemon":
            command = [sys.executable, "-c", daemon, *command]
            subprocess.run(command, check=True)
        else:
            globals()["kept"] = subprocess.Popen(command, env=clean)
"""


def command(directory: Path, *options: str) -> list[str]:
    """Command that runs pytest on the tests above, with the plugins of our own runs."""
    (directory / "test_it.py").write_text(TESTS)
    (directory / "pytest.ini").write_text("[pytest]\nmarkers = full\n  slow\n")
    start = [sys.executable, "-m", "pytest", "-p", "tests.plugins.full"]
    return [
        *start,
        "-p",
        "tests.plugins.leftovers",
        "-p",
        "no:cacheprovider",
        *options,
        "test_it.py",
    ]


def run(directory: Path, *options: str, leave: str = "") -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    return subprocess.run(
        command(directory, *options),
        cwd=directory,
        env={**os.environ, "LEAVE": leave},
        capture_output=True,
        text=True,
        check=False,
    )


def ended(line: str) -> bool:
    """Whether the process that a line names has ended; one that nobody waited for is a zombie."""
    state = Path(f"/proc/{line.partition(' of ')[0]}/stat")
    return not state.exists() or ") Z " in state.read_text()


@pytest.mark.parametrize("processes", ["0", "2"])
def test_what_was_left_out_is_said(processes: str, tmp_path: Path) -> None:
    done = run(tmp_path, "-n", processes)
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
    assert "2 long tests are left to make test-all" in done.stdout


@pytest.mark.parametrize(("full", "count"), [("only", 2), ("with", 4)])
def test_long_tests_are_run_where_they_are_asked_for(full: str, count: int, tmp_path: Path) -> None:
    done = run(tmp_path, "--full", full)
    assert done.returncode == 0, done.stdout
    assert f"{count} passed" in done.stdout
    assert "are left to" not in done.stdout


@pytest.mark.parametrize(
    ("leave", "processes", "test"),
    [
        ("child", "0", "test_it.py::test_leaves (call)"),
        ("daemon", "2", "test_it.py::test_leaves (call)"),
        ("clean", "0", "no test"),  # a child that does not know what it came from
    ],
)
def test_a_process_that_was_left_behind_fails_the_run(
    leave: str, processes: str, test: str, tmp_path: Path
) -> None:
    done = run(tmp_path, "-n", processes, "--leftover-seconds", "0.3", leave=leave)
    assert done.returncode == 1, done.stdout
    assert "1 PROCESSES LEFT BEHIND" in done.stdout
    [line] = [line for line in done.stdout.splitlines() if "time.sleep(60)" in line]
    assert f" of {test}: " in line
    assert ended(line)


@pytest.mark.parametrize("processes", ["0", "2"])
def test_a_run_that_is_terminated_leaves_nothing(processes: str, tmp_path: Path) -> None:
    options = ("-n", processes, "--leftover-seconds", "0.3")
    with subprocess.Popen(
        command(tmp_path, *options),
        cwd=tmp_path,
        env={**os.environ, "LEAVE": "wait"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        while process.poll() is None and not (tmp_path / "waiting").exists():
            time.sleep(0.05)
        process.terminate()
        said, _ = process.communicate(timeout=60)
    assert process.returncode == pytest.ExitCode.INTERRUPTED, said
    lines = [line for line in said.splitlines() if "time.sleep(60)" in line]
    assert lines, said
    assert all(ended(line) for line in lines)
