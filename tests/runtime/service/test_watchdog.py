import json
import logging
import subprocess
import sys
import textwrap
import time

import pytest

from ampelstream.runtime.service.exitcodes import ExitCode
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.watchdog import Watchdog


class Clock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_second_bad_answer_in_a_row_ends_the_process(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    health = Health(clock)
    codes: list[int] = []
    dumps: list[bool] = []
    dog = Watchdog(health, exit_process=codes.append, dump=lambda: dumps.append(True))
    assert not dog.check()
    clock.now += 100
    assert not dog.check()  # the machine may have been suspended: the loop gets its turn
    health.beat()
    assert not dog.check()
    clock.now += 100
    assert not dog.check()
    assert codes == []
    assert dog.check()
    assert codes == [ExitCode.HUNG]
    assert dumps == [True]
    (record,) = caplog.records
    assert record.levelno == logging.CRITICAL
    assert "the event loop was silent for 100 s" in record.getMessage()


def test_logs_that_hang_do_not_keep_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ampelstream.runtime.service.watchdog._REPORT_SECONDS", 0.05)
    clock = Clock()
    codes: list[int] = []
    dog = Watchdog(Health(clock), exit_process=codes.append, dump=lambda: time.sleep(0.5))
    clock.now += 100
    dog.check()
    dog.check()
    assert codes == [ExitCode.HUNG]


def test_the_fault_handler_is_set_again_and_again_and_lifted_at_the_end() -> None:
    armed: list[float] = []
    lifted: list[bool] = []
    dog = Watchdog(
        Health(stuck_after=30),
        poll_seconds=0.01,
        arm=armed.append,
        disarm=lambda: lifted.append(True),
        exit_process=lambda _code: None,
    )
    dog.start()
    deadline = time.monotonic() + 10
    while len(armed) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert lifted == []
    dog.stop()
    assert set(armed) == {60.0}
    assert len(armed) >= 3
    assert lifted == [True]


def run_worker(body: str) -> tuple[int, float, str]:
    """Run a handler in a process with a limit of one second; (exit code, seconds, stderr)."""
    script = textwrap.dedent("""
        import ctypes, threading, time
        from ampelstream.runtime.service.health import Health
        from ampelstream.runtime.service.log import set_up_log
        from ampelstream.runtime.service.watchdog import Watchdog
        set_up_log("worker-0", as_json=True)
        health = Health(stuck_after=1.0, no_commit_after=1.0)
        dog = Watchdog(health, poll_seconds=0.1)
        dog.start()
        print("begin", flush=True)
    """) + textwrap.dedent(body)
    child = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "begin\n"
    begin = time.monotonic()
    _, stderr = child.communicate(timeout=60)
    return child.returncode, time.monotonic() - begin, stderr


def test_a_blocked_handler_is_ended_in_time() -> None:
    code, seconds, stderr = run_worker("""
        def the_stuck_function():
            with health.busy("objects"):
                time.sleep(30)
        threading.Thread(target=the_stuck_function).start()
        while True:
            health.beat()
            time.sleep(0.05)
    """)
    assert code == ExitCode.HUNG
    assert seconds < 10
    line = json.loads(stderr.splitlines()[0])
    assert line["event"] == "hung"
    assert line["fields"]["reasons"] == ["objects: a handler has been busy for 1 s (limit 1 s)"]
    assert "the_stuck_function" in stderr  # the stacks


def test_code_that_keeps_the_interpreter_lock_is_ended_too() -> None:
    code, seconds, stderr = run_worker("""
        with health.busy("objects"):
            ctypes.PyDLL(None).sleep(30)
    """)
    assert code == ExitCode.FAILED
    assert 1 < seconds < 15
    assert "Timeout" in stderr


def test_one_that_works_is_left_alone() -> None:
    code, _, stderr = run_worker("""
        for _ in range(60):
            health.beat()
            with health.busy("objects"):
                time.sleep(0.05)
        dog.stop()
    """)
    assert (code, stderr) == (0, "")
