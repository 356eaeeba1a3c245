"""Whole numbers of any width, a column at a time, in numpy.

A column is a tuple of int64 arrays of one length: its digits in base 2**32, least significant
first. All but the last are in [0, 2**32); the last one carries the sign. So every operation is
school arithmetic with a carry that an arithmetic shift propagates, negative or not, and none can
overflow: results have as many digits as they need.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Digits = tuple[NDArray[np.int64], ...]

_BITS = 32
_MASK = (1 << _BITS) - 1
_STEP = 9  # 10**9 < 2**30, so a digit times it stays below 2**62


def from_words(words: NDArray[np.int64]) -> Digits:
    """Return the rows of two's complement words, least significant first, shape (n, words)."""
    rows = np.ascontiguousarray(words)
    halves = rows.view(np.uint32)
    low = (halves[:, place].astype(np.int64) for place in range(halves.shape[1] - 1))
    return (*low, rows.view(np.int32)[:, -1].astype(np.int64))


def shifted(number: Digits, places: int) -> Digits:
    """Return `number` times ten to the power of `places`, which is not negative."""
    while places:
        step = min(places, _STEP)
        number = _times_small(number, 10**step)
        places -= step
    return number


def difference(a: Digits, b: Digits) -> Digits:
    """Return a minus b."""
    length = max(len(a), len(b))
    digits = []
    carry = np.zeros_like(a[0])
    for left, right in zip(_padded(a, length), _padded(b, length), strict=True):
        carry = left - right + carry
        digits.append(carry & _MASK)
        carry >>= _BITS
    return (*digits, carry)


def absolute(number: Digits) -> Digits:
    """Return the distance from zero; also the last digit is then in [0, 2**32)."""
    sign = np.where(number[-1] < 0, np.int64(-1), np.int64(1))
    digits = []
    carry = np.zeros_like(sign)
    for digit in _padded(number, len(number) + 1):
        carry = digit * sign + carry
        digits.append(carry & _MASK)
        carry >>= _BITS
    return tuple(digits)


def product(a: Digits, b: Digits) -> Digits:
    """Return a times b, both as `absolute` leaves them."""
    # (2**32 - 1)**2 + 2 * (2**32 - 1) is the largest number that uint64 holds.
    right = [digit.astype(np.uint64) for digit in b]
    digits = [np.zeros(len(a[0]), np.uint64) for _ in range(len(a) + len(b))]
    for place, digit in enumerate(a):
        left = digit.astype(np.uint64)
        carry = np.zeros_like(left)
        for step, other in enumerate(right):
            total = digits[place + step] + left * other + carry
            digits[place + step] = total & np.uint64(_MASK)
            carry = total >> np.uint64(_BITS)
        digits[place + len(b)] = carry
    return tuple(digit.astype(np.int64) for digit in digits)


def at_most(a: Digits, b: Digits) -> NDArray[np.bool_]:
    """Return where a is not above b."""
    return difference(b, a)[-1] >= 0


def approximate(number: Digits) -> NDArray[np.float64]:
    """Return the doubles near `number`; off by less than 2**-53 of the value for each digit."""
    # By the absolute value: the digits of -1 would first add up to 2**64 and lose the 1.
    total = np.zeros(len(number[0]), np.float64)
    for digit in reversed(absolute(number)):
        total = total * 2.0**_BITS + digit
    return np.where(number[-1] < 0, -total, total)


def _times_small(number: Digits, factor: int) -> Digits:
    digits = []
    carry = np.zeros_like(number[0])
    for digit in number:
        carry = digit * factor + carry
        digits.append(carry & _MASK)
        carry >>= _BITS
    return (*digits, carry)


def _padded(number: Digits, length: int) -> Digits:
    *low, last = number
    while len(low) + 1 < length:
        low.append(last & _MASK)
        last = last >> _BITS
    return (*low, last)
