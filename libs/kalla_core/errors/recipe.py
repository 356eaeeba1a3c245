"""A recipe with faults, all of them at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kalla_core.errors.base import UserError, shortened


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a recipe.

    Attributes:
        code: stable word, one of `kalla_core.errors` or a recipe's own (`missing`, `empty`, ...).
        path: where in the document, as `sources.left.primary_key[0]`.
        message: a sentence that says what is wrong and, where it can, what would be right.
    """

    code: str
    path: str
    message: str
    details: Mapping[str, object] = field(default_factory=dict)


MOST_FAULTS = 100
"""Faults that one answer lists; whoever mends so many has reason to ask again."""

_LONGEST_PATH = 300
_LONGEST_FAULT = 4000


def _bounded(fault: Fault) -> Fault:
    details = {
        name: shortened(value, _LONGEST_FAULT) if isinstance(value, str) else value
        for name, value in fault.details.items()
    }
    path = shortened(fault.path, _LONGEST_PATH)
    return Fault(fault.code, path, shortened(fault.message, _LONGEST_FAULT), details)


class RecipeInvalid(UserError):
    """A recipe has faults; `faults` lists them, `MOST_FAULTS` at most, long texts cut."""

    code = "invalid_recipe"

    def __init__(self, faults: Sequence[Fault], subject: str = "recipe") -> None:
        told = [_bounded(fault) for fault in faults[:MOST_FAULTS]]
        lines = "\n".join(f"  {fault.path}: {fault.message}" for fault in told)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        if len(told) < len(faults):
            lines += f"\n  … and {len(faults) - len(told)} more"
        super().__init__(f"The {subject} has {count}:\n{lines}")
        self.faults = tuple(told)
        self.subject = subject
