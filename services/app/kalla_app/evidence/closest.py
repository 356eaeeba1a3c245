"""The rows of the other side that came closest to an open one, and what kept them apart.

What `kalla why` tells of a row, brought side by side. Looking it up reads whole columns of keys,
so whoever asks waits only so long, and finds it when asking again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from kalla_app.evidence.abreast import (
    Column,
    Facing,
    Line,
    lines,
    pairs_of,
    plain,
    read_by,
    spelled,
)
from kalla_app.evidence.kept import Kept
from kalla_app.evidence.place import EvidencePlace
from kalla_app.store.runs import Run
from kalla_core.answers.compared import compared
from kalla_core.answers.money import in_matched, queries_of, source_columns, table_names
from kalla_core.answers.near_keys import NearKey, near_words
from kalla_core.answers.why.change import smallest_change
from kalla_core.answers.why.fate import Fate, why
from kalla_core.answers.why.partners import Candidate, Partner, Whereabouts
from kalla_core.answers.why.told import Failed
from kalla_core.answers.why.words import because, sentence
from kalla_core.errors import KallaError
from kalla_core.evidence.reader import Evidence, open_evidence
from kalla_core.evidence.schema import MATCH_RULE
from kalla_core.matching.sql.query import Side
from kalla_core.observe.logs import get_logger

MOST = 3
"""Rows that are shown beside one."""

_KEPT_BYTES = 4 << 20
_AT_ONCE = 2
_MOST_GOING = 32
_FAULTS = (KallaError, OSError, pa.ArrowException, ValueError, LookupError)


@dataclass(frozen=True, slots=True)
class Near:
    """A row that came close.

    Attributes:
        by: the pass that found it; None where there is one rule only.
        is_open: whether the run has left it open.
        matched_with: who has it, in words, some of them.
        apart: what kept the two from each other, in sentences.
        change: the end of a sentence: what would have matched them; None if that is not known.
    """

    key: str
    by: str | None
    is_open: bool
    matched_with: tuple[str, ...]
    apart: tuple[str, ...]
    change: str | None


@dataclass(frozen=True, slots=True)
class Closest:
    """What came closest to a row.

    Attributes:
        alias: of the other side.
        near: the closest first; none where `said` tells why.
        lines: fields, with the row's own cell and one of each of `near`.
    """

    alias: str
    near: tuple[Near, ...] = ()
    lines: tuple[Line, ...] = ()
    said: str = ""


class ClosestRows:
    """Asyncio."""

    def __init__(self, evidence: EvidencePlace) -> None:
        self._evidence = evidence
        self._kept = Kept[Closest](_KEPT_BYTES)
        self._going: dict[tuple[Path, str, str], asyncio.Task[Closest]] = {}
        self._turn = asyncio.Semaphore(_AT_ONCE)

    async def find(self, run: Run, side: str, key: str, within_s: float) -> Closest | None:
        """Return what came closest to an open row; None while it is looked for longer than that.

        What goes wrong is `said`, and raises nothing but where the run has no evidence.

        Raises:
            KallaError: the run has no evidence.
        """
        name = await self._evidence.folder(run), side, key
        found = self._kept.find(name)
        if found is not None:
            return found
        if name not in self._going:
            if len(self._going) >= _MOST_GOING:
                said = "Too many others look for the closest rows. Look again in a while."
                return Closest(side_named(side).other.word, said=said)
            task = asyncio.create_task(self._look(*name), name="closest")
            self._going[name] = task
        task = self._going[name]
        await asyncio.wait({task}, timeout=within_s)
        return task.result() if task.done() else None

    async def _look(self, folder: Path, side: str, key: str) -> Closest:
        name = folder, side, key
        try:
            async with self._turn:
                found = await asyncio.to_thread(closest, folder, side_named(side), key)
            self._kept.keep(name, found, 2 * len(repr(found)))
        except _FAULTS as error:
            get_logger().warning("closest_failed", side=side, error=type(error).__name__)
            told = error.message.splitlines()[0] if isinstance(error, KallaError) else ""
            said = f"What came closest cannot be told. {told}".rstrip()
            return Closest(side_named(side).other.word, said=said)
        else:
            return found
        finally:
            del self._going[name]


def side_named(word: str) -> Side:
    """Return a side by its word, `left` or `right`."""
    return Side.LEFT if word == Side.LEFT.word else Side.RIGHT


def closest(folder: Path, side: Side, key: str) -> Closest:
    """Return what came closest to an open row. Blocking.

    Raises:
        KallaError, OSError, pa.ArrowException: the evidence cannot be read, or has no such row.
    """
    with open_evidence(folder) as evidence:
        answer = why(evidence, [key], side)
        fate = answer.fates[0]
        alias = answer.aliases[side.other]
        found = _Found(evidence, side).of(fate)
        if not found or not fate.open:
            return Closest(alias, said=_nobody(fate, alias))
        return _abreast(evidence, fate, answer.aliases, found)


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A row that came close, before it is shown."""

    there: Candidate
    failed: tuple[Failed, ...]
    detail: str
    change: str | None
    near: NearKey | None = None
    by: str | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """Finds the rows that came close, each once."""

    evidence: Evidence
    side: Side
    _by_key: dict[str, _Candidate] = field(default_factory=dict)

    def of(self, fate: Fate) -> tuple[_Candidate, ...]:
        """Return the closest, those that the run names first, and then rivals and suggestions."""
        for one in (*_told(fate), *self._paired(fate)):
            known = self._by_key.setdefault(one.there.key, one)
            if known.by is None and one.by is not None and known.detail == one.detail:
                self._by_key[one.there.key] = replace(known, by=one.by)
        return tuple(self._by_key.values())[:MOST]

    def _paired(self, fate: Fate) -> Iterator[_Candidate]:
        some = [("suggested", one) for one in fate.suggested]
        some += [("ambiguous", one) for one in fate.rivals]
        wanted = [(reason, one) for reason, one in some if one.key is not None]
        new = (one.key for _, one in wanted if one.key and one.key not in self._by_key)
        keys = list(dict.fromkeys(new))[: max(0, MOST - len(self._by_key))]
        if not keys:
            return
        rows, other = Whereabouts(self.evidence), self.side.other
        rows.look_up(other, keys)
        for reason, one in wanted:
            if one.key in keys:
                detail, change = f"{because(reason).capitalize()}.", smallest_change(reason, ())
                by = None if one.rule == MATCH_RULE else one.rule
                yield _Candidate(rows.candidate(other, one.key), (), detail, change, by=by)


