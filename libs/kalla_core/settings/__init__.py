"""Every setting, declared once: its flag, its variables, its default and its meaning.

    declare       how a setting is declared, read and shown
    run           a run on this machine
    coordinator   `kallad coordinator`
    executor      `kallad executor`
    client        whatever talks to a coordinator
    s3            S3 and stores that speak its language

The tables in the README are `settings_table()`.
"""

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

__all__ = [
    "ClientSettings",
    "CoordinatorSettings",
    "Declared",
    "ExecutorSettings",
    "LogFormat",
    "LogLevel",
    "S3Settings",
    "Settings",
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
    ("S3, for whoever reads or writes there", S3Settings),
    ("`kalla` commands that talk to a coordinator", ClientSettings),
)


def settings_table() -> str:
    """Return all settings as Markdown tables, as the README shows them."""
    logs = Declared.model_fields
    return "\n".join(
        f"{title}:\n\n{table(kind, () if kind is Settings else logs)}" for title, kind in _TABLES
    )
