"""The Kubernetes overlays: rendered, valid in several versions, and by the rules of the house."""

from __future__ import annotations

import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from copy import deepcopy
from functools import cache, reduce
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jsonschema
import kubernetes_validate
import pytest
import yaml

from kalla_coordinator.observe.metrics import CoordinatorMetrics
from kalla_core.settings.declare import load, variables_of
from tests.support.deployed import DEPLOY, KINDS, READ_BY_LIBRARIES, document, exposed_ports

OVERLAYS = ("dev", "production", "keda")
VERSIONS = ("1.31", "1.34", "1.36")
CUSTOM = {
    (one["apiVersion"], one["kind"]): one["schema"]
    for one in map(document, sorted((Path(__file__).parent / "schemas").glob("*.yaml")))
}
PORT_OF = {"http": {8080, 8081, 3000}, "grpc": {50050}, "results": {50053}, "flight": {50051}}
PORT_OF |= {"health": {50052}, "postgres": {5432}, "s3": {9000}}


@cache
def rendered(overlay: str, folder: Path) -> tuple[dict[str, Any], ...]:
    """The objects that an overlay makes, from a copy of the files whose secrets are made up."""
    copy = folder / "deploy"
    shutil.copytree(DEPLOY, copy, ignore=shutil.ignore_patterns("secrets"))
    for script in ("compose/make-secrets", "kubernetes/overlays/dev/take-secrets"):
        subprocess.run([copy / script], check=True, timeout=20)
    kubectl = Path(sysconfig.get_path("scripts")) / "kubectl"
    done = subprocess.run(
        [kubectl, "kustomize", copy / "kubernetes" / "overlays" / overlay],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return tuple(yaml.safe_load_all(done.stdout))


@pytest.fixture(params=OVERLAYS)
def objects(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], ...]:
    folder = tmp_path_factory.getbasetemp() / f"kubernetes-{request.param}"
    return rendered(request.param, folder)


def custom_objects() -> list[dict[str, Any]]:
    """What the files say to operators: the kinds whose schemas Kubernetes does not have."""
    found = [
        one
        for path in sorted((DEPLOY / "kubernetes").rglob("*.yaml"))
        for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))
        if one["apiVersion"].partition("/")[0] in {of for of, _ in map(_group_and_kind, CUSTOM)}
    ]
    assert {(one["apiVersion"], one["kind"]) for one in found} == set(CUSTOM)
    return found


def _group_and_kind(key: tuple[str, str]) -> tuple[str, str]:
    return key[0].partition("/")[0], key[1]


def strict(schema: Any) -> Any:
    """The schema, refusing fields that it does not name, as the API server does."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: strict(one) for name, one in schema.items()}
    if "properties" in schema and isinstance(schema["properties"], dict):
        free = schema.get("x-kubernetes-preserve-unknown-fields") or not schema["properties"]
        found.setdefault("additionalProperties", bool(free))
    return found


SERVERS = ("Deployment", "StatefulSet")


def pods(
    objects: tuple[dict[str, Any], ...], kinds: tuple[str, ...] = SERVERS
) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in objects:
        if one["kind"] in kinds:
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]


def variables(objects: tuple[dict[str, Any], ...], container: dict[str, Any]) -> dict[str, str]:
    """What a container's environment says, but for secrets and what the cluster puts in."""
    maps = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "ConfigMap"}
    found: dict[str, str] = {}
    for source in container.get("envFrom", ()):
        if "configMapRef" in source:
            found |= maps[source["configMapRef"]["name"]]
    return found | {one["name"]: one["value"] for one in container["env"] if "value" in one}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_object_is_valid_for_versions_that_are_in_use(
    objects: tuple[dict[str, Any], ...], version: str
) -> None:
    for one in objects:
        if (one["apiVersion"], one["kind"]) not in CUSTOM:
            kubernetes_validate.validate(one, version, strict=True)


def test_what_operators_read_is_valid_by_their_own_schemas() -> None:
    for one in custom_objects():
        jsonschema.validate(one, strict(CUSTOM[one["apiVersion"], one["kind"]]))


