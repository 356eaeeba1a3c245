"""Some rows and columns of an output of evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.answers.why.words import REASONS
from kalla_core.errors import InvalidSetting, UnknownColumn
from kalla_core.evidence.reader import Evidence
from kalla_core.recipe.nearest import suggestion

REASON = "rejection_reason"
_ENDING = ".parquet"


@dataclass(frozen=True, slots=True)
class Selection:
    """What is asked of an output.

    Attributes:
        set: its name without ending, as `unmatched_left`.
        reasons: codes; only rows that have one of them. All rows where there are none.
        columns: the only ones, in this order. All where there are none.
    """

    set: str
    reasons: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Selected:
    """Rows of a schema; `batches` reads them anew each time."""

    name: str
    schema: pa.Schema
    batches: Callable[[], Iterator[pa.RecordBatch]]


def sets_of(evidence: Evidence) -> tuple[str, ...]:
    """Return the names of the outputs that there are, without ending."""
    return tuple(output.removesuffix(_ENDING) for output in evidence.outputs)


def select(evidence: Evidence, asked: Selection) -> Selected:
    """Return what is asked for.

    Raises:
        InvalidSetting: there is no such output, or it knows no reasons.
        UnknownColumn: it has no such column.
    """
    if asked.set not in sets_of(evidence):
        raise InvalidSetting(
            f"The evidence has no set {asked.set!r}; it has {', '.join(sets_of(evidence))}.",
            settings=["--set"],
        )
    output = f"{asked.set}{_ENDING}"
    schema = evidence.schema(output)
    for name in asked.columns:
        if name not in schema.names:
            raise UnknownColumn(
                f"{asked.set} has no column {name!r}. {suggestion(name, schema.names)}",
                column_name=name,
            )
    if asked.reasons and REASON not in schema.names:
        raise InvalidSetting(
            f"Rows of {asked.set} have no reason; --reason is for unmatched_left and "
            "unmatched_right.",
            settings=["--reason"],
        )
    for reason in asked.reasons:
        if reason not in REASONS:
            raise InvalidSetting(
                f"There is no reason {reason!r}. {suggestion(reason, REASONS)}",
                settings=["--reason"],
            )
    names = list(dict.fromkeys(asked.columns)) or schema.names
    shown = pa.schema([schema.field(name) for name in names])
    return Selected(asked.set, shown, lambda: _batches(evidence, output, names, asked.reasons))


def _batches(
    evidence: Evidence, output: str, names: Sequence[str], reasons: Sequence[str]
) -> Iterator[pa.RecordBatch]:
    if not reasons:
        yield from evidence.batches(output, columns=names)
        return
    wanted = pa.array(reasons, pa.string())
    read = names if REASON in names else [*names, REASON]
    for batch in evidence.batches(output, columns=read):
        kept = batch.filter(pc.is_in(batch.column(REASON), value_set=wanted))
        if kept.num_rows:
            yield kept.select(list(names))
