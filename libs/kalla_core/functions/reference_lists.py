"""References as they stand in free text: all that a pattern finds, and what two texts share."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kalla_core.errors import InvalidSql

Ints = NDArray[np.int64]
REFERENCES = pa.list_(pa.string())


def extracted(texts: pa.Array, patterns: pa.Array) -> pa.Array:
    """Return list<string> from two kinds of string: what a pattern finds in a text, all of it.

    Each reference stands once, in the order of code points, so that lists of the same references
    are equal. A pattern with a group finds what the group holds. Null where either is null, and an
    empty list where nothing is found.

    Args:
        patterns: regular expressions as RE2 reads them.

    Raises:
        InvalidSql: a pattern is none.
    """
    texts, patterns = texts.cast(pa.string()), patterns.cast(pa.string())
    wanted = pc.and_(pc.is_valid(texts), pc.is_valid(patterns))
    owners, found = [], []
    for pattern in pc.unique(patterns.filter(wanted)).to_pylist():
        of_pattern = pc.fill_null(pc.and_(wanted, pc.equal(patterns, pattern)), False)
        rows = np.flatnonzero(of_pattern.to_numpy(zero_copy_only=False))
        owner, values = _found(texts.take(pa.array(rows)), pattern)
        owners.append(rows[owner])
        found.append(values)
    if not found:
        return _lists(np.zeros(0, np.int64), pa.array([], pa.string()), wanted)
    return _lists(np.concatenate(owners), pa.concat_arrays(found), wanted)


def share_one(a: pa.Array, b: pa.Array) -> pa.Array:
    """Return bool from two lists of strings: whether some reference is in both.

    Null where either is null; a null among the references is none.
    """
    null = pc.or_(pc.is_null(a), pc.is_null(b)).to_numpy(zero_copy_only=False)
    owner_a, owner_b = (_owners(one) for one in (a, b))
    values = pa.concat_arrays([pc.list_flatten(one).cast(pa.string()) for one in (a, b)])
    codes = values.dictionary_encode().indices
    number = pc.fill_null(codes, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    pairs = np.concatenate([owner_a, owner_b]) * np.int64(len(values) + 1) + number
    in_a, in_b = pairs[: len(owner_a)], pairs[len(owner_a) :]
    there = number[len(owner_a) :] >= 0
    answer = np.zeros(len(a), np.bool_)
    answer[owner_b[there & np.isin(in_b, in_a)]] = True
    return pa.array(answer, mask=null)


def check_pattern(pattern: str) -> None:
    """Raise InvalidSql unless `extracted` can look for this pattern."""
    _found(pa.array([""]), pattern)


def _found(texts: pa.Array, pattern: str) -> tuple[Ints, pa.Array]:
    """Return what a pattern finds, none of it empty, and for each the place of its text.

    Each find is put between two marks and the texts are cut at these, all of them at once.
    """
    begin, end = _marks(texts)
    try:
        held = 2 if _has_group(pattern) else 1
        marked = pc.replace_substring_regex(texts, f"({pattern})", f"{begin}\\{held}{end}")
    except pa.ArrowInvalid as error:
        raise InvalidSql(
            f"extract_refs: {pattern!r} is no regular expression: {error}", pattern=pattern
        ) from None
    pieces = pc.split_pattern(marked, begin)
    owner, values = _owners(pieces), pc.list_flatten(pieces)
    holds = pc.match_substring(values, end)
    kept = pc.replace_substring_regex(values.filter(holds), f"(?s){end}.*$", "")
    some = pc.not_equal(kept, "")
    at = owner[holds.to_numpy(zero_copy_only=False)]
    return at[some.to_numpy(zero_copy_only=False)], kept.filter(some)


def _has_group(pattern: str) -> bool:
    """Whether there is a second group where the whole is the first, which only RE2 can tell."""
    nothing = pa.array([""])
    pc.replace_substring_regex(nothing, f"({pattern})", "")
    try:
        pc.replace_substring_regex(nothing, f"({pattern})", r"\2")
    except pa.ArrowInvalid:
        return False
    return True


def _marks(texts: pa.Array) -> tuple[str, str]:
    """Return two characters that none of the texts has."""
    free = (chr(code) for code in range(0xF0000, 0xFFFFD))
    unused = (mark for mark in free if not pc.any(pc.match_substring(texts, mark)).as_py())
    return next(unused), next(unused)


def _owners(lists: pa.Array) -> Ints:
    """Return for each value of some lists the place of its list, int64."""
    owners: Ints = pc.list_parent_indices(lists).to_numpy().astype(np.int64)
    return owners


def _lists(owner: Ints, values: pa.Array, wanted: pa.Array) -> pa.Array:
    """Return the values as lists, sorted and each once, null where `wanted` is false."""
    table = pa.table({"owner": pa.array(owner), "value": values})
    once = table.group_by(["owner", "value"]).aggregate([])
    once = once.sort_by([("owner", "ascending"), ("value", "ascending")]).combine_chunks()
    counts = np.bincount(once.column("owner").to_numpy(), minlength=len(wanted))
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    column = once.column("value")
    flat = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string())
    null = pa.array(~wanted.to_numpy(zero_copy_only=False))
    return pa.ListArray.from_arrays(pa.array(offsets), flat, mask=null)
