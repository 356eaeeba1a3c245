"""How alike two texts are, from 0 to 1, as RapidFuzz scores them.

It is imported where it is asked: few recipes score texts, and all runs load this module.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_PERCENT = 100.0


def jaro_winkler(a: pa.Array, b: pa.Array) -> pa.Array:
    """Return float64 from two kinds of string: common letters and their order, the start most."""
    from rapidfuzz.distance import JaroWinkler

    return _scored(JaroWinkler.similarity, a, b, 1.0)


def token_sort_ratio(a: pa.Array, b: pa.Array) -> pa.Array:
    """Return float64: the share of characters in common once the words are in order."""
    from rapidfuzz import fuzz

    return _scored(fuzz.token_sort_ratio, a, b, _PERCENT)


def token_set_ratio(a: pa.Array, b: pa.Array) -> pa.Array:
    """Return float64: likewise of the words in common beside all words; 1 where one has all."""
    from rapidfuzz import fuzz

    return _scored(fuzz.token_set_ratio, a, b, _PERCENT)


def _scored(scorer: Callable[..., float], a: pa.Array, b: pa.Array, whole: float) -> pa.Array:
    from rapidfuzz import process

    a, b = a.cast(pa.string()), b.cast(pa.string())
    there = pc.and_(pc.is_valid(a), pc.is_valid(b))
    # In single precision, the default, a score of 0.9 would not be 0.9.
    scores: Any = process.cpdist(
        a.filter(there).to_pylist(), b.filter(there).to_pylist(), scorer=scorer, dtype=np.float64
    )
    found = np.zeros(len(a))
    valid = there.to_numpy(zero_copy_only=False)
    found[valid] = scores / whole
    return pa.array(found, mask=~valid)
