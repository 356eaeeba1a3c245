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

The tables in the manual are `settings_table()`. What only services read is loaded when it is asked
for: a run on this machine needs none of it.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from kalla_core.settings.declare import (
    Declared,
    LogFormat,
    LogLevel,
    load,
)
from kalla_core.settings.run import Settings, load_settings

if TYPE_CHECKING:
    from kalla_core.settings.app import AppSettings
    from kalla_core.settings.client import ClientSettings
    from kalla_core.settings.coordinator import CoordinatorSettings
    from kalla_core.settings.executor import ExecutorSettings
    from kalla_core.settings.kinds import KINDS, settings_table
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
    "load",
    "load_s3_settings",
    "load_settings",
    "settings_table",
]

_MODULES = {
    "AppSettings": "app",
    "ClientSettings": "client",
    "CoordinatorSettings": "coordinator",
    "ExecutorSettings": "executor",
    "KINDS": "kinds",
    "S3Settings": "s3",
    "TogetherSettings": "together",
    "load_s3_settings": "s3",
    "settings_table": "kinds",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
