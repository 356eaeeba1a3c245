"""The changes of a job as a stream that knows pauses and ends when the service does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import suppress
from typing import cast

from kalla_core.jobs.model import Job


async def updates(
    watch: AsyncIterator[Job], closing: asyncio.Event, pause_s: float
) -> AsyncGenerator[Job | None, None]:
    """Yield what a watch yields, and None whenever it has been silent for `pause_s`.

    Ends with the watch, or when `closing` is set. The watch is closed either way.
    """
    ended = asyncio.ensure_future(closing.wait())
    following = asyncio.ensure_future(anext(watch, None))
    try:
        while True:
            await asyncio.wait(
                {following, ended}, timeout=pause_s, return_when=asyncio.FIRST_COMPLETED
            )
            if following.done():
                job = following.result()
                if job is None:
                    return
                yield job
                following = asyncio.ensure_future(anext(watch, None))
            elif ended.done():
                return
            else:
                yield None
    finally:
        for task in (following, ended):
            task.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await task
        close = getattr(watch, "aclose", None)
        if close is not None:
            await cast("asyncio.Future[None]", close())
