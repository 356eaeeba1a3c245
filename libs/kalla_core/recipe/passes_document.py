"""The JSON of cardinality, passes, control totals and compared columns; see `passes`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal, TypedDict

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer
from pydantic_core import PydanticCustomError

from kalla_core.recipe.fields import Sql, Strict, Text, at_most
from kalla_core.recipe.passes import (
    UNNAMED,
    USUAL_CANDIDATES,
    USUAL_ITEMS,
    Accept,
    Amounts,
    Balance,
    Cardinality,
    Choose,
    Compared,
    Days,
    OneSide,
    OnTie,
    Pass,
    PassKind,
    RankTerm,
    SqlPass,
    SubsetSumPass,
)

MAX_PASSES = 32
MAX_RANK = 16
MAX_COMPARED = 1000
MAX_BLOCK = 16
MAX_ITEMS = 20
MAX_CANDIDATES = 40
MAX_DAYS = 36_525
_DIRECTIONS = {"asc": False, "desc": True}


def _wrong(reason: str) -> PydanticCustomError:
    return PydanticCustomError("invalid_passes", "{reason}", {"reason": reason})


def _decimal(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise _wrong('Must be a number of 0 or more, as "0.01".')
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        raise _wrong(f'Must be a number of 0 or more, as "0.01", not `{value}`.') from None
    if not number.is_finite() or number < 0:
        raise _wrong(f'Must be a number of 0 or more, as "0.01", not `{value}`.')
    if len(number.as_tuple().digits) > 38 or abs(number.adjusted()) > 38:
        raise _wrong("Takes 38 digits at most.")
    return number


def _rank(text: str) -> str:
    rank_term(text)
    return text


def rank_term(text: str) -> RankTerm:
    """Return a term of `rank`: a column, and `asc` or `desc` behind it, any case.

    A name in double quotes may have blanks, or be one of these words.
    """
    words = text.strip()
    if words.startswith('"'):
        name, closed, rest = words[1:].partition('"')
        if not closed:
            raise _wrong(f"`{text}` does not close the quote of its column.")
    else:
        name, _, rest = words.partition(" ")
    direction = rest.strip().lower() or "asc"
    if not name.strip() or direction not in _DIRECTIONS:
        raise _wrong(f"Must be a column, and asc or desc behind it if need be; not `{text}`.")
    return RankTerm(name, _DIRECTIONS[direction])


def rank_text(term: RankTerm) -> str:
    """Return what `rank_term` reads."""
    plain = " " not in term.column and not term.column.startswith('"')
    name = term.column if plain else json.dumps(term.column, ensure_ascii=False)
    return f"{name} desc" if term.descending else name


def _pair(value: object) -> object:
    match value:
        case [str(), str()]:
            return list(value)
        case _:
            raise _wrong('Must be a column of the left and one of the right: ["left", "right"].')


def _between(value: object) -> object:
    match value:
        case [int(least), int(most)] if least <= most and bool not in (type(least), type(most)):
            if max(abs(least), abs(most)) > MAX_DAYS:
                raise _wrong(f"Takes {MAX_DAYS} days at most.")
            return [least, most]
        case _:
            raise _wrong("Must be the fewest days and the most: [0, 60].")


Amount = Annotated[
    Decimal,
    Field(strict=False),
    BeforeValidator(_decimal, json_schema_input_type=str | float),
    PlainSerializer(str),
]
RankTexts = Annotated[list[Annotated[Text, AfterValidator(_rank)]], at_most(MAX_RANK)]
ColumnPair = Annotated[list[Text], BeforeValidator(_pair), Field(min_length=2, max_length=2)]
Between = Annotated[list[int], BeforeValidator(_between), Field(min_length=2, max_length=2)]
Share = Annotated[float, Field(ge=0, le=1)]
CardinalityWord = Annotated[Cardinality, Field(strict=False)]
ChooseWord = Annotated[Choose, Field(strict=False)]
OnTieWord = Annotated[OnTie, Field(strict=False)]
AcceptWord = Annotated[Accept, Field(strict=False)]
KindWord = Annotated[PassKind, Field(strict=False)]
SideWord = Annotated[OneSide, Field(strict=False)]


class RestDocument(Strict):
    """What is left of rows that are matched in part."""

    tolerance: Amount | None = Field(
        default=None, description="What may be missing of a row that counts as settled; 0."
    )


class RulesDocument(Strict):
    """What a pass says of its candidates, and a recipe without passes of its own."""

    cardinality: CardinalityWord | None = Field(
        default=None, description="How many partners a row may have, left to right; N:M by default."
    )
    rank: RankTexts | None = Field(
        default=None,
        description="Output columns that order candidates, best first; `desc` for the largest.",
    )
    choose: ChooseWord | None = Field(
        default=None, description="Which candidates are matches: all for N:M, else best by default."
    )
    on_tie: OnTieWord | None = Field(
        default=None, description="What becomes of candidates that compete with equal rank; hold."
    )
    margin: Amount | None = Field(
        default=None,
        description="By how much the best must beat the next in the first rank column.",
    )
    rest: RestDocument | None = Field(
        default=None,
        description="What a match's `amounts` differ by stays open on the row that has more.",
    )


class BalanceDocument(Strict):
    """Sums that agree in a group."""

    left: Text
    right: Text
    tolerance: Amount | None = None


class DaysDocument(Strict):
    """A window of days from a column of the left to one of the right."""

    columns: ColumnPair
    between: Between


class PassDocument(RulesDocument):
    """One pass; which fields go together is for `pass_checks` to say."""

    name: Text
    kind: KindWord | None = Field(default=None, description="match_sql by default.")
    match_sql: Sql | None = None
    match_sql_file: Text | None = None
    accept: AcceptWord | None = Field(
        default=None, description="auto: its matches are consumed; suggest: they are proposed."
    )
    confidence: Share | None = None
    group_by: Literal["component"] | None = None
    balance: BalanceDocument | None = None
    one: SideWord | None = None
    block: Annotated[list[ColumnPair], at_most(MAX_BLOCK)] | None = None
    amount: ColumnPair | None = None
    tolerance: Amount | None = None
    days: DaysDocument | None = None
    max_items: Annotated[int, Field(ge=1, le=MAX_ITEMS)] | None = None
    max_candidates: Annotated[int, Field(ge=1, le=MAX_CANDIDATES)] | None = None


class AmountsDocument(Strict):
    """The columns that control totals are of."""

    left: Text
    right: Text
    currency: ColumnPair | None = None


class ComparedDocument(Strict):
    """Two columns that should be equal in a match."""

    left: Text
    right: Text
    tolerance: Amount | None = None


class ReconcilingDocument(RulesDocument):
    """What recipes, and job requests in parts, say besides their sources and options."""

    match_sql: Sql | None = Field(default=None, description="When two rows match; or passes.")
    match_sql_file: Text | None = Field(
        default=None,
        description="A file with it, relative to the recipe; only where the recipe is a file.",
    )
    passes: Annotated[list[PassDocument], at_most(MAX_PASSES)] | None = Field(
        default=None, description="Rules in order, each over the rows that no earlier one consumed."
    )
    amounts: AmountsDocument | None = None
    compare: Annotated[list[ComparedDocument], at_most(MAX_COMPARED)] | None = None


def passes_of(document: ReconcilingDocument) -> tuple[Pass, ...]:
    """Return the passes of a document without faults; none where it is a plain join."""
    if document.passes is not None:
        return tuple(_pass(one, document.amounts) for one in document.passes)
    said = (document.cardinality, document.rank, document.choose, document.on_tie, document.margin)
    if all(one is None for one in (*said, document.rest)):
        return ()
    return (_sql_pass(document, UNNAMED, document.match_sql or "", document.amounts),)


class Rules(TypedDict):
    """The fields of a recipe that a `ReconcilingDocument` says."""

    match_sql: str
    passes: tuple[Pass, ...]
    amounts: Amounts | None
    compared: tuple[Compared, ...]


def rules_of(document: ReconcilingDocument) -> Rules:
    """Return what a document without faults says of matching."""
    passes = passes_of(document)
    by_sql = [one.sql for one in passes if isinstance(one, SqlPass)]
    first = next(iter((*by_sql, *(one.sql for one in passes))), "")
    return Rules(
        match_sql=document.match_sql or first,
        passes=passes,
        amounts=amounts_of(document),
        compared=compared_of(document),
    )


def amounts_of(document: ReconcilingDocument) -> Amounts | None:
    """Return the columns of the control totals."""
    said = document.amounts
    if said is None:
        return None
    return Amounts(said.left, said.right, _two(said.currency) if said.currency else None)


def compared_of(document: ReconcilingDocument) -> tuple[Compared, ...]:
    """Return the columns that are compared."""
    return tuple(Compared(one.left, one.right, one.tolerance) for one in document.compare or ())


def _pass(document: PassDocument, amounts: AmountsDocument | None) -> Pass:
    if document.kind is PassKind.SUBSET_SUM:
        return _subset_sum(document)
    return _sql_pass(document, document.name, document.match_sql or "", amounts)


def _sql_pass(
    document: RulesDocument, name: str, sql: str, amounts: AmountsDocument | None
) -> SqlPass:
    cardinality = document.cardinality or Cardinality.MANY_TO_MANY
    usual = Choose.ALL if cardinality is Cardinality.MANY_TO_MANY else Choose.BEST
    mine = document if isinstance(document, PassDocument) else PassDocument(name=name)
    return SqlPass(
        name=name,
        sql=sql,
        cardinality=cardinality,
        rank=tuple(map(rank_term, document.rank or ())),
        choose=document.choose or usual,
        on_tie=document.on_tie or OnTie.HOLD,
        margin=document.margin,
        accept=mine.accept or Accept.AUTO,
        confidence=1.0 if mine.confidence is None else mine.confidence,
        balance=_balance(mine, amounts),
        rest=_rest(document),
    )


def _balance(document: PassDocument, amounts: AmountsDocument | None) -> Balance | None:
    """Return the sums of groups; of those that may leave a rest, what control totals are of."""
    said, rest = document.balance, _rest(document)
    if said is not None:
        return Balance(said.left, said.right, said.tolerance or Decimal(0))
    if document.group_by is None or rest is None or amounts is None:
        return None
    return Balance(amounts.left, amounts.right, rest)


def _rest(document: RulesDocument) -> Decimal | None:
    return None if document.rest is None else document.rest.tolerance or Decimal(0)


def _subset_sum(document: PassDocument) -> SubsetSumPass:
    days = document.days
    return SubsetSumPass(
        name=document.name,
        one=document.one or OneSide.RIGHT,
        block=tuple(map(_two, document.block or ())),
        amount=_two(document.amount or ()),
        tolerance=document.tolerance or Decimal(0),
        days=None
        if days is None
        else Days(days.columns[0], days.columns[1], days.between[0], days.between[1]),
        max_items=document.max_items or USUAL_ITEMS,
        max_candidates=document.max_candidates or USUAL_CANDIDATES,
        accept=document.accept or Accept.AUTO,
        confidence=1.0 if document.confidence is None else document.confidence,
        rest=_rest(document),
    )


def _two(pair: Sequence[str]) -> tuple[str, str]:
    return pair[0], pair[1]


def reconciling_document(
    match_sql: str,
    passes: Sequence[Pass],
    amounts: Amounts | None,
    compared: Sequence[Compared],
) -> Mapping[str, Any]:
    """Return what was read, as a document; what says nothing is empty, for `filled` to drop."""
    alone = len(passes) == 1 and isinstance(passes[0], SqlPass) and passes[0].name == UNNAMED
    plain = alone and passes[0].accept is Accept.AUTO and passes[0].confidence == 1.0
    if not passes:
        rules: dict[str, Any] = {"match_sql": match_sql}
    elif plain and isinstance(passes[0], SqlPass) and passes[0].balance is None:
        rules = {"match_sql": passes[0].sql, **_rules_document(passes[0])}
    else:
        rules = {"passes": [_kept(_pass_document(one)) for one in passes]}
    return {
        **rules,
        "amounts": None if amounts is None else _amounts_document(amounts),
        "compare": [
            _kept({"left": one.left, "right": one.right, "tolerance": _text(one.tolerance)})
            for one in compared
        ],
    }


def _rules_document(one: SqlPass) -> dict[str, Any]:
    return {
        "cardinality": one.cardinality.value,
        "rank": [rank_text(term) for term in one.rank],
        "choose": one.choose.value,
        "on_tie": None if one.on_tie is OnTie.HOLD else one.on_tie.value,
        "margin": _text(one.margin),
        **_rest_document(one),
    }


def _rest_document(one: Pass) -> dict[str, Any]:
    return {"rest": None if one.rest is None else {"tolerance": str(one.rest)}}


def _group_document(one: SqlPass, balance: Balance) -> dict[str, Any]:
    if one.rest is not None:
        return {"group_by": "component", **_rest_document(one)}
    sums = {"left": balance.left, "right": balance.right, "tolerance": str(balance.tolerance)}
    return {"group_by": "component", "balance": sums}


def _pass_document(one: Pass) -> dict[str, Any]:
    shared = {
        "name": one.name,
        "accept": None if one.accept is Accept.AUTO else one.accept.value,
        "confidence": None if one.confidence == 1.0 else one.confidence,
    }
    if isinstance(one, SqlPass):
        balance = one.balance
        rules = _rules_document(one) if balance is None else _group_document(one, balance)
        return {**shared, "match_sql": one.sql, **rules}
    days = one.days
    return {
        **shared,
        "kind": PassKind.SUBSET_SUM.value,
        "one": one.one.value,
        "block": [list(pair) for pair in one.block],
        "amount": list(one.amount),
        "tolerance": _text(one.tolerance),
        "days": None
        if days is None
        else {"columns": [days.left, days.right], "between": [days.least, days.most]},
        "max_items": one.max_items,
        "max_candidates": one.max_candidates,
        **_rest_document(one),
    }


def _amounts_document(amounts: Amounts) -> dict[str, Any]:
    currency = None if amounts.currency is None else list(amounts.currency)
    return _kept({"left": amounts.left, "right": amounts.right, "currency": currency})


def _kept(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if value is not None and value != []}


def _text(number: Decimal | None) -> str | None:
    return None if number is None else str(number)
