"""Cells of rows as HTML, made a column at a time: a page of rows has hundreds of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa
from markupsafe import Markup, escape

from kalla_app.evidence.row_texts import text_columns
from kalla_app.pages.words import REASONS
from kalla_core.answers.selection import REASON
from kalla_core.recipe.column_types import type_word

_DETAIL = "reason_detail"
_NULL = '<i class="null">\N{EN DASH}</i>'
_NUMBERS = ("integer", "decimal", "double")


@dataclass(frozen=True, slots=True)
class Line:
    """A row.

    Attributes:
        name: the text of its first column.
        first: the cell of that column.
        rest: the cells of the others.
    """

    name: str | None
    first: Markup
    rest: Markup


def lines(
    rows: pa.Table, numbers: Collection[str] | None = None, hidden: Collection[str] = ()
) -> list[Line]:
    """Return rows as lines.

    Args:
        numbers: columns whose cells stand right; None for all of numbers.
        hidden: columns that have no cells; not the first.
    """
    if numbers is None:
        kinds = ((field.name, type_word(field.type)) for field in rows.schema)
        numbers = {name for name, word in kinds if word.startswith(_NUMBERS)}
    shown = [place for place, name in enumerate(rows.column_names) if name not in hidden]
    texts = text_columns(rows.select(shown))
    cells = [
        _cells(rows.column_names[place], values, right=rows.column_names[place] in numbers)
        for place, values in zip(shown, texts, strict=True)
    ]
    return [
        Line(name, Markup(first), Markup("".join(rest)))  # noqa: S704 - each value is escaped
        for name, (first, *rest) in zip(*texts[:1], zip(*cells, strict=True), strict=True)
    ]


def _cells(name: str, values: Sequence[str | None], *, right: bool) -> list[str]:
    if name == REASON:
        return [
            f"<td>{_NULL}</td>"
            if value is None
            else f'<td><span class="tag" title="{escape(value)}">'
            f"{escape(REASONS.get(value, value))}</span></td>"
            for value in values
        ]
    if name == _DETAIL:
        texts = ["" if value is None else escape(value) for value in values]
        return [
            f'<td class="long"><span title="{text}">{text}</span></td>'
            if value is not None
            else f'<td class="long">{_NULL}</td>'
            for value, text in zip(values, texts, strict=True)
        ]
    begin = '<td class="n">' if right else "<td>"
    null = f"{begin}{_NULL}</td>"
    return [null if value is None else f"{begin}{escape(value)}</td>" for value in values]
