"""What connectors may reach, as JSON for the processes that read sources; one place each way."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kalla_core.sources.protocol import SourceAccess


def access_json(access: SourceAccess) -> dict[str, Any]:
    """Return what may be reached as JSON."""
    roots, env = access.allowed_roots, access.allowed_env
    return {
        "roots": None if roots is None else [str(root) for root in roots],
        "env": None if env is None else sorted(env),
    }


def access_of(document: Mapping[str, Any]) -> SourceAccess:
    """Return what `access_json` described."""
    roots, env = document["roots"], document["env"]
    return SourceAccess(
        allowed_roots=None if roots is None else tuple(Path(root) for root in roots),
        allowed_env=None if env is None else frozenset(env),
    )
