"""`kalla why`: the fate of one row, in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kalla_core.answers.why.fate import Answer, Fate, side_of, why
from kalla_core.answers.why.words import (
    answer_json,
    attempt_sentences,
    attempt_title,
    further,
    verdict,
)
from kalla_core.cli.console import print_json, standard_output
from kalla_core.cli.failures import ExitCode
from kalla_core.cli.harmless import harmless
from kalla_core.evidence.reader import open_evidence

_MOST_COLUMNS = 40
_WIDEST = 60


def tell_why(out: str, key: tuple[str, ...], side: str | None, *, as_json: bool) -> ExitCode:
    """Say what became of the rows with a key.

    Raises:
        KallaError: no row has it, or the evidence cannot be read.
    """
    chosen = side_of(side)
    with open_evidence(out) as evidence:
        answer = why(evidence, key, chosen)
    if as_json:
        print_json(answer_json(answer))
    else:
        _show(standard_output(), answer)
    return ExitCode.SUCCEEDED


def _show(console: Console, answer: Answer) -> None:
    for number, fate in enumerate(answer.fates):
        if number:
            console.print()
        console.print(Text.assemble((fate.key, "bold"), f" of {fate.alias} ({fate.side.word})"))
        for sentence in verdict(fate):
            _say(console, sentence, 2)
        for attempt in fate.attempts:
            _say(console, attempt_title(attempt), 2)
            for sentence in attempt_sentences(attempt):
                _say(console, sentence, 4)
        for sentence in further(fate):
            _say(console, sentence, 2)
        _show_rows(console, fate, answer)


def _say(console: Console, sentence: str, indent: int) -> None:
    console.print(Padding(Text(sentence), (0, 0, 0, indent)))


def _show_rows(console: Console, fate: Fate, answer: Answer) -> None:
    """Show the first open row, and beside it the closest candidate; of a match its columns."""
    if fate.open:
        row, candidate = fate.open[0].row, fate.open[0].candidate
        console.print(Padding(_columns({fate.alias: row}), (1, 0, 0, 2)))
        if candidate is not None and candidate.row:
            other = answer.aliases[fate.side.other]
            console.print(Padding(_columns({other: candidate.row}), (1, 0, 0, 2)))
    elif fate.matches:
        console.print(Padding(_columns({"match": fate.matches[0].columns}), (1, 0, 0, 2)))


def _columns(named: Mapping[str, Mapping[str, Any]]) -> Table:
    ((name, row),) = named.items()
    table = Table.grid(padding=(0, 2))
    table.add_row(Text(name, style="dim"), "")
    for column, value in list(row.items())[:_MOST_COLUMNS]:
        text = Text("null", style="dim italic") if value is None else Text(_short(value))
        table.add_row(Text(f"  {column}", style="dim"), text)
    if len(row) > _MOST_COLUMNS:
        table.add_row(Text(f"  and {len(row) - _MOST_COLUMNS} columns more", style="dim"), "")
    return table


def _short(value: object) -> str:
    text = harmless(str(value).replace("\r", "\\r").replace("\n", "\\n").replace("\t", "\\t"))
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
