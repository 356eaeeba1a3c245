"""What can go wrong here and nowhere else; `kalla_core.errors` has the rest.

UserError
├── NotFound      not_found    nothing of this name
└── Conflict      conflict     it is there already, or somebody else was first
"""

from __future__ import annotations

from kalla_core.errors import UserError


class NotFound(UserError):
    """There is nothing of this name."""

    code = "not_found"


class Conflict(UserError):
    """It is there already, or was changed meanwhile by somebody else."""

    code = "conflict"
