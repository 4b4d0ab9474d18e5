"""``ampelstream topology``."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ampelstream.cli.topology import app
from ampelstream.cli.workflow import open_topology
from ampelstream.core.lookup import Lookup
from ampelstream.errors import ConfigError, StateError
from ampelstream.shipped import topology_path
from ampelstream.simulate import Night
from ampelstream.state.rocks import RocksBackend

RUN = CliRunner()


def test_check_tells_good_from_bad(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yml"
    bad.write_text("name: a\nversion: 1\nchannels: {}\n")
    good = RUN.invoke(app, ["check", "kilonova", "skymap-only", "--catalogs", str(tmp_path)])
    assert good.exit_code == 0
    assert good.output.count(": ok (") == 2
    mixed = RUN.invoke(app, ["check", "skymap-only", str(bad)])
    assert mixed.exit_code == 1
    assert "bad.yml" in mixed.output
    assert "skymap-only: ok" in mixed.output


def test_describe_in_words_and_json(tmp_path: Path) -> None:
    words = RUN.invoke(app, ["describe", "kilonova", "--catalogs", str(tmp_path)])
    assert words.exit_code == 0
    for part in ("DecentFilter", "min_drb: 0.995", "KilonovaScore", "needs catalogs"):
        assert part in words.stdout
    plain = RUN.invoke(app, ["describe", "kilonova", "--json", "--catalogs", str(tmp_path)])
    units = json.loads(plain.stdout)["channels"]["kilonova"]["units"]
    assert [unit["name"] for unit in units][-1] == "KilonovaScore"


def test_graph(tmp_path: Path) -> None:
    for form, word in (("mermaid", "flowchart LR"), ("text", "alerts --> DecentFilter")):
        arguments = ["graph", "kilonova", "--format", form, "--catalogs", str(tmp_path)]
        done = RUN.invoke(app, arguments)
        assert done.exit_code == 0
        assert word in done.stdout


def test_diff_of_two_files_and_of_a_state(tmp_path: Path, make_night: Callable[..., Night]) -> None:
    shipped, mine = topology_path("kilonova"), tmp_path / "my-kilonova.yml"
    catalogs = ["--catalogs", str(tmp_path)]
    mine.write_text(shipped.read_text().replace("kilonovaness >= 10", "kilonovaness >= 9"))
    done = RUN.invoke(app, ["diff", "kilonova", str(mine), *catalogs])
    assert done.exit_code == 0
    [line] = map(json.loads, done.stdout.splitlines())
    assert line["path"] == "react.good-kilonova-candidates.when"
    assert line["effect"] == "at once"
    same = RUN.invoke(app, ["diff", "kilonova", "kilonova", *catalogs])
    assert (same.exit_code, same.stdout, same.stderr) == (0, "", "no difference\n")
    nothing = RUN.invoke(app, ["diff", str(mine), *catalogs])
    assert nothing.exit_code == 2
    missing = RUN.invoke(app, ["diff", str(mine), "--state", str(tmp_path / "none"), *catalogs])
    assert isinstance(missing.exception, StateError)

    night, state, fresh = make_night(), tmp_path / "state", tmp_path / "fresh"

    def run(topology: str | Path, *options: str, at: Path = state) -> tuple[int, str]:
        command = [sys.executable, "-m", "ampelstream", "run", str(topology), *options, *catalogs]
        command += ["--alerts", str(night.alerts), "--state", str(at), "--once"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        return done.returncode, done.stderr

    assert run("kilonova")[0] == 0
    against = RUN.invoke(app, ["diff", str(mine), "--state", str(state), *catalogs])
    assert against.stdout == done.stdout
    code, said = run(mine)
    assert (code, "changed: react.good-kilonova-candidates.when" in said) == (0, True)
    mine.write_text(mine.read_text().replace("min_drb: 0.995", "min_drb: 0.5"))
    code, said = run(mine)
    assert code == 78
    assert "config.min_drb: 0.995 -> 0.5 (from now on, or with a backfill)" in said
    assert run(mine, "--backfill")[0] == 0
    assert run(mine, at=fresh)[0] == 0
    assert alerts_of(state, mine, tmp_path) == alerts_of(fresh, mine, tmp_path)


def alerts_of(state: Path, topology: Path, catalogs: Path) -> dict[str, list[int]]:
    backend = RocksBackend(state / "kilonova" / "rocks")
    try:
        lookup = Lookup(open_topology(str(topology), catalogs)[1], backend)
        return {one.object_id: [alert.candid for alert in one.alerts] for one in lookup}
    finally:
        backend.close()


def test_diff_compares_with_one_thing_and_says_what_a_state_holds(
    tmp_path: Path,
) -> None:
    for more in (["kilonova", "--state", "s"], ["--state", "s", "--broker", "b:1"]):
        done = RUN.invoke(app, ["diff", "skymap-only", *more], env={"COLUMNS": "200"})
        assert done.exit_code == 2
        assert "give one of" in done.output
    (tmp_path / "kilonova" / "rocks").mkdir(parents=True)
    done = RUN.invoke(app, ["diff", "skymap-only", "--state", str(tmp_path)])
    assert isinstance(done.exception, StateError)
    assert "it holds that of kilonova" in str(done.exception)


def test_diff_with_a_cluster_that_has_no_such_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    async def none(_connection: object) -> set[str]:
        return {"ampel.other.topology"}

    monkeypatch.setattr("ampelstream.runtime.kafka.clients.topic_names", none)
    done = RUN.invoke(app, ["diff", "skymap-only", "--broker", "b:1"])
    assert isinstance(done.exception, ConfigError)
    assert "b:1 (PLAINTEXT) has no topic ampel.skymap-only.topology" in str(done.exception)
