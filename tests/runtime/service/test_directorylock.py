"""A worker waits until the one before has left its directory."""

import asyncio
import logging
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from ampelstream.errors import ConfigError
from ampelstream.runtime.service.directorylock import hold_directory

HOLDER = """
    import asyncio, sys, time
    from pathlib import Path
    from ampelstream.runtime.service.directorylock import hold_directory

    async def main():
        await hold_directory(Path(sys.argv[1]), patience=0, stop=asyncio.Event())

    asyncio.run(main())
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(directory: Path, seconds: float) -> "subprocess.Popen[bytes]":
    """Another process that has the directory, for so long."""
    code = textwrap.dedent(HOLDER)
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(directory), str(seconds)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == b"held\n"
    return process


def hold(directory: Path, patience: float, *, stop_after: float | None = None) -> int | None:
    async def run() -> int | None:
        stop = asyncio.Event()
        if stop_after is not None:
            asyncio.get_running_loop().call_later(stop_after, stop.set)
        return await hold_directory(directory, patience=patience, stop=stop)

    return asyncio.run(run())


def test_it_is_made_and_held_as_long_as_the_process_lives(tmp_path: Path) -> None:
    file = hold(tmp_path / "state" / "worker-0", 0.0)
    assert file is not None
    assert (tmp_path / "state" / "worker-0" / "lock").read_text() == str(os.getpid())
    os.close(file)


def test_a_predecessor_that_ends_is_waited_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with holder(tmp_path, 60.0) as process:
        begin = time.monotonic()
        os.kill(process.pid, 0)

        async def run() -> int | None:
            asyncio.get_running_loop().call_later(0.5, process.kill)
            return await hold_directory(tmp_path, patience=30.0, stop=asyncio.Event())

        file = asyncio.run(run())
        assert file is not None
        os.close(file)
    assert 0.4 < time.monotonic() - begin < 20
    (line,) = caplog.messages
    assert f"process={process.pid}" in line
    assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_one_that_stays_is_named(tmp_path: Path) -> None:
    with holder(tmp_path, 60.0) as process:
        with pytest.raises(ConfigError, match=f"in use by process {process.pid}, .* --state"):
            hold(tmp_path, 0.3)
        assert hold(tmp_path, 30.0, stop_after=0.3) is None  # SIGTERM ends the wait
        process.kill()


def test_what_cannot_hold_the_state_is_configuration(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for directory in (file, file / "kilonova" / "worker-0"):
        with pytest.raises(ConfigError, match=r"cannot hold the state: .*give another --state"):
            hold(directory, 0.0)
    if os.geteuid():  # root may write everywhere
        tmp_path.chmod(0o500)
        with pytest.raises(ConfigError, match="Permission denied"):
            hold(tmp_path, 0.0)
        tmp_path.chmod(0o700)
