"""What is told of a file, put together as a `format`. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kalla_core.recipe.format_written import format_document
from kalla_core.recipe.source_format import (
    AS_USUAL,
    AmountForm,
    DebitSign,
    SignedAmount,
    SourceFormat,
)
from kalla_core.sources.csv.guess.days import Days, days_of
from kalla_core.sources.csv.guess.encodings import encoding_of
from kalla_core.sources.csv.guess.figures import Figures, look
from kalla_core.sources.csv.guess.layout import Layout, layout_of
from kalla_core.sources.uri import parse_file_uri

_SIDES = (
    ("credit", "debit"), ("haben", "soll"), ("gutschrift", "belastung"), ("crédit", "débit"),
    ("abono", "cargo"), ("haber", "debe"), ("avere", "dare"), ("entrate", "uscite"),
    ("money in", "money out"), ("paid in", "paid out"), ("deposit", "withdrawal"),
    ("deposits", "withdrawals"), ("bij", "af"), ("uznania", "obciążenia"), ("receipts", "payments"),
    ("credit amount", "debit amount"), ("приход", "расход"), ("deposit amt.", "withdrawal amt."),
)  # fmt: skip
DENSE_DAY = "%Y%m%d"


@dataclass(frozen=True, slots=True)
class Guess:
    """How a file seems to be written.

    Attributes:
        format: what its bytes decide.
        types: of columns that look like something else, and are what a format alone does not say.
        evidence: a sentence for each thing told.
        undecidable: a sentence for each thing that only somebody who knows the file can tell.
        file_format: what the file is, where its name does not say it.
    """

    format: SourceFormat
    types: Mapping[str, str]
    evidence: tuple[str, ...]
    undecidable: tuple[str, ...]
    file_format: str | None = None

    def uri(self, uri: str) -> str:
        """Return the URI that says what the file is, where its name does not."""
        if self.file_format is None:
            return uri
        return f"{uri}{'&' if parse_file_uri(uri).query else '?'}format={self.file_format}"

    def document(self) -> Mapping[str, Any]:
        """Return the `format` to paste into a recipe."""
        return {
            name: value[0] if isinstance(value, list) and len(value) == 1 else value
            for name, value in format_document(self.format).items()
        }


def guess(head: bytes, tail_lines: Sequence[bytes] = (), *, whole: bool = True) -> Guess | None:
    """Return how a file with these first bytes seems to be written; None if it holds no table.

    Args:
        head: the first bytes.
        tail_lines: the last lines, where `head` is not all of the file.
        whole: whether it is.
    """
    encoding = encoding_of(head)
    order = "-le" if head[:2].count(0) and head[:1] != b"\0" else "-be"
    reading = encoding.name + (order if encoding.evidence.startswith("every other") else "")
    text = head.decode(reading, "replace").removeprefix("\ufeff")
    if not whole:
        text = text[: text.rfind("\n") + 1]
    layout = layout_of(text)
    if layout is None or not layout.rows:
        return None
    if not whole:
        layout = _with_tail(layout, [line.decode(reading, "replace") for line in tail_lines])
    found = _written(
        layout, AS_USUAL if encoding.name == "utf-8" else SourceFormat(encoding=encoding.name)
    )
    evidence = [f"encoding {encoding.name}: {encoding.evidence}."] if encoding.evidence else []
    evidence += [f"{_shown(layout.delimiter)}: {layout.evidence[0]}."]
    evidence += [f"{sentence[0].upper()}{sentence[1:]}." for sentence in layout.evidence[1:]]
    evidence += _places(layout)
    figures, days = Figures(), []
    for name, values in zip(layout.names, layout.columns(), strict=True):
        held = days_of(name, values)
        if held is not None:
            days.append(held)
        else:
            look(values, figures)
    found, more, open_questions = _with_figures(found, figures)
    found, said, unsaid = _with_days(found, days)
    found, sides = _with_amount(found, layout)
    dense = {one.name: "date" for one in days if one.formats == (DENSE_DAY,)}
    return Guess(found, dense, (*evidence, *more, *said, *sides), (*open_questions, *unsaid))


def _written(layout: Layout, found: SourceFormat) -> SourceFormat:
    header: bool | int | None = None
    if layout.header is None:
        header = False
    elif layout.header.line > layout.first:
        header = layout.header.line
    return replace(
        found,
        delimiter=None if layout.delimiter == "," else layout.delimiter,
        quote={'"': None, None: "none"}.get(layout.quote, layout.quote),
        escape=layout.escape,
        comment=layout.comment,
        header=header,
        skip_first=layout.rows[0].line - 1
        if header is False and layout.rows[0].line > layout.first
        else 0,
        skip_last=layout.last,
        trailing_delimiter=layout.trailing,
    )


def _with_tail(layout: Layout, lines: Sequence[str]) -> Layout:
    """Return the layout of a file whose last lines are these: those with fewer fields are none."""
    width = len(layout.names) + int(layout.trailing)
    last = 0
    for line in reversed([line for line in lines if line.strip()]):
        if line.count(layout.delimiter) + 1 >= width:
            break
        last += 1
    return replace(layout, last=last)


def _places(layout: Layout) -> list[str]:
    said = []
    if layout.header is None:
        said.append("header: the first row has numbers or dates, so no line has names.")
    elif layout.header.line > layout.first:
        shown = json.dumps(layout.header.fields[0], ensure_ascii=False)
        said.append(
            f"header: line {layout.header.line}, which begins with {shown}, is the first that is as"
            " full as the rows and has no number in it."
        )
    if layout.last:
        lines = "line is" if layout.last == 1 else f"{layout.last} lines are"
        said.append(f"skip_last: the last {lines} no row: other fields, or a total.")
    if layout.trailing:
        said.append("trailing_delimiter: nothing stands behind the last delimiter of any row.")
    return said


def _with_figures(
    found: SourceFormat, figures: Figures
) -> tuple[SourceFormat, list[str], list[str]]:
    said: list[str] = []
    unsaid: list[str] = []
    decimals, thousands = dict(figures.decimals), dict(figures.thousands)
    if len(decimals) > 1 or any(sign in decimals for sign in thousands):
        both = " and ".join((*decimals.values(), *thousands.values()))
        return (
            found,
            said,
            [f"{both} cannot be numbers of one kind; `types` make one of them text."],
        )
    decimal = next(iter(decimals), None)
    if len(thousands) > 1:
        unsaid.append(f"{' and '.join(thousands.values())} group digits in two ways.")
    grouping = next(iter(thousands), None) if len(thousands) < 2 else None
    for sign, where in figures.ambiguous.items():
        if sign in (grouping, decimal):
            continue
        other = "," if sign == "." else "."
        if decimal == other or grouping == other:
            kind = "decimal" if grouping == other else "thousands"
            decimal = sign if kind == "decimal" else decimal
            grouping = sign if kind == "thousands" else grouping
            (decimals if kind == "decimal" else thousands).setdefault(sign, where)
            continue
        whole, part = (f'"decimal": "{other}", "thousands": "{sign}"', f'"decimal": "{sign}"')
        unsaid.append(
            f"{where} may be a whole number ({whole}) or have a fraction ({part}); no other value"
            " tells which."
        )
    if decimal == ",":
        found = replace(found, decimal=",")
        said.append(f"decimal: a comma stands before the fraction of {decimals[',']}.")
    if grouping is not None:
        found = replace(found, thousands=grouping)
        said.append(
            f"thousands: {json.dumps(grouping)} groups the digits of {thousands[grouping]}."
        )
        if grouping == "." and found.decimal is None:
            found = replace(found, decimal=",")
    forms = dict(figures.forms)
    if forms:
        found = replace(found, amounts=tuple(form for form in AmountForm if form in forms))
        said += [f"amounts: {form.value.replace('_', ' ')} in {forms[form]}." for form in forms]
    if figures.nulls:
        found = replace(found, nulls=tuple(figures.nulls))
        said += [f"null: {sentence}." for sentence in figures.nulls.values()]
    return found, said, unsaid


def _with_days(
    found: SourceFormat, columns: Sequence[Days]
) -> tuple[SourceFormat, list[str], list[str]]:
    said: list[str] = []
    unsaid: list[str] = []
    chosen: dict[bool, list[str]] = {False: [], True: []}
    orders: set[str] = set()
    for one in columns:
        if len(one.formats) == 1:
            (only,) = one.formats
            orders.add(_order(only))
            if only not in chosen[one.timed]:
                chosen[one.timed].append(only)
                why = f"{one.decides} can be nothing else" if one.decides else f"as {one.first}"
                said.append(f"{'timestamp' if one.timed else 'date'} {only}: {why}.")
    for one in columns:
        fitting = [form for form in one.formats if _order(form) in orders]
        if len(one.formats) == 1 or any(form in chosen[one.timed] for form in one.formats):
            continue
        if len(fitting) == 1:
            chosen[one.timed].append(fitting[0])
            said.append(f"date {fitting[0]}: `{one.name}` has the order of the other dates.")
            continue
        shown = " or ".join(f"`{form}`" for form in one.formats)
        unsaid.append(
            f"{one.first}, and every other value of `{one.name}`, may be {shown}: which of them is"
            f" the `{'timestamp' if one.timed else 'date'}` only you can know."
        )
    return replace(found, dates=tuple(chosen[False]), timestamps=tuple(chosen[True])), said, unsaid


def _order(form: str) -> str:
    return "".join(re.findall("%([dmbByY])", form)).lower().replace("b", "m")


def _with_amount(found: SourceFormat, layout: Layout) -> tuple[SourceFormat, list[str]]:
    """Return the format with one amount, where a row has either a credit or a debit."""
    names = [name.strip().lower() for name in layout.names]
    for credit, debit in _SIDES:
        if credit not in names or debit not in names:
            continue
        at = names.index(credit), names.index(debit)
        pairs = [(row.fields[at[0]].strip(), row.fields[at[1]].strip()) for row in layout.rows]
        if any(re.search("[1-9]", one) and re.search("[1-9]", two) for one, two in pairs):
            continue
        debits = [two for _, two in pairs if re.search("[1-9]", two)]
        taken = all(re.search(r"[-\u2212(]", two) for two in debits) if debits else False
        amount = SignedAmount(
            "amount" if "amount" not in names else "signed_amount",
            layout.names[at[0]],
            layout.names[at[1]],
            DebitSign.MINUS if taken else None,
        )
        why = f"a row has either `{amount.credit}` or `{amount.debit}`"
        return replace(found, amount=amount), [f"amount: {why}."]
    return found, []


def _shown(delimiter: str) -> str:
    return f"delimiter {json.dumps(delimiter)}"
