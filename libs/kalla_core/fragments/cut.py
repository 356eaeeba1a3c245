"""How many buckets, and which of them go together: arithmetic on bytes, nothing else."""

from __future__ import annotations

from collections.abc import Sequence

MAX_BUCKETS = 1024
MAX_PARTS = 1024

_PART_BYTES = 64 << 20
_ONE_PART_BYTES = 8 << 20


def bucket_count(total_bytes: int, join_bytes: int) -> int:
    """Return how many buckets bring a bucket of both sides down to half of `join_bytes`.

    Half, because keys are never spread evenly; small buckets are joined together anyway.
    """
    wanted = -(-2 * total_bytes // max(join_bytes, 1))
    return min(max(wanted, 1), MAX_BUCKETS)


def part_count(known_bytes: int | None, slots: int) -> int:
    """Return into how many parts a source is cut that is read by `slots` scans at a time.

    One if it is small; else one or more per slot, none much too large. A source of which nobody
    knows the size is cut as if it were large.
    """
    if known_bytes is None:
        return min(4 * slots, MAX_PARTS)
    if known_bytes <= _ONE_PART_BYTES:
        return 1
    return min(full_rounds(known_bytes // _PART_BYTES, slots), MAX_PARTS)


def full_rounds(tasks: int, slots: int) -> int:
    """Return the next number of tasks that keeps all slots busy until the last of them ends."""
    return -(-max(tasks, 1) // slots) * slots


def evenly(sizes: Sequence[int], count: int) -> tuple[tuple[int, ...], ...]:
    """Deal buckets, in their order, to `count` groups of about the same size, none without any."""
    total = max(sum(sizes), 1)
    groups: dict[int, list[int]] = {}
    before = 0
    for bucket, size in enumerate(sizes):
        middle = before + size // 2
        groups.setdefault(min(count * middle // total, count - 1), []).append(bucket)
        before += size
    return tuple(tuple(group) for group in groups.values())


def coalesce(sizes: Sequence[int], join_bytes: int) -> tuple[tuple[int, ...], ...]:
    """Group buckets, in their order, so that a group stays within `join_bytes` where it can.

    Every bucket is in one group; a bucket larger than `join_bytes` is alone in its group.
    """
    groups: list[tuple[int, ...]] = []
    group: list[int] = []
    held = 0
    for bucket, size in enumerate(sizes):
        if group and held + size > join_bytes:
            groups.append(tuple(group))
            group, held = [], 0
        group.append(bucket)
        held += size
    if group:
        groups.append(tuple(group))
    return tuple(groups)
