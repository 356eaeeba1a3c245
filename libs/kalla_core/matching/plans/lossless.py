"""Which casts keep unlike values unlike, and a type that several types go into."""

from __future__ import annotations

import pyarrow as pa

_INTEGER_BITS = {
    pa.int8(): 7, pa.int16(): 15, pa.int32(): 31, pa.int64(): 63,
    pa.uint8(): 8, pa.uint16(): 16, pa.uint32(): 32, pa.uint64(): 64,
}  # fmt: skip
_TEXTS = {pa.string(), pa.large_string(), pa.string_view()}
_UNITS = ("s", "ms", "us", "ns")


def is_text(found: pa.DataType) -> bool:
    """Whether `found` is one of the types of text."""
    return found in _TEXTS


def loses_nothing(before: pa.DataType, after: pa.DataType) -> bool:
    """Whether a cast keeps unlike values unlike and equal ones equal, and never fails."""
    if before == after:
        return True
    if before in _TEXTS and after in _TEXTS:
        return True
    if before in _INTEGER_BITS:
        return _integer_fits(before, after)
    if pa.types.is_decimal(before) and pa.types.is_decimal(after):
        more_scale = after.scale - before.scale
        return bool(0 <= more_scale <= after.precision - before.precision)
    if pa.types.is_time(before) and pa.types.is_time(after):
        return _UNITS.index(after.unit) >= _UNITS.index(before.unit)
    if pa.types.is_floating(before) and pa.types.is_floating(after):
        return bool(after.bit_width >= before.bit_width)
    return False


def always_fits(before: pa.DataType, after: pa.DataType) -> bool:
    """Whether a cast of numbers never fails, whatever it makes of them."""
    if pa.types.is_floating(after):
        return _is_exact(before) or pa.types.is_floating(before)
    if not _is_exact(before) or not _is_exact(after):
        return False
    room = after.precision - after.scale if pa.types.is_decimal(after) else _whole_digits(after)
    rounds_up = pa.types.is_decimal(before) and before.scale > getattr(after, "scale", 0)
    signed = after not in _INTEGER_BITS or pa.types.is_signed_integer(after)
    return bool(signed and _digits(before) + rounds_up <= room)


def _is_exact(found: pa.DataType) -> bool:
    return found in _INTEGER_BITS or bool(pa.types.is_decimal(found))


def _whole_digits(integer: pa.DataType) -> int:
    """Return with how many digits every number is one of the type."""
    return len(str(2 ** _INTEGER_BITS[integer])) - 1


def _integer_fits(before: pa.DataType, after: pa.DataType) -> bool:
    bits = _INTEGER_BITS[before]
    if after in _INTEGER_BITS:
        signed_away = pa.types.is_signed_integer(before) and pa.types.is_unsigned_integer(after)
        return not signed_away and _INTEGER_BITS[after] >= bits
    if pa.types.is_decimal(after):
        return bool(after.precision - after.scale >= len(str(2**bits)))
    return False


def common_type(types: frozenset[pa.DataType]) -> pa.DataType | None:
    """Return a type all of `types` go into without loss, None if there is none to be had."""
    if types <= _TEXTS:
        return pa.string()
    candidates = [*sorted(types, key=str), *_wider(types)]
    return next((t for t in candidates if all(loses_nothing(other, t) for other in types)), None)


def _wider(types: frozenset[pa.DataType]) -> list[pa.DataType]:
    """Return the integers and the decimal that may hold all of `types`."""
    if types <= set(_INTEGER_BITS):
        return [pa.int64(), pa.decimal128(20, 0)] if len(types) > 1 else []
    decimals = [t for t in types if pa.types.is_decimal(t)]
    rest = [t for t in types if not pa.types.is_decimal(t)]
    if not decimals or not all(t in _INTEGER_BITS for t in rest):
        return []
    scale = max(t.scale for t in decimals)
    whole = max([t.precision - t.scale for t in decimals] + [_digits(t) for t in rest])
    return [pa.decimal128(whole + scale, scale)] if whole + scale <= 38 else []


def _digits(found: pa.DataType) -> int:
    """Return how many digits the whole part of an integer or a decimal may have."""
    if pa.types.is_decimal(found):
        return int(found.precision - found.scale)
    return len(str(2 ** _INTEGER_BITS[found]))
