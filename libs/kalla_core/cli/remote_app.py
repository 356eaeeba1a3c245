"""The commands that talk to a coordinator, and their flags: declarations only, as in `app`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from kalla_core.cli.failures import ExitCode

CarryOut = Callable[["Callable[[], ExitCode]", bool], None]

Coordinator = Annotated[
    str | None,
    typer.Option(
        "--coordinator",
        metavar="URL",
        help="Address of the coordinator. [default: $KALLA_COORDINATOR, else http://localhost:8080]",
    ),
]
RunId = Annotated[str, typer.Argument(metavar="RUN_ID", help="The run id of a job.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]

EvidenceMode = Annotated[
    str | None,
    typer.Option(
        "--evidence-mode",
        metavar="MODE",
        help="Mode of the files of the evidence, in octal. [default: 0600]",
    ),
]
Quiet = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="Show no progress and no summary; errors are told."),
]


def remote_commands(app: typer.Typer, carry_out: CarryOut) -> None:
    """Add the commands to an application; `carry_out` ends the process with their exit code."""
    _add_submit(app, carry_out)
    _add_status(app, carry_out)
    _add_watch(app, carry_out)
    _add_cancel(app, carry_out)
    _add_fetch(app, carry_out)
    _add_executors(app, carry_out)


def _add_submit(app: typer.Typer, carry_out: CarryOut) -> None:
    @app.command()
    def submit(
        recipe: Annotated[Path, typer.Argument(metavar="RECIPE", help="The recipe, a JSON file.")],
        coordinator: Coordinator = None,
        overrides: Annotated[
            list[str] | None,
            typer.Option("--set", metavar="PATH=VALUE", help="Override one field of the recipe."),
        ] = None,
        run_id: Annotated[
            str | None, typer.Option("--run-id", metavar="ID", help="[default: a new one]")
        ] = None,
        output_path: Annotated[
            str | None,
            typer.Option(
                "--output-path",
                metavar="PATH",
                help="Where the coordinator puts the evidence. [default: below its staging path]",
            ),
        ] = None,
        callback_url: Annotated[
            str | None, typer.Option("--callback-url", metavar="URL", help="Who is told.")
        ] = None,
        as_json: Json = False,
        debug: Debug = False,
    ) -> None:
        """Submit RECIPE to a coordinator as a job, and print its run id."""

        def action() -> ExitCode:
            from kalla_core.cli.remote import SubmitFlags, submit

            flags = SubmitFlags(tuple(overrides or ()), run_id, output_path, callback_url, as_json)
            return submit(coordinator, recipe, flags)

        carry_out(action, debug)


def _add_status(app: typer.Typer, carry_out: CarryOut) -> None:
    @app.command()
    def status(
        run_id: Annotated[
            str | None,
            typer.Argument(metavar="[RUN_ID]", help="One job. [default: the newest ones]"),
        ] = None,
        coordinator: Coordinator = None,
        only: Annotated[
            str | None, typer.Option("--status", metavar="STATUS", help="Only jobs of this status.")
        ] = None,
        limit: Annotated[
            int, typer.Option("--limit", metavar="N", min=1, max=500, help="How many at most.")
        ] = 20,
        as_json: Json = False,
        debug: Debug = False,
    ) -> None:
        """Show a job of a coordinator, or the newest ones."""

        def action() -> ExitCode:
            from kalla_core.cli.remote import status

            return status(coordinator, run_id, only, limit, as_json=as_json)

        carry_out(action, debug)


def _add_watch(app: typer.Typer, carry_out: CarryOut) -> None:
    @app.command()
    def watch(
        run_id: RunId,
        coordinator: Coordinator = None,
        quiet: Quiet = False,
        as_json: Json = False,
        debug: Debug = False,
    ) -> None:
        """Watch a job until it has ended; the exit code is that of a run."""

        def action() -> ExitCode:
            from kalla_core.cli.remote import watch

            return watch(coordinator, run_id, as_json=as_json, quiet=quiet)

        carry_out(action, debug)


def _add_cancel(app: typer.Typer, carry_out: CarryOut) -> None:
    @app.command()
    def cancel(
        run_id: RunId, coordinator: Coordinator = None, as_json: Json = False, debug: Debug = False
    ) -> None:
        """Ask a job to stop."""

        def action() -> ExitCode:
            from kalla_core.cli.remote import cancel

            return cancel(coordinator, run_id, as_json=as_json)

        carry_out(action, debug)


def _add_fetch(app: typer.Typer, carry_out: CarryOut) -> None:
    @app.command()
    def fetch(
        run_id: RunId,
        output: Annotated[
            Path | None,
            typer.Option(
                "--output",
                "-o",
                metavar="DIR",
                help="Folder for the evidence. [default: kalla-output/RUN_ID]",
            ),
        ] = None,
        coordinator: Coordinator = None,
        overwrite: Annotated[
            bool, typer.Option("--overwrite", help="Replace the evidence of another run in DIR.")
        ] = False,
        evidence_mode: EvidenceMode = None,
        quiet: Quiet = False,
        as_json: Json = False,
        debug: Debug = False,
    ) -> None:
        """Fetch the evidence of a job, checked by its hashes."""

        def action() -> ExitCode:
            from kalla_core.cli.environment import keep_evidence_private
            from kalla_core.cli.remote import fetch

            keep_evidence_private(evidence_mode)
            return fetch(
                coordinator, run_id, output, overwrite=overwrite, as_json=as_json, quiet=quiet
            )

        carry_out(action, debug)


def _add_executors(app: typer.Typer, carry_out: CarryOut) -> None:
    @app.command()
    def executors(
        coordinator: Coordinator = None, as_json: Json = False, debug: Debug = False
    ) -> None:
        """List the executors of a coordinator and their load."""

        def action() -> ExitCode:
            from kalla_core.cli.remote import executors

            return executors(coordinator, as_json=as_json)

        carry_out(action, debug)
