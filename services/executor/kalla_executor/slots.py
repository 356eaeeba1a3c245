"""How an executor's memory is divided among its slots: arithmetic, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kalla_core.engine.budget import BASE_BYTES, GIB, MIB, SMALLEST_LIMIT, Budget, budget
from kalla_core.errors import InvalidSetting

PARENT_BYTES = 176 * MIB
"""What the process that serves and listens has to itself, and its fork server.

Measured after a run, idle, on Linux x86-64 with Python 3.11: 85 MiB each of private memory; with
their share of the libraries they map, which the kernel drops when it needs room, 95 MiB each.
"""

_COUNTED_TWICE_BYTES = 96 * MIB
"""What `budget` takes off for a command line beside the child, which a slot does not have."""


@dataclass(frozen=True, slots=True)
class SlotShare:
    """What one fragment may take.

    Attributes:
        memory_bytes: of the slot's process, which is killed beyond it; told to the coordinator.
        rest_bytes: of a process that waits for its next fragment: what `budget` takes off before
            there are any rows, and half of what it leaves free.
        budget: what its rows, sorts and joins get of that; about a third is left for what the
            query engine does not count.
    """

    memory_bytes: int
    rest_bytes: int
    budget: Budget


def slot_share(limit_bytes: int, slots: int) -> SlotShare:
    """Divide the memory of an executor's process tree among `slots` fragments, one thread each.

    Raises:
        InvalidSetting: that leaves a slot too little to work with.
    """
    each = (limit_bytes - PARENT_BYTES) // slots
    if each + _COUNTED_TWICE_BYTES < SMALLEST_LIMIT:
        least = (SMALLEST_LIMIT - _COUNTED_TWICE_BYTES) * slots + PARENT_BYTES
        raise InvalidSetting(
            f"A memory limit of {limit_bytes // MIB} MiB is too small for {slots} slots: they "
            f"need {least // MIB} MiB. Raise --memory-limit, or lower --slots."
        )
    share = budget(each + _COUNTED_TWICE_BYTES, threads=1)
    rest = BASE_BYTES - _COUNTED_TWICE_BYTES + share.extras_bytes
    return SlotShare(each, rest, share)


def slot_environment(share: SlotShare) -> Mapping[str, str]:
    """Return the variables of the processes of slots.

    Pages that were given back are faulted in again: a quarter of the work of a fragment. So they
    are kept for longer than most fragments take, unless memory is tight: then they add up.
    """
    return {"MIMALLOC_PURGE_DELAY": "100" if share.memory_bytes < GIB else "10000"}
