"""What connectors may reach, as JSON for the processes that read sources; one place each way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kalla_core.sources.protocol import SourceAccess


def access_json(access: SourceAccess) -> dict[str, Any]:
    """Return what may be reached as JSON."""
    roots, env = access.allowed_roots, access.allowed_env
    return {
        "roots": None if roots is None else _texts(roots),
        "env": None if env is None else sorted(env),
        "closed": _texts(access.closed),
        "opened": _texts(access.opened),
        "secrets": _texts(access.secrets),
        "thread_bytes": access.thread_bytes,
        "threads": access.threads,
    }


def access_of(document: Mapping[str, Any]) -> SourceAccess:
    """Return what `access_json` described."""
    roots, env = document["roots"], document["env"]
    return SourceAccess(
        allowed_roots=None if roots is None else _paths(roots),
        allowed_env=None if env is None else frozenset(env),
        closed=_paths(document["closed"]),
        opened=_paths(document["opened"]),
        secrets=_paths(document["secrets"]),
        thread_bytes=document["thread_bytes"],
        threads=document["threads"],
    )


def _texts(paths: Sequence[Path]) -> list[str]:
    return [str(path) for path in paths]


def _paths(texts: Sequence[str]) -> tuple[Path, ...]:
    return tuple(Path(text) for text in texts)
