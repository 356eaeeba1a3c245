"""The command `kalla mcp` and its flags: declarations only, as in `app`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kalla_core.cli.remote_app import CarryOut

if TYPE_CHECKING:
    from kalla_core.cli.failures import ExitCode


def mcp_command(app: typer.Typer, carry_out: CarryOut) -> None:
    """Add the command to an application; `carry_out` ends the process with its exit code."""

    @app.command("mcp")
    def mcp(
        coordinator: Annotated[
            str | None,
            typer.Option(
                "--coordinator",
                metavar="URL",
                help="Coordinator to work with. [default: $KALLA_COORDINATOR, else one of its own]",
            ),
        ] = None,
        roots: Annotated[
            list[Path] | None,
            typer.Option(
                "--root",
                metavar="DIR",
                help="Folder below which files may be read. May be repeated. [default: this one]",
            ),
        ] = None,
        data_path: Annotated[
            Path | None,
            typer.Option(
                "--data-path", metavar="DIR", help="Keep runs there. [default: gone at the end]"
            ),
        ] = None,
        show_values: Annotated[
            bool,
            typer.Option("--show-values", help="Show what rows hold, instead of its shape."),
        ] = False,
        timeout: Annotated[
            float,
            typer.Option("--timeout", metavar="SECONDS", min=1, max=3600, help="Of each call."),
        ] = 60.0,
        http_port: Annotated[
            int | None,
            typer.Option(
                "--http-port",
                metavar="PORT",
                min=0,
                max=65535,
                help="Serve over HTTP; 0 takes a free port. [default: standard input and output]",
            ),
        ] = None,
        bind_host: Annotated[
            str | None,
            typer.Option(
                "--bind-host",
                metavar="HOST",
                help="With --http-port; another than this machine's own needs --token-file.",
            ),
        ] = None,
        token_file: Annotated[
            Path | None,
            typer.Option("--token-file", metavar="FILE", help="Tokens that let a client in."),
        ] = None,
        hosts: Annotated[
            list[str] | None,
            typer.Option(
                "--allowed-host", metavar="NAME", help="Name that clients call it by, over HTTP."
            ),
        ] = None,
        debug: Annotated[
            bool, typer.Option("--debug", help="Show the traceback of an error.")
        ] = False,
    ) -> None:
        """Offer Kalla's tools over the Model Context Protocol."""

        def action() -> ExitCode:
            from kalla_core.cli.mcp import McpFlags, serve_tools

            flags = McpFlags(
                coordinator, tuple(roots or ()), data_path, show_values, timeout, http_port,
                bind_host, token_file, tuple(hosts or ()),
            )  # fmt: skip
            return serve_tools(flags)

        carry_out(action, debug)
