"""Hidden columns of any shape, and the pairs in them by the definition, row by row."""

from __future__ import annotations

from itertools import product

from hypothesis import strategies as st

from kalla_core.matching.row_ids.origins import Collected, Origin, RowId
from kalla_core.matching.sql.query import Side

L, R = Side.LEFT, Side.RIGHT

row_ids = st.sampled_from(Side).map(lambda side: RowId(side, "x"))
origins_of_a_row = st.recursive(
    row_ids,
    lambda inner: st.builds(
        Collected,
        st.lists(inner, min_size=1, max_size=3).map(tuple),
        st.just("x"),
        st.sampled_from([frozenset(), frozenset((L,)), frozenset((R,))]),
    ),
    max_leaves=5,
)


def values(origin: Origin) -> st.SearchStrategy[object]:
    if isinstance(origin, RowId):
        return st.none() | st.integers(0, 4)
    if len(origin.members) == 1:
        return st.none() | st.lists(values(origin.members[0]), max_size=3)
    fields = {f"m{i}": values(member) for i, member in enumerate(origin.members)}
    return st.none() | st.lists(st.fixed_dictionaries(fields), max_size=3)


@st.composite
def hidden_columns(draw: st.DrawFn) -> tuple[tuple[Origin, ...], list[list[object]]]:
    origins = tuple(draw(st.lists(origins_of_a_row, min_size=1, max_size=3)))
    rows = draw(st.integers(1, 4))
    columns = [draw(st.lists(values(o), min_size=rows, max_size=rows)) for o in origins]
    return origins, columns


def pairs_by_definition(
    origins: tuple[Origin, ...], cells: tuple[object, ...]
) -> set[tuple[int, int]]:
    """The definition, row by row: whoever is together in a derivation is a pair."""
    return {
        (left, right)
        for derivation in _derivations(origins, cells)
        for left in derivation[L]
        for right in derivation[R]
    }


def _derivations(
    origins: tuple[Origin, ...], cells: tuple[object, ...]
) -> list[dict[Side, set[int]]]:
    """Every way in which folded rows may have been beside each other."""
    choices = [_choices(o, c) for o, c in zip(origins, cells, strict=True)]
    return [
        {side: set().union(*(one[side] for one in chosen)) for side in Side}
        for chosen in product(*choices)
    ]


def _choices(origin: Origin, cell: object) -> list[dict[Side, set[int]]]:
    nothing: dict[Side, set[int]] = {side: set() for side in Side}
    if isinstance(origin, RowId):
        return [nothing if cell is None else {**nothing, origin.side: {cell}}]  # type: ignore[dict-item]
    elements = cell if isinstance(cell, list) else []
    rows = [
        tuple(element[f"m{i}"] for i in range(len(element)))
        if isinstance(element, dict)
        else (element,)
        for element in elements
    ]
    found = [d for row in rows for d in _derivations(origin.members, row)]
    kept = [{side: set() if side in origin.silent else one[side] for side in Side} for one in found]
    return kept or [nothing]