@pytest.mark.parametrize("path", [("spec", "triggers"), ("spec", "scaleTargetRef", "name")])
def test_an_object_of_an_operator_without_what_it_needs_is_not_valid(path: tuple[str, ...]) -> None:
    one = next(one for one in custom_objects() if one["kind"] == "ScaledObject")
    *upper, last = path
    broken = deepcopy(one)
    reduce(dict.__getitem__, upper, broken).pop(last)
    misspelt = deepcopy(one)
    reduce(dict.__getitem__, upper, misspelt)[last.swapcase()] = "no such field"

    for wrong in (broken, misspelt):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, strict(CUSTOM[one["apiVersion"], one["kind"]]))


def test_no_pod_runs_as_root_or_can_write_its_root_and_memory_is_reserved_whole(
    objects: tuple[dict[str, Any], ...],
) -> None:
    for name, pod in pods(objects, (*SERVERS, "Job")):
        assert pod["securityContext"]["runAsNonRoot"] is True, name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert pod["automountServiceAccountToken"] is False, name
        for container in pod["containers"]:
            allowed = container["securityContext"]
            assert allowed["readOnlyRootFilesystem"] is True, name
            assert allowed["allowPrivilegeEscalation"] is False, name
            assert allowed["capabilities"] == {"drop": ["ALL"]}, name
            limits, requests = container["resources"]["limits"], container["resources"]["requests"]
            assert limits["memory"] == requests["memory"], name
            assert "cpu" in requests, name
            tag = container["image"].rpartition(":")[2]
            assert tag not in ("", "latest", container["image"]), name
            probes = {"readinessProbe", "livenessProbe"}
            assert probes <= container.keys() or pod.get("restartPolicy") == "OnFailure", name


