"""Which nodes of a graph hang together, by labels that jump to the least."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_ROOM = 32
"""Places of a table for each value, so many that to fill it is less than to sort the values."""


def components(nodes: int, one: Ints, other: Ints) -> Ints:
    """Return for each node the least node that it hangs together with.

    Args:
        nodes: how many there are, numbered from 0.
        one: an end of each edge.
        other: its other end.
    """
    labels: Ints = np.arange(nodes, dtype=np.int64)
    while len(one):
        least = np.minimum(labels[one], labels[other])
        # The roots of both ends are joined as well, so that long chains fold up in few rounds.
        roots_one, roots_other = labels[one], labels[other]
        np.minimum.at(labels, roots_one, least)
        np.minimum.at(labels, roots_other, least)
        while True:
            jumped = labels[labels]
            if np.array_equal(jumped, labels):
                break
            labels = jumped
        apart = labels[one] != labels[other]
        one, other = one[apart], other[apart]
    return labels


def numbered(values: Ints) -> tuple[Ints, int]:
    """Return of each value how many lesser ones there are, and how many there are in all.

    Places of rows, of which about as many are used as there are, are looked up in a table.
    """
    if len(values) and values.min() >= 0 and values.max() < _ROOM * len(values):
        there = np.zeros(int(values.max()) + 1, dtype=np.bool_)
        there[values] = True
        numbers = np.cumsum(there)
        return numbers[values] - 1, int(numbers[-1])
    distinct, at = np.unique(values, return_inverse=True)
    return at.astype(np.int64), len(distinct)


def pair_components(left: Ints, right: Ints) -> Ints:
    """Return for each pair of rows the number of the least pair that it hangs together with."""
    at_left, lefts = numbered(left)
    at_right, rights = numbered(right)
    nodes = lefts + rights
    labels = components(nodes, at_left, at_right + lefts)
    of_pair = labels[at_left]
    first: Ints = np.full(nodes, len(left), dtype=np.int64)
    np.minimum.at(first, of_pair, np.arange(len(left), dtype=np.int64))
    return first[of_pair]
