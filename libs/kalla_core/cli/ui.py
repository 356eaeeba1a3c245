"""`kalla ui`: the app and a coordinator on this machine, with samples, in a browser."""

from __future__ import annotations

import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.text import Text

from kalla_core.cli.console import standard_output
from kalla_core.cli.demo_data import RECIPE_ID, write_demo
from kalla_core.cli.failures import ExitCode
from kalla_core.cli.kallad import GROUP
from kalla_core.cli.started import ServiceDidNotStart, started
from kalla_core.errors import EngineFailure, InvalidSetting, OutputNotWritable

_SERVICES = {"app", "coordinator"}
_PATIENCE_S = 60.0


def show_ui(folder: Path, port: int, *, samples: bool) -> ExitCode:
    """Serve the pages until interrupted, or a service ends.

    Args:
        folder: where sources, runs and results are kept; made if it is not there.
        port: of the pages.
        samples: whether made-up sources and a recipe are loaded, where there are none.

    Raises:
        InvalidSetting: a service is not installed.
        OutputNotWritable: the folder cannot be made or written.
        EngineFailure: a service does not start.
    """
    if not {entry.name for entry in entry_points(group=GROUP)} >= _SERVICES:
        raise InvalidSetting("This needs Kalla's services, which are not installed here.")
    console = standard_output()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files = folder / "samples"
        if samples and not files.is_dir():
            files.mkdir()
            write_demo(files)
    except OSError as error:
        raise OutputNotWritable(f"{folder} cannot be written: {error.strerror}.") from error
    places = {"--staging-path": folder / "coordinator", "--max-jobs": 2}
    ports = ("--http-port=0", "--grpc-port=0", "--results-port=0")
    try:
        with started(["coordinator", *_flags(places), *ports], "coordinator_ready") as coordinator:
            address = f"http://127.0.0.1:{coordinator.ready['http_port']}"
            app = {"--data-path": folder / "app", "--port": port, "--worker-url": address}
            with started(["app", *_flags(app)], "app_ready") as pages:
                if samples:
                    _load(str(pages.ready["address"]), files.absolute())
                _say(console, str(pages.ready["address"]), folder)
                pages.process.wait()
    except ServiceDidNotStart as error:
        raise EngineFailure(str(error)) from error
    return ExitCode.SYSTEM_FAILURE


def _flags(given: dict[str, Any]) -> list[str]:
    return [f"{name}={value}" for name, value in given.items()]


def _load(address: str, files: Path) -> None:
    """Load the samples, and run their recipe once; what is there already stays as it is."""
    with httpx.Client(base_url=address, timeout=_PATIENCE_S, trust_env=False) as http:
        for alias in ("invoices", "payments"):
            source = {"alias": alias, "uri": str(files / f"{alias}.csv")}
            http.post("/api/sources", json=source)
        recipe = json.loads((files / "recipe.json").read_text(encoding="utf-8"))
        for side in recipe["sources"].values():
            del side["uri"], side["type"]
        made = http.post("/api/recipes", json=recipe)
        if made.status_code == httpx.codes.CREATED:
            http.post("/api/runs", json={"recipe_id": RECIPE_ID})


def _say(console: Console, address: str, folder: Path) -> None:
    console.print(Text.assemble("Kalla is at ", (address, "bold cyan"), "."))
    console.print(Text(f"Everything is kept in {folder}. Ctrl-C ends it.", style="dim"))
