"""Whose result a directory holds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from ampelstream.cli.main import app
from ampelstream.errors import ConfigError
from ampelstream.runtime import outputs
from ampelstream.runtime.embedded.resultmark import ResultMark, check_result
from ampelstream.simulate import Night
from ampelstream.topology import Topology

TEXT = "name: mine\nversion: 1\nchannels: {all: {window: [0, 10]}}\n"


@pytest.fixture
def mark(make_topology: Callable[[str], Topology]) -> ResultMark:
    return ResultMark.of(make_topology(TEXT), ["/b", "/a"])


def finished(out: Path, mark: ResultMark) -> None:
    (out / "summary.json").write_text("{}")
    mark.write(out)


def test_an_empty_directory_and_the_same_replay_are_welcome(
    mark: ResultMark, tmp_path: Path
) -> None:
    assert check_result(tmp_path / "new", mark, overwrite=False) == ""
    finished(tmp_path, mark)
    assert check_result(tmp_path, mark, overwrite=False) == ""


def test_a_changed_topology_replaces_its_own_result_and_says_so(
    mark: ResultMark, make_topology: Callable[[str], Topology], tmp_path: Path
) -> None:
    finished(tmp_path, mark)
    other = ResultMark.of(make_topology(TEXT.replace("10", "9")), ["/a", "/b"])
    assert other != mark
    assert "of an earlier content of this topology" in check_result(
        tmp_path, other, overwrite=False
    )


@pytest.mark.parametrize("spoil", ["inputs", "name", "no mark", "damaged mark"])
def test_anothers_result_is_refused_and_replaced_if_asked(
    spoil: str, mark: ResultMark, make_topology: Callable[[str], Topology], tmp_path: Path
) -> None:
    finished(tmp_path, mark)
    other = mark
    if spoil == "inputs":
        other = ResultMark.of(make_topology(TEXT), ["/a", "/c"])
    elif spoil == "name":
        other = ResultMark.of(make_topology(TEXT.replace("mine", "yours")), ["/a", "/b"])
    elif spoil == "no mark":
        (tmp_path / ".replay.json").unlink()
    else:
        (tmp_path / ".replay.json").write_text("{")
    with pytest.raises(ConfigError, match="--overwrite"):
        check_result(tmp_path, other, overwrite=False)
    assert "it will be replaced" in check_result(tmp_path, other, overwrite=True)


class _Killed(BaseException):
    """Nothing of ours catches it."""


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])
def test_who_was_killed_among_the_outputs_goes_on(
    at: int,
    make_night: Callable[..., Night],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    night, out = make_night(seed=7, alerts=100), tmp_path / "out"
    named = ["--alerts", str(night.alerts), "--notices", str(night.notices), "--out", str(out)]
    written = 0

    def or_killed(write: Callable[..., None]) -> Callable[..., None]:
        def one(*given: Any) -> None:
            nonlocal written
            written += 1
            if written == at:
                raise _Killed
            write(*given)

        return one

    with monkeypatch.context() as patched:
        for name in ("write_lines", "write_json", "write_text"):
            patched.setattr(outputs, name, or_killed(getattr(outputs, name)))
        with pytest.raises(_Killed):
            CliRunner().invoke(app, ["replay", "skymap-only", *named], catch_exceptions=False)
    again = CliRunner().invoke(app, ["replay", "skymap-only", *named])
    assert again.exit_code == 0, again.output
    assert {path.name for path in out.iterdir()} >= {"summary.json", "report.html"}