def _told(fate: Fate) -> Iterator[_Candidate]:
    """Yield the candidates that the run names, of all passes together, and then of each."""
    for row in fate.open[:1]:
        if row.candidate is not None:
            yield _Candidate(row.candidate, row.failed, row.detail, row.change, row.near)
    for one in fate.attempts:
        if one.closest is not None:
            found = one.closest, one.failed, one.detail, one.change, one.near
            yield _Candidate(*found, one.name)


def _nobody(fate: Fate, alias: str) -> str:
    if not fate.open:
        return f"No other row of {alias} came close to what is left of it."
    row = fate.open[0]
    change = "" if row.change is None else f" What would have matched it: {row.change}"
    return f"No row of {alias} came close: {because(row.reason)}.{change}"


def _abreast(
    evidence: Evidence, fate: Fate, aliases: Mapping[Side, str], found: Sequence[_Candidate]
) -> Closest:
    side = fate.side
    schemas = {one: source_columns(evidence, one) for one in Side}
    names = spelled(aliases, schemas)
    recipe = evidence.metadata.recipe
    columns = {one: schemas[one].names for one in Side}
    written = compared(queries_of(recipe), table_names(recipe), columns)
    failed = (condition for one in found for condition in one.failed)
    pairs = tuple(dict.fromkeys([*written, *pairs_of(failed, names)]))
    there = in_matched(evidence, side.other)
    facing = []
    for one in found:
        read = read_by(one.failed, names)
        told = {name: plain(value) for (its, name), value in read.items() if its is side.other}
        failing = {*read}
        if one.near is not None:
            failing |= {(side.other, one.near.part), *_facing(side, one.near.part, pairs)}
        facing.append(Facing(_row_of(one.there, there, told), failing))
    shown = lines(side, schemas, pairs, fate.open[0].row, facing)
    return Closest(aliases[side.other], tuple(map(_near, found)), shown)


def _facing(side: Side, its: str, pairs: Sequence[tuple[str, str]]) -> Iterator[Column]:
    """Yield the columns of a side that belong to one of the other."""
    for left, right in pairs:
        own, other = (left, right) if side is Side.LEFT else (right, left)
        if other == its:
            yield side, own


def _row_of(
    candidate: Candidate, there: Mapping[str, str], told: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Return what evidence has of a row: of one that is matched, what the match SQL selects.

    Args:
        there: what columns are called in `matched`.
        told: what a sentence tells of it.
    """
    if candidate.row or not candidate.taken_by:
        return candidate.row or told
    pair = candidate.taken_by[0].columns
    return {**told, **{name: pair[its] for name, its in there.items() if its in pair}}


def _near(one: _Candidate) -> Near:
    failed = tuple(f"{sentence(condition)}." for condition in one.failed)
    apart = failed or ((one.detail,) if one.detail else ())
    if one.near is not None:
        apart = (f"{near_words(one.near)}.",)
    matched = tuple(map(_taker, one.there.taken_by[:MOST]))
    return Near(one.there.key, one.by, one.there.unmatched, matched, apart, one.change)


def _taker(partner: Partner) -> str:
    name = partner.key if partner.key is not None else f"the group {partner.group}"
    return name if partner.rule == MATCH_RULE else f"{name} by {partner.rule}"
