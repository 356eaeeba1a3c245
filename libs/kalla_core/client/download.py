"""Evidence from a coordinator into a folder: checked file by file, committed at the end."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from kalla_core.client.calls import TRIES, Calls, pause_s
from kalla_core.errors import CoordinatorUnavailable, SourceUnreadable
from kalla_core.evidence.folder import OutputFolder
from kalla_core.evidence.metadata import MetadataError, RunMetadata, WrittenFile, from_json
from kalla_core.ids import RunId

_PIECE_BYTES = 1 << 20


async def fetch(calls: Calls, run_id: RunId, folder: Path, *, overwrite: bool) -> RunMetadata:
    """Fetch the evidence of a job into a folder; see `Client.fetch`."""
    claim = OutputFolder.claim(folder, run_id, overwrite)
    output = await asyncio.to_thread(claim.__enter__)
    try:
        metadata = await download(calls, run_id, output.staging)
        await asyncio.to_thread(output.commit, metadata)
    except BaseException as error:
        await asyncio.to_thread(claim.__exit__, type(error), error, error.__traceback__)
        raise
    await asyncio.to_thread(claim.__exit__, None, None, None)
    return metadata


async def download(calls: Calls, run_id: RunId, staging: Path) -> RunMetadata:
    """Fetch all files of a job's evidence but metadata.json; return what that is to say.

    Raises:
        SourceUnreadable: a file arrived damaged, or the metadata is none.
        KallaError: what the coordinator says.
    """
    job = f"/api/jobs/{quote(run_id, safe='')}"
    document = await calls.json("GET", f"{job}/metadata")
    try:
        metadata = from_json(document)
    except MetadataError as error:
        raise SourceUnreadable(f"The metadata of the run {run_id} is damaged: {error}.") from error
    for file in metadata.files:
        await _fetch_file(calls, f"{job}/files/{quote(file.name)}", file, staging)
    return metadata


async def _fetch_file(calls: Calls, path: str, file: WrittenFile, staging: Path) -> None:
    target = staging / _inside(file.name)
    target.parent.mkdir(exist_ok=True)
    for number in range(TRIES):
        try:
            await _try_file(calls, path, file, target)
        except CoordinatorUnavailable:
            if number == TRIES - 1:
                raise
            await asyncio.sleep(pause_s(number))
        else:
            return


async def _try_file(calls: Calls, path: str, file: WrittenFile, target: Path) -> None:
    digest, size = hashlib.sha256(), 0
    with await asyncio.to_thread(target.open, "wb") as out:
        async with calls.stream(path, "*/*") as answer:
            async for piece in answer.aiter_bytes(_PIECE_BYTES):
                digest.update(piece)
                size += len(piece)
                await asyncio.to_thread(out.write, piece)
    if size != file.bytes or digest.hexdigest() != file.sha256:
        raise SourceUnreadable(
            f"The evidence file {file.name} arrived damaged: it has {size} bytes, not {file.bytes},"
            " or another SHA-256.",
            path=file.name,
        )


def _inside(name: str) -> PurePosixPath:
    """Return a file's name, which must not lead out of the folder."""
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or len(path.parts) not in (1, 2):
        raise SourceUnreadable(f"The evidence names a file {name!r}, which cannot be.", path=name)
    return path
