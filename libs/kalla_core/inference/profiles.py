"""What a column holds, told from a sample."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.recipe.column_types import type_word

_MASKS = 3
_LOOKED_AT = 5000
_NAMED = re.compile(r"(?:^|[_ .-])(?i:id|key|no|nr|number|uuid|guid)$|[a-z]I[dD]$|[a-z]Key$")


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """A column of a sample.

    Attributes:
        type: as a recipe's `types` says it.
        rows: of the sample.
        nulls: rows without a value.
        distinct: different values.
        patterns: the most frequent shapes of texts, each with its share: `AAA-9999` has three
            letters, a dash and four digits; runs longer than eight are `A+` and `9+`.
        least: the least value as text; None without values.
        most: the greatest.
    """

    name: str
    type: str
    rows: int
    nulls: int
    distinct: int
    patterns: tuple[tuple[str, float], ...]
    least: str | None
    most: str | None

    @property
    def unique(self) -> bool:
        """Whether every row has a value, and none has another's."""
        return self.rows > 0 and self.nulls == 0 and self.distinct == self.rows


def comparable(table: pa.Table) -> pa.Table:
    """Return a table without lists, structs and bytes: no rule is made of them."""
    return table.select(
        [
            field.name
            for field in table.schema
            if not pa.types.is_nested(field.type) and not pa.types.is_binary(field.type)
        ]
    )


def profiles(table: pa.Table) -> tuple[ColumnProfile, ...]:
    """Return the profile of each column, in order."""
    return tuple(_profile(name, table.column(name)) for name in table.column_names)


def primary_key(table: pa.Table, found: tuple[ColumnProfile, ...]) -> tuple[str, ...]:
    """Return the fewest columns that identify a row, three at most; empty if none do."""
    unique = [one for one in found if one.unique]
    if unique:
        return (min(unique, key=_awkwardness).name,)
    dense = [one.name for one in found if one.rows and one.nulls == 0 and one.distinct > 1][:12]
    codes = {name: dictionary_codes(table.column(name)) for name in dense}
    for size in (2, 3):
        for names in combinations(dense, size):
            if len(np.unique(_stacked([codes[name] for name in names]))) == len(table):
                return names
    return ()


def dictionary_codes(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return int64 codes of a column's values, -1 for null."""
    encoded = pc.dictionary_encode(column).combine_chunks()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = pa.concat_arrays(encoded.chunks) if encoded.num_chunks else encoded
    places = pc.fill_null(encoded.indices, -1).to_numpy(zero_copy_only=False)
    return np.asarray(places, dtype=np.int64)


def _profile(name: str, column: pa.ChunkedArray) -> ColumnProfile:
    values = column.drop_null()
    distinct = pc.count_distinct(values).as_py() if len(values) else 0
    least = most = None
    if len(values) and not pa.types.is_nested(column.type) and not pa.types.is_null(column.type):
        bounds = pc.min_max(values).as_py()
        least, most = str(bounds["min"]), str(bounds["max"])
    return ColumnProfile(
        name, type_word(column.type), len(column), column.null_count, distinct,
        _patterns(values) if pa.types.is_string(column.type) else (), least, most,
    )  # fmt: skip


def _patterns(values: pa.ChunkedArray) -> tuple[tuple[str, float], ...]:
    some = values.slice(0, _LOOKED_AT)
    if not len(some):
        return ()
    shapes = pc.replace_substring_regex(some, r"[0-9]", "9")
    shapes = pc.replace_substring_regex(shapes, r"\pL", "A")
    for sign in "A9":
        shapes = pc.replace_substring_regex(shapes, sign + "{9,}", sign + "+")
    counted = pc.value_counts(shapes).to_pylist()
    counted.sort(key=lambda one: (-one["counts"], one["values"]))
    return tuple((str(one["values"]), one["counts"] / len(some)) for one in counted[:_MASKS])


def _awkwardness(one: ColumnProfile) -> tuple[int, int]:
    """Order columns that could be a primary key: those named so first, then whole numbers."""
    named = bool(_NAMED.search(one.name)) and not one.type.startswith(("decimal", "double"))
    fraction = one.type.startswith(("decimal", "double", "date", "timestamp"))
    return (0 if named else 2 if fraction else 1, len(one.most or ""))


def _stacked(codes: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    found = codes[0]
    for other in codes[1:]:
        found = found * (int(other.max(initial=0)) + 2) + other
        found = np.unique(found, return_inverse=True)[1]
    return found
