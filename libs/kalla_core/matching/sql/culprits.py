"""Which part of a statement it is that DataFusion does not plan, where it does not say so.

Operations and calls are taken out of the text in turn, with what they are made of left in. The
outermost one without which the statement plans is the culprit: the parts of it do so without it,
and whatever it is part of does not plan with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kalla_core.errors import InvalidSql
from kalla_core.matching.sql.grouping import operands_of
from kalla_core.matching.sql.lexer import Token, tokenize
from kalla_core.matching.sql.sites import call_sites
from kalla_core.matching.sql.text import Splice, original_offset, spliced

MAX_PARTS = 200
"""Of larger statements no culprit is looked for."""

Refusal = Callable[[str], str | None]
"""What DataFusion says to a statement; None if it plans."""

_Range = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Culprit:
    """A part of a statement: its text as the user wrote it, and where that begins."""

    text: str
    offset: int


def culprit(sql: str, splices: Sequence[Splice], message: str, refusal: Refusal) -> Culprit | None:
    """Return the part of a statement that DataFusion refuses with `message`, None if none is found.

    Args:
        sql: the user's text.
        splices: what was put into it.
        message: DataFusion's own.
        refusal: asks DataFusion.
    """
    text = spliced(sql, splices)
    tokens = tokenize(text)
    # What only cannot be run is looked for from within: around it the optimiser takes it away.
    inner = -1 if _NOT_RUN in message else 1
    parts = sorted(
        _parts(text, tokens), key=lambda part: (inner * (part[0][0] - part[0][1]), part[0][0])
    )
    if len(parts) > MAX_PARTS:
        return None
    others = []
    for place, operands in parts:
        left = _without(text, tokens, place, operands, refusal)
        if left is None:
            return _found(sql, splices, tokens, place)
        if left != message and not left.startswith(_UNREADABLE):
            others.append(place)
    return _found(sql, splices, tokens, others[0]) if others else None


_NOT_RUN = "Physical plan does not support"
_UNREADABLE = ("SQL error: ParserError", "DataFusion error: SQL error: ParserError")


def _parts(text: str, tokens: Sequence[Token]) -> Iterator[tuple[_Range, Sequence[_Range]]]:
    """Yield tokens of operations and calls, and of what each is made of."""
    try:
        yield from operands_of(text, tokens)
    except InvalidSql:
        return
    names = {token.start: at for at, token in enumerate(tokens)}
    for site in call_sites(tokens):
        if not site.name.word("any", "all", "some"):
            yield (names[site.name.start], site.end), site.arguments


def _without(
    text: str, tokens: Sequence[Token], place: _Range, operands: Sequence[_Range], refusal: Refusal
) -> str | None:
    """Return what DataFusion says when NULL stands for a part, one that evaluates its operands."""
    start, end = tokens[place[0]].start, tokens[place[1] - 1].end
    kept = [text[tokens[a].start : tokens[b - 1].end] for a, b in operands if a < b]
    kinds = ["CASE " + " ".join(f"WHEN ({one}) IS NULL THEN NULL" for one in kept) + " END"]
    said: str | None = None
    for stand_in in (*kinds[: len(kept)], "NULL"):
        said = refusal(f"{text[:start]}{stand_in}{text[end:]}")
        if said is None or not said.startswith(_UNREADABLE):
            break
    return said


def _found(sql: str, splices: Sequence[Splice], tokens: Sequence[Token], place: _Range) -> Culprit:
    start = original_offset(splices, tokens[place[0]].start)
    end = original_offset(splices, tokens[place[1] - 1].end)
    return Culprit(" ".join(sql[start:end].split()), start)
