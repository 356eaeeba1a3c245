"""`kallad app`."""

from __future__ import annotations

import typer

from kalla_core.cli.service import add_service
from kalla_core.settings import AppSettings


def register(app: typer.Typer) -> None:
    """Add the subcommand of the app."""
    add_service(
        app,
        ("app",),
        AppSettings,
        serve,
        "Serve sources, recipes, runs and exceptions over REST and in a browser.",
    )


def serve(settings: AppSettings) -> int:
    """Run the app until SIGTERM or SIGINT; 0 when it ended as asked.

    Raises:
        KallaError: it cannot start.
    """
    from kalla_app.app import run  # heavy: only when it is to run

    run(settings)
    return 0
