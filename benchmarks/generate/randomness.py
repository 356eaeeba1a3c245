"""Random numbers by position: the value for row i is a function of (seed, stream, i) alone.

A generator with a moving state would have to be walked through to know the amount of invoice
4,711,003 when its payment comes up. A counter run through a mixer needs no state, so chunks can
be made in any order, of any size and on any number of threads, with the same bytes. Only unsigned
64-bit arithmetic is used, which is the same on every machine and in every version of numpy.

The mixer is SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import gcd

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15
_FIRST = 0xBF58476D1CE4E5B9
_SECOND = 0x94D049BB133111EB


class Stream(IntEnum):
    """What a number is drawn for; the values are part of the data, so they are never reused."""

    CUSTOMER = 1
    INVOICE_DAY = 2
    TERMS = 3
    AMOUNT = 4
    CURRENCY = 5
    STATUS = 6
    DESCRIPTION = 7
    BATCH = 8
    PAYMENT_DELAY = 9
    METHOD = 10
    BANK_REFERENCE = 11
    NOTES = 12
    DIFFERENCE = 13
    PART = 14
    ORPHAN = 15
    KEY_LEFT = 16
    KEY_RIGHT = 17
    OFFSET_LEFT = 18
    OFFSET_RIGHT = 19
    ID_LEFT = 20
    ID_RIGHT = 21
    NASTY_LEFT = 22
    NASTY_RIGHT = 23
    NULL_LEFT = 24
    NULL_RIGHT = 25
    SHUFFLE_LEFT = 26
    SHUFFLE_RIGHT = 27


@dataclass(frozen=True, slots=True)
class Randomness:
    """All numbers of one seed."""

    seed: int

    def below(self, stream: Stream, index: Ints, bound: int | Ints) -> Ints:
        """Return for each index a number in [0, bound); `bound` is positive and below 2**53."""
        drawn = _mixed(index.astype(np.uint64) * np.uint64(_GOLDEN) + np.uint64(self._key(stream)))
        limit = np.asarray(bound, dtype=np.uint64)
        return np.asarray((drawn >> np.uint64(11)) % limit).astype(np.int64)

    def shuffle(self, stream: Stream, size: int) -> Shuffle:
        """Return a permutation of [0, size), the same for the same seed and stream."""
        if size < 2:
            return Shuffle(size=max(size, 1), factor=1, shift=0)
        key = self._key(stream)
        factor = size // 3 + key % (size - size // 3)
        while gcd(factor, size) != 1:
            factor += 1
        return Shuffle(size=size, factor=factor, shift=(key >> 32) % size)

    def _key(self, stream: Stream) -> int:
        return _mixed_int(_mixed_int(self.seed & _MASK) ^ (stream * _GOLDEN & _MASK))


@dataclass(frozen=True, slots=True)
class Shuffle:
    """An affine permutation of [0, size): it scatters neighbours and needs no memory.

    `size` and `factor` stay below 2**31, so that products fit 64 bits.
    """

    size: int
    factor: int
    shift: int

    def forward(self, index: Ints) -> Ints:
        """Return where each index goes."""
        return (index * self.factor + self.shift) % self.size

    def back(self, index: Ints) -> Ints:
        """Return where each index came from: `back(forward(i)) == i`."""
        inverse = pow(self.factor, -1, self.size)
        return ((index - self.shift) % self.size * inverse) % self.size


def _mixed(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_FIRST)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_SECOND)
    return values ^ (values >> np.uint64(31))


def _mixed_int(value: int) -> int:
    value = (value + _GOLDEN) & _MASK
    value = ((value ^ (value >> 30)) * _FIRST) & _MASK
    value = ((value ^ (value >> 27)) * _SECOND) & _MASK
    return value ^ (value >> 31)
