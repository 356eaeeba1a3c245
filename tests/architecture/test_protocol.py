"""What executors are told, held to the number of the protocol that it belongs to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kalla_core.fragments.presence import PROTOCOL
from kalla_core.wire.generated import common_pb2, executors_pb2

RECIPE = Path(__file__).parents[2] / "docs" / "reference" / "recipe.schema.json"

SPOKEN = (8, "6cd94040179e07ca")
"""A protocol, and the digest of its messages and of the recipes in them."""


def fields() -> Iterator[str]:
    """Yield each field of each message, as it travels."""
    for file in (common_pb2, executors_pb2):
        for message in file.DESCRIPTOR.message_types_by_name.values():
            for one in message.fields:
                kind = one.message_type or one.enum_type
                yield f"{message.full_name} {one.number} {one.type} {kind and kind.full_name}"


def shape(schema: Any) -> Any:
    """Return a JSON schema without the words that are for people."""
    if isinstance(schema, list):
        return [shape(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    told = ("description", "title", "examples", "default", "$id")
    return {
        name: shape(one)
        for name, one in schema.items()
        if name not in told or isinstance(one, dict)
    }


def digest() -> str:
    recipe = json.dumps(shape(json.loads(RECIPE.read_bytes())), sort_keys=True)
    return hashlib.sha256("\n".join([*sorted(fields()), recipe]).encode()).hexdigest()[:16]


def test_older_executors_are_told_nothing_that_they_do_not_know() -> None:
    assert (PROTOCOL, digest()) == SPOKEN, (
        "What executors are told has changed. One more in PROTOCOL lets a coordinator refuse those "
        "of before in one sentence; without it they fail at what they do not know, or leave it "
        "undone. Then put both into SPOKEN."
    )
