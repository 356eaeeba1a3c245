"""What can be asked of a coordinator."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from kalla_core.client.calls import Calls, pause_s
from kalla_core.client.events import event_data
from kalla_core.errors import CoordinatorUnavailable, KallaError, ShuttingDown, StoreUnavailable
from kalla_core.ids import RunId, new_run_id
from kalla_core.jobs.document import executor_of, job_of, page_of
from kalla_core.jobs.model import ExecutorInfo, Job, JobPage, JobStatus

if TYPE_CHECKING:
    from kalla_core.evidence.metadata import RunMetadata
    from kalla_core.recipe.model import Recipe

COORDINATOR = "http://localhost:8080"
TIMEOUT_S = 60.0
PROVING_S = 240.0
"""What reads whole sources and runs a recipe on samples takes its time."""

PATIENCE_S = 60.0
"""How long a watch goes on asking a coordinator that does not answer."""

_SILENCE_S = 50.0  # a stream shows that it lives every 15 seconds
_PASSING = (CoordinatorUnavailable, StoreUnavailable, ShuttingDown)


class Client:
    """A coordinator, over HTTP. Asyncio; a context manager that closes its connections.

    What cannot do harm twice is tried again a few times when the coordinator does not answer:
    everything but `cancel`. Submitting is safe because the coordinator knows a request by its
    run id.

    Example:
        async with Client("http://localhost:8080", token="...") as kalla:
            run_id = await kalla.submit(recipe)
            job = await kalla.wait(run_id)
            print(job.counts.matched)

    Args:
        coordinator: its address.
        token: what lets us in, where the coordinator asks for one.
        timeout_s: for each step of a request.
        transport: how requests travel; for tests.
        authorities: certificates in PEM that those of an https:// coordinator are checked
            against; by default those of the public authorities.

    Raises:
        InvalidSetting: an address that is none.
    """

    def __init__(
        self,
        coordinator: str = COORDINATOR,
        token: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        transport: httpx.AsyncBaseTransport | None = None,
        authorities: bytes | None = None,
    ) -> None:
        self._calls = Calls(coordinator, token, timeout_s, transport, authorities)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._calls.close()

    async def submit(
        self,
        recipe: Recipe | Mapping[str, Any],
        run_id: RunId | None = None,
        *,
        output_path: str | None = None,
        callback_url: str | None = None,
    ) -> RunId:
        """Submit a recipe as a job and return its run id, once the coordinator has stored it.

        Example:
            run_id = await kalla.submit(parse_recipe(text), output_path="s3://bucket/runs/march")

        Args:
            recipe: as `parse_recipe` returned it, or its document. Local paths are those of the
                coordinator's machine.
            run_id: a name that no other request has; a new one by default.
            output_path: where the evidence goes; below the staging path by default.
            callback_url: who is told of progress and the end.

        Raises:
            RecipeInvalid: with all faults that can be found without looking at the sources.
            JobConflict: another request has this run id.
            QueueFull: too many jobs wait; carries `retry_after_s`.
            CoordinatorUnavailable: it does not answer. The job may have been accepted: submit it
                again with the same run id.
        """
        body: dict[str, Any] = {"run_id": run_id or new_run_id(), "recipe": _document(recipe)}
        if output_path is not None:
            body["output_path"] = output_path
        if callback_url is not None:
            body["callback_url"] = callback_url
        answer = await self._calls.json("POST", "/api/jobs", body=body)
        return RunId(answer["run_id"])

    async def get(self, run_id: RunId) -> Job:
        """Return a job.

        Raises:
            JobNotFound: there is none of this id.
        """
        return job_of(await self._calls.json("GET", _path(run_id)))

    async def list(
        self, status: JobStatus | None = None, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """Return a page of jobs, newest first.

        Example:
            page = await kalla.list(JobStatus.FAILED)
            while page.cursor:
                page = await kalla.list(JobStatus.FAILED, cursor=page.cursor)

        Raises:
            InvalidSetting: the cursor is not one that a page gave.
        """
        query = {"status": status, "limit": limit, "cursor": cursor}
        return page_of(await self._calls.json("GET", "/api/jobs", query=query))

    async def watch(self, run_id: RunId, patience_s: float = PATIENCE_S) -> AsyncIterator[Job]:
        """Yield a job as it is and after each change; ends with its final state.

        A connection that breaks is made again, so the final state arrives even if the coordinator
        was started anew meanwhile. Changes that follow each other closely may come as one.

        Example:
            async for job in kalla.watch(run_id):
                print(job.stage, job.progress)

        Args:
            run_id: of the job.
            patience_s: how long to go on while the coordinator does not answer.

        Raises:
            JobNotFound: there is none of this id.
            CoordinatorUnavailable: it did not answer for so long.
        """
        seen: Job | None = None
        heard_at, failures = time.monotonic(), 0
        while seen is None or not seen.status.final:
            problem: KallaError | None = None
            try:
                async for job in self._events(run_id):
                    heard_at, failures = time.monotonic(), 0
                    if job != seen:
                        seen = job
                        yield job
                    if job.status.final:
                        return
            except _PASSING as error:
                problem = error
            if time.monotonic() - heard_at > patience_s:
                raise problem or CoordinatorUnavailable(
                    f"The coordinator at {self._calls.address} has told nothing of the job "
                    f"{run_id} for {patience_s:g} s.",
                    coordinator=self._calls.address,
                )
            await asyncio.sleep(pause_s(failures))
            failures += 1

    async def wait(self, run_id: RunId, patience_s: float = PATIENCE_S) -> Job:
        """Return a job once it has ended, however it did.

        Raises:
            JobNotFound, CoordinatorUnavailable: as `watch`.
        """
        last: Job | None = None
        async for job in self.watch(run_id, patience_s):
            last = job
        assert last is not None  # noqa: S101 - a watch ends with a final state
        return last

    async def cancel(self, run_id: RunId) -> Job:
        """Ask a job to stop; it may still be running when this returns.

        Raises:
            JobNotFound: there is none of this id.
            JobEnded: it has ended already.
        """
        return job_of(await self._calls.json("POST", f"{_path(run_id)}/cancel", again=False))

    async def metadata(self, run_id: RunId) -> dict[str, Any]:
        """Return the metadata.json of a job's evidence.

        Raises:
            JobEnded: the job has no evidence.
            EvidenceGone: it is no longer there.
        """
        return dict(await self._calls.json("GET", f"{_path(run_id)}/metadata"))

    async def why(
        self, run_id: RunId, key: Sequence[str], side: str | None = None
    ) -> dict[str, Any]:
        """Return what became of the rows with a key, and why, from the evidence of a job.

        Args:
            run_id: of the job.
            key: the primary key as somebody types it, a part for each of its columns.
            side: `left` or `right`; both by default.

        Raises:
            RowNotFound: no row has the key.
            JobEnded: the job has no evidence.
            EvidenceGone: it is no longer there.
        """
        query = {"key": list(key), "side": side}
        return dict(await self._calls.json("GET", f"{_path(run_id)}/why", query=query))

    async def fetch(self, run_id: RunId, folder: Path, *, overwrite: bool = False) -> RunMetadata:
        """Fetch the evidence of a job into a folder, all of it or nothing.

        Files arrive as they are and are checked by their SHA-256; metadata.json comes last.

        Example:
            metadata = await kalla.fetch(run_id, Path("out"))

        Args:
            run_id: of the job.
            folder: made if it is not there.
            overwrite: replace the evidence of another run.

        Raises:
            JobEnded: the job has no evidence.
            EvidenceGone: it is no longer there.
            OutputExists: the folder holds evidence of another run.
            SourceUnreadable: a file arrived damaged.
        """
        from kalla_core.client.download import fetch

        return await fetch(self._calls, run_id, folder, overwrite=overwrite)

    async def validate(self, recipe: Recipe | Mapping[str, Any]) -> dict[str, Any]:
        """Return what the coordinator finds wrong with a recipe and its sources.

        The answer has `valid`, `faults`, `warnings` and the columns of the `sources`.
        """
        return dict(await self._calls.json("POST", "/api/validate", body=_document(recipe)))

    async def explain(self, recipe: Recipe | Mapping[str, Any]) -> dict[str, Any]:
        """Return how the coordinator would run a recipe, and why so.

        Raises:
            RecipeInvalid: with all faults.
        """
        return dict(await self._calls.json("POST", "/api/explain", body=_document(recipe)))

    async def preview(
        self,
        uri: str,
        rows: int = 10,
        *,
        types: Mapping[str, str] | None = None,
        filters: Sequence[Mapping[str, Any]] = (),
        format: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return columns, types and first rows of a source that the coordinator reaches.

        `types`, `filters` and `format` are as those of a source in a recipe.

        Raises:
            KallaError: the source, a type, a filter or the format is wrong.
        """
        body = {
            "uri": uri,
            "rows": rows,
            "types": dict(types or {}),
            "filters": list(filters),
            "format": None if format is None else dict(format),
        }
        return dict(await self._calls.json("POST", "/api/sources/preview", body=body))

    async def infer(
        self,
        left: Mapping[str, Any],
        right: Mapping[str, Any],
        judged: Sequence[Mapping[str, Any]] = (),
        rows: int = 10,
    ) -> dict[str, Any]:
        """Return a recipe that the coordinator infers for two sources, tried on samples.

        Args:
            left, right: `{"alias", "uri"}`, with `types`, `filters` and `format` if need be.
            judged: pairs, `{"left": [KEY], "right": [KEY], "judgement": "yes"}`.
            rows: to show of each set of the trial.

        Raises:
            KallaError: a source cannot be read, the run on the samples failed.
        """
        body = {
            "sources": {"left": dict(left), "right": dict(right)},
            "judged": list(judged),
            "rows": rows,
        }
        return await self._proven("/api/infer", body)

    async def try_recipe(
        self,
        recipe: Recipe | Mapping[str, Any],
        judged: Sequence[Mapping[str, Any]] = (),
        rows: int = 10,
    ) -> dict[str, Any]:
        """Return what becomes of a recipe on samples of its sources; its arguments as of `infer`.

        Raises:
            RecipeInvalid: with all faults that are found without looking at the sources.
            KallaError: a source cannot be read, the run on the samples failed.
        """
        body = {"recipe": _document(recipe), "judged": list(judged), "rows": rows}
        return await self._proven("/api/try", body)

    async def _proven(self, path: str, body: object) -> dict[str, Any]:
        # Not again: it takes long, and what did not come in time would not the next time.
        answer = await self._calls.json("POST", path, again=False, body=body, timeout_s=PROVING_S)
        return dict(answer)

    async def executors(self) -> tuple[ExecutorInfo, ...]:
        """Return the executors that are registered."""
        answer = await self._calls.json("GET", "/api/executors")
        return tuple(executor_of(one) for one in answer["executors"])

    async def _events(self, run_id: RunId) -> AsyncIterator[Job]:
        path = f"{_path(run_id)}/events"
        async with self._calls.stream(path, "text/event-stream", _SILENCE_S) as answer:
            async for data in event_data(answer.aiter_lines()):
                yield job_of(json.loads(data))


def _path(run_id: RunId) -> str:
    return f"/api/jobs/{quote(run_id, safe='')}"


def _document(recipe: Recipe | Mapping[str, Any]) -> dict[str, Any]:
    if isinstance(recipe, Mapping):
        return dict(recipe)
    from kalla_core.recipe.write import to_document

    return to_document(recipe)
