"""What a run found, for people: counts, match rates, reasons with an example, where it all lies."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from pathlib import Path

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kalla_core.engine.keys.key_checks import same_key
from kalla_core.evidence.finding import Findings
from kalla_core.evidence.metadata import JsonObject, RunMetadata, SideSummary
from kalla_core.evidence.names import METADATA
from kalla_core.jobs.passes import PassFigures
from kalla_core.matching.sql.query import Side
from kalla_core.units import format_bytes

_SHOWN_WARNINGS = 10


def show_summary(
    console: Console,
    metadata: RunMetadata,
    output: str | Path,
    warned: Collection[str] = (),
    found: Findings | None = None,
) -> None:
    """Print what `metadata` and the evidence in `output` say.

    Args:
        warned: warnings that the reader has read while it ran.
        found: what the run has told of its reasons; read from the evidence where it has not.
    """
    aliases = _aliases(metadata)
    console.print(_headline(metadata))
    console.print(_indented(_counts(metadata, aliases)))
    if metadata.reconciliation is not None and len(metadata.reconciliation.passes) > 0:
        console.print("What each pass did")
        console.print(_indented(_waterfall(metadata.reconciliation.passes, aliases)))
        for one in metadata.reconciliation.passes:
            for note in one.notes:
                console.print(Text.assemble(("Note: ", "yellow"), f"{one.name}: {note}"))
    totals = None if metadata.reconciliation is None else metadata.reconciliation.control_totals
    if totals is not None:
        console.print("Amounts")
        console.print(_indented(_amounts(totals, aliases)))
    reasons = _reasons(_findings(output, metadata) if found is None else found, aliases)
    if reasons.row_count:
        console.print("Why rows are unmatched")
        console.print(_indented(reasons))
    warnings = [one for one in metadata.warnings if not same_key(one, warned)]
    for warning in warnings[:_SHOWN_WARNINGS]:
        console.print(Text.assemble(("Warning: ", "yellow"), warning))
    if len(warnings) > _SHOWN_WARNINGS:
        console.print(f"... and {len(warnings) - _SHOWN_WARNINGS} more in {METADATA}")
    console.print(Text.assemble("Evidence in ", (str(output), "bold")))
    console.print(_indented(_files(metadata)))


def percent(part: int, whole: int) -> str:
    """Return a share as text; 100.0 % means all, never nearly all."""
    if whole == 0:
        return "-"
    tenths = 1000 * part // whole
    return f"{tenths // 10}.{tenths % 10} %"


def _headline(metadata: RunMetadata) -> Text:
    seconds = (metadata.completed_at - metadata.started_at).total_seconds()
    name = str(metadata.recipe.get("name") or metadata.recipe_id)
    return Text.assemble(
        (name, "bold"), f": {_matches(metadata)} in {seconds:.1f} s (run {metadata.run_id[:8]})"
    )


def _matches(metadata: RunMetadata) -> str:
    """Return how many matches there are; where rows are members, also how many rows."""
    rows, groups = metadata.matched_count, metadata.matched_groups
    matches = rows if groups is None else groups
    told = "1 match" if matches == 1 else f"{matches:,} matches"
    return told if groups is None else f"{told} ({rows:,} rows)"


def _counts(metadata: RunMetadata, aliases: dict[Side, str]) -> Table:
    table = _table(
        "side", "source", ">rows", ">matched", ">in several", ">unmatched", ">match rate"
    )
    for side, summary in _sides(metadata):
        table.add_row(
            side.word,
            aliases[side],
            f"{summary.records:,}",
            f"{summary.matched:,}",
            "-" if summary.several is None else f"{summary.several:,}",
            f"{summary.unmatched:,}",
            percent(summary.matched, summary.records),
        )
    return table


def _waterfall(passes: Sequence[PassFigures], aliases: dict[Side, str]) -> Table:
    table = _table(
        "pass",
        ">candidates",
        ">accepted",
        ">held",
        ">suggested",
        *(f">{aliases[side]} left" for side in Side),
    )
    for one in passes:
        counts = (one.candidates, one.accepted, one.held, one.suggested)
        left_over = (one.left_over[side.word] for side in Side)
        table.add_row(one.name, *(f"{count:,}" for count in (*counts, *left_over)))
    return table


def _amounts(totals: JsonObject, aliases: dict[Side, str]) -> Table:
    rests = any("rest" in one["amounts"] for side in Side for one in totals[side.word])
    names = ("matched", *(("rest",) if rests else ()), "unmatched", "total")
    table = _table("source", "currency", *(f">{name}" for name in names))
    for side in Side:
        for one in totals[side.word]:
            amounts = (Decimal(one["amounts"][name]) for name in names)
            currency = one["currency"] or "none"
            table.add_row(aliases[side], currency, *(f"{amount:,f}" for amount in amounts))
    return table


def _findings(output: str | Path, metadata: RunMetadata) -> Findings:
    from kalla_core.cli.findings import findings  # loads Arrow, which a run on this machine has not

    return {side: findings(output, metadata, side) for side in Side}


def _reasons(found: Findings, aliases: dict[Side, str]) -> Table:
    table = _table("source", "reason", ">rows", "for example")
    for side in Side:
        for finding in found[side]:
            example = Text.assemble((finding.key, "bold"), f"  {finding.detail}")
            table.add_row(aliases[side], finding.reason, f"{finding.rows:,}", example)
    return table


def _files(metadata: RunMetadata) -> Table:
    table = _table("", ">", ">")
    for file in metadata.files:
        table.add_row(file.name, f"{file.rows:,} rows", format_bytes(file.bytes))
    table.add_row(METADATA, "", "")
    table.show_header = False
    return table


def _table(*columns: str) -> Table:
    """Return a table without lines; a column that begins with `>` is aligned to the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for name in columns:
        right = name.startswith(">")
        table.add_column(
            name.removeprefix(">"),
            justify="right" if right else "left",
            no_wrap=right,
            overflow="fold",
        )
    return table


def _indented(table: Table) -> Padding:
    return Padding(table, (0, 0, 1, 2), expand=False)


def _sides(metadata: RunMetadata) -> tuple[tuple[Side, SideSummary], ...]:
    return ((Side.LEFT, metadata.left), (Side.RIGHT, metadata.right))


def _aliases(metadata: RunMetadata) -> dict[Side, str]:
    """Return the names the recipe gives its two sides."""
    sources = metadata.recipe["sources"]
    return {side: str(sources[side.word]["alias"]) for side in Side}
