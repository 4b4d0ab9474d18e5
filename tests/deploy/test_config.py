"""The example configuration of the manifests and of the README is loaded as a worker loads it."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ampelstream.cli.workflow import open_topology
from ampelstream.runtime.kafka.sources import SourcesSpec, load_connection, load_sources

NIGHTS = ["ztf_20240115_programid1", "ztf_20261124_programid1"]
OTHERS = ["ztf_20240115_programid2", "ztf_2024011_programid1", "xztf_20240115_programid1"]
SECRETS = "/etc/ampelstream/secrets/"


@pytest.fixture
def config(deploy: Path) -> Path:
    return deploy / "kubernetes" / "config"


def nightly(sources: SourcesSpec) -> None:
    (ztf,) = [one for one in sources.alerts if one.cluster == "ztf"]
    assert [name for name in (*NIGHTS, *OTHERS) if ztf.matches(name)] == NIGHTS
    assert sources.clusters["gcn"].mechanism == "OAUTHBEARER"
    assert sources.clusters["gcn"].token_url == "https://auth.gcn.nasa.gov/oauth2/token"  # noqa: S105  (an address)


def test_the_manifests_configuration(config: Path, tmp_path: Path) -> None:
    nightly(load_sources(config / "sources.yml"))
    broker = load_connection(str(config / "broker.yml"))
    assert broker.security == "SASL_SSL"
    spec, topology = open_topology(str(config / "topology.yml"), tmp_path)
    assert spec.kafka.replication == 3
    assert topology.reactions


def test_there_are_partitions_for_all_workers_of_objects(
    config: Path, tmp_path: Path, pod_specs: dict[str, Any]
) -> None:
    spec, _ = open_topology(str(config / "topology.yml"), tmp_path)
    replicas = pod_specs["ampelstream-objects"][0]["spec"]["replicas"]
    assert 1 < replicas <= spec.kafka.partitions


def secrets_of(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from secrets_of(one)
    elif isinstance(value, list):
        for one in value:
            yield from secrets_of(one)
    elif isinstance(value, str) and value.startswith(SECRETS):
        yield value.removeprefix(SECRETS)


def test_the_secret_has_the_keys_that_the_configuration_reads(
    config: Path, readme_commands: list[list[str]], pod_specs: dict[str, Any]
) -> None:
    wanted = {
        name for path in config.iterdir() for name in secrets_of(yaml.safe_load(path.read_text()))
    }
    (made,) = [words for words in readme_commands if words[:3] == ["kubectl", "create", "secret"]]
    given = {word.partition("=")[2] for word in made if word.startswith("--from-file=")}
    assert given == wanted
    for _, pod in pod_specs.values():
        mounts = pod["containers"][0]["volumeMounts"]
        assert f"{shlex.quote(SECRETS).rstrip('/')}" in [one["mountPath"] for one in mounts]
        (volume,) = [one for one in pod["volumes"] if "secret" in one]
        assert volume["secret"]["secretName"] in made


def test_no_secret_is_written_down(deploy: Path) -> None:
    keys = re.compile(r"^\s*(password|client_secret|token|secret):\s*(?!\{)\S+", re.MULTILINE)
    assert keys.search("password: abc")  # so that it can fail
    for path in deploy.rglob("*"):
        if path.is_file():
            assert not keys.search(path.read_text()), path


def test_examples_of_the_readme(readme_blocks: list[tuple[str, str]], tmp_path: Path) -> None:
    seen = set()
    for kind, block in readme_blocks:
        if kind != "yaml":
            continue
        name = block.splitlines()[0].removeprefix("# ")
        (tmp_path / name).write_text(block)
        seen.add(name)
    assert seen == {"broker.yml", "sources.yml"}
    assert load_connection(str(tmp_path / "broker.yml")).mechanism == "SCRAM-SHA-512"
    sources = load_sources(tmp_path / "sources.yml")
    nightly(sources)
    assert sources.registry is not None
    assert set(sources.clusters) == {"ztf", "rubin", "gcn"}
