"""The evidence of jobs for callers: opened once, and streamed within the budget of all results."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from kalla_coordinator.api.budget import Claim
from kalla_coordinator.api.context import Api, known_id
from kalla_coordinator.api.results import EvidenceSet, demand, open_results, streaming_bytes
from kalla_core.answers.encode import Format, encoded
from kalla_core.answers.report.gather import gather
from kalla_core.answers.report.page import page
from kalla_core.answers.report.sheets import workbook
from kalla_core.answers.why.fate import side_of, why
from kalla_core.answers.why.words import answer_json
from kalla_core.errors import EvidenceGone
from kalla_core.evidence.metadata import WrittenFile, to_json
from kalla_core.evidence.reader import Evidence
from kalla_core.serving.streams import in_threads

T = TypeVar("T")

Pieces = AsyncGenerator[bytes, None]

_PIECE_BYTES = 1 << 20
_REPORT_BYTES = 64 << 20


class Reading:
    """What can be asked of the evidence of a job. Asyncio.

    Every method raises `JobNotFound`, `JobEnded` for a job that has not succeeded, `EvidenceGone`
    and, but for `metadata`, `ResultsBusy` where there is no memory for it in time.
    """

    def __init__(self, api: Api) -> None:
        self._api = api

    async def metadata(self, run_id: str) -> Mapping[str, Any]:
        """Return the metadata.json."""
        evidence = await self._opened(run_id)
        try:
            return to_json(evidence.metadata)
        finally:
            await self._in_thread(evidence.close)

    async def rows(
        self, run_id: str, which: EvidenceSet, chosen: Format, limit: int | None
    ) -> Pieces:
        """Return the rows of an output in some format."""
        evidence = await self._opened(run_id)
        await self._demand(evidence, lambda: demand(evidence, which))

        def pieces(claim: Claim) -> Iterator[bytes]:
            batches = evidence.batches(which.output, limit, claim)
            return encoded(chosen, evidence.schema(which.output), batches, which.value)

        return await self._streamed(evidence, pieces, streaming_bytes(evidence, which))

    async def file(self, run_id: str, name: str) -> tuple[WrittenFile, Pieces]:
        """Return a file as the metadata lists it, and its bytes."""
        evidence = await self._opened(run_id)
        listed = {file.name: file for file in evidence.metadata.files}

        def known() -> None:
            if name not in listed:
                raise EvidenceGone(
                    f"The evidence has no file {name!r}; it has {', '.join(listed)}."
                )

        await self._demand(evidence, known)
        pieces = await self._streamed(
            evidence, lambda _: _bytes_of(evidence, name), 2 * _PIECE_BYTES
        )
        return listed[name], pieces

    async def report(self, run_id: str, form: str) -> Pieces:
        """Return the report of a run, `html` or `xlsx`."""
        evidence = await self._opened(run_id)

        def pieces(_: Claim) -> Iterator[bytes]:
            report = gather(evidence, run_id)
            yield from page(report) if form == "html" else workbook(evidence, report)

        wanted = sum(evidence.reading_bytes(output) for output in evidence.outputs)
        return await self._streamed(evidence, pieces, wanted + _REPORT_BYTES)

    async def why(self, run_id: str, key: Sequence[str], side: str | None) -> dict[str, Any]:
        """Return the fate of the rows with a key."""
        evidence = await self._opened(run_id)

        def answer() -> dict[str, Any]:
            with evidence:
                return answer_json(why(evidence, key, side_of(side)))

        wanted = max(evidence.reading_bytes(output) for output in evidence.outputs)
        claim = await self._claimed(evidence, wanted)
        try:
            return await self._in_thread(answer)
        finally:
            claim.release()

    async def _opened(self, run_id: str) -> Evidence:
        job = await self._api.service.get(known_id(run_id))
        return await self._in_thread(lambda: open_results(job))

    async def _demand(self, evidence: Evidence, check: Callable[[], None]) -> None:
        try:
            check()
        except EvidenceGone:
            await self._in_thread(evidence.close)
            raise

    async def _streamed(
        self, evidence: Evidence, make: Callable[[Claim], Iterator[bytes]], wanted_bytes: int
    ) -> Pieces:
        """Return the pieces of evidence once there is memory for them; it is closed at the end."""
        claim = await self._claimed(evidence, wanted_bytes)

        def close() -> None:
            evidence.close()
            claim.release()

        return await in_threads(self._api.readers, make(claim), close)

    async def _claimed(self, evidence: Evidence, wanted_bytes: int) -> Claim:
        try:
            return await self._api.budget.wait_for_turn(wanted_bytes)
        except BaseException:
            evidence.close()
            raise

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._api.readers, work)


def _bytes_of(evidence: Evidence, name: str) -> Iterator[bytes]:
    with evidence.raw(name) as file:
        while piece := file.read(_PIECE_BYTES):
            yield bytes(piece)
