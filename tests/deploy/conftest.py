"""The files of ``deploy/``, and the real command line to hold their commands against."""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from ampelstream.cli.main import app

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
MANIFESTS = DEPLOY / "kubernetes"

Parse = Callable[..., dict[str, Any]]


@pytest.fixture(scope="session")
def deploy() -> Path:
    return DEPLOY


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yml").read_text())
    return found


@pytest.fixture(scope="session")
def manifests() -> list[dict[str, Any]]:
    """All objects of the manifests, in the order of the kustomization."""
    listed = yaml.safe_load((MANIFESTS / "kustomization.yaml").read_text())["resources"]
    return [one for name in listed for one in yaml.safe_load_all((MANIFESTS / name).read_text())]


@pytest.fixture(scope="session")
def readme_blocks() -> list[tuple[str, str]]:
    """Kind and text of each block of the README."""
    text = (DEPLOY / "README.md").read_text()
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Parse:
    """Have the real command line read words, without running the command; gives its parameters."""

    def read(words: Sequence[str], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
        for name in ("AMPELSTREAM_BROKER", "AMPELSTREAM_INSTANCE_ID", "AMPELSTREAM_CATALOGS"):
            monkeypatch.delenv(name, raising=False)
        for name, value in (environment or {}).items():
            monkeypatch.setenv(name, value)
        command: Any = typer.main.get_command(app)
        rest, context, path = list(words), None, "ampelstream"
        while hasattr(command, "commands"):
            context = command.make_context(path, rest, parent=context)
            rest = [*context._protected_args, *context.args]
            path, command, rest = command.resolve_command(context, rest)
        parameters: dict[str, Any] = command.make_context(path, rest, parent=context).params
        return parameters

    return read


@pytest.fixture(scope="session")
def readme_commands(readme_blocks: list[tuple[str, str]]) -> list[list[str]]:
    """Words of every line that a user types."""
    return [
        shlex.split(line.removeprefix("$ "))
        for kind, block in readme_blocks
        if kind == "console"
        for line in block.splitlines()
        if line.startswith("$ ")
    ]


def pods(manifests: Sequence[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Objects that make pods, and the specification of the pods."""
    for one in manifests:
        if "template" in one["spec"]:
            yield one, one["spec"]["template"]["spec"]


@pytest.fixture(scope="session")
def pod_specs(
    manifests: list[dict[str, Any]],
) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """By name: an object that makes pods, and their specification."""
    return {one["metadata"]["name"]: (one, spec) for one, spec in pods(manifests)}
