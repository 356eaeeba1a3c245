"""The one comparison behind the tolerances: is |a - b| at most t times |m|?

Fixed numbers are brought to one scale and compared as 64-bit integers where all values of the
batch fit, else as integers of any width (`wide`). Where floats take part, doubles decide all rows
that are clearly away from the boundary; the few others are compared as the numbers they print as:
as integers where they have few decimals, else through their text as 256-bit decimals, and, for
numbers from 1e30 or below 1e-20 that lie on the boundary, one by one as Python's fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from math import prod

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from kalla_core.functions import wide
from kalla_core.functions.numbers import Fixed, Floats, Numbers, of_decimals

Mask = NDArray[np.bool_]

_WORD_LIMIT = 2**63
_SHORT = 1e15  # decimals of at most 15 digits are told apart by their doubles
_LONG_FROM, _LONG_BELOW, _LONG_TYPE = 1e-20, 1e30, pa.decimal256(76, 38)


def within(a: Numbers, b: Numbers, t: Numbers, m: Numbers | None) -> Mask:
    """Return where |a - b| <= t * |m|, exactly; without `m`, where |a - b| <= t.

    False where any of them is NaN or infinite, or t is negative. All have the same rows.
    """
    arguments = [a, b, t] if m is None else [a, b, t, m]
    live = ~t.is_negative()
    for argument in arguments:
        if isinstance(argument, Floats):
            live &= argument.is_finite()
    if live.all():
        return _decide(arguments)
    answer = np.zeros(len(live), np.bool_)
    answer[live] = _decide(_taken(arguments, live))
    return answer


def _taken(arguments: Sequence[Numbers], rows: NDArray[np.generic]) -> list[Numbers]:
    return [argument.take(rows) for argument in arguments]


def _decide(arguments: Sequence[Numbers]) -> Mask:
    fixed = [argument for argument in arguments if isinstance(argument, Fixed)]
    if len(fixed) == len(arguments):
        return _decide_fixed(*fixed)
    answer, sure = _by_doubles(*arguments)
    if not sure.all():
        rows = np.flatnonzero(~sure)
        answer[rows] = _as_printed(_taken(arguments, rows))
    return answer


def _decide_fixed(a: Fixed, b: Fixed, t: Fixed, m: Fixed | None = None) -> Mask:
    a, b, t, m = a.narrowed(), b.narrowed(), t.narrowed(), None if m is None else m.narrowed()
    limit_scale = t.scale + (m.scale if m is not None else 0)
    scale = max(a.scale, b.scale, limit_scale)
    shifts = scale - a.scale, scale - b.scale, scale - limit_scale
    if _fit_words(a, b, t, m, shifts):
        return _by_words(a, b, t, m, shifts)
    return _by_digits(a, b, t, m, shifts)


def _fit_words(a: Fixed, b: Fixed, t: Fixed, m: Fixed | None, shifts: tuple[int, ...]) -> bool:
    """Return whether no step of `_by_words` can overflow on these very values."""
    if any(column.units.ndim > 1 for column in (a, b, t, m) if column is not None):
        return False
    apart = _largest(a) * 10 ** shifts[0] + _largest(b) * 10 ** shifts[1]
    limit = _largest(t) * (_largest(m) if m is not None else 1) * 10 ** shifts[2]
    return bool(max(apart, limit) < _WORD_LIMIT)


def _largest(column: Fixed) -> int:
    """Return a bound on the absolute values, at least 1."""
    if not len(column.units):
        return 1
    return max(int(column.units.max()), -int(column.units.min()), 1)


def _by_words(a: Fixed, b: Fixed, t: Fixed, m: Fixed | None, shifts: tuple[int, ...]) -> Mask:
    apart = np.abs(_shifted_word(a.units, shifts[0]) - _shifted_word(b.units, shifts[1]))
    limit = t.units if m is None else t.units * np.abs(m.units)
    answer: Mask = apart <= _shifted_word(limit, shifts[2])
    return answer


def _shifted_word(units: NDArray[np.int64], places: int) -> NDArray[np.int64]:
    return units * np.int64(10**places) if places else units


def _by_digits(a: Fixed, b: Fixed, t: Fixed, m: Fixed | None, shifts: tuple[int, ...]) -> Mask:
    left = wide.shifted(a.digits(), shifts[0])
    right = wide.shifted(b.digits(), shifts[1])
    limit = wide.absolute(t.digits())
    if m is not None:
        limit = wide.product(limit, wide.absolute(m.digits()))
    apart = wide.absolute(wide.difference(left, right))
    return wide.at_most(apart, wide.shifted(limit, shifts[2]))


def _by_doubles(a: Numbers, b: Numbers, t: Numbers, m: Numbers | None = None) -> tuple[Mask, Mask]:
    """Return the answers of double arithmetic, and where they are surely those of the numbers."""
    near_a, near_b, near_t = a.approximate(), b.approximate(), t.approximate()
    near_m = np.abs(m.approximate()) if m is not None else np.ones_like(near_t)
    columns = [column for column in (a, b, t, m) if column is not None]
    # Four times: t and m both are off, and the arithmetic rounds as well.
    share = 4 * max(column.error for column in columns)
    tiny = 4 * max(column.tiny for column in columns)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        apart = np.abs(near_a - near_b)
        limit = near_t * near_m
        blur = share * (np.abs(near_a) + np.abs(near_b) + limit) + tiny * (1 + near_t + near_m)
        sure = np.abs(apart - limit) > blur  # not where this overflowed
    if isinstance(a, Floats) and isinstance(b, Floats) and a.values.dtype == b.values.dtype:
        sure |= a.values == b.values
    return apart <= limit, sure


def _as_printed(arguments: Sequence[Numbers]) -> Mask:
    """Return the exact answers; meant for the few rows on the boundary."""
    arguments = [column.widened() if isinstance(column, Floats) else column for column in arguments]
    answer = np.zeros(arguments[0].rows, np.bool_)
    open_rows = np.arange(len(answer))
    for render in _RENDERERS:
        if not len(open_rows):
            break
        columns, exact = _rendered(arguments, render)
        answer[open_rows[exact]] = _decide_fixed(*(column.take(exact) for column in columns))
        arguments, open_rows = _taken(arguments, ~exact), open_rows[~exact]
    answer[open_rows] = _by_fractions(arguments)
    return answer


def _rendered(arguments: Sequence[Numbers], render: Renderer) -> tuple[list[Fixed], Mask]:
    """Return the arguments as fixed numbers, and the rows where all of them are exact."""
    exact = np.ones(arguments[0].rows, np.bool_)
    columns = []
    for argument in arguments:
        if isinstance(argument, Floats):
            argument, is_exact = render(argument.values)
            exact &= is_exact
        columns.append(argument)
    return columns, exact


Renderer = Callable[[NDArray[np.float64]], tuple[Fixed, Mask]]


def _short(values: NDArray[np.float64], places: int) -> tuple[Fixed, Mask]:
    """Return doubles as units of 10**-places, and which of them print as just that."""
    power = float(10**places)  # a double holds it exactly
    with np.errstate(over="ignore"):
        units = np.rint(values * power)
    # units / power rounds once, so it is the double that the decimal reads as.
    exact = (np.abs(units) < _SHORT) & (units / power == values)
    return Fixed(np.where(exact, units, 0).astype(np.int64), places), exact


def _long(values: NDArray[np.float64]) -> tuple[Fixed, Mask]:
    """Return doubles by way of their text, and which of them are of a size for that."""
    size = np.abs(values)
    exact = (size == 0) | ((size >= _LONG_FROM) & (size < _LONG_BELOW))
    text = pc.cast(pa.array(np.where(exact, values, 0.0)), pa.string())
    return of_decimals(pc.cast(text, _LONG_TYPE)), exact


def _by_fractions(arguments: Sequence[Numbers]) -> Mask:
    rows = zip(*(argument.fractions() for argument in arguments), strict=True)
    return np.array([abs(a - b) <= t * prod(map(abs, m)) for a, b, t, *m in rows], np.bool_)


_RENDERERS: Sequence[Renderer] = (*(partial(_short, places=places) for places in (2, 6, 11)), _long)
