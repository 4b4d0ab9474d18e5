from pathlib import Path

import pytest
from typer.testing import CliRunner

from ampelstream.cli.main import app
from ampelstream.runtime.settings import WorkerSettings

RUN = ("run", "kilonova", "--state", "s")


@pytest.fixture
def runner(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> CliRunner:
    monkeypatch.delenv("AMPELSTREAM_BROKER", raising=False)
    monkeypatch.chdir(tmp_path)
    return CliRunner(env={"COLUMNS": "300"})


def test_every_setting_is_an_option_once(runner: CliRunner) -> None:
    result = runner.invoke(app, ["run", "--help"])
    assert result.exit_code == 0
    for name in set(WorkerSettings.model_fields) - {"topology"}:
        shown = [
            line
            for line in result.output.splitlines()
            if f" --{name.replace('_', '-')} " in line[:30] and line.startswith("│")
        ]
        assert len(shown) == 1, name
    panels = [line for line in result.output.splitlines() if line.startswith("╭─ ")]
    assert [line.split("─")[1].split("(")[0].strip() for line in panels] == [
        "Arguments",
        "Options",
        "Directories",
        "Kafka",
        "A changed topology",
        "Timing",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "the embedded engine follows directories or topics; give --alerts, or --broker"),
        (("--engine", "faust"), "the faust engine needs --broker, or AMPELSTREAM_BROKER"),
        (
            ("--engine", "faust", "--broker", "b:1", "--steps", "ingest,objekts"),
            "Invalid value for --steps: there is no step objekts; steps are ingest, objects, react",
        ),
        (
            ("--engine", "faust", "--broker", "b:1", "--alerts", "a"),
            "the faust engine reads topics: --alerts, --notices and --once are for the embedded",
        ),
        (("--alerts", "a", "--poll", "0"), "Invalid value for '--poll': "),
    ],
)
def test_wrong_usage(runner: CliRunner, words: tuple[str, ...], message: str) -> None:
    result = runner.invoke(app, [*RUN, *words])
    assert result.exit_code == 2
    assert message in result.output
    assert "Traceback" not in result.output
