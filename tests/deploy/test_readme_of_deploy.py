"""What the README of ``deploy/`` says of codes, metrics, paths and names is true."""

import ast
import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import typer

import ampelstream
from ampelstream.cli.main import app
from ampelstream.core.accounting import COUNTS, Accounting
from ampelstream.model.deadletter import DeadLetter
from ampelstream.runtime.kafka.names import TopicNames
from ampelstream.runtime.kafka.plan import all_names
from ampelstream.runtime.service.exitcodes import ExitCode
from ampelstream.runtime.service.health import Health
from ampelstream.runtime.service.metrics import Metrics
from ampelstream.runtime.service.server import Answer, Server
from ampelstream.topology.spec import TopicRetentionSpec

ROOT = Path(ampelstream.__file__).parent


@pytest.fixture
def text(deploy: Path) -> str:
    return (deploy / "README.md").read_text()


def test_exit_codes(text: str) -> None:
    told = dict(re.findall(r"^\| (\d+) \| ([^|]+) \|", text, re.MULTILINE))
    assert told == {str(int(code)): code.meaning for code in ExitCode}


def families(metrics: Metrics) -> dict[str, tuple[str, ...]]:
    """Our metrics as they are scraped, with their labels."""
    found: dict[str, tuple[str, ...]] = {"ampelstream_commit_age_seconds": ("step",)}
    found |= {f"ampelstream_{name}_total": labels for name, (_, labels) in COUNTS.items()}
    for one in vars(metrics).values():
        name = getattr(one, "_name", "")
        if name.startswith("ampelstream_"):
            scraped = f"{name}_total" if one._type == "counter" else name
            found[scraped] = tuple(one._labelnames)
    counts = {f"ampelstream_{name}_total": labels for name, (_, labels) in COUNTS.items()}
    return found | counts


def test_metrics(text: str) -> None:
    told = {
        name: tuple(labels.split(",")) if labels else ()
        for name, labels in re.findall(
            r"^\| `(ampelstream_\w+)(?:\{([\w,]+)\})?` \|", text, re.MULTILINE
        )
    }
    metrics = Metrics(Accounting())
    metrics.waiting("objects", 0)
    assert told == families(metrics)
    assert b"ampelstream_commit_age_seconds{" in metrics.render()


def test_events_of_the_log(text: str) -> None:
    table = text.partition("| events | what |\n| --- | --- |\n")[2].partition("\n\n")[0]
    told = {
        name
        for row in table.splitlines()
        for name in re.findall(r"`(\w+)`", row[: row.find("|", 2)])
    }
    run = (ROOT / "cli" / "run.py").read_text()
    code = "".join([run, *(path.read_text() for path in sorted((ROOT / "runtime").rglob("*.py")))])
    said = set(re.findall(r'_tell\(\s*settings,\s*"(\w+)"', run))
    said |= set(re.findall(r'incident\(\s*_LOG,\s*logging\.\w+,\s*"(\w+)"', code))
    said |= {f"worker_{name}" for name in re.findall(r'_tell\(logging\.\w+, "(\w+)"', code)}
    assert len(said) > 20
    assert said - told == set()
    assert {one for one in told if f'"{one.removeprefix("worker_")}"' not in code} == set()


class Nobody:
    """Answers nothing."""

    async def object(self, object_id: str) -> Answer:
        raise NotImplementedError(object_id)

    async def candidates(self, event_id: str, local: bool) -> Answer:  # noqa: FBT001  (fixed interface)
        raise NotImplementedError(event_id, local)


def routes() -> set[str]:
    application = Server(Health(), Metrics(Accounting()), Nobody())._application()
    return {
        re.sub(r"\{\w+\}", "ID", one.resource.canonical)
        for one in application.router.routes()
        if one.resource
    }


def test_paths(text: str, pod_specs: dict[str, Any]) -> None:
    told = set(re.findall(r"^\| `(/[^`]+)` \|", text, re.MULTILINE))
    assert told == routes()
    for _, pod in pod_specs.values():
        for key, value in pod["containers"][0].items():
            if key.endswith("Probe"):
                assert value["httpGet"]["path"] in routes()


def test_topics(text: str) -> None:
    said = set(re.findall(r"`(ampel\.(?:NAME|kilonova)\.[\w.-]+)`", text))
    assert len(said) >= 5
    for name in said:
        names = TopicNames(name.split(".")[1])
        assert name in all_names(names) or name == f"{names.ingest_group}.alerts-ztf"
    days = TopicRetentionSpec()
    assert days.dead_letters == days.parked == max(days.model_dump().values()) == 90


def test_options_in_the_text_exist(text: str) -> None:
    command: Any = typer.main.get_command(app)
    known = {name for one in command.commands["run"].params for name in one.opts}
    prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    said = set(re.findall(r"`(--[\w-]+)[^`]*`", prose))
    assert {"--session", "--park", "--stuck-after", "--no-commit-after"} <= said
    assert said <= known


def test_the_script_uses_what_there_is(readme_blocks: list[tuple[str, str]]) -> None:
    (script,) = [block for kind, block in readme_blocks if kind == "python"]
    for node in ast.walk(ast.parse(script)):
        if isinstance(node, ast.ImportFrom):
            module = importlib.import_module(str(node.module))
            assert all(hasattr(module, alias.name) for alias in node.names)
    fields = set(re.findall(r"letter\.(\w+)", script))
    assert fields <= set(DeadLetter.__struct_fields__)
    assert fields
