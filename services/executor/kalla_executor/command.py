"""`kallad executor`."""

from __future__ import annotations

import typer

from kalla_core.cli.service import add_service
from kalla_core.settings import ExecutorSettings


def register(app: typer.Typer) -> None:
    """Add the subcommand of the executor."""
    add_service(
        app,
        ("executor",),
        ExecutorSettings,
        serve,
        "Work for a coordinator: scan, shuffle and join parts of large runs.",
    )


def serve(settings: ExecutorSettings) -> int:
    """Run the executor until SIGTERM or SIGINT; 0 when it ended as asked.

    Raises:
        KallaError: it cannot start, or the coordinator refuses it.
    """
    from kalla_executor.app import run  # heavy: only when it is to run

    run(settings)
    return 0
