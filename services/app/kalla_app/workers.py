"""Further processes of an app, on the same port and the same store.

    python -m kalla_app.workers     # one of them; what it is to be it reads from standard input

The kernel gives each connection to one of them; who sends what the outbox holds the store decides,
as between apps on several machines. One that ends is started again. Each ends when its standard
input does, so none outlives the process that began it.
"""

from __future__ import annotations

import asyncio
import pickle
import signal
import struct
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kalla_core.errors import InvalidSetting
from kalla_core.observe.logs import get_logger
from kalla_core.settings import AppSettings

_AGAIN_S = 1.0
_PATIENCE_S = 10.0
_BEGIN_S = 120.0  # it loads the app and reaches its store, perhaps on a busy machine
_LENGTH = struct.Struct(">Q")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a process stands among those of an app.

    Attributes:
        number: from 0, which is the one that began the others.
        folder: where they tell each other their metrics.
    """

    number: int
    folder: Path


@asynccontextmanager
async def places(settings: AppSettings) -> AsyncIterator[Place | None]:
    """Make place for several processes, for a block; None where there is only one."""
    if settings.workers == 1:
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="kalla-app-", ignore_cleanup_errors=True) as folder:
        yield Place(0, Path(folder))


@asynccontextmanager
async def helped(
    settings: AppSettings, port: int, address: str, own: Place | None
) -> AsyncIterator[None]:
    """Keep the other processes of an app, for a block; they are ready when it begins.

    Args:
        port: that all of them listen on.
        address: that browsers reach any of them at.

    Raises:
        InvalidSetting: one cannot begin.
    """
    if own is None or own.number:
        yield
        return
    theirs = settings.model_copy(update={"port": port, "public_url": address})
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for number in range(1, settings.workers):
            request = pickle.dumps((theirs, Place(number, own.folder)))
            process = await _begun(request)
            grace_s = settings.grace.total_seconds() + _PATIENCE_S
            stack.callback(group.create_task(_kept(process, request, grace_s)).cancel)
        yield


async def _begun(request: bytes) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "kalla_app.workers",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None  # noqa: S101 - as asked for
    assert process.stdout is not None  # noqa: S101
    try:
        with suppress(ConnectionError):
            process.stdin.write(_LENGTH.pack(len(request)) + request)
            await process.stdin.drain()
        async with asyncio.timeout(_BEGIN_S):
            if not await process.stdout.readline():
                code = await process.wait()
                raise InvalidSetting(
                    f"A worker ended with {code} as it began; the log says why.",
                    settings=["--workers"],
                )
    except TimeoutError:
        process.kill()
        await process.wait()
        raise InvalidSetting(
            f"A worker was not ready within {_BEGIN_S:g} seconds; the log may say why.",
            settings=["--workers"],
        ) from None
    except BaseException:
        with suppress(ProcessLookupError):
            process.kill()
        raise
    return process


async def _kept(process: asyncio.subprocess.Process, request: bytes, grace_s: float) -> None:
    """Start a process again whenever it ends, until cancelled; then let it end."""
    try:
        while True:
            code = await process.wait()
            get_logger().warning("worker_ended", exit_code=code)
            await asyncio.sleep(_AGAIN_S)
            try:
                process = await _begun(request)
            except InvalidSetting as error:
                get_logger().warning("worker_postponed", cause=error.message)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(grace_s):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _serve(settings: AppSettings, place: Place) -> None:
    from kalla_app.app import running  # it knows us

    loop, told = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    loop.add_signal_handler(signal.SIGINT, lambda: None)  # whoever began us ends us
    lifeline = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lifeline), sys.stdin)
    async with running(settings, place):
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        ends = [asyncio.ensure_future(one) for one in (told.wait(), lifeline.read())]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for one in ends:
            one.cancel()


def main() -> None:
    """Be one of the processes of an app, as standard input says."""
    from kalla_core.observe.logs import configure_logs

    (length,) = _LENGTH.unpack(sys.stdin.buffer.read(_LENGTH.size))
    settings, place = pickle.loads(sys.stdin.buffer.read(length))  # noqa: S301 - of our own
    configure_logs(settings.log_level, settings.log_format)
    asyncio.run(_serve(settings, place))


if __name__ == "__main__":
    main()
