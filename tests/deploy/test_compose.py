"""The compose file: services that fit together."""

import re
from pathlib import Path
from typing import Any

import pytest

from ampelstream.runtime.settings import WorkerSettings
from ampelstream.topology.spec import TopicRetentionSpec

HEALTHY, DONE = "service_healthy", "service_completed_successfully"
SERVICE_KEYS = {
    "image", "build", "init", "read_only", "tmpfs", "cap_drop", "security_opt", "environment",
    "command", "depends_on", "restart", "ports", "volumes", "stop_grace_period", "healthcheck",
}  # fmt: skip


def seconds(text: str) -> int:
    found = re.fullmatch(r"(\d+)s", text)
    assert found is not None, text
    return int(found[1])


def test_keys_are_known(compose: dict[str, Any]) -> None:
    assert set(compose) == {"name", "x-ampelstream", "services", "volumes"}
    for service in compose["services"].values():
        assert set(service) <= SERVICE_KEYS


def test_dependencies_are_services_that_can_fulfil_them(compose: dict[str, Any]) -> None:
    services = compose["services"]
    wanted = [
        (other, need["condition"])
        for service in services.values()
        for other, need in service.get("depends_on", {}).items()
    ]
    assert {condition for _, condition in wanted} == {HEALTHY, DONE}
    for other, condition in wanted:
        if condition == HEALTHY:
            assert "healthcheck" in services[other]
        else:
            assert services[other]["restart"] == "no"  # otherwise it is never done
    assert services["worker"]["depends_on"].keys() == {"kafka", "topics"}


def test_volumes_are_declared_and_used(compose: dict[str, Any]) -> None:
    used = {
        one.partition(":")[0]
        for service in compose["services"].values()
        for one in service.get("volumes", ())
    }
    assert used == set(compose["volumes"])


def test_the_build_finds_the_dockerfile(compose: dict[str, Any], deploy: Path) -> None:
    build = compose["services"]["worker"]["build"]
    assert (deploy / build["context"] / build["dockerfile"]).is_file()


def test_the_state_lies_on_the_volume(compose: dict[str, Any], parse: Any) -> None:
    worker = compose["services"]["worker"]
    parameters = parse(worker["command"])
    assert [one.partition(":")[2] for one in worker["volumes"]] == [str(parameters["state"])]
    made = (deploy_root() / "Dockerfile").read_text()
    assert f"--mode=0750 {parameters['state']}\n" in made  # so that the volume is not root's
    assert worker["environment"]["AMPELSTREAM_CATALOGS"].startswith(f"{parameters['state']}/")


def deploy_root() -> Path:
    return Path(__file__).resolve().parents[2]


def test_every_worker_has_its_port_and_only_this_machine_sees_it(
    compose: dict[str, Any], parse: Any
) -> None:
    worker = compose["services"]["worker"]
    parameters = parse(worker["command"])
    first, last = parameters["port"], parameters["port"] + parameters["workers"] - 1
    assert worker["ports"] == [f"127.0.0.1:{first}-{last}:{first}-{last}"]
    assert parameters["host"] == "0.0.0.0"  # noqa: S104  (inside the container)
    for service in compose["services"].values():
        assert all(one.startswith("127.0.0.1:") for one in service.get("ports", ()))


def test_there_are_not_more_workers_than_partitions(compose: dict[str, Any], parse: Any) -> None:
    workers = parse(compose["services"]["worker"]["command"])["workers"]
    environment = compose["services"]["topics"]["environment"]
    partitions = parse(compose["services"]["topics"]["command"], environment)["partitions"]
    assert 1 < workers <= partitions


def test_a_worker_is_given_the_time_that_it_takes_to_stop(
    compose: dict[str, Any], parse: Any
) -> None:
    worker = compose["services"]["worker"]
    supervisor = parse(worker["command"])["grace"] + 5.0
    assert WorkerSettings.model_fields["grace"].default == 25.0
    assert seconds(worker["stop_grace_period"]) > supervisor


@pytest.mark.parametrize("name", ["topics", "worker"])
def test_containers_may_do_little(compose: dict[str, Any], name: str) -> None:
    service = compose["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["environment"]["HOME"] in service["tmpfs"]  # astropy writes there


def test_kafka_is_one_broker_that_is_its_own_controller(compose: dict[str, Any]) -> None:
    kafka = compose["services"]["kafka"]
    settings = kafka["environment"]
    assert kafka["image"] == "apache/kafka:4.3.0"
    assert settings["KAFKA_PROCESS_ROLES"] == "broker,controller"
    listeners = [one.split("://")[0] for one in settings["KAFKA_LISTENERS"].split(",")]
    mapped = [
        one.split(":")[0] for one in settings["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
    ]
    assert sorted(listeners) == sorted(mapped)
    advertised = dict(one.split("://") for one in settings["KAFKA_ADVERTISED_LISTENERS"].split(","))
    assert set(listeners) - set(advertised) == {settings["KAFKA_CONTROLLER_LISTENER_NAMES"]}
    ours = compose["services"]["worker"]["environment"]["AMPELSTREAM_BROKER"]
    assert advertised["PLAINTEXT"] == ours
    port = advertised["HOST"].partition(":")[2]
    assert kafka["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert kafka["volumes"] == [f"kafka:{settings['KAFKA_LOG_DIRS']}"]
    assert ours in kafka["healthcheck"]["test"]
    assert settings["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] == "false"
    assert all(isinstance(value, str) for value in settings.values())


def test_groups_are_remembered_as_long_as_records(compose: dict[str, Any]) -> None:
    minutes = int(compose["services"]["kafka"]["environment"]["KAFKA_OFFSETS_RETENTION_MINUTES"])
    assert minutes / 1440 >= max(TopicRetentionSpec().model_dump().values())
