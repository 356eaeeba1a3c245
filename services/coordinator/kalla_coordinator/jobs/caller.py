"""Who submits a job: a token, by a name that does not tell it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who may come in.

    Attributes:
        name: of the token; None where no tokens are asked for, so that all are one.
        admin: may use what is everybody's.
    """

    name: str | None
    admin: bool = False

    @property
    def everybody(self) -> bool:
        """Whether the outputs of all are this caller's."""
        return self.admin or self.name is None


ANYBODY = Caller(None)
"""Whoever calls a coordinator that asks for no token."""

STRANGER = Caller("nobody")
"""Somebody of whom nothing is known, and to whom nothing belongs."""
