"""A rule for when rows match, said in plain English, as match SQL.

    ref equals payment_ref ignoring case and amount within 0.02 of paid and paid_on within 5 days
    of due

Each condition names one column of each side, in any order; joined by `and`. The first has to be an
equality, so that the rule has a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kalla_core.errors import InvalidFilter
from kalla_core.recipe.spoken.words import Sentence, column, number, sentence, unknown_column

UNDERSTOOD = (
    "A rule is conditions joined by `and`, each of a column of the left and one of the right: "
    "`ref equals payment_ref`, also `ignoring case` or `ignoring punctuation`; `amount within "
    "0.02 of paid`, `amount within 1 % of paid`, `paid_on within 5 days of due`. One of them has "
    "to be an equality. Kalla has no model that would understand more."
)
_EQUAL = ("=", "equals", "is equal to", "equal to", "is the same as", "is", "matches")
_FIRST = ("match when", "match where", "rows match when", "match rows where", "match", "when",
          "where", "join on")  # fmt: skip
_NUMBERS = ("int", "bigint", "decimal", "numeric", "double", "float", "long", "smallint", "uint")


@dataclass(frozen=True, slots=True)
class Table:
    """A side: what its source is called, and its columns by type word."""

    alias: str
    columns: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SaidRule:
    """A rule as match SQL, and each of its conditions in words."""

    sql: str
    says: tuple[str, ...]


def said_rule(text: str, left: Table, right: Table) -> SaidRule:
    """Return the match SQL that a sentence says.

    Args:
        text: as `UNDERSTOOD` describes. A column that both sides have may be told by the alias
            of its side, `invoices.amount`.

    Raises:
        InvalidFilter: a part was not understood; nothing is left out.
    """
    said = sentence(text)
    said.take(*_FIRST)
    conditions: list[tuple[str, str]] = []
    while not conditions or said.take("and", ", and", ","):
        conditions.append(_condition(said, (left, right)))
    if not said.ended:
        raise _refused(said, "the end, or `and`")
    if not any(" = " in sql for sql, _ in conditions):
        raise InvalidFilter(f"No condition is an equality, and a rule needs one. {UNDERSTOOD}")
    joined = "\n AND ".join(sql for sql, _ in conditions)
    sql = (
        f"SELECT l.*\nFROM {quoted(left.alias)} l\nJOIN {quoted(right.alias)} r\n  ON {joined}"
    )  # fmt: skip
    return SaidRule(sql, tuple(words for _, words in conditions))


def quoted(name: str) -> str:
    """Return a name as SQL takes it, whatever it holds."""
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def _condition(said: Sentence, sides: tuple[Table, Table]) -> tuple[str, str]:
    said.take("the")
    first = _column(said, sides)
    if said.take(*_EQUAL):
        said.take("the")
        second = _column(said, sides)
        return _equality(said, _ordered(first, second), sides)
    said.take("is")
    if not said.take("within"):
        raise _refused(said, f"`equals` or `within` behind `{first[1]}`")
    word = said.next()
    near = None if word is None else number(word.text.removesuffix("%"))
    if word is None or near is None or near < 0:
        raise _refused(said, "a number behind `within`")
    share = word.text.endswith("%") or said.take("%", "percent") is not None
    days = said.take("days", "day") is not None
    if not said.take("of"):
        raise _refused(said, "`of` and a column")
    said.take("the")
    left, right = _ordered(first, _column(said, sides))
    names = f"l.{quoted(left)}", f"r.{quoted(right)}"
    kinds = sides[0].columns[left].lower(), sides[1].columns[right].lower()
    if days:
        if near != int(near) or not all(one.startswith(("date", "timestamp")) for one in kinds):
            raise InvalidFilter(
                f"Days lie between columns of days: `{left}` is {kinds[0]}, `{right}` {kinds[1]}."
            )
        sql = f"abs(days_between({names[0]}, {names[1]})) <= {int(near)}"
        return sql, f"`{left}` and `{right}` at most {int(near)} days apart"
    if not all(one.startswith(_NUMBERS) for one in kinds):
        raise InvalidFilter(
            f"Only numbers lie within others: `{left}` is {kinds[0]}, `{right}` {kinds[1]}."
        )
    if share:
        sql = f"tolerance_pct({names[0]}, {names[1]}, {near / 100:f})"
        return sql, f"`{left}` and `{right}` within {near:f} %"
    return (
        f"tolerance_match({names[0]}, {names[1]}, {near:f})",
        f"`{left}` and `{right}` within {near:f}",
    )


def _equality(
    said: Sentence, names: tuple[str, str], sides: tuple[Table, Table]
) -> tuple[str, str]:
    left, right = f"l.{quoted(names[0])}", f"r.{quoted(names[1])}"
    how = said.take("ignoring case", "ignoring punctuation", "ignoring case and punctuation")
    if how is None:
        return f"{left} = {right}", f"`{names[0]}` equals `{names[1]}`"
    kinds = [table.columns[name] for table, name in zip(sides, names, strict=True)]
    if any(not kind.lower().startswith(("text", "string", "varchar", "utf8")) for kind in kinds):
        raise InvalidFilter(
            f"Only texts have case and punctuation: `{names[0]}` is {kinds[0]}, "
            f"`{names[1]}` {kinds[1]}."
        )
    function = "upper" if how == "ignoring case" else "norm_ref"
    sql = f"{function}({left}) = {function}({right})"
    return sql, f"`{names[0]}` equals `{names[1]}`, {how}"


def _column(said: Sentence, sides: tuple[Table, Table]) -> tuple[int | None, str]:
    """Read a column; its side is None where both have one of that name."""
    word = said.words[said.place] if not said.ended else None
    if word is not None and not word.quote and "." in word.text:
        alias, _, name = word.text.partition(".")
        for place, table in enumerate(sides):
            if alias.lower() in (table.alias.lower(), ("left", "right")[place]):
                if name not in table.columns:
                    raise unknown_column(name, table.columns)
                said.place += 1
                return place, name
    start = said.place
    found: list[tuple[int, int, str]] = []
    for place, table in enumerate(sides):
        said.place = start
        if word is not None and word.quote == "`" and word.text not in table.columns:
            continue
        name_there = column(said, table.columns)
        if name_there is not None:
            found.append((said.place, place, name_there))
    if not found:
        said.place = start
        shown = word.text if word is not None else ""
        everywhere = {**sides[0].columns, **sides[1].columns}
        raise InvalidFilter(f"{unknown_column(shown, everywhere)} {UNDERSTOOD}")
    longest = max(end for end, _, _ in found)
    said.place = longest
    there = [(place, name) for end, place, name in found if end == longest]
    return (there[0][0] if len(there) == 1 else None), there[0][1]


def _ordered(
    first: tuple[int | None, str], second: tuple[int | None, str]
) -> tuple[str, str]:  # fmt: skip
    """Return the left column and the right one."""
    if first[0] is not None and first[0] == second[0]:
        side = ("left", "right")[first[0]]
        raise InvalidFilter(f"`{first[1]}` and `{second[1]}` are both of the {side} side.")
    turned = first[0] == 1 or (first[0] is None and second[0] == 0)
    return (second[1], first[1]) if turned else (first[1], second[1])


def _refused(said: Sentence, what: str) -> InvalidFilter:
    where = f"before `{said.rest()}`" if not said.ended else "at the end"
    return InvalidFilter(f"Expected {what} {where}. {UNDERSTOOD}")
