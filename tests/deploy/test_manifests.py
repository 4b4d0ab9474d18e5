"""The manifests: objects that are whole and fit together. No cluster is asked."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

VERSIONS = {
    "Job": "batch/v1",
    "Deployment": "apps/v1",
    "StatefulSet": "apps/v1",
    "Service": "v1",
    "PodDisruptionBudget": "policy/v1",
    "NetworkPolicy": "networking.k8s.io/v1",
}
POD_KEYS = {
    "automountServiceAccountToken", "enableServiceLinks", "terminationGracePeriodSeconds",
    "securityContext", "containers", "topologySpreadConstraints", "volumes", "restartPolicy",
}  # fmt: skip
CONTAINER_KEYS = {
    "name", "image", "args", "env", "ports", "startupProbe", "livenessProbe", "readinessProbe",
    "resources", "securityContext", "volumeMounts",
}  # fmt: skip
WORKERS = ["ampelstream-ingest", "ampelstream-objects"]
Specs = dict[str, tuple[dict[str, Any], dict[str, Any]]]


def named(manifests: list[dict[str, Any]], kind: str) -> dict[str, dict[str, Any]]:
    return {one["metadata"]["name"]: one for one in manifests if one["kind"] == kind}


def container(specs: Specs, name: str) -> dict[str, Any]:
    (found,) = specs[name][1]["containers"]
    return dict(found)


def test_every_file_is_listed(deploy: Path) -> None:
    folder = deploy / "kubernetes"
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())
    there = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    assert there == set(listed["resources"])
    (config,) = listed["configMapGenerator"]
    assert config["name"] == "ampelstream-config"
    assert set(config["files"]) == {f"config/{one.name}" for one in (folder / "config").iterdir()}


def test_objects_are_whole_and_in_no_namespace(manifests: list[dict[str, Any]]) -> None:
    assert {one["kind"] for one in manifests} == set(VERSIONS)  # and so no Secret
    for one in manifests:
        assert one["apiVersion"] == VERSIONS[one["kind"]]
        assert set(one) == {"apiVersion", "kind", "metadata", "spec"}
        assert "namespace" not in one["metadata"]
        assert one["metadata"]["labels"]["app.kubernetes.io/name"] == "ampelstream"


def test_keys_of_pods_are_known(pod_specs: Specs) -> None:
    for name, (_, pod) in pod_specs.items():
        assert set(pod) <= POD_KEYS
        assert set(container(pod_specs, name)) <= CONTAINER_KEYS


def selectors(one: dict[str, Any]) -> Iterator[dict[str, str]]:
    spec = one["spec"]
    if one["kind"] == "Service":
        yield spec["selector"]
    elif "selector" in spec:
        yield spec["selector"]["matchLabels"]


def test_selectors_find_their_pods(manifests: list[dict[str, Any]], pod_specs: Specs) -> None:
    labels = {
        name: one["spec"]["template"]["metadata"]["labels"] for name, (one, _) in pod_specs.items()
    }
    found = 0
    for one in manifests:
        for wanted in selectors(one):
            hit = [name for name, has in labels.items() if wanted.items() <= has.items()]
            assert hit == [one["metadata"]["name"]]
            found += 1
    assert found == 5
    for name in WORKERS:
        (spread,) = pod_specs[name][1]["topologySpreadConstraints"]
        assert spread["labelSelector"]["matchLabels"] == labels[name]


def test_mounts_are_of_volumes_that_exist(pod_specs: Specs) -> None:
    for name, (one, pod) in pod_specs.items():
        claims = [
            claim["metadata"]["name"] for claim in one["spec"].get("volumeClaimTemplates", ())
        ]
        volumes = [volume["name"] for volume in pod["volumes"]] + claims
        mounts = [mount["name"] for mount in container(pod_specs, name)["volumeMounts"]]
        assert sorted(mounts) == sorted(volumes)
        for volume in pod["volumes"]:
            if "configMap" in volume:
                assert volume["configMap"]["name"] == "ampelstream-config"
            if "secret" in volume:
                assert volume["secret"] == {
                    "secretName": "ampelstream-secrets",
                    "defaultMode": 0o440,
                }


def test_paths_in_commands_lie_on_mounts(pod_specs: Specs, deploy: Path) -> None:
    seen = set()
    for name in pod_specs:
        one = container(pod_specs, name)
        mounts = {mount["mountPath"]: mount.get("readOnly", False) for mount in one["volumeMounts"]}
        words = [*one["args"], *(each.get("value", "") for each in one["env"])]
        for path in (word.partition("=")[2] or word for word in words):
            if not path.startswith("/"):
                continue
            (mount,) = [place for place in mounts if Path(path).is_relative_to(place)]
            if mount.endswith("/config"):
                assert (deploy / "kubernetes" / "config" / Path(path).name).is_file()
            else:
                assert not mounts[mount]  # state, catalogues and cache are written
            seen.add(mount)
    assert seen == {"/etc/ampelstream/config", "/var/lib/ampelstream", "/tmp"}  # noqa: S108  (a volume of the pod)


def test_variables_in_arguments_are_defined_before(pod_specs: Specs) -> None:
    used = 0
    for name in pod_specs:
        one = container(pod_specs, name)
        wanted = set(re.findall(r"\$\((\w+)\)", " ".join(one["args"])))
        assert wanted <= {each["name"] for each in one["env"]}
        used += len(wanted)
    assert used == 3


def test_pods_may_do_little(pod_specs: Specs) -> None:
    for name, (_, pod) in pod_specs.items():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["runAsUser"] == pod["securityContext"]["fsGroup"] == 10001
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert container(pod_specs, name)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        resources = container(pod_specs, name)["resources"]
        assert {"cpu", "memory"} == set(resources["requests"])
        assert "memory" in resources["limits"]


@pytest.mark.parametrize("name", WORKERS)
def test_probes_ask_what_the_worker_answers(pod_specs: Specs, parse: Any, name: str) -> None:
    one = container(pod_specs, name)
    (port,) = one["ports"]
    parameters = parse(one["args"])
    assert parameters["port"] == port["containerPort"]
    assert parameters["host"] not in {"127.0.0.1", "0.0.0.0"}  # noqa: S104  (neither can be asked by others)
    paths = {kind: one[kind]["httpGet"]["path"] for kind in one if kind.endswith("Probe")}
    assert paths == {"startupProbe": "/live", "livenessProbe": "/live", "readinessProbe": "/ready"}
    assert all(one[kind]["httpGet"]["port"] == port["name"] for kind in paths)
    live = one["livenessProbe"]
    assert live["periodSeconds"] * live["failureThreshold"] > 10  # the watchdog is quicker
    template = pod_specs[name][0]["spec"]["template"]
    assert template["metadata"]["annotations"] == {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(port["containerPort"]),
        "prometheus.io/path": "/metrics",
    }


@pytest.mark.parametrize("name", WORKERS)
def test_pods_are_given_the_time_that_they_take_to_stop(
    pod_specs: Specs, parse: Any, name: str
) -> None:
    grace = parse(container(pod_specs, name)["args"])["grace"]
    assert pod_specs[name][1]["terminationGracePeriodSeconds"] > grace + 5


def test_each_worker_of_objects_has_a_name_and_a_volume(
    manifests: list[dict[str, Any]], pod_specs: Specs, parse: Any
) -> None:
    one, _ = pod_specs["ampelstream-objects"]
    worker = container(pod_specs, "ampelstream-objects")
    assert one["kind"] == "StatefulSet"
    service = named(manifests, "Service")[one["spec"]["serviceName"]]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["ports"][0]["targetPort"] == worker["ports"][0]["name"]
    assert service["spec"]["ports"][0]["port"] == worker["ports"][0]["containerPort"]
    sources = {each["name"]: each.get("valueFrom") for each in worker["env"]}
    assert sources["AMPELSTREAM_INSTANCE_ID"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    (claim,) = one["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    state = str(parse(worker["args"])["state"])
    assert {"name": claim["metadata"]["name"], "mountPath": state} in worker["volumeMounts"]
    assert parse(worker["args"])["workers"] == 1
    assert "IP" not in parse(worker["args"])["host"]  # a static member keeps its address
    assert parse(worker["args"])["port"] != 0
    assert f".{one['spec']['serviceName']}." in parse(worker["args"])["host"]


def test_what_protects_names_the_port_and_the_sets(
    manifests: list[dict[str, Any]], pod_specs: Specs
) -> None:
    assert set(named(manifests, "PodDisruptionBudget")) == set(WORKERS)
    (policy,) = named(manifests, "NetworkPolicy").values()
    (rule,) = policy["spec"]["ingress"]
    ports = {one["port"] for one in rule["ports"]}
    assert ports == {container(pod_specs, name)["ports"][0]["name"] for name in WORKERS}
