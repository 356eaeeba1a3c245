"""All kinds of settings, and their tables in the manual."""

from __future__ import annotations

from collections.abc import Collection

from kalla_core.settings.app import AppSettings
from kalla_core.settings.client import ClientSettings
from kalla_core.settings.coordinator import CoordinatorSettings
from kalla_core.settings.declare import Declared, table
from kalla_core.settings.executor import ExecutorSettings
from kalla_core.settings.run import Settings
from kalla_core.settings.s3 import S3Settings
from kalla_core.settings.together import TogetherSettings

_TABLES: tuple[tuple[str, type[Declared]], ...] = (
    ("`kalla run` (the first two are for every command and service)", Settings),
    ("`kallad coordinator`", CoordinatorSettings),
    ("`kallad executor`", ExecutorSettings),
    ("`kallad cluster` (and all of `kallad coordinator`)", TogetherSettings),
    ("`kallad app`", AppSettings),
    ("S3, for whoever reads or writes there", S3Settings),
    ("`kalla` commands that talk to a coordinator", ClientSettings),
)

KINDS: tuple[type[Declared], ...] = tuple(kind for _, kind in _TABLES)
"""All kinds of settings."""


def settings_table() -> str:
    """Return all settings as Markdown tables, as the manual shows them."""
    return "\n".join(f"{title}:\n\n{table(kind, _told_before(kind))}" for title, kind in _TABLES)


def _told_before(kind: type[Declared]) -> Collection[str]:
    """Return the settings of a kind that an earlier table shows."""
    if kind is Settings:
        return ()
    return CoordinatorSettings.model_fields if kind is TogetherSettings else Declared.model_fields
