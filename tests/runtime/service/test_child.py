import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

from ampelstream.runtime.service.child import SUPERVISED, end_with_parent
from ampelstream.runtime.service.exitcodes import ExitCode


def child(body: str, **environment: str) -> subprocess.Popen[bytes]:
    script = "import os, signal, sys, threading, time\n"
    script += "from ampelstream.runtime.service.child import end_with_parent\n"
    return subprocess.Popen(
        [sys.executable, "-c", script + textwrap.dedent(body)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    )


def after_the_parent(body: str) -> int:
    """Exit code of a child whose parent's end of the pipe closes once it has begun."""
    process = child(body, **{SUPERVISED: "1"})
    assert process.stdout is not None
    assert process.stdin is not None
    with process.stdout:
        assert process.stdout.readline() == b"begin\n"
        process.stdin.close()
        return process.wait(timeout=30)


def test_without_a_parent_there_is_nothing_to_watch() -> None:
    assert not end_with_parent()


def test_a_child_is_asked_to_stop() -> None:
    code = after_the_parent("""
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        assert end_with_parent(grace=20)
        print("begin", flush=True)
        stop.wait(30)
        sys.exit(0 if stop.is_set() else 9)
    """)
    assert code == ExitCode.DONE


def test_a_child_that_does_not_stop_is_ended() -> None:
    code = after_the_parent("""
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        end_with_parent(grace=0.1)
        print("begin", flush=True)
        time.sleep(30)
    """)
    assert code == ExitCode.ORPHANED


def test_processes_of_a_pool_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "pool.py"
    script.write_text(
        textwrap.dedent("""
        import multiprocessing, os, time
        from concurrent.futures import ProcessPoolExecutor
        from ampelstream.runtime.service.child import end_with_parent

        if __name__ == "__main__":
            context = multiprocessing.get_context("spawn")
            with ProcessPoolExecutor(2, context, initializer=end_with_parent) as pool:
                first, other = pool.submit(os.getpid), pool.submit(time.sleep, 1)
                print(first.result(), flush=True)
                time.sleep(60)
        """)
    )
    process = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert process.stdout is not None
    with process.stdout:
        pid = int(process.stdout.readline())
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert gone(pid)


def gone(pid: int, seconds: float = 20) -> bool:
    """Whether a process that is not our child ends; one that ended may stay a zombie."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False
