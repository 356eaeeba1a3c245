"""Work that goes through many rows, in a process of its own: it gives its memory back.

A module that does such work reads what it is asked for from standard input.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import suppress


async def worked(module: str, request: bytes) -> int:
    """Let a module do what a request says; return how its process ended. Cancelled, it is killed.

    What goes wrong it says on standard error, which is ours.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        await process.communicate(request)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    return process.returncode or 0
