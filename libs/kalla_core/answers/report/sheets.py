"""The workbook of a report: its figures on the first sheets, then the rows themselves."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from kalla_core.answers.encode import Sink
from kalla_core.answers.report.figures import Bars, Report, SideReport
from kalla_core.answers.why.words import because
from kalla_core.answers.xlsx.book import Book
from kalla_core.answers.xlsx.styles import Style
from kalla_core.evidence.reader import Evidence

MOST_ROWS = 100_000
"""Rows of a set in a workbook that people open; `kalla export` writes all of them."""

Line = list[tuple[Any, int]]


def workbook(evidence: Evidence, report: Report, most_rows: int = MOST_ROWS) -> Iterator[bytes]:
    """Yield the workbook of a report and of the evidence that it was made of."""
    sink = Sink()
    with Book(sink) as book:
        book.page(
            "Summary", _summary(evidence, report, most_rows), (34, 22, 22, 22, 22, 22, 22, 22)
        )
        book.page("Reasons", _reasons(report), (14, 52, 14, 12, 22, 10, 12), frozen=1)
        if report.passes:
            book.page("Passes", _passes(report), (28, *[14] * 10), frozen=1)
        if report.compared:
            book.page("Compared", _compared(report), (24, 24, 14, 14, 14, 18, 20), frozen=1)
        if report.groups:
            book.page("Groups", _groups(report), (22, 22, 18, 30, 20, 12), frozen=1)
        book.page("Recipe", _recipe(report), (26, 110))
        yield sink.take()
        for output in evidence.outputs:
            table = book.table(output.removesuffix(".parquet"), evidence.schema(output))
            for batch in evidence.batches(output, most_rows):
                table.write(batch)
                yield sink.take()
            table.close()
    yield sink.take()


def _summary(evidence: Evidence, report: Report, most_rows: int) -> list[Line]:
    metadata = report.metadata
    name = str(metadata.recipe.get("name") or metadata.recipe_id)
    lines: list[Line] = [
        [(name, Style.TITLE)],
        [("Every row is accounted for: read = matched + open, on both sides.", Style.GOOD)],
        [(f"Run {metadata.run_id}", Style.NOTE)],
        [("started", Style.PLAIN), (metadata.started_at, Style.PLAIN)],
        [],
        _head("rows", "source", ">read", ">matched", ">open", ">matched share", ">in several"),
        *(_side_line(side) for side in report.sides),
        [],
    ]
    if any(side.money for side in report.sides):
        lines += [
            _head(
                "amounts", "column", "currency", ">matched", ">open", ">total", ">open of matched"
            ),
            *_amounts(report),
            [],
        ]
    bridge = (report.control_totals or {}).get("bridge", ())
    if bridge:
        rests = ("left_rest", "right_rest") if "left_rest" in bridge[0] else ()
        names = ("left_total", "right_total", "left_unmatched", "right_unmatched", *rests)
        names += ("differences",)
        lines.append(_head("bridge", *(f">{one.replace('_', ' ')}" for one in names)))
        for one in bridge:
            amounts = [(Decimal(one[name]), Style.PLAIN) for name in names]
            lines.append([(one["currency"] or "none", Style.PLAIN), *amounts])
        lines.append([])
    lines.append(_head("sheet", ">rows", ">shown"))
    for output in evidence.outputs:
        rows = evidence.rows(output)
        line: Line = [
            (output.removesuffix(".parquet"), Style.PLAIN),
            (rows, Style.COUNT),
            (min(rows, most_rows), Style.COUNT),
        ]
        if rows > most_rows:
            name = output.removesuffix(".parquet")
            line.append((f"all: kalla export {report.location} --xlsx --set {name}", Style.NOTE))
        lines.append(line)
    return lines


def _side_line(side: SideReport) -> Line:
    # Cut as the page cuts it: what is shown as all of them is all of them.
    share = 1000 * side.matched // side.records / 1000 if side.records else None
    return [
        (side.side.word, Style.PLAIN),
        (side.alias, Style.PLAIN),
        (side.records, Style.COUNT),
        (side.matched, Style.COUNT),
        (side.unmatched, Style.COUNT),
        (share, Style.SHARE),
        (side.several, Style.COUNT),
    ]


def _amounts(report: Report) -> Iterator[Line]:
    for side in report.sides:
        for money in side.money:
            yield [
                (side.alias, Style.PLAIN),
                (side.columns["amount"], Style.PLAIN),
                (money.currency or "none", Style.PLAIN),
                (money.matched, Style.PLAIN),
                (money.unmatched, Style.PLAIN),
                (money.total, Style.PLAIN),
                (money.rest, Style.PLAIN),
            ]


def _reasons(report: Report) -> list[Line]:
    lines = [_head("source", "what", "value", ">rows", ">amount", "currency", ">of all")]
    for side in report.sides:
        lines += _bars(side.alias, side.reasons)
        for bars in (side.misses, side.ageing, *side.concentrations):
            if bars is not None:
                lines += _bars(side.alias, bars)
    for found in (report.differences, report.lags, report.rules):
        if found is not None:
            lines += _bars("matches", found)
    return lines


def _bars(alias: str, bars: Bars) -> Iterator[Line]:
    for bar in bars.bars:
        what = because(bar.label) if bars.title == "Reasons" else bars.title
        amounts: list[tuple[str, Decimal | None]] = [*bar.amounts.items()] or [("", None)]
        for place, (currency, amount) in enumerate(amounts):
            yield [
                (alias, Style.PLAIN),
                (what, Style.PLAIN),
                (bar.label, Style.PLAIN),
                (bar.rows if place == 0 else None, Style.COUNT),
                (amount, Style.PLAIN),
                (currency or None, Style.PLAIN),
                (bar.whole if place == 0 else None, Style.COUNT),
            ]


def _passes(report: Report) -> list[Line]:
    counts = ("candidates", "accepted", "held", "suggested")
    sides = ("left", "right")
    lines = [
        _head(
            "pass",
            "kind",
            "cardinality",
            *(f">{name}" for name in counts),
            ">left rows",
            ">right rows",
            ">left still open",
            ">right still open",
        )
    ]
    lines += (
        [
            (one["name"], Style.PLAIN),
            (one["kind"], Style.PLAIN),
            (one["cardinality"], Style.PLAIN),
            *((one[name], Style.COUNT) for name in counts),
            *((one["rows"][side], Style.COUNT) for side in sides),
            *((one["left_over"][side], Style.COUNT) for side in sides),
        ]
        for one in report.passes
    )
    return lines


def _groups(report: Report) -> list[Line]:
    """Return the rows of the groups that the page shows, and under each what is between."""
    lines = [_head("group", "rule", "source", "key", ">amount", "currency")]
    for group in report.groups:
        for side, members in zip(report.sides, (group.left, group.right), strict=True):
            lines += (
                [
                    (group.id, Style.PLAIN),
                    (group.rule, Style.PLAIN),
                    (side.alias, Style.PLAIN),
                    (one.key, Style.PLAIN),
                    (one.amount, Style.PLAIN),
                    (one.currency, Style.PLAIN),
                ]
                for one in members
            )
        if group.difference is not None:
            empty: Line = [(None, Style.PLAIN)] * 3
            lines.append([*empty, ("left less right", Style.NOTE), (group.difference, Style.PLAIN)])
    if len(report.groups) < report.group_count:
        said = f"{len(report.groups)} of {report.group_count:,} groups; all rows: sheet matched"
        lines.append([(said, Style.NOTE)])
    return lines


def _compared(report: Report) -> list[Line]:
    lines = [
        _head("left", "right", ">tolerance", ">equal", ">different", ">null against value",
              ">largest difference")
    ]  # fmt: skip
    lines += (
        [
            (one["left"], Style.PLAIN),
            (one["right"], Style.PLAIN),
            (one["tolerance"], Style.DIGITS),
            *((one[name], Style.COUNT) for name in ("equal", "different", "null_against_value")),
            (one["largest_difference"], Style.DIGITS),
        ]
        for one in report.compared
    )
    return lines


def _recipe(report: Report) -> list[Line]:
    metadata = report.metadata
    facts: list[tuple[str, Any]] = [
        ("recipe", metadata.recipe_id),
        ("SHA-256 of the recipe", metadata.recipe_sha256),
        ("evidence", report.location),
        *((f"{side.side.word} source", side.source) for side in report.sides),
        ("engine", f"{metadata.engine}, {metadata.strategy}"),
        *metadata.versions.items(),
        *(("warning", one) for one in metadata.warnings),
        *((f"SHA-256 of {file.name}", file.sha256) for file in metadata.files),
    ]
    lines: list[Line] = [[(name, Style.STRONG), (value, Style.WRAPPED)] for name, value in facts]
    listed = metadata.recipe.get("passes") or [metadata.recipe]
    lines += (
        [("match SQL", Style.STRONG), (one["match_sql"], Style.WRAPPED)]
        for one in listed
        if one.get("match_sql")
    )
    return lines


def _head(*names: str) -> Line:
    return [
        (name.removeprefix(">"), Style.HEADER_RIGHT if name.startswith(">") else Style.HEADER)
        for name in names
    ]
