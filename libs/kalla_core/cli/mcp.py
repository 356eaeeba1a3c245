"""`kalla mcp`: Kalla's tools for programs that speak the Model Context Protocol."""

from __future__ import annotations

import asyncio
import os
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kalla_core.cli.console import write_line
from kalla_core.cli.failures import ExitCode
from kalla_core.cli.started import ServiceDidNotStart, started
from kalla_core.client import Client
from kalla_core.errors import EngineFailure, InvalidSetting, OutputNotWritable
from kalla_core.settings import ClientSettings, load
from kalla_core.settings.declare import Listening
from kalla_core.settings.tls import read_authorities, read_certificate
from kalla_core.settings.tokens import read_tokens

if TYPE_CHECKING:
    from kalla_core.mcp.reach import Reach
    from kalla_core.mcp.serve import Door

_TOKEN_BYTES = 32


@dataclass(frozen=True, slots=True)
class McpFlags:
    """The flags of `kalla mcp` as they were given; None where they were not."""

    coordinator: str | None
    roots: tuple[Path, ...]
    data_path: Path | None
    show_values: bool
    timeout_s: float
    http_port: int | None
    bind_host: str | None
    token_file: Path | None
    hosts: tuple[str, ...]


def serve_tools(flags: McpFlags) -> ExitCode:
    """Serve the tools until the client is gone, or this process is told to end.

    Raises:
        InvalidSetting: the extra is not installed, or flags make no sense together.
        EngineFailure: the coordinator of its own does not start.
    """
    _demand_the_sdk()
    door = _door(flags)
    with tempfile.TemporaryDirectory(prefix="kalla-mcp-") as name:
        scratch = Path(name).resolve()
        with _reached(flags, scratch) as (client, reach):
            asyncio.run(_serve(flags, client, reach, door))
    return ExitCode.SUCCEEDED


async def _serve(flags: McpFlags, client: Client, reach: Reach, door: Door | None) -> None:
    from kalla_core.mcp.serve import over_http, over_stdio
    from kalla_core.mcp.server import server_of
    from kalla_core.mcp.showing import Showing
    from kalla_core.mcp.toolbox import Toolbox

    async with client:
        box = Toolbox(client, reach, Showing(flags.show_values))
        server = server_of(box, flags.timeout_s)
        if door is None:
            await over_stdio(server)
        else:
            await over_http(server, door, _say)


def _say(address: str) -> None:
    write_line(sys.stderr, f"Kalla's tools are at {address}. Ctrl-C ends it.")


@contextmanager
def _reached(flags: McpFlags, scratch: Path) -> Iterator[tuple[Client, Reach]]:
    """Yield a coordinator and what may be read: one of somebody else, or one of our own."""
    from kalla_core.mcp.reach import Reach

    settings = load(ClientSettings, coordinator=flags.coordinator)
    if "coordinator" in settings.model_fields_set:
        if flags.roots or flags.data_path is not None:
            raise InvalidSetting(
                "--root and --data-path are of a coordinator that is started here; the one that "
                "was named says itself what may be read."
            )
        token = None if settings.token is None else settings.token.get_secret_value()
        authorities = read_authorities(settings.tls_ca_file)
        yield Client(settings.coordinator, token, authorities=authorities), Reach(None)
        return
    roots = _roots(flags.roots)
    token_file, token = _own_token(scratch)
    places = {
        "--staging-path": _data_path(flags.data_path, scratch),
        "--allowed-paths": ",".join(map(str, roots)),
        "--token-file": token_file,
        "--bind-host": "127.0.0.1",
        "--max-jobs": 2,
    }
    ports = ("--http-port=0", "--grpc-port=0", "--results-port=0")
    arguments = ["coordinator", *(f"{name}={value}" for name, value in places.items()), *ports]
    try:
        with started(arguments, "coordinator_ready") as coordinator:
            address = f"http://127.0.0.1:{coordinator.ready['http_port']}"
            yield Client(address, token), Reach(roots)
    except ServiceDidNotStart as error:
        raise EngineFailure(str(error)) from error


def _roots(given: tuple[Path, ...]) -> tuple[Path, ...]:
    roots = tuple(path.resolve() for path in given or (Path.cwd(),))
    for root in roots:
        if not root.is_dir():
            raise InvalidSetting(f"--root takes a folder that is there; `{root}` is none.")
        if "," in str(root):
            raise InvalidSetting(f"--root takes no folder with a comma in its name: `{root}`.")
    return roots


def _data_path(given: Path | None, scratch: Path) -> Path:
    folder = scratch / "coordinator" if given is None else given.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputNotWritable(f"{folder} cannot be written: {error.strerror}.") from error
    return folder


def _own_token(scratch: Path) -> tuple[Path, str]:
    """Return a token for the coordinator that is started here, and the file that it reads."""
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    path = scratch / "token"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(f"admin {token}\n")
    return path, token


def _door(flags: McpFlags) -> Door | None:
    if flags.http_port is None:
        if flags.bind_host is not None or flags.token_file is not None or flags.hosts:
            raise InvalidSetting(
                "--bind-host, --token-file and --allowed-host are of --http-port; over standard "
                "input and output there is one client, which started the process."
            )
        return None
    from kalla_core.mcp.serve import Door

    settings = load(Listening, bind_host=flags.bind_host, token_file=flags.token_file)
    return Door(
        settings.bind_host,
        flags.http_port,
        read_tokens(settings),
        flags.hosts,
        read_certificate(settings),
    )


def _demand_the_sdk() -> None:
    try:
        import mcp  # noqa: F401 - whether it is there
    except ImportError as error:
        raise InvalidSetting(
            "`kalla mcp` needs the SDK of the Model Context Protocol: install Kalla with its extra "
            "`mcp` (pip install 'kalla[mcp]')."
        ) from error
