"""Numbers of a `format`, from bytes to the values of a column."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
import pyarrow as pa

from kalla_core.functions.written_numbers import NumberForm
from kalla_core.sources.csv.quick.arrays import Flags, Numbers
from kalla_core.sources.csv.quick.bodies import Bodies
from kalla_core.sources.csv.quick.letters import Letters
from kalla_core.sources.csv.quick.template import MOST_DIGITS, Template

_BLANKS = (" ", "\u00a0", "\u202f")
_GLANCE_BYTES = 4096

ROWS = 16_384
"""Read at a time, so that what is made of them on the way stays in the cache of a core."""


def quick_numbers(
    texts: pa.StringArray,
    form: NumberForm,
    currency: str | None,
    wanted: pa.DataType,
    *,
    canonical: bool,
) -> tuple[Numbers, Flags] | None:
    """Return numbers in units of their last decimal, and where they were read.

    None for types that are not read so.

    Args:
        texts: as they are written, null among them.
        form: how.
        currency: the only one that may stand there.
        wanted: what the values shall be.
        canonical: whether integers with leading zeros are left out.
    """
    whole = bool(pa.types.is_int64(wanted))
    if not len(texts) or not (whole or pa.types.is_decimal128(wanted)):
        return None
    scale = 0 if whole else wanted.scale
    letters = Letters(texts)
    bodies = Bodies(letters, form.forms, currency)
    values, read = _read(letters, bodies, _templates(letters, form, scale), scale)
    _negate(values, bodies.minus)
    if whole:
        if canonical:
            zeros = letters.bytes.take(bodies.starts) == ord("0")
            read &= ~(zeros & (bodies.ends - bodies.starts > 1))
        read &= ~(bodies.minus & (values == 0))
    elif wanted.precision < MOST_DIGITS:
        read &= np.abs(values) < 10**wanted.precision
    return values, read


def _read(
    letters: Letters, bodies: Bodies, templates: Sequence[Template], scale: int
) -> tuple[Numbers, Flags]:
    """Return numbers with so many decimals, without their signs, and where they were read."""
    first, *others = templates
    values, read = first.read(letters, bodies.starts, bodies.ends)
    values, read = _scaled(values, read, scale - first.scale)
    for template in others:
        left = ~read if letters.is_given is None else letters.is_given & ~read
        if not left.any():
            break
        places = np.flatnonzero(left)
        found, good = template.read(letters, bodies.starts[places], bodies.ends[places])
        found, good = _scaled(found, good, scale - template.scale)
        places = places[good]
        values[places] = found[good]
        read[places] = True
    return values, read


def _negate(values: Numbers, minus: Flags) -> None:
    """Turn the sign of values where said, without a branch that nobody could foresee."""
    if minus.any():
        ones = minus.astype(np.int64)
        np.negative(ones, out=ones)
        values ^= ones
        values -= ones


def digits_of(
    texts: pa.StringArray, form: NumberForm, currency: str | None
) -> tuple[int, int] | None:
    """Return how many digits numbers have at most before their point, and all have behind it.

    None if some have not as many behind it as the first, or are not written as most are, or have
    zeros in front that they would not need.

    Args:
        texts: as they are written, at least one and none of them null.
        form: how.
        currency: the only one that may stand there.
    """
    letters = Letters(texts.slice(0, 1))
    first = Bodies(letters, form.forms, currency)
    digits = letters.bytes[first.starts[0] : first.ends[0]].tobytes()
    _, point, behind = digits.rpartition(form.decimal.encode())
    scale = len(behind) if point else 0
    before = 0
    for start in range(0, len(texts), ROWS):
        found = _digits_before(Letters(texts.slice(start, ROWS)), form, currency, scale)
        if found is None:
            return None
        before = max(before, found)
    return before, scale


def _digits_before(
    letters: Letters, form: NumberForm, currency: str | None, scale: int
) -> int | None:
    """Return how many digits stand at most before the point of numbers with so many behind it."""
    bodies = Bodies(letters, form.forms, currency)
    starts, ends = bodies.starts, bodies.ends
    least = scale + len(form.decimal.encode()) + 1 if scale else 1
    led = letters.bytes.take(starts) == ord("0")
    if (led & (ends - starts > least)).any() or (not scale and (led & bodies.minus).any()):
        return None
    largest = 0
    for group in _groups(letters, form):
        found, good = _template(form.decimal, scale, group).read(letters, starts, ends)
        largest = max(largest, int((found * good).max(initial=0)))
        if good.all():
            return len(str(largest // 10**scale))
        starts, ends = starts[~good], ends[~good]
    return None


def _templates(letters: Letters, form: NumberForm, scale: int) -> list[Template]:
    """Return how numbers are likely to be written, the likeliest first."""
    scales = dict.fromkeys((scale, 0, 1) if scale else (0,))
    groups = _groups(letters, form)
    return [
        _template(form.decimal, one, group) for one in scales for group in groups if one <= scale
    ]


@cache
def _template(decimal: str, scale: int, group: bytes) -> Template:
    return Template(decimal.encode(), scale, group)


def _groups(letters: Letters, form: NumberForm) -> list[bytes]:
    """Return what may stand between groups of digits, nothing last."""
    if form.thousands is None:
        return [b""]
    some = letters.bytes[: letters.starts[0] + _GLANCE_BYTES].tobytes()
    signs = _BLANKS if form.thousands.isspace() else (form.thousands,)
    return [*(one.encode() for one in signs if one.encode() in some), b""]


def _scaled(numbers: Numbers, good: Flags, digits: int) -> tuple[Numbers, Flags]:
    """Return numbers times a power of ten, and no longer where they would be too long."""
    if not digits:
        return numbers, good
    if digits > MOST_DIGITS:
        return numbers, np.zeros_like(good)
    return numbers * 10**digits, good & (numbers < 10 ** (MOST_DIGITS - digits))
