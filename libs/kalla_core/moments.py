"""Times as the store keeps them: microseconds since 1970, exact in every database."""

from __future__ import annotations

from datetime import UTC, datetime


def micros(moment: datetime) -> int:
    """Return a zoned time as microseconds."""
    whole = int(moment.replace(microsecond=0).timestamp())
    return whole * 1_000_000 + moment.microsecond


def moment_of(microseconds: int) -> datetime:
    """Return the time of `micros`, in UTC."""
    seconds, rest = divmod(microseconds, 1_000_000)
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
