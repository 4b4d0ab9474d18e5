"""The container's health check."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import typer

from ampelstream.cli.main import app
from ampelstream.runtime.service import probe

RUN = ["/opt/ampelstream/bin/python", "/opt/ampelstream/bin/ampelstream", "run", "kilonova"]
FAUST = [*RUN, "--engine", "faust", "--broker", "kafka:9092"]


@pytest.fixture
def worker() -> Iterator[HTTPServer]:
    """Answers /live with what its attribute `status` says."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status = getattr(self.server, "status", 200) if self.path == "/live" else 404
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b'{"reasons":["objects: busy"]}')

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  (fixed interface)
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (FAUST, [("127.0.0.1", 6066)]),
        (["/sbin/docker-init", "--", "ampelstream", *FAUST[2:]], [("127.0.0.1", 6066)]),
        ([*FAUST, "--host=0.0.0.0", "--port=7000"], [("127.0.0.1", 7000)]),
        ([*FAUST, "--host", "::"], [("::1", 6066)]),
        ([*FAUST, "--host", "pod-0"], [("pod-0", 6066)]),
        ([*FAUST, "--workers", "2"], [("127.0.0.1", 6066), ("127.0.0.1", 6067)]),
        ([*FAUST, "--port", "0"], []),
        ([*RUN, "--alerts", "incoming"], []),
        (["ampelstream", "topics", "create", "run", "--broker", "k:9092", "--yes"], []),
        (["ampelstream", "--help"], []),
        (["sh"], []),
    ],
)
def test_where_workers_are_asked(words: list[str], expected: list[tuple[str, int]]) -> None:
    assert probe.worker_addresses(words) == expected


def test_its_defaults_are_those_of_the_command() -> None:
    command: Any = typer.main.get_command(app)
    defaults = {one.name: one.default for one in command.commands["run"].params}
    assert (defaults["host"], defaults["port"]) == (probe.DEFAULT_HOST, probe.DEFAULT_PORT)
    assert defaults["workers"] == 1
    assert str(defaults["engine"]) == "embedded"


def cmdline(path: Path, words: list[str]) -> Path:
    """As Linux shows a command line."""
    path.write_bytes("".join(word + "\0" for word in words).encode())
    return path


def test_a_worker_that_lives(worker: HTTPServer, tmp_path: Path) -> None:
    words = [*FAUST, "--port", str(worker.server_port)]
    assert probe.main(cmdline(tmp_path / "cmdline", words)) == 0


def test_no_proxy_is_asked(
    worker: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    words = [*FAUST, "--port", str(worker.server_port)]
    assert probe.main(cmdline(tmp_path / "cmdline", words)) == 0


def test_a_worker_that_says_it_does_not_live(
    worker: HTTPServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    worker.status = 503  # type: ignore[attr-defined]  # (read by the handler)
    words = [*FAUST, "--port", str(worker.server_port)]
    assert probe.main(cmdline(tmp_path / "cmdline", words)) == 1
    assert "objects: busy" in capsys.readouterr().err


def test_a_worker_that_is_not_there(
    worker: HTTPServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # the second of two: one that answers does not hide it
    words = [*FAUST, "--port", str(worker.server_port), "--workers", "2"]
    assert probe.main(cmdline(tmp_path / "cmdline", words)) == 1
    told = capsys.readouterr().err
    assert f"127.0.0.1:{worker.server_port + 1}: does not answer" in told
    assert len(told.splitlines()) == 1


def test_a_command_without_workers_is_healthy(tmp_path: Path) -> None:
    words = ["ampelstream", "topics", "create", "kilonova", "--yes"]
    assert probe.main(cmdline(tmp_path / "cmdline", words)) == 0


def test_it_needs_only_the_standard_library() -> None:
    listing = "import sys, ampelstream.runtime.service.probe; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", listing], capture_output=True, text=True, check=True
    )
    others = {name.split(".")[0] for name in done.stdout.split()} & {
        "aiohttp", "aiokafka", "faust", "numpy", "prometheus_client", "pydantic", "typer",
    }  # fmt: skip
    assert "ampelstream.runtime.service.probe" in done.stdout
    assert others == set()
