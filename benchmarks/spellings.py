"""What it costs to read a CSV in another spelling: `python -m benchmarks.spellings`.

The same rows are written plainly and as banks and ledgers would; each file is read by the connector
as a run reads it, and the least CPU time of some readings is set against that of the plain file.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.recipe.model import SourceSpec, SourceType
from kalla_core.recipe.source_format import AmountForm, SourceFormat
from kalla_core.sources.registry import connector_for

SEED = 20_240_229
_NAMES = ["ACME Ltd", "Dupont SA", "Rossi SpA", "van Dijk BV", "Nordic AB"]
_PARTS = 2

Numbers = np.ndarray[tuple[int, ...], np.dtype[np.int64]]


@dataclass(frozen=True, slots=True)
class Way:
    """How a file is written.

    Attributes:
        amount: makes texts of amounts in hundredths.
    """

    format: SourceFormat
    day: str
    moment: str
    amount: Callable[[Numbers], pa.Array]


def _plain(cents: Numbers) -> pa.Array:
    return _signed(cents, _number(cents, "", "."), "-", "")


def _german(cents: Numbers) -> pa.Array:
    return _signed(cents, _number(cents, ".", ","), "-", "")


def _behind(cents: Numbers) -> pa.Array:
    return _signed(cents, _number(cents, ".", ","), "", "-")


def _brackets(cents: Numbers) -> pa.Array:
    return _signed(cents, _number(cents, ",", "."), "(", ")")


def _euros(cents: Numbers) -> pa.Array:
    return pc.binary_join_element_wise(_german(cents), "€", " ")


_GERMAN_DAY, _GERMAN_TIME = "%d.%m.%Y", "%d.%m.%Y %H:%M:%S"
_US_DAY, _US_TIME = "%m/%d/%Y", "%m/%d/%Y %I:%M:%S %p"


def _bank(*amounts: AmountForm) -> SourceFormat:
    return SourceFormat(
        delimiter=";",
        decimal=",",
        thousands=".",
        dates=(_GERMAN_DAY,),
        timestamps=(_GERMAN_TIME,),
        amounts=amounts,
    )


_LEDGER = SourceFormat(
    delimiter=";",
    thousands=",",
    amounts=(AmountForm.PARENTHESES,),
    dates=(_US_DAY,),
    timestamps=(_US_TIME,),
)
_ISO_DAY, _ISO_TIME = "%Y-%m-%d", "%Y-%m-%d %H:%M:%S"

WAYS: Mapping[str, Way] = {
    "plain": Way(SourceFormat(), _ISO_DAY, _ISO_TIME, _plain),
    "semicolons": Way(SourceFormat(delimiter=";"), _ISO_DAY, _ISO_TIME, _plain),
    "1.234,56 and 31.12.2026": Way(_bank(), _GERMAN_DAY, _GERMAN_TIME, _german),
    "1.234,56-": Way(_bank(AmountForm.TRAILING_MINUS), _GERMAN_DAY, _GERMAN_TIME, _behind),
    "1.234,56 €": Way(_bank(AmountForm.CURRENCY), _GERMAN_DAY, _GERMAN_TIME, _euros),
    "(1,234.56) and 12/31/2026 11:59:59 PM": Way(_LEDGER, _US_DAY, _US_TIME, _brackets),
}


def _number(cents: Numbers, group: str, point: str) -> pa.Array:
    """Return amounts without their sign, in groups of three."""
    whole, rest = np.divmod(np.abs(cents), 100)
    texts = pc.cast(pa.array(whole), pa.string())
    for digits in (9, 6, 3) if group else ():
        cut = pc.replace_substring_regex(
            texts, rf"\A([0-9]+)([0-9]{{3}}(?:[^0-9][0-9]{{3}}){{{digits // 3 - 1}}})\z", r"\1?\2"
        )
        texts = pc.replace_substring(cut, "?", group)
    return pc.binary_join_element_wise(
        texts, pc.utf8_lpad(pc.cast(pa.array(rest), pa.string()), 2, "0"), point
    )


def _signed(cents: Numbers, numbers: pa.Array, before: str, behind: str) -> pa.Array:
    less = pa.array(cents < 0)
    marked = pc.binary_join_element_wise(before, numbers, behind, "")
    return pc.if_else(less, marked, numbers)


def write(path: Path, rows: int, way: Way) -> None:
    """Write the rows in a way; they are the same for every way."""
    chance = np.random.default_rng(SEED)
    days = chance.integers(19_700, 20_600, rows)
    seconds = days * 86_400 + chance.integers(0, 86_400, rows)
    amounts = chance.integers(1, 10 ** chance.integers(3, 9, rows)) * chance.choice(
        [1, 1, -1], rows
    )
    balances = chance.integers(0, 10**8, rows)
    columns = {
        "id": pc.cast(pa.array(np.arange(rows)), pa.string()),
        "booked": pc.strftime(pa.array(days.astype("datetime64[D]")), way.day),
        "at": pc.strftime(pa.array(seconds.astype("datetime64[s]")), way.moment),
        "counterparty": pa.array(_NAMES).take(pa.array(chance.integers(0, len(_NAMES), rows))),
        "reference": pc.binary_join_element_wise(
            "INV", pc.cast(pa.array(chance.integers(0, 10**8, rows)), pa.string()), "-"
        ),
        "amount": way.amount(amounts),
        "balance": way.amount(balances),
        "currency": pa.array(["EUR"] * rows),
    }
    delimiter = way.format.delimiter or ","
    lines = pc.binary_join_element_wise(*columns.values(), delimiter)
    text = "\n".join([delimiter.join(columns), *lines.to_pylist(), ""])
    path.write_text(text, encoding="utf-8")


def cpu_of(path: Path, way: Way) -> tuple[float, int]:
    """Return the seconds of CPU that one reading takes, and how many rows there were."""
    spec = SourceSpec("rows", SourceType.FILE, str(path), format=way.format)
    connector = connector_for(spec)
    before = _cpu()
    rows = 0
    with connector.pin(spec) as pinned:
        for part in connector.plan(pinned, _PARTS):
            rows += sum(batch.num_rows for batch in connector.read(pinned, part))
    return _cpu() - before, rows


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.spellings", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5, help="readings of each file")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        files = {name: Path(folder) / f"{number}.csv" for number, name in enumerate(WAYS)}
        for name, path in files.items():
            write(path, asked.rows, WAYS[name])
        least = dict.fromkeys(WAYS, float("inf"))
        for _ in range(asked.rounds):
            for name, path in files.items():
                seconds, rows = cpu_of(path, WAYS[name])
                if rows != asked.rows:
                    raise SystemExit(f"{name}: {rows:,} rows were read of {asked.rows:,}.")
                least[name] = min(least[name], seconds)
    for name, seconds in least.items():
        print(f"{name:40} {seconds:6.2f} s of CPU {seconds / least['plain']:6.2f} x")


if __name__ == "__main__":
    main()
