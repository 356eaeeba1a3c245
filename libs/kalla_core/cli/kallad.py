"""The `kallad` command: starts services.

Each service brings its subcommands by an entry point of the group `kalla.services`, a function
that takes the typer app and adds to it, so that this library imports no service.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points, version
from typing import Annotated, NoReturn, cast

import typer

from kalla_core.cli import INTERRUPTED
from kalla_core.cli.leaving import leaving

GROUP = "kalla.services"


def show_version(wanted: bool) -> None:
    """Print the version and end, if that is wanted."""
    if wanted:
        typer.echo(f"kallad {version('kalla')}")
        raise typer.Exit


def make_app() -> typer.Typer:
    """Return the command with the subcommands of all installed services."""
    app = typer.Typer(
        help="Start a service of Kalla.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )

    @app.callback()
    def kallad(
        version: Annotated[
            bool,
            typer.Option(
                "--version", callback=show_version, is_eager=True, help="Show the version."
            ),
        ] = False,
    ) -> None:
        """Start a service of Kalla."""

    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        cast("Callable[[typer.Typer], None]", entry.load())(app)
    return app


def main() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    leaving(lambda: make_app()(prog_name="kallad"), INTERRUPTED)