def test_services_get_settings_that_there_are_and_time_to_drain(
    objects: tuple[dict[str, Any], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, pod in pods(objects):
        if name not in KINDS:
            continue
        (container,) = pod["containers"]
        kind = KINDS[name]
        assert container["args"] == ["kallad", name]
        given = variables(objects, container)
        named = {one["name"] for one in container["env"]} | set(given)
        assert named - READ_BY_LIBRARIES <= set(variables_of(kind))
        with monkeypatch.context() as patch:
            for variable, value in given.items():
                patch.setenv(variable, value)
            grace = load(kind).grace.total_seconds()  # type: ignore[attr-defined]
        before = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {"seconds": 0})
        assert pod["terminationGracePeriodSeconds"] >= grace + before["seconds"] + 15


def test_ports_and_probes_are_those_of_the_services(objects: tuple[dict[str, Any], ...]) -> None:
    for name, pod in pods(objects):
        (container,) = pod["containers"]
        ports = {one["name"]: one["containerPort"] for one in container["ports"]}
        assert all(port in PORT_OF[called] for called, port in ports.items())
        if name in KINDS:
            assert set(ports.values()) <= exposed_ports()
            paths = {
                probe: container[probe]["httpGet"]["path"]
                for probe in ("startupProbe", "livenessProbe", "readinessProbe")
            }
            assert paths == {
                "startupProbe": "/health",
                "livenessProbe": "/health",
                "readinessProbe": "/ready",
            }


def test_everybody_is_refused_but_those_whom_a_policy_lets_in(
    objects: tuple[dict[str, Any], ...],
) -> None:
    policies = {
        one["metadata"]["name"]: one["spec"] for one in objects if one["kind"] == "NetworkPolicy"
    }
    denied = policies.pop("default-deny")
    everybody = {"matchLabels": {"app.kubernetes.io/part-of": "kalla"}}
    assert denied == {"podSelector": everybody, "policyTypes": ["Ingress"]}
    by_name = dict(pods(objects))

    assert set(policies) == set(by_name)
    for name, policy in policies.items():
        (container,) = by_name[name]["containers"]
        called = {one["name"] for one in container["ports"]}
        asked = {port["port"] for rule in policy["ingress"] for port in rule["ports"]}
        assert asked <= called
        assert all(rule["from"] for rule in policy["ingress"])


def test_pods_carry_the_label_by_which_the_policies_find_them(
    objects: tuple[dict[str, Any], ...],
) -> None:
    for one in objects:
        if one["kind"] in (*SERVERS, "Job"):
            labels = one["spec"]["template"]["metadata"]["labels"]
            assert labels["app.kubernetes.io/part-of"] == "kalla", one["metadata"]["name"]


def test_two_apps_answer_at_the_name_that_they_go_by_and_what_they_keep_is_kept_elsewhere(
    objects: tuple[dict[str, Any], ...],
) -> None:
    named = {(one["kind"], one["metadata"]["name"]): one for one in objects}
    ingress, service = named["Ingress", "app"], named["Service", "app"]
    (rule,) = ingress["spec"]["rules"]
    (path,) = rule["http"]["paths"]
    (container,) = dict(pods(objects))["app"]["containers"]
    given = variables(objects, container)

    public = urlsplit(given["PUBLIC_URL"])

    assert named["Deployment", "app"]["spec"]["replicas"] == 2
    assert public.hostname == rule["host"]
    names = [name for one in ingress["spec"].get("tls", ()) for name in one["hosts"]]
    assert names == ([rule["host"]] if public.scheme == "https" else [])
    assert path["backend"]["service"] == {"name": "app", "port": {"name": "http"}}
    told = urlsplit(given["KALLA_APP_CALLBACK_URL"])
    (port,) = service["spec"]["ports"]
    assert (told.hostname, told.port) == ("app", port["port"])
    assert given["S3_UPLOADS_BUCKET"]
    said = ingress["metadata"]["annotations"]
    at = "nginx.ingress.kubernetes.io/proxy-"
    assert [said[at + name] for name in ("buffering", "request-buffering")] == ["off", "off"]
    assert int(said[at + "read-timeout"]) >= 3600
    assert said[at + "body-size"] == "0"
    budget = named["PodDisruptionBudget", "app"]["spec"]
    assert budget["selector"] == named["Deployment", "app"]["spec"]["selector"]


def test_executors_are_scaled_by_a_metric_of_the_coordinator_to_the_slots_that_each_has() -> None:
    scaled = next(one for one in custom_objects() if one["kind"] == "ScaledObject")
    (trigger,) = scaled["spec"]["triggers"]
    (autoscaler,) = yaml.safe_load_all(
        (DEPLOY / "kubernetes/overlays/production/autoscale.yaml").read_text(encoding="utf-8")
    )
    external = next(one["external"] for one in autoscaler["spec"]["metrics"] if "external" in one)
    (served,) = document(DEPLOY / "prometheus" / "adapter.yaml")["externalRules"]
    base = document(DEPLOY / "kubernetes" / "base" / "kustomization.yaml")
    settings = {one["name"]: one["literals"] for one in base["configMapGenerator"]}
    (slots,) = (value for value in settings["executor"] if value.startswith("KALLA_SLOTS="))

    threshold = {trigger["metadata"]["threshold"], external["target"]["averageValue"]}

    assert threshold == {slots.partition("=")[2]}
    assert external["metric"]["name"] == served["name"]["as"]
    assert trigger["metadata"]["query"] == served["metricsQuery"]
    asked = set(re.findall(r"kalla_\w+", served["metricsQuery"] + served["seriesQuery"]))
    metrics = CoordinatorMetrics()
    metrics.show_executors(lambda: ())
    assert asked <= {one.name for metric in metrics.registry.collect() for one in metric.samples}
    assert {scaled["spec"]["scaleTargetRef"]["name"], autoscaler["metadata"]["name"]} == {
        "executor"
    }


def test_every_monitor_finds_a_service_and_a_port_that_answers_metrics() -> None:
    folder = DEPLOY.parent / "deploy" / "kubernetes" / "base"
    there = [
        one
        for path in sorted(folder.glob("*.yaml"))
        for one in yaml.safe_load_all(path.read_text(encoding="utf-8"))
    ]
    services = {one["metadata"]["name"]: one for one in there if one["kind"] == "Service"}

    for monitor in (one for one in custom_objects() if one["kind"] == "ServiceMonitor"):
        service = services[monitor["metadata"]["name"]]
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        assert wanted <= service["metadata"]["labels"].items()
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
