"""Workers as child processes: started, started again, stopped."""

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from ampelstream.runtime.service.exitcodes import ExitCode
from ampelstream.runtime.service.supervisor import Backoff, Supervisor

OBEDIENT = """
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
note("up")
stop.wait(60)
note("down")
"""


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Callable[[int], list[str]]]:
    """Make the command of workers that run some code; ``note`` appends to a common file."""

    def make(body: str) -> Callable[[int], list[str]]:
        path = tmp_path / "worker.py"
        head = f"""
            import os, signal, sys, threading, time
            index = int(sys.argv[1])
            def note(what):
                with open({str(tmp_path / "notes")!r}, "a") as file:
                    file.write(f"{{index}} {{what}}\\n")
        """
        path.write_text(textwrap.dedent(head) + textwrap.dedent(body))
        return lambda index: [sys.executable, "-S", str(path), str(index)]

    return make


Script = Callable[[str], Callable[[int], list[str]]]


def notes(tmp_path: Path) -> list[str]:
    path = tmp_path / "notes"
    return path.read_text().splitlines() if path.exists() else []


def wait_for(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def when(condition: Callable[[], bool], *actions: Callable[[], object]) -> None:
    """Act in the background once something is so."""

    def act() -> None:
        wait_for(condition)
        for action in actions:
            action()

    threading.Thread(target=act, daemon=True).start()


def quick() -> Backoff:
    return Backoff(first=0.02, longest=0.1)


def events(caplog: pytest.LogCaptureFixture, name: str) -> list[dict[str, object]]:
    return [r.incident.fields for r in caplog.records if r.incident.event == name]  # type: ignore[attr-defined]  # (set by extra=)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_all_in_order(tmp_path: Path, script: Script, number: int) -> None:
    supervisor = Supervisor(script(OBEDIENT), 3)
    when(lambda: len(notes(tmp_path)) == 3, lambda: os.kill(os.getpid(), number))
    before = signal.getsignal(signal.SIGTERM)
    assert supervisor.run() == ExitCode.DONE
    assert sorted(notes(tmp_path)) == sorted(
        f"{n} {what}" for n in range(3) for what in ("up", "down")
    )
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_dead_are_started_again_and_only_they(
    tmp_path: Path, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    body = """
        import pathlib
        if index == 1 and pathlib.Path(__file__ + ".tries").exists() is False:
            pathlib.Path(__file__ + ".tries").touch()
            note("dies")
            os.kill(os.getpid(), signal.SIGKILL)
    """
    supervisor = Supervisor(script(textwrap.dedent(body) + OBEDIENT), 2, backoff=quick)
    when(lambda: {"0 up", "1 up"} <= set(notes(tmp_path)), supervisor.stop)
    assert supervisor.run() == ExitCode.DONE
    assert sorted(notes(tmp_path)) == ["0 down", "0 up", "1 dies", "1 down", "1 up"]
    (death,) = events(caplog, "worker_died")
    assert (death["worker"], death["exit_code"]) == (1, -9)
    assert death["meaning"] == "killed by SIGKILL"
    assert len(events(caplog, "worker_started")) == 3


def test_every_code_but_two_is_started_again(tmp_path: Path, script: Script) -> None:
    body = """
        codes = [0, 1, 3, 70, 75]
        path = __file__ + ".tries"
        open(path, "a").write("x")
        tries = len(open(path).read())
        note(tries)
        sys.exit(codes[tries - 1] if tries <= 5 else 78)
    """
    supervisor = Supervisor(script(textwrap.dedent(body)), 1, backoff=quick)
    assert supervisor.run() == ExitCode.CONFIGURATION
    assert len(notes(tmp_path)) == 6


@pytest.mark.parametrize("code", [ExitCode.USAGE, ExitCode.CONFIGURATION])
def test_one_that_cannot_be_helped_stops_all(
    tmp_path: Path, script: Script, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    body = f"""
        if index == 1:
            while not os.path.exists({str(tmp_path / "notes")!r}):
                time.sleep(0.02)
            sys.exit({int(code)})
    """
    assert Supervisor(script(textwrap.dedent(body) + OBEDIENT), 2).run() == code
    assert notes(tmp_path) == ["0 up", "0 down"]
    assert len(events(caplog, "worker_hopeless")) == 1


def test_who_does_not_stop_is_killed_after_the_grace(
    tmp_path: Path, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    stubborn = """
        signal.signal(signal.SIGTERM, lambda *_: note("no"))
        note("up")
        for _ in range(600):
            time.sleep(0.1)
    """
    supervisor = Supervisor(script(stubborn), 1, grace=0.3)
    when(lambda: notes(tmp_path) == ["0 up"], supervisor.stop)
    begin = time.monotonic()
    assert supervisor.run() == ExitCode.FAILED
    assert time.monotonic() - begin > 0.3
    assert notes(tmp_path) == ["0 up", "0 no"]
    assert len(events(caplog, "worker_killed")) == 1


def test_a_second_signal_kills_at_once(tmp_path: Path, script: Script) -> None:
    stubborn = """
        signal.signal(signal.SIGTERM, lambda *_: note("no"))
        note("up")
        for _ in range(600):
            time.sleep(0.1)
    """
    supervisor = Supervisor(script(stubborn), 1, grace=100)
    when(lambda: notes(tmp_path) == ["0 up"], supervisor.stop)
    when(lambda: notes(tmp_path) == ["0 up", "0 no"], supervisor.stop)
    assert supervisor.run() == ExitCode.FAILED


def test_dead_letters_of_a_stopped_worker_are_told(tmp_path: Path, script: Script) -> None:
    supervisor = Supervisor(script(OBEDIENT + "\nsys.exit(3 * index)"), 2)
    when(lambda: len(notes(tmp_path)) == 2, supervisor.stop)
    assert supervisor.run() == ExitCode.DEAD_LETTERS


def test_a_stop_ends_the_wait_for_a_restart(script: Script) -> None:
    supervisor = Supervisor(script("sys.exit(1)"), 1, backoff=lambda: Backoff(first=100))
    when(
        lambda: supervisor._workers[0].due is not None and supervisor._workers[0].started > 0,
        supervisor.stop,
    )
    assert supervisor.run() == ExitCode.DONE


def test_a_command_that_is_not_there_is_tried_again(
    script: Script, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    command = script("sys.exit(78)")
    missing = [[str(tmp_path / "no-such-program")]]
    supervisor = Supervisor(lambda i: missing.pop() if missing else command(i), 1, backoff=quick)
    assert supervisor.run() == ExitCode.CONFIGURATION
    (death,) = events(caplog, "worker_died")
    assert "No such file" in str(death["error"])


def test_workers_end_when_their_supervisor_is_killed(tmp_path: Path) -> None:
    worker = """
        import time
        from ampelstream.runtime.service.child import end_with_parent
        assert end_with_parent()
        print("up", flush=True)
        time.sleep(60)
    """
    boss = f"""
        import sys
        from ampelstream.runtime.service.supervisor import Supervisor
        Supervisor(lambda index: [sys.executable, {str(tmp_path / "worker.py")!r}], 2).run()
    """
    for name, body in (("worker", worker), ("boss", boss)):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(body))
    process = subprocess.Popen(
        [sys.executable, str(tmp_path / "boss.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() + process.stdout.readline() == b"up\nup\n"
        process.send_signal(signal.SIGKILL)
        process.wait()
        begin = time.monotonic()
        assert process.stdout.read() == b""  # the end of it: both workers, which held it, are gone
        assert time.monotonic() - begin < 20


def test_what_a_dead_worker_left_behind_is_ended(tmp_path: Path, script: Script) -> None:
    body = f"""
        import subprocess
        ready = {str(tmp_path / "fifo")!r}
        subprocess.Popen(["sleep", "60"], stdout=open(ready, "w"))
        os._exit(78)
    """
    os.mkfifo(tmp_path / "fifo")
    ended: list[bytes] = []
    reader = threading.Thread(target=lambda: ended.append((tmp_path / "fifo").read_bytes()))
    reader.start()
    assert Supervisor(script(textwrap.dedent(body)), 1).run() == ExitCode.CONFIGURATION
    reader.join(20)
    assert ended == [b""]


def test_waits_double_up_to_a_limit() -> None:
    backoff = Backoff(first=1, longest=30)
    assert [backoff.after(0) for _ in range(7)] == [1, 2, 4, 8, 16, 30, 30]


def test_what_lived_long_begins_anew() -> None:
    backoff = Backoff(first=1, longest=30, settled=60)
    assert [backoff.after(lived) for lived in (0, 0, 59, 60, 0)] == [1, 2, 4, 1, 2]
