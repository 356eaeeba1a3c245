"""What is put around an operation of a statement, and around its operands."""

from __future__ import annotations

from dataclasses import dataclass

Around = tuple[str, str]
"""Text that goes before, and text that goes after."""


@dataclass(frozen=True, slots=True)
class Wrapping:
    """What an operation needs around it; None leaves something as it is.

    Attributes:
        suffix: what makes of the name of a call that of the function to call instead.
    """

    whole: Around | None
    operands: tuple[Around | None, ...]
    suffix: str = ""


def cast_to(sql_type: str) -> Around:
    """Return what casts an expression."""
    return "CAST(", f" AS {sql_type})"


def cast_if(sql_type: str | None) -> Around | None:
    """Return what casts an expression; None for no type."""
    return None if sql_type is None else cast_to(sql_type)
