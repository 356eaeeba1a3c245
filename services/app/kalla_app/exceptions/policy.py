"""What a recipe demands of those who decide about its exceptions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kalla_core.errors import Fault, RecipeInvalid

_FIELDS = ("approval", "aged_by")
SIDES = ("left", "right")


@dataclass(frozen=True, slots=True)
class Policy:
    """How exceptions of a recipe are treated.

    Attributes:
        approval: writing off and force-closing needs a second person.
        left, right: column with the date that a row's age is counted from; None for the first run
            that left it open.
    """

    approval: bool = False
    left: str | None = None
    right: str | None = None

    def aged_by(self, side: str) -> str | None:
        """Return the column that rows of a side are aged by."""
        return self.left if side == "left" else self.right


def policy_of(document: object) -> Policy:
    """Return a policy from how the API has it.

    Raises:
        RecipeInvalid: with all its faults.
    """
    if not isinstance(document, Mapping):
        raise RecipeInvalid([Fault("wrong_type", "", "A policy is an object.")], "policy")
    faults = [
        Fault("unknown_field", str(name), f"A policy has no `{name}`.")
        for name in sorted({*map(str, document)} - {*_FIELDS})
    ]
    approval, aged_by = document.get("approval", False), document.get("aged_by") or {}
    if not isinstance(approval, bool):
        faults.append(Fault("wrong_type", "approval", "It is true or false."))
    columns: dict[str, str | None] = {}
    if not isinstance(aged_by, Mapping) or {*aged_by} - {*SIDES}:
        faults.append(Fault("wrong_type", "aged_by", "It names a column for `left` and `right`."))
    else:
        for side in SIDES:
            name = aged_by.get(side)
            if name is not None and not isinstance(name, str):
                faults.append(Fault("wrong_type", f"aged_by.{side}", "It is a column's name."))
            else:
                columns[side] = name or None
    if faults:
        raise RecipeInvalid(faults, "policy")
    return Policy(approval is True, columns.get("left"), columns.get("right"))


def policy_json(policy: Policy) -> dict[str, Any]:
    """Return a policy as the API has it."""
    return {
        "approval": policy.approval,
        "aged_by": {"left": policy.left, "right": policy.right},
    }
