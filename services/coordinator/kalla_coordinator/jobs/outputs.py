"""Whose the outputs of runs are: who may read them again, and put others in their place.

An output belongs to the token that submitted its job. It is known by its place: the real path of a
folder, or `s3://bucket/prefix` without a slash at its end. To it belongs what is called there as
evidence is, and all below that; whatever else lies around is nobody's, or whoever names the folder
of all sources as an output would shut others out of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePath, PurePosixPath
from typing import Protocol, TypeVar

from kalla_coordinator.jobs.caller import Caller
from kalla_core.errors import NotAllowed, SourceUnavailable
from kalla_core.evidence.names import FINAL_NAMES, METADATA
from kalla_core.evidence.s3_claim import CLAIM
from kalla_core.recipe.job import JobRequest
from kalla_core.s3.location import SCHEME, S3Location, is_s3
from kalla_core.sources.paths import may_mean

T = TypeVar("T")
Owners = Mapping[str, Collection[str]]
"""The tokens that made outputs, by place."""

PATIENCE_S = 10.0
_OF_EVIDENCE = frozenset({*FINAL_NAMES, PurePosixPath(CLAIM).parts[0]})
_THREADS = 32


@dataclass(frozen=True, slots=True)
class Reach:
    """What a source that is a folder, or has stars, reads below the place that it starts at.

    Attributes:
        base: that place, with a slash at its end.
        segments: see `paths.segments_of`; none for a folder.
    """

    base: str
    segments: tuple[str, ...] = ()

    def reads(self, place: str) -> bool:
        """Return whether it would read of evidence that lies at a place."""
        if not place.startswith(self.base):
            return False
        folders = place[len(self.base) :].split("/")
        return any(
            may_mean(folders, name, self.segments)
            if name == METADATA
            else may_mean([*folders, name], PurePath(name).suffix, self.segments)
            for name in FINAL_NAMES
        )


@dataclass(frozen=True, slots=True)
class Lying:
    """Where a source lies.

    Attributes:
        uri: as it was written.
        places: of all outputs that it would belong to.
        run: folder of the run whose evidence it lies in; None if it lies in none.
        reach: what it reads below; None for one file.
    """

    uri: str
    places: tuple[str, ...]
    run: str | None = None
    reach: Reach | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a job may do.

    Attributes:
        output: where its evidence goes.
        reads: folders of other runs that it may read.
    """

    output: str
    reads: tuple[str, ...]


class Bounds(Protocol):
    """What requests may name; all of it may look at files, and so may hang."""

    def check(self, request: JobRequest) -> tuple[Lying, ...]:
        """Refuse what no caller may name; return where the sources lie."""
        ...

    def check_sources(self, uris: Iterable[str]) -> tuple[Lying, ...]:
        """Do the same for sources alone."""
        ...

    def output(self, request: JobRequest) -> str:
        """Return where the evidence of a job goes."""
        ...


class KnowsOwners(Protocol):
    """Remembers who made what."""

    async def owners(self, places: Collection[str], below: Collection[str] = ()) -> Owners:
        """Return who made the outputs that lie in these very places, or below others."""
        ...


class Outputs:
    """Decides what callers may read and write. Asyncio, one event loop."""

    def __init__(self, allowed: Bounds, known: KnowsOwners, patience_s: float = PATIENCE_S) -> None:
        self._allowed = allowed
        self._known = known
        self._patience_s = patience_s
        self._pool = ThreadPoolExecutor(_THREADS, "kalla-paths")

    async def terms(self, request: JobRequest, caller: Caller) -> Terms:
        """Return what a job may do.

        Raises:
            NotAllowed: what it names is another's, or beyond what the coordinator allows.
            InvalidUri: what it names cannot be.
            SourceUnavailable: where a path leads cannot be found out.
        """
        lying = await self._looked(lambda: self._allowed.check(request))
        output = await self._looked(lambda: self._allowed.output(request))
        if caller.everybody:
            return Terms(output, _runs(lying))
        taken = places_with(output)
        owners = await self._owners(lying, taken)
        for one in lying:
            _demand_own(one, owners, caller)
        if _others(taken, owners, caller):
            raise NotAllowed(
                f"The output {output} is that of a run that another token submitted.", path=output
            )
        return Terms(output, _runs(lying))

    async def readable(self, uris: Iterable[str], caller: Caller) -> tuple[str, ...]:
        """Return the folders of runs that sources lie in, all of which may be read.

        Raises: as `terms`.
        """
        wanted = tuple(uris)
        lying = await self._looked(lambda: self._allowed.check_sources(wanted))
        if not caller.everybody:
            owners = await self._owners(lying)
            for one in lying:
                _demand_own(one, owners, caller)
        return _runs(lying)

    def close(self) -> None:
        """Let go of the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _owners(self, lying: Collection[Lying], taken: Iterable[str] = ()) -> Owners:
        places = {place for one in lying for place in one.places}.union(taken)
        below = {one.reach.base for one in lying if one.reach is not None}
        return await self._known.owners(places, below)

    async def _looked(self, look: Callable[[], T]) -> T:
        """Look where paths lead: on a file system that hangs, only who asks for it waits."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._patience_s):
                return await loop.run_in_executor(self._pool, look)
        except TimeoutError:
            raise SourceUnavailable(
                "Where the paths of the request lead could not be found out within "
                f"{self._patience_s:g} seconds: a file system does not answer."
            ) from None


def place_of(output: str) -> str:
    """Return the place of an output."""
    return places_around(output)[0]


def places_around(output: str) -> tuple[str, ...]:
    """Return the place of an output or a source, and all that it lies in."""
    if not is_s3(output):
        path = PurePosixPath(output)
        return tuple(str(one) for one in (path, *path.parents))
    where = S3Location.parse(output)
    key = where.key.removesuffix("/")
    ends = [len(key), *(at for at in reversed(range(len(key))) if key[at] == "/"), 0]
    bucket = f"{SCHEME}{where.bucket}"
    return tuple(dict.fromkeys(f"{bucket}/{key[:end]}" if end else bucket for end in ends))


def places_with(target: str) -> tuple[str, ...]:
    """Return the places of the outputs that something would belong to; its own first."""
    around = places_around(target)
    of_evidence = (
        outer
        for inner, outer in pairwise(around)
        if inner.removeprefix(outer).strip("/") in _OF_EVIDENCE
    )
    return (around[0], *of_evidence)


def _demand_own(lying: Lying, owners: Owners, caller: Caller) -> None:
    known = any(owners.get(place) for place in lying.places)
    if _others(lying.places, owners, caller) or (lying.run is not None and not known):
        raise NotAllowed(
            f"The source {lying.uri} is evidence of a run that another token submitted.",
            uri=lying.uri,
        )
    reach = lying.reach
    if reach is not None and _others(filter(reach.reads, owners), owners, caller):
        raise NotAllowed(
            f"The source {lying.uri} has below it evidence of a run that another token submitted.",
            uri=lying.uri,
        )


def _others(places: Iterable[str], owners: Owners, caller: Caller) -> bool:
    return any(name != caller.name for place in places for name in owners.get(place, ()))


def _runs(lying: Iterable[Lying]) -> tuple[str, ...]:
    return tuple(sorted({one.run for one in lying if one.run is not None}))
