"""What `kalla diff` prints for people."""

from __future__ import annotations

from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from kalla_core.cli.summary import percent
from kalla_core.differences.found import ColumnFound, Found, SideFound
from kalla_core.matching.sql.query import Side

_SHOWN_EXAMPLES = 3


def show_differences(console: Console, found: Found, evidence: str | None) -> None:
    """Print in what two tables differ; `evidence` is where that was kept, if it was."""
    left, right = (found.sides[side] for side in Side)
    verdict = ("equal", "bold green") if found.equal else ("different", "bold red")
    console.print(
        Text.assemble((left.source, "bold"), " and ", (right.source, "bold"), ": ", verdict)
    )
    console.print(Padding(_rows(found), (1, 0, 1, 2), expand=False))
    for line in _columns_apart(found):
        console.print(Padding(line, (0, 0, 0, 2), expand=False))
    differing = [one for one in found.columns if one.figures is not None and one.differs]
    if differing:
        console.print("Columns that differ")
        console.print(Padding(_columns(differing), (0, 0, 1, 2), expand=False))
        console.print("For example")
        console.print(Padding(_examples(differing, found), (0, 0, 1, 2), expand=False))
    compared = sum(one.figures is not None for one in found.columns)
    if compared > len(differing):
        count = compared - len(differing)
        console.print(f"{count} compared column{'s have' if count > 1 else ' has'} no difference.")
    for note in found.notes:
        console.print(Text.assemble(("Note: ", "yellow"), note))
    if evidence is not None:
        console.print(Text.assemble("Evidence in ", (evidence, "bold")))


def _rows(found: Found) -> Table:
    table = _table("rows", ">left", ">right")
    sides = [found.sides[side] for side in Side]
    equal = found.pairs - found.pairs_differing
    lines: list[tuple[str, list[int], bool]] = [
        ("all", [side.rows for side in sides], True),
        ("equal on both sides", [equal, equal], True),
        ("of equal key, and different", [found.pairs_differing] * 2, True),
        ("on one side only", [side.alone for side in sides], True),
        ("without a key", [side.key_null for side in sides], False),
        ("more of a key than the other side has", [side.surplus for side in sides], False),
        ("of a key whose rows cannot be told apart", [side.ambiguous for side in sides], False),
        ("that repeat the key of another", [side.repeated_keys for side in sides], False),
    ]
    for words, counts, always in lines:
        if always or any(counts):
            table.add_row(words, *(f"{count:,}" for count in counts))
    if any(side.examples for side in sides):
        keys = [Text(", ".join(side.examples) or "-") for side in sides]
        table.add_row(Text("without partner, for example"), *keys)
    return table


def _columns_apart(found: Found) -> Iterable[Text]:
    """Yield lines on columns of one side, on types, and on what could not be compared."""
    for side in Side:
        yield from _alone(side, found.sides[side])
    for one in found.columns:
        left, right = one.types
        if left == right and one.figures is not None:
            continue
        name = one.left if one.left == one.right else f"{one.left} / {one.right}"
        rest = "" if one.figures is not None else ": they have no value in common, not compared"
        yield Text.assemble(
            (name, "bold"), f" is {left} on the left and {right} on the right{rest}."
        )


def _alone(side: Side, found: SideFound) -> Iterable[Text]:
    if found.columns:
        names = ", ".join(f"{name} {word}" for name, word in found.columns)
        yield Text.assemble(f"Columns only the {side.word} has: ", (names, "bold"))


def _columns(differing: list[ColumnFound]) -> Table:
    table = _table(
        "column", ">differ", ">of", ">share", ">null against value", ">largest difference"
    )
    for one in differing:
        figures = one.figures or {}
        different, equal = figures["different"], figures["equal"]
        table.add_row(
            Text(_name(one)),
            f"{different:,}",
            f"{different + equal:,}",
            percent(different, different + equal),
            f"{figures['null_against_value']:,}",
            str(figures["largest_difference"] or "-"),
        )
    return table


def _examples(differing: list[ColumnFound], found: Found) -> Table:
    table = _table("column", ", ".join(left for left, _ in found.on), "left", "right")
    for one in differing:
        for example in (one.figures or {})["examples"][:_SHOWN_EXAMPLES]:
            cells = (example["left_key"], example["left"], example["right"])
            table.add_row(Text(_name(one)), *map(_cell, cells))
    return table


def _cell(text: str | None) -> Text:
    return Text("null", "dim") if text is None else Text(text)


def _name(one: ColumnFound) -> str:
    return one.left if one.left == one.right else f"{one.left} / {one.right}"


def _table(*columns: str) -> Table:
    """Return a table without lines; a column that begins with `>` is aligned to the right."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="dim")
    for name in columns:
        right = name.startswith(">")
        table.add_column(
            name.removeprefix(">"), justify="right" if right else "left", overflow="fold"
        )
    return table
