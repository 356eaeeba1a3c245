"""Every setting, declared once: its flag, its variables, its default and its meaning.

    declare       how a setting is declared, read and shown
    run           a run on this machine
    coordinator   `kallad coordinator`
    executor      `kallad executor`
    app           `kallad app`
    together      `kallad cluster`
    client        whatever talks to a coordinator
    tokens        who may come in
    tls           certificates, and who is trusted to sign them
    unknown       variables that are none of these
    s3            S3 and stores that speak its language

The tables in the manual are `settings_table()`.
"""

from collections.abc import Collection

from kalla_core.settings.app import AppSettings
from kalla_core.settings.client import ClientSettings
from kalla_core.settings.coordinator import CoordinatorSettings
from kalla_core.settings.declare import (
    Declared,
    LogFormat,
    LogLevel,
    default_memory_bytes,
    load,
    table,
)
from kalla_core.settings.executor import ExecutorSettings
from kalla_core.settings.run import Settings, load_settings
from kalla_core.settings.s3 import S3Settings, load_s3_settings
from kalla_core.settings.together import TogetherSettings

__all__ = [
    "KINDS",
    "AppSettings",
    "ClientSettings",
    "CoordinatorSettings",
    "Declared",
    "ExecutorSettings",
    "LogFormat",
    "LogLevel",
    "S3Settings",
    "Settings",
    "TogetherSettings",
    "default_memory_bytes",
    "load",
    "load_s3_settings",
    "load_settings",
    "settings_table",
]

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
