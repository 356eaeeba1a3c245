"""What the files below `deploy/` say, read as the tools read them that they are for."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kalla_core.settings import AppSettings, CoordinatorSettings, Declared, ExecutorSettings

DEPLOY = Path(__file__).parents[2] / "deploy"
COMPOSE = tuple(DEPLOY / "compose" / name for name in ("single.yaml", "cluster.yaml"))
UNITS = tuple(sorted((DEPLOY / "systemd").glob("*.service")))
KINDS: Mapping[str, type[Declared]] = {
    "coordinator": CoordinatorSettings,
    "executor": ExecutorSettings,
    "app": AppSettings,
}
READ_BY_LIBRARIES = {"AWS_SHARED_CREDENTIALS_FILE", "MIMALLOC_ALLOW_THP"}
READ_BY_LIBRARIES |= {
    "AWS_ACCESS_KEY_ID",
    "AWS_ENDPOINT_URL",
    "AWS_ALLOW_HTTP",
    "PATH",
    "PYTHONDONTWRITEBYTECODE",
}
"""Variables of containers that are none of the service's own settings."""


@dataclass(frozen=True)
class Started:
    """A service of ours as a file starts it.

    Attributes:
        command: as `kallad coordinator`.
        stops_within_s: until it is killed.
    """

    place: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    stops_within_s: float

    @property
    def kind(self) -> type[Declared]:
        """The settings that it reads."""
        return KINDS[self.command[1]]


def document(path: Path) -> Any:
    """The one document of a YAML file."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def of_compose() -> dict[str, Any]:
    """The services of the compose files together, by their names."""
    return {name: one for path in COMPOSE for name, one in document(path)["services"].items()}


def started() -> Iterator[Started]:
    """Every service of ours in a compose file or a unit."""
    image = image_environment()
    for name, service in of_compose().items():
        if "kalla" in service["image"]:
            environment = {**image, **service["environment"]}
            stops = seconds(service["stop_grace_period"])
            yield Started(f"compose {name}", tuple(service["command"]), environment, stops)
    for path in UNITS:
        settings = unit(path)
        environment = dict(pair.split("=", 1) for pair in settings["Environment"])
        environment |= variables_of_file(path.with_name(path.stem.split("-")[1] + ".env"))
        command = tuple(shlex.split(settings["ExecStart"][0]))
        stops = seconds(settings["TimeoutStopSec"][0])
        yield Started(path.name, (Path(command[0]).name, *command[1:]), environment, stops)


def unit(path: Path) -> dict[str, list[str]]:
    """The settings of a unit, each with all its values."""
    found: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def variables_of_file(path: Path) -> dict[str, str]:
    """The variables of an environment file, those that are commented out among them."""
    lines = path.read_text(encoding="utf-8").splitlines()
    found = (re.fullmatch(r"#?([A-Z_]+)=(.*)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def image_environment() -> dict[str, str]:
    """The variables that the image sets."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    (line,) = re.findall(r"^ENV (.*)$", text, re.MULTILINE)
    return dict(pair.split("=", 1) for pair in shlex.split(line))


def exposed_ports() -> set[int]:
    """The ports that the image says it listens on."""
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    return {int(port) for line in re.findall(r"^EXPOSE (.*)$", text, re.M) for port in line.split()}


def seconds(duration: str) -> float:
    """Seconds of a duration such as `40s`."""
    match = re.fullmatch(r"(\d+)s", duration)
    assert match is not None, duration
    return float(match[1])
