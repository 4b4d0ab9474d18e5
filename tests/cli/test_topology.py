"""``ampelstream topology``."""

import json
from pathlib import Path

from typer.testing import CliRunner

from ampelstream.cli.topology import app

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
