"""Tells the coordinator what the outbox holds, and looks after runs of which nothing is heard.

A submission is the same request whenever it is sent, under the run's own id, so sending it again
after a crash or a lost answer does nothing twice. Several apps on one database take turns by
leases; what one has in hand when it dies is due again when its lease has run out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from kalla_app.runs.life import Accepted, Looked, NeverSent, News, Refused
from kalla_app.store import audit, runs
from kalla_app.store.database import Database
from kalla_app.store.runs import CANCEL, SUBMIT, Errand, Run
from kalla_app.store.vault import Vault
from kalla_core.client.client import Client
from kalla_core.errors import (
    JobEnded,
    JobNotFound,
    KallaError,
    StoreUnavailable,
    SystemFailure,
    Unauthenticated,
)
from kalla_core.ids import RunId
from kalla_core.observe.logs import get_logger

LEASE = timedelta(seconds=10)
"""More than a submission takes as a rule; sent twice, it is the same job."""

_SILENCE = timedelta(seconds=2)
_LOOK_INTERVAL_S = 1.0
_AT_ONCE = 8
_LONGEST_WAIT_S = 60.0
_AWAY_S = 2.0


class Dispatcher:
    """Asyncio; `run` is a task of its own.

    Args:
        client: the coordinator.
        changed: called with the id of each run that has changed.
        sent: called with the action and outcome of each request to the coordinator.
        ended: called with each run that has ended, as it then is.
    """

    def __init__(
        self,
        database: Database,
        vault: Vault,
        client: Client,
        changed: Callable[[str], None],
        sent: Callable[[str, str], None],
        ended: Callable[[Run], None],
    ) -> None:
        self._database = database
        self._vault = vault
        self._client = client
        self._changed = changed
        self._sent = sent
        self._ended = ended
        self._news = asyncio.Event()

    def wake(self) -> None:
        """Look into the outbox now."""
        self._news.set()

    async def run(self) -> None:
        """Send what is due, and look at what is silent, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._send_all(), name="outbox")
            group.create_task(self._look_after_all(), name="look-after-runs")

    async def tell(self, run_id: str, news: News) -> None:
        """Let a run take news in; one that has ended owes nothing more."""
        async with self._database.writing() as connection:
            found = await runs.change(connection, run_id, news)
            if found is None:
                return
            before, after = found
            if after.state.status.final and not before.state.status.final:
                await runs.settle(connection, run_id)
                await audit.add(
                    connection,
                    "kalla",
                    "run.end",
                    f"run/{run_id}",
                    before={"status": before.state.status.value},
                    after={"status": after.state.status.value, "error": after.state.error_code},
                )
        if before.state != after.state:
            self._changed(run_id)
            if after.state.status.final:
                self._ended(after)

    async def look(self, run_id: str) -> None:
        """Ask the coordinator how a run stands.

        Raises:
            KallaError: it does not answer.
        """
        try:
            job = await self._client.get(RunId(run_id))
        except JobNotFound:
            lost = "The coordinator knows nothing of this run any more; start it again."
            await self.tell(run_id, Refused("job_not_found", lost))
            return
        await self.tell(run_id, Looked(job))

    async def _send_all(self) -> None:
        while True:
            self._news.clear()
            try:
                async with self._database.writing() as connection:
                    errands = await runs.claim(connection, _AT_ONCE, LEASE)
                async with asyncio.TaskGroup() as group:
                    for errand in errands:
                        group.create_task(self._send(errand))
                wait_s = 0.0 if len(errands) == _AT_ONCE else await self._until_due_s()
            except* StoreUnavailable:
                get_logger().warning("outbox_postponed")
                wait_s = _AWAY_S
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), wait_s)

    async def _until_due_s(self) -> float:
        async with self._database.reading() as connection:
            due = await runs.next_due(connection)
        # Another app may put something in, so it is looked into now and then all the same.
        if due is None:
            return _AWAY_S
        return min(_AWAY_S, max(0.05, (due - datetime.now(UTC)).total_seconds()))

    async def _send(self, errand: Errand) -> None:
        run_id = errand.run.run_id
        try:
            if errand.action == SUBMIT:
                await self._submit(errand)
            else:
                await self._cancel(errand)
            self._sent(errand.action, "taken")
        except StoreUnavailable:
            raise
        except (SystemFailure, Unauthenticated) as error:
            self._sent(errand.action, "postponed")
            wait_s = min(_LONGEST_WAIT_S, 0.5 * 2.0 ** min(errand.tries, 10))
            get_logger().warning(
                "errand_postponed", run_id=run_id, action=errand.action, cause=error.code
            )
            async with self._database.writing() as connection:
                wait = timedelta(seconds=wait_s)
                await runs.postpone(connection, run_id, errand.action, wait)
        except KallaError as error:
            self._sent(errand.action, "refused")  # and would be again
            if errand.action == CANCEL:
                get_logger().warning("cancel_refused", run_id=run_id, cause=error.code)
                async with self._database.writing() as connection:
                    await runs.settle(connection, run_id, CANCEL)
                return
            await self._settled(run_id, errand.action, Refused(error.code, error.message))

    async def _submit(self, errand: Errand) -> None:
        run_id = RunId(errand.run.run_id)
        if errand.run.state.asked_to_cancel and (
            errand.tries == 0 or not await self._is_known(run_id)
        ):
            await self._settled(run_id, SUBMIT, NeverSent())
            return
        async with self._database.reading() as connection:
            request = await runs.request(connection, run_id, self._vault)
        await self._client.submit(
            request.document,
            run_id,
            output_path=request.output_path,
            callback_url=request.callback_url,
        )
        await self._settled(run_id, SUBMIT, Accepted())

    async def _cancel(self, errand: Errand) -> None:
        run_id = RunId(errand.run.run_id)
        try:
            await self._client.cancel(run_id)
        except JobEnded:
            await self.look(run_id)
        except JobNotFound:
            async with self._database.writing() as connection:
                if await runs.owed(connection, run_id, SUBMIT):
                    # It is on its way; it can be cancelled once it is there.
                    await runs.postpone(connection, run_id, CANCEL, timedelta(seconds=0.5))
                    return
            await self.look(run_id)
        async with self._database.writing() as connection:
            await runs.settle(connection, run_id, CANCEL)

    async def _is_known(self, run_id: RunId) -> bool:
        try:
            await self._client.get(run_id)
        except JobNotFound:
            return False
        return True

    async def _settled(self, run_id: str, action: str, news: News) -> None:
        """Take news in before what it answers leaves the outbox: a crash between repeats it."""
        await self.tell(run_id, news)
        async with self._database.writing() as connection:
            await runs.settle(connection, run_id, action)

    async def _look_after_all(self) -> None:
        while True:
            try:
                async with self._database.reading() as connection:
                    silent = await runs.not_heard_of(connection, _SILENCE, _AT_ONCE)
                for run_id in silent:
                    await self.look(run_id)
            except KallaError as error:
                get_logger().info("look_postponed", cause=error.code)
                await asyncio.sleep(_AWAY_S)
            await asyncio.sleep(_LOOK_INTERVAL_S)
