"""The place of a cluster run's evidence: claimed, filled with what counts, and committed.

Claiming and committing wait for disks and stores, so they are done in threads.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from kalla_coordinator.cluster.gathered import OUTPUTS, output_of
from kalla_coordinator.cluster.holder_process import MERGING
from kalla_coordinator.jobs.host import RunOrder
from kalla_core.engine.budget import GIB
from kalla_core.engine.processes.children import Limits, running
from kalla_core.engine.processes.spawned import Start
from kalla_core.engine.programs import messages
from kalla_core.errors import Crashed, InvalidSetting
from kalla_core.evidence.collect import collect
from kalla_core.evidence.disk import disk_errors
from kalla_core.evidence.metadata import RunMetadata, WrittenFile
from kalla_core.evidence.output import Output, claim_output
from kalla_core.fragments.outcome import EvidencePart
from kalla_core.s3.location import S3Location, is_s3
from kalla_core.s3.multipart import PendingUpload

T = TypeVar("T")

_MERGE_BYTES = GIB


@asynccontextmanager
async def claimed(order: RunOrder, attempt: int) -> AsyncIterator[Output]:
    """Hold the place of a run's evidence.

    Raises:
        KallaError: as `claim_output` does.
    """
    claim = claim_output(order.output, order.run_id, order.overwrite, attempt)
    output = await _entered(claim)
    try:
        yield output
    finally:
        await asyncio.shield(asyncio.to_thread(claim.__exit__, None, None, None))


async def _entered(claim: AbstractContextManager[Output]) -> Output:
    """Enter a claim; who is cancelled meanwhile leaves it again."""
    entering = asyncio.ensure_future(asyncio.to_thread(claim.__enter__))
    try:
        return await asyncio.shield(entering)
    except asyncio.CancelledError:
        with suppress(Exception):
            await entering
            await asyncio.to_thread(claim.__exit__, None, None, None)
        raise


def put_nonce(output: Output, name: str, nonce: str) -> None:
    """Write the file by which executors show that they see the staging folder.

    Raises:
        OutOfDisk, OutputNotWritable: it cannot be written.
    """
    path = Path(output.parts) / name
    with disk_errors(path):
        path.write_text(nonce, encoding="utf-8")


def is_shared_folder(output: Output) -> bool:
    """Whether part files go to a folder, which all have to share."""
    return not is_s3(output.parts)


async def collected(output: Output, parts: Sequence[EvidencePart]) -> tuple[WrittenFile, ...]:
    """Take what counts out of what was written; return the files as they will be committed.

    An output of one part becomes a file of the output's own name, as a local run writes it. Who is
    cancelled meanwhile waits until nothing is moved any more.

    Raises:
        EvidenceDamaged: a part is not what its executor reported.
        OutOfDisk, OutputNotWritable: it cannot be moved.
    """
    return await _over(asyncio.to_thread(_collected, output, parts), threading.Event())


async def merge(
    output: Output, files: Sequence[WrittenFile], start: Start | None
) -> tuple[WrittenFile, ...]:
    """Make one file of each output that is in parts; return all files.

    Who is cancelled meanwhile stops it, and waits until nothing is written any more.

    Raises:
        InvalidSetting: the parts are in a bucket, where nothing can be put together.
        KallaError: as writing does.
    """
    stop = threading.Event()
    return await _over(asyncio.to_thread(_merge, output, files, start, stop), stop)


async def _over(work: Coroutine[Any, Any, T], stop: threading.Event) -> T:
    """Wait for work in a thread; who is cancelled meanwhile sets `stop`, and waits all the same."""
    working = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(working)
    except asyncio.CancelledError:
        stop.set()
        with suppress(Exception):
            await working
        raise


def _collected(output: Output, parts: Sequence[EvidencePart]) -> tuple[WrittenFile, ...]:
    if not is_shared_folder(output):
        output.adopt(_upload(output, part) for part in parts)
        return tuple(_written(part, part.name) for part in parts)
    collect(Path(output.parts), output.staging, [_written(part, part.name) for part in parts])
    with disk_errors(output.staging):
        by_output = {name: [p for p in parts if output_of(p) == name] for name in OUTPUTS}
        return tuple(
            file
            for name, found in by_output.items()
            for file in _files(output.staging, name, found)
        )


def _merge(
    output: Output, files: Sequence[WrittenFile], start: Start | None, stop: threading.Event
) -> tuple[WrittenFile, ...]:
    outputs: dict[str, list[str]] = {}
    for file in files:
        name, _, part = file.name.partition("/")
        if part:
            outputs.setdefault(name, []).append(file.name)
    if not outputs:
        return tuple(files)
    if not is_shared_folder(output):
        raise InvalidSetting(
            "single_file cannot be had from a cluster that writes to S3, where parts are uploaded "
            "by the executors: let the output be a folder, or the engine local."
        )
    order = {"staging": str(output.staging), "scratch": str(output.scratch), "outputs": outputs}
    made = {file.name: file for file in _merged(order, start, stop)}
    rest = {file.name: file for file in files if file.name in OUTPUTS}
    every = {**rest, **made}
    return tuple(every[name] for name in OUTPUTS if name in every)


async def commit(output: Output, metadata: RunMetadata) -> None:
    """Show the evidence; who is cancelled meanwhile waits until that is done.

    Raises:
        KallaError: nothing shows.
    """
    committing = asyncio.ensure_future(asyncio.to_thread(output.commit, metadata))
    while not committing.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(committing)
    committing.result()


def _merged(
    order: Mapping[str, object], start: Start | None, stop: threading.Event
) -> tuple[WrittenFile, ...]:
    with running(MERGING, Limits(_MERGE_BYTES, stop=stop), start=start) as child:
        for answer in child.ask(order):
            if answer["event"] == "error":
                raise messages.error(answer)
            return tuple(WrittenFile(**file) for file in answer["files"])
    raise Crashed("The process that merges part files ended without a word.")


def _upload(output: Output, part: EvidencePart) -> PendingUpload:
    key = S3Location.parse(output.parts).as_folder().below(part.name).key
    return PendingUpload(key, part.upload_id, part.part_etags, part.bytes)


def _files(staging: Path, name: str, parts: Sequence[EvidencePart]) -> list[WrittenFile]:
    if len(parts) != 1:
        return [_written(part, part.name) for part in parts]
    (part,) = parts
    aside = staging / f"{name}.part"
    os.rename(staging / part.name, aside)
    (staging / name).rmdir()
    os.rename(aside, staging / name)
    return [_written(part, name)]


def _written(part: EvidencePart, name: str) -> WrittenFile:
    return WrittenFile(name, part.rows, part.bytes, part.sha256)
