"""Counts how the rows of a large run are spread, and writes it beside a copy of evidence. Blocking.

python -m kalla_app.evidence.spread_file    # does what standard input asks for
"""

from __future__ import annotations

import fcntl
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from kalla_app.evidence.beside import Told, made_of, read, told_by, written
from kalla_app.evidence.files import sets_of
from kalla_app.evidence.lookup_file import be_modest, make_room
from kalla_core.answers.spread import Days, SideSpread, Spread, spread_of
from kalla_core.evidence.names import METADATA
from kalla_core.evidence.reader import open_evidence
from kalla_core.matching.sql.query import Side

_FIELD = pa.field("none", pa.null())


def spread_path(beside: Path) -> Path:
    """Return where the spread of a run lies, in the folder beside its evidence."""
    return beside / "spread.arrow"


def read_spread(evidence: Path, beside: Path) -> Spread | None:
    """Return what was written; None if there is none of this evidence.

    Raises:
        OSError: there is no evidence.
    """
    reader = read(spread_path(beside), _of(evidence))
    return None if reader is None else _spread(told_by(reader))


def write_spread(evidence: Path, beside: Path, most_bytes: int) -> None:
    """Write how the rows of a run are spread, unless that is there; others wait for it.

    Args:
        most_bytes: that all files beside evidence may take; this one stays in any case.

    Raises:
        KallaError: the evidence cannot be read.
        OSError: it cannot be written.
    """
    beside.mkdir(parents=True, exist_ok=True)
    path, of = spread_path(beside), _of(evidence)
    with (beside.parent / ".lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if read(path, of) is not None:
            return
        with open_evidence(evidence) as opened:
            told = _told(spread_of(opened))
        with written(path, _FIELD, of, told, packed=False):
            pass
        make_room(beside.parent, most_bytes, path)


def request_of(evidence: Path, beside: Path, most_bytes: int) -> bytes:
    """Return what the process reads from standard input; arguments as of `write_spread`."""
    return json.dumps([str(evidence), str(beside), most_bytes]).encode()


def _of(evidence: Path) -> str:
    files = (file for files in sets_of(evidence).values() for file in files)
    return made_of([evidence / METADATA, *files])


def _told(spread: Spread) -> Told:
    days = spread.days
    return {
        "sides": {side.word: _side_told(one) for side, one in spread.sides.items()},
        "days": days and [*days.columns, list(days.pairs.items()), days.unknown],
    }


def _side_told(side: SideSpread) -> Told:
    return {
        "column": side.column,
        "matched": None if side.matched is None else list(side.matched.items()),
        "unmatched": list(side.unmatched.items()),
        "ambiguous": list(side.ambiguous.items()),
    }


def _spread(told: Mapping[str, Any]) -> Spread:
    sides = {side: _side(one) for side in Side if (one := told["sides"].get(side.word))}
    if told["days"] is None:
        return Spread(sides, None)
    left, right, pairs, unknown = told["days"]
    return Spread(sides, Days((left, right), dict(pairs), unknown))


def _side(told: Mapping[str, Any]) -> SideSpread:
    return SideSpread(
        column=told["column"],
        matched=None if told["matched"] is None else dict(told["matched"]),
        unmatched=dict(told["unmatched"]),
        ambiguous=dict(told["ambiguous"]),
    )


def main() -> None:
    """Do what standard input asks for."""
    be_modest()
    evidence, beside, most_bytes = json.loads(sys.stdin.buffer.read())
    write_spread(Path(evidence), Path(beside), most_bytes)


if __name__ == "__main__":
    main()
