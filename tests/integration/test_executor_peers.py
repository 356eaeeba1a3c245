"""Executors and peers that are gone, as the coordinator tells of them."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace
from pathlib import Path

from kalla_core.fragments.cause import Cause
from kalla_core.fragments.fetch_fault import FetchFault
from kalla_core.fragments.outcome import FragmentFailed
from kalla_core.fragments.presence import PeerGone
from kalla_core.fragments.remote import SpoolPlace
from tests.integration.test_executor import join_all, one_executor, scanned
from tests.support.pinned_job import job


async def test_who_waits_for_spools_of_an_executor_that_is_gone_is_told_so(tmp_path: Path) -> None:
    given = job(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        mute.setblocking(False)
        async with one_executor(tmp_path) as (_, line, _):
            inputs = await scanned([line], given)
            port = mute.getsockname()[1]
            away = SpoolPlace(inputs[0].place.attempt, "frozen", "127.0.0.1", port)
            join = given.launch("join", 0, join_all((replace(inputs[0], place=away), *inputs[1:])))
            line.say(join)
            asking, _ = await asyncio.get_running_loop().sock_accept(mute)
            with asking:
                line.say(PeerGone("frozen"))
                outcome = await line.end_of(join.id)

    assert isinstance(outcome, FragmentFailed)
    assert outcome.cause is Cause.FETCH_FAILED
    assert outcome.fetch == FetchFault("frozen", (inputs[0].place.attempt,))
