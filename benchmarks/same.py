"""Whether two versions of Kalla write the same evidence: `python -m benchmarks.same --write FILE`.

Runs each pattern over CSV and Parquet, cut into 1 to 8 parts, with ample memory and with little,
and writes a line for each: what was run, rows and a hash of each output. The hash is over all
columns but `matched_at`, whatever the order of the rows. Another version is compared by

    python -m benchmarks.same --against FILE

in its own checkout, or with `--kalla` for the command of another. Exit code 1 if a line differs.
`python -m tests.support.corpus` does the same for two hundred recipes over small tables.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated

import duckdb
import typer

from benchmarks.generate import DEFAULT_SEED, Dataset, Format, PatternName
from benchmarks.run import data_for, parse_size

_PARTS = (1, 3, 8)
_MEMORY = ("2GiB", "512MiB")
_OUTPUTS = ("matched", "unmatched_left", "unmatched_right")
_TOLD_WHEN = "matched_at"
_ROWS_OF_CROSS = 5_000
"""It is quadratic."""


@dataclass(frozen=True, slots=True)
class Way:
    """One run of a data set."""

    dataset: Dataset
    parts: int
    memory: str

    @property
    def name(self) -> str:
        """What it is called in the file."""
        one = self.dataset
        return f"{one.pattern}-{one.size}-{one.format}-{self.parts}-{self.memory}"


def main(
    write: Annotated[Path | None, typer.Option(help="File for the lines.")] = None,
    against: Annotated[Path | None, typer.Option(help="File of another version.")] = None,
    size: Annotated[str, typer.Option(help="Invoices: 200k, 1m, ...")] = "200k",
    kalla: Annotated[Path | None, typer.Option(help="Its command, else the one beside.")] = None,
    work: Annotated[Path, typer.Option(help="Folder for data and evidence.")] = Path(".bench"),
) -> None:
    """Write what evidence hashes to, or compare it with what another version wrote."""
    command = kalla or Path(sys.executable).with_name("kalla")
    known = dict(map(_split, against.read_text().splitlines())) if against is not None else {}
    lines, unlike = [], 0
    for way in _ways(work, parse_size(size)):
        found = evidence_hash(command, way, work / "same")
        lines.append(f"{way.name} {found}")
        print(lines[-1], flush=True)
        if known and known.get(way.name) != found:
            unlike += 1
            print(f"  differs: {known.get(way.name)}")
    if write is not None:
        write.write_text("".join(f"{line}\n" for line in lines))
    if known:
        print(f"{len(lines)} runs, {unlike} of them with other evidence")
    raise typer.Exit(1 if unlike else 0)


def _ways(work: Path, size: int) -> Iterator[Way]:
    for pattern, format_ in product(PatternName, Format):
        rows = _ROWS_OF_CROSS if pattern is PatternName.CROSS else size
        dataset = data_for(work, pattern, rows, format_, DEFAULT_SEED)
        for parts, memory in product(_PARTS, _MEMORY):
            yield Way(dataset, parts, memory)


def evidence_hash(kalla: Path, way: Way, folder: Path) -> str:
    """Return rows and hash of each output of a run.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = [str(kalla), "run", str(way.dataset.recipe_path), "--output", str(folder)]
    options = [
        "--overwrite",
        "--quiet",
        "--partitions",
        str(way.parts),
        "--memory-limit",
        way.memory,
    ]
    folder.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([*command, *options], check=True, capture_output=True)
    with duckdb.connect() as database:
        return " ".join(_hash(database, folder / f"{name}.parquet") for name in _OUTPUTS)


def _hash(database: duckdb.DuckDBPyConnection, path: Path) -> str:
    described = database.execute("DESCRIBE FROM read_parquet(?)", [str(path)]).fetchall()
    columns = ", ".join(f'"{name}"' for name, *_ in described if name != _TOLD_WHEN)
    found = database.execute(
        f"SELECT count(*), sum(hash({columns})::HUGEINT), bit_xor(hash({columns}))"
        " FROM read_parquet(?)",
        [str(path)],
    ).fetchone()
    count, total, mixed = found or (0, None, None)
    return f"{count}:{total or 0:x}:{mixed or 0:x}"


def _split(line: str) -> tuple[str, str]:
    name, _, found = line.partition(" ")
    return name, found


if __name__ == "__main__":
    typer.run(main)
