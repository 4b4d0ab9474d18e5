"""Every command line of the deployment is one that the real command line takes."""

import re
from pathlib import Path
from typing import Any

import pytest
import typer
from click.exceptions import UsageError

from ampelstream.cli.main import app
from ampelstream.runtime.settings import STEPS
from ampelstream.topology import load

ROOT = Path(__file__).resolve().parents[2]


def usage_errors() -> tuple[type[Exception], ...]:
    """What a wrong command line raises; newer releases of typer bring a class of their own."""
    own = getattr(getattr(typer, "_click", None), "exceptions", None)
    return (UsageError,) if own is None else (UsageError, own.UsageError)


def words_for_us(command: list[str]) -> list[str] | None:
    """Words that reach ``ampelstream``, whatever program stands in front."""
    if command[:2] == ["docker", "compose"] and "worker" in command:
        rest = command[command.index("worker") + 1 :]
        return rest or None
    for name in ("ampelstream", "ampelstream:local"):
        if name in command:
            return command[command.index(name) + 1 :]
    return None


@pytest.mark.parametrize(
    "words",
    [
        ["run", "kilonova", "--state", "s", "--no-such-option", "1"],
        ["run", "kilonova", "--state", "s", "--workers", "none"],
        ["run", "kilonova"],
        ["topics", "make", "kilonova"],
    ],
)
def test_a_wrong_command_is_noticed(parse: Any, words: list[str]) -> None:
    with pytest.raises(usage_errors()):
        parse(words)


def test_commands_of_the_readme(parse: Any, readme_commands: list[list[str]]) -> None:
    ours = [words for words in map(words_for_us, readme_commands) if words is not None]
    assert len(ours) >= 9
    for words in ours:
        parameters = parse(words)
        if words[0] == "run":
            check_run(parameters)
    first = {command[0] for command in readme_commands}
    assert first == {"ampelstream", "docker", "kubectl"}


def test_commands_of_the_compose_file(parse: Any, compose: dict[str, Any]) -> None:
    for name in ("topics", "worker"):
        service = compose["services"][name]
        parameters = parse(service["command"], service["environment"])
        assert parameters["broker"] == "kafka:9092"
        load(parameters["topology"])
    check_run(parse(compose["services"]["worker"]["command"], {"AMPELSTREAM_BROKER": "kafka:9092"}))


def test_commands_of_the_manifests(parse: Any, pod_specs: dict[str, Any]) -> None:
    assert set(pod_specs) == {"ampelstream-topics", "ampelstream-ingest", "ampelstream-objects"}
    for _, pod in pod_specs.values():
        for container in pod["containers"]:
            plain = {one["name"]: one["value"] for one in container["env"] if "value" in one}
            parameters = parse(container["args"], plain)
            assert parameters["broker"] == plain["AMPELSTREAM_BROKER"]
            if container["args"][0] == "run":
                check_run(parameters)


def test_the_steps_of_the_manifests_are_all_steps(parse: Any, pod_specs: dict[str, Any]) -> None:
    steps = [
        step
        for _, pod in pod_specs.values()
        if pod["containers"][0]["args"][0] == "run"
        for step in parse(pod["containers"][0]["args"])["steps"].split(",")
    ]
    assert sorted(steps) == sorted(STEPS)


def test_variables_exist_in_the_code(
    compose: dict[str, Any], pod_specs: dict[str, Any], deploy: Path
) -> None:
    code = "\n".join(path.read_text() for path in (ROOT / "ampelstream").rglob("*.py"))
    known = set(re.findall(r'"(AMPELSTREAM_\w+)"', code))
    named = {
        name
        for service in compose["services"].values()
        for name in service["environment"]
        if not name.startswith("KAFKA_")
    }
    for _, pod in pod_specs.values():
        named |= {one["name"] for one in pod["containers"][0]["env"]}
    named |= set(re.findall(r"AMPELSTREAM_\w+", (deploy / "README.md").read_text()))
    assert {"AMPELSTREAM_BROKER", "AMPELSTREAM_INSTANCE_ID"} <= named
    assert named - known == {"CLUSTER_ID", "HOME", "POD_IP", "POD_NAME", "POD_NAMESPACE"}


def check_run(parameters: dict[str, Any]) -> None:
    """What `run` itself refuses later than the parser."""
    assert str(getattr(parameters["engine"], "value", parameters["engine"])) == "faust"
    assert parameters["broker"]
    assert set(parameters["steps"].split(",")) <= set(STEPS)


def test_the_parser_knows_every_option_of_run() -> None:
    command: Any = typer.main.get_command(app)
    names = {one.name for one in command.commands["run"].params}
    assert {"steps", "sources", "workers", "grace", "session", "host", "port", "state"} <= names
