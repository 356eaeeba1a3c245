"""`kallad coordinator`, also called `kallad scheduler`."""

from __future__ import annotations

import typer

from kalla_core.cli.service import add_service
from kalla_core.settings import CoordinatorSettings, TogetherSettings


def register(app: typer.Typer) -> None:
    """Add the subcommands of the coordinator."""
    add_service(
        app,
        ("coordinator", "scheduler"),
        CoordinatorSettings,
        serve,
        "Take jobs over HTTP and gRPC, run them, and tell how they ended.",
    )
    add_service(
        app,
        ("cluster",),
        TogetherSettings,
        serve_together,
        "Start a coordinator and some executors on this machine, to try a cluster out.",
    )


def serve(settings: CoordinatorSettings) -> int:
    """Run the coordinator until SIGTERM or SIGINT; 0 when it ended as asked.

    Raises:
        KallaError: it cannot start.
    """
    from kalla_coordinator.app import run  # heavy: only when it is to run

    run(settings)
    return 0


def serve_together(settings: TogetherSettings) -> int:
    """Run a coordinator and executors until SIGTERM or SIGINT; 0 when they ended as asked.

    Raises:
        KallaError: they cannot start.
    """
    from kalla_coordinator.together import run  # heavy: only when it is to run

    run(settings)
    return 0
