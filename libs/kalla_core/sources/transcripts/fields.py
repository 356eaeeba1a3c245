"""Which fields of a source's `format` a kind of files has. Pure."""

from __future__ import annotations

from collections.abc import Collection

from kalla_core.errors import InvalidFormat
from kalla_core.recipe.format_written import format_document
from kalla_core.recipe.source_format import SourceFormat


def demand_fields(found: SourceFormat, known: Collection[str], kind: str) -> None:
    """Check that a format says nothing that a kind of files has no use for.

    Args:
        found: what is said.
        known: the fields that the kind has, as a recipe calls them.
        kind: what its files are called, in the plural.

    Raises:
        InvalidFormat: naming the first field that it has not.
    """
    for field in format_document(found):
        if field not in known:
            has = ", ".join(f"`{name}`" for name in sorted(known)) if known else "none of them"
            raise InvalidFormat(
                f"{kind} have no `{field}`, which `format` says; of its fields they have {has}.",
                field=field,
            )
