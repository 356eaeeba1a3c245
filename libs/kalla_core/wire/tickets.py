"""Tickets for spools: what may be read of one executor, signed with its run's spool key.

    HMAC-SHA256 of the rest, 32 bytes | JSON: executor, wants

A ticket names the exact attempts, so it is good for nothing else and nowhere else. Its key is
known to the executors of one run attempt, good for what that has spooled, and forgotten with it:
no clock has a say, for those of two machines differ.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kalla_core.engine.spool.requests import SpoolRequest
from kalla_core.engine.spool.spool_folder import SpoolKind
from kalla_core.errors import Unauthenticated
from kalla_core.fragments.attempt import AttemptId, parse_attempt_id

_SIGNATURE_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True)
class Wanted:
    """Some buckets of one spool file of the executor that is asked; None for all of them."""

    attempt: AttemptId
    kind: SpoolKind
    buckets: tuple[int, ...] | None


def sign(key: bytes, executor_id: str, wants: Sequence[SpoolRequest]) -> bytes:
    """Return a ticket for what is wanted of one executor."""
    body = {
        "executor": executor_id,
        "wants": [
            [
                str(want.place.attempt),
                want.kind.value,
                None if want.buckets is None else list(want.buckets),
            ]
            for want in wants
        ],
    }
    text = json.dumps(body, separators=(",", ":")).encode()
    return _signature(key, text) + text


def read_ticket(
    keys: Mapping[tuple[str, int], bytes], executor_id: str, ticket: bytes
) -> tuple[Wanted, ...]:
    """Return what a ticket asks for, in its order.

    Args:
        keys: that are good now, by run id and run attempt.
        executor_id: who is asked.

    Raises:
        Unauthenticated: no key made it, it is for another executor or run.
    """
    signature, text = ticket[:_SIGNATURE_BYTES], ticket[_SIGNATURE_BYTES:]
    runs = {
        run for run, key in keys.items() if hmac.compare_digest(signature, _signature(key, text))
    }
    if not runs:
        raise Unauthenticated("The ticket was not signed by this cluster.")
    body: dict[str, Any] = json.loads(text)
    if body["executor"] != executor_id:
        raise Unauthenticated("The ticket is for another executor.")
    wanted = tuple(
        Wanted(
            parse_attempt_id(attempt), SpoolKind(kind), None if buckets is None else tuple(buckets)
        )
        for attempt, kind, buckets in body["wants"]
    )
    if not all((one.attempt.run_id, one.attempt.run_attempt) in runs for one in wanted):
        raise Unauthenticated("The ticket is for another run than its key.")
    return wanted


def _signature(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, text, "sha256")
