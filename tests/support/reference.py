"""Writes the pages of the manual that say what the code says: `make docs`.

Settings, errors, metrics, the HTTP and gRPC interfaces and the schema of recipes are declared in the
code; here they become pages below `docs`, and a test finds what has not been written anew.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from collections.abc import Iterator
from inspect import getdoc
from pathlib import Path
from typing import Any

from kalla_coordinator.observe.metrics import CoordinatorMetrics
from kalla_core.errors import KallaError, UserError
from kalla_core.recipe.document import RecipeDocument
from kalla_core.settings import settings_table
from kalla_executor.metrics import ExecutorMetrics
from tests.support.api import served
from tests.support.deployed import DEPLOY, document

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs"
PROTO = ROOT / "proto" / "kalla" / "v1"


def pages() -> Iterator[tuple[str, str]]:
    """Name and text of each page that is made."""
    with tempfile.TemporaryDirectory() as folder:
        api = asyncio.run(_description(Path(folder)))
    yield "reference/settings.md", _settings()
    yield "reference/errors.md", _errors()
    yield "reference/metrics.md", _metrics()
    yield "reference/http.md", _http(api)
    yield "reference/openapi.json", json.dumps(api, indent=1, ensure_ascii=False) + "\n"
    yield "reference/grpc.md", _grpc()
    schema = RecipeDocument.model_json_schema(by_alias=True)
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    yield "reference/recipe.schema.json", json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
    yield "operations/alerts.md", _alerts()


async def _description(folder: Path) -> dict[str, Any]:
    """What a coordinator says of its HTTP interface."""
    async with served(folder) as api:
        found: dict[str, Any] = (await api.http.get("/openapi.json")).json()
        return found


def _settings() -> str:
    return f"# Settings\n\nFlags beat variables, variables beat defaults.\n\n{settings_table()}"


def _errors() -> str:
    head = (
        "# Errors\n\n"
        "Each error has a code, the same on the command line (`Error (unknown_column): …`), in logs, "
        "in the API and in callbacks. *2* is the request or the data, *3* the system: the exit code of "
        "the command line. Where the same can be tried again later, it says so. The message of an "
        "error says what is wrong, where, and what would be right.\n\n"
        "| code | exit code | again? | |\n|---|---|---|---|\n"
    )
    rows = sorted({error.code: error for error in _tree(KallaError)}.items())
    return head + "".join(
        f"| `{code}` | {2 if issubclass(error, UserError) else 3} "
        f"| {'yes' if error.retryable else ''} | {_first_paragraph(error)} |\n"
        for code, error in rows
    )


def _tree(error: type[KallaError]) -> Iterator[type[KallaError]]:
    if error.__module__.startswith("kalla_core.errors"):
        for below in error.__subclasses__():
            yield from _tree(below)
        if "code" in vars(error):  # last, so that of several with a code the general one stays
            yield error


def _first_paragraph(thing: object) -> str:
    text = (getdoc(thing) or "").partition("\n\n")[0]
    return " ".join(text.split()).replace("|", "\\|")


def _metrics() -> str:
    head = (
        "# Metrics\n\n"
        "At `/metrics` of the coordinator and of each executor, in the text format of Prometheus. "
        "What they are good for is told in [the coordinator's page](../operations/coordinator.md#metrics).\n\n"
    )
    coordinator, executor = CoordinatorMetrics(), ExecutorMetrics()
    coordinator.show_executors(lambda: ())
    parts = []
    for title, registry in (
        ("Coordinator", coordinator.registry),
        ("Executor", executor.registry),
    ):
        rows = [
            f"| `{one.name}{'_total' if one.type == 'counter' else ''}` | {one.type} "
            f"| {one.documentation} |\n"
            for one in sorted(registry.collect(), key=lambda one: one.name)
        ]
        parts.append(f"## {title}\n\n| metric | type | |\n|---|---|---|\n{''.join(rows)}")
    return head + "\n".join(parts)


def _http(api: dict[str, Any]) -> str:
    head = (
        "# HTTP\n\n"
        "Generated from the description that a coordinator serves at `/openapi.json`, which is also "
        "[here](openapi.json). At `/docs` of a coordinator each call can be tried out. "
        "[The job API](job-api.md) explains them.\n\n"
        "| call | name | |\n|---|---|---|\n"
    )
    return head + "".join(
        f"| `{method.upper()} {path}` | `{one['operationId']}` | {_summary(one)} |\n"
        for path, methods in api["paths"].items()
        for method, one in methods.items()
    )


def _summary(call: dict[str, Any]) -> str:
    return str(call.get("description") or call["summary"]).partition("\n\n")[0].replace("\n", " ")


def _grpc() -> str:
    head = (
        "# gRPC\n\n"
        "Clients are generated from these files, or by reflection. An error is a status; the trailing "
        "metadata `kalla-error-bin` holds it as JSON.\n"
    )
    shown = [
        "jobs.proto",
        "evidence.proto",
        *re.findall(r'import "kalla/v1/(\w+\.proto)"', _proto("jobs.proto")),
    ]
    return head + "".join(f"\n## {name}\n\n```proto\n{_proto(name)}```\n" for name in shown)


def _alerts() -> str:
    head = (
        "# Alerts\n\n"
        "The rules in `deploy/prometheus/rules.yaml`, and what each alert means. They are tested with "
        "promtool, and their queries against a Prometheus that scrapes a cluster.\n"
    )
    groups = document(DEPLOY / "prometheus" / "rules.yaml")["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    return head + "".join(
        f"\n## {one['alert']}\n\n*{one['labels']['severity']}*"
        f"{', after ' + one['for'] if 'for' in one else ''}: "
        f"{_plain(one['annotations']['summary'])}\n\n"
        f"{_plain(one['annotations']['description'])}\n\n```promql\n{one['expr']}\n```\n"
        for one in alerts
    )


def _plain(text: str) -> str:
    """Without what the alert fills in."""
    text = re.sub(r"(: )?\{\{ \$labels\.(\w+) \}\}", "", text)
    return " ".join(text.split()).replace(" .", ".")


def _proto(name: str) -> str:
    return (PROTO / name).read_text(encoding="utf-8")


def main(folder: Path) -> None:
    """Write all of them."""
    for name, text in pages():
        page = folder / name
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(*sys.argv[1:]) if sys.argv[1:] else FOLDER)
