"""Which nodes of a graph hang together, by labels that jump to the least."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]


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


def pair_components(left: Ints, right: Ints) -> Ints:
    """Return for each pair of rows the number of the least pair that it hangs together with."""
    lefts, at_left = np.unique(left, return_inverse=True)
    _, at_right = np.unique(right, return_inverse=True)
    nodes = len(lefts) + (int(at_right.max()) + 1 if len(right) else 0)
    labels = components(nodes, at_left.astype(np.int64), at_right.astype(np.int64) + len(lefts))
    of_pair = labels[at_left]
    first: Ints = np.full(nodes, len(left), dtype=np.int64)
    np.minimum.at(first, of_pair, np.arange(len(left), dtype=np.int64))
    return first[of_pair]
