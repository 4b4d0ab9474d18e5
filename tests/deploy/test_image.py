"""The Dockerfile, by its text: nothing here can build it."""

import fnmatch
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]


def instructions() -> list[tuple[str, str]]:
    """Name and text of each instruction, with continued lines joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    return [(one.split()[0], one.split(None, 1)[1].strip()) for one in lines if one.strip()]


def last_stage() -> list[tuple[str, str]]:
    found = instructions()
    start = max(number for number, (name, _) in enumerate(found) if name == "FROM")
    return found[start:]


def texts(stage: list[tuple[str, str]], name: str) -> list[str]:
    return [text for found, text in stage if found == name]


def project() -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return found


def test_every_instruction_is_one() -> None:
    known = {
        "FROM", "ARG", "LABEL", "RUN", "COPY", "ENV", "USER", "WORKDIR", "EXPOSE", "STOPSIGNAL",
        "HEALTHCHECK", "ENTRYPOINT", "CMD",
    }  # fmt: skip
    assert {name for name, _ in instructions()} == known  # and so no ADD, which fetches and unpacks


def test_two_stages_of_one_base_that_the_project_supports() -> None:
    bases = [text.split()[0] for text in texts(instructions(), "FROM")]
    assert len(bases) == 2
    assert len(set(bases)) == 1
    found = re.fullmatch(r"python:(3\.\d+)-slim", bases[0])
    assert found is not None
    assert f"Programming Language :: Python :: {found[1]}" in project()["classifiers"]


def test_what_is_copied_exists_and_goes_to_the_build() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert "**" in ignored  # nothing goes, but what is named
    copied = [
        name
        for text in texts(instructions(), "COPY")
        if "--from=" not in text
        for name in text.split()[:-1]
    ]
    assert {"ampelstream", "schemas", "topologies", "pyproject.toml"} <= set(copied)
    for name in copied:
        assert (ROOT / name).exists(), name
        assert f"!{name}" in ignored
    back = {line[1:] for line in ignored if line.startswith("!")}
    assert back == set(copied)


@pytest.mark.parametrize("path", ["ampelstream/__pycache__", "ampelstream/x.pyc", "schemas/.env"])
def test_what_nobody_wants_does_not_go_to_the_build(path: str) -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    last_back = max(number for number, line in enumerate(lines) if line.startswith("!"))
    patterns = [line.removeprefix("**/") for line in lines[last_back + 1 :]]
    assert any(fnmatch.fnmatch(Path(path).name, pattern) for pattern in patterns)


def test_the_last_stage_holds_no_tools_and_no_root() -> None:
    stage = last_stage()
    run = " ".join(texts(stage, "RUN"))
    assert "pip uninstall --yes pip" in run
    assert not re.search(r"apt-get|curl|wget|gcc|pip install", run)
    user = texts(stage, "USER")
    assert user == ["10001:10001"]
    assert "--uid 10001" in run
    names = [name for name, _ in stage]
    assert max(i for i, name in enumerate(names) if name in {"RUN", "COPY"}) < names.index("USER")


def test_the_commands() -> None:
    stage = last_stage()
    assert json.loads(texts(stage, "ENTRYPOINT")[0]) == ["ampelstream"]
    assert (
        "ampelstream" in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    )
    check = texts(stage, "HEALTHCHECK")[0]
    options, _, command = check.partition(" CMD ")
    assert json.loads(command) == ["python", "-m", "ampelstream.runtime.service.probe"]
    assert set(re.findall(r"--(\S+?)=\d+s?", options)) == {
        "interval", "timeout", "start-period", "retries",
    }  # fmt: skip
    environment = dict(one.split("=", 1) for one in shlex.split(texts(stage, "ENV")[0]))
    assert environment["PYTHONDONTWRITEBYTECODE"] == "1"
    assert environment["PATH"].startswith("/opt/ampelstream/bin:")


def test_the_labels_tell_what_the_project_says() -> None:
    stage = last_stage()
    labels = dict(one.split("=", 1) for one in shlex.split(texts(stage, "LABEL")[0]))
    start = "org.opencontainers.image."
    assert all(name.startswith(start) for name in labels)
    assert labels[start + "description"] == project()["description"]
    # the image holds healpy, too
    assert labels[start + "licenses"] == f"{project()['license']} AND GPL-2.0-only"
    assert project()["urls"]["Documentation"].startswith(labels[start + "source"])
    assert f"VERSION={project()['version']}" in texts(stage, "ARG")


def test_the_manifests_name_the_version_of_the_project() -> None:
    found = yaml.safe_load((ROOT / "deploy/kubernetes/kustomization.yaml").read_text())
    assert found["images"][0]["newTag"] == project()["version"]
