"""The Kubernetes overlays: rendered, valid in several versions, and by the rules of the house."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from kalla_core.settings.declare import load, variables_of
from tests.support.deployed import DEPLOY, KINDS, READ_BY_LIBRARIES, exposed_ports

OVERLAYS = ("dev", "production")
VERSIONS = ("1.31", "1.34", "1.36")
PORT_OF = {"http": {8080, 8081}, "grpc": {50050}, "results": {50053}, "flight": {50051}}
PORT_OF |= {"health": {50052}, "postgres": {5432}}


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


def pods(objects: tuple[dict[str, Any], ...]) -> Iterator[tuple[str, dict[str, Any]]]:
    for one in objects:
        if one["kind"] in ("Deployment", "StatefulSet"):
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
        kubernetes_validate.validate(one, version, strict=True)


def test_no_pod_runs_as_root_or_can_write_its_root_and_memory_is_reserved_whole(
    objects: tuple[dict[str, Any], ...],
) -> None:
    for name, pod in pods(objects):
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
            assert {"readinessProbe", "livenessProbe"} <= container.keys(), name


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
        assert pod["terminationGracePeriodSeconds"] >= grace + 15


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
        if one["kind"] in ("Deployment", "StatefulSet"):
            labels = one["spec"]["template"]["metadata"]["labels"]
            assert labels["app.kubernetes.io/part-of"] == "kalla", one["metadata"]["name"]
