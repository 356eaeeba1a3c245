"""How a setting is declared, read and shown; what the kinds of settings have in common.

Flags beat variables, variables beat defaults. A variable that is set to nothing counts as not
set.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from kalla_core import machine, units
from kalla_core.errors import InvalidSetting

T = TypeVar("T", bound="Declared")


class LogLevel(StrEnum):
    """The least severe events that are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    OFF = "off"


class LogFormat(StrEnum):
    """How a line of the log looks."""

    JSON = "json"
    CONSOLE = "console"


def _size(value: object) -> object:
    return units.parse_size_bytes(value) if isinstance(value, str) else value


_LEVEL_WORDS = {"trace": "debug", "warn": "warning", "critical": "error", "fatal": "error"}


def _level(value: object) -> object:
    """Read a level, or the directives of RUST_LOG (`info,kalla=debug`): ours, else the bare one."""
    if not isinstance(value, str):
        return value
    directives = [part.strip().lower() for part in value.split(",") if part.strip()]
    ours = [part.partition("=")[2] for part in directives if part.startswith("kalla")]
    bare = [part for part in directives if "=" not in part]
    if not directives or not (ours or bare):
        return value if not directives else LogLevel.INFO
    word = (ours or bare)[-1]
    return _LEVEL_WORDS.get(word, word)


def _mode(value: object) -> object:
    return units.parse_mode(value) if isinstance(value, str) else value


def _lower(value: object) -> object:
    return value.strip().lower() if isinstance(value, str) else value


def _duration(value: object) -> object:
    return units.parse_duration(value) if isinstance(value, str) else value


def _listed(value: object) -> object:
    if not isinstance(value, str):
        return value
    return tuple(part.strip() for part in value.split(",") if part.strip())


Bytes = Annotated[int, BeforeValidator(_size)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
Mode = Annotated[int, BeforeValidator(_mode)]
Listed = Annotated[tuple[str, ...], BeforeValidator(_listed)]


def setting(
    *variables: str,
    flag: str | None = None,
    meaning: str,
    shown: str,
    **field: Any,
) -> Any:
    """Declare a setting; the first variable that is set counts.

    Args:
        variables: environment variables, the preferred one first.
        flag: as on the command line; None where there is only the variable.
        meaning: one sentence, for the manual and `--help`.
        shown: the default as the table shows it.
        field: the default and the bounds, as pydantic takes them.
    """
    return Field(
        validation_alias=AliasChoices(*variables),
        description=meaning,
        json_schema_extra={"flag": flag or "", "shown": shown},
        **field,
    )


class Declared(BaseModel):
    """What all kinds of settings have in common: logs. Read by `load`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, defer_build=True)

    log_level: Annotated[LogLevel, BeforeValidator(_level)] = setting(
        "KALLA_LOG",
        "RUST_LOG",
        flag="--log-level",
        shown="info",
        meaning="Least severe events that are logged: debug, info, warning, error or off.",
        default=LogLevel.INFO,
    )
    log_format: Annotated[LogFormat | None, BeforeValidator(_lower)] = setting(
        "KALLA_LOG_FORMAT",
        flag="--log-format",
        shown="console on a terminal, json off it",
        meaning="How a line of the log looks: console, for people, or json.",
        default=None,
    )


class Listening(Declared):
    """Settings of whatever listens: where, and for whom."""

    bind_host: str = setting(
        "BIND_HOST",
        flag="--bind-host",
        shown="127.0.0.1",
        meaning="Address to listen on; another than this machine's own needs a token file or "
        "`--insecure`.",
        default="127.0.0.1",
    )
    insecure: bool = setting(
        "KALLA_INSECURE",
        flag="--insecure",
        shown="off",
        meaning="Listen on other addresses without a token.",
        default=False,
    )
    token_file: Path | None = setting(
        "KALLA_TOKEN_FILE",
        flag="--token-file",
        shown="none",
        meaning="File whose lines are the tokens that let a caller in: `ROLE[,ROLE] TOKEN` with "
        "the roles admin, submit, read and executor, or a bare token, which may submit and read.",
        default=None,
    )
    tls_cert_file: Path | None = setting(
        "KALLA_TLS_CERT_FILE",
        flag="--tls-cert",
        shown="none",
        meaning="Certificate of this service, with those between it and its authority, in PEM; "
        "with it only TLS is spoken.",
        default=None,
    )
    tls_key_file: Path | None = setting(
        "KALLA_TLS_KEY_FILE",
        flag="--tls-key",
        shown="none",
        meaning="Private key of that certificate, in PEM, without a password.",
        default=None,
    )


class Working(Declared):
    """Settings of whatever does the work: its memory and its cores."""

    memory_limit_bytes: Bytes = setting(
        "KALLA_MEMORY_LIMIT",
        flag="--memory-limit",
        shown="70 % of the memory of the cgroup, else of the machine",
        meaning="Memory for the whole process tree, like `1GiB`; data that does not fit is joined "
        "bucket by bucket through disk.",
        default_factory=machine.default_memory_bytes,
        ge=machine.SMALLEST_MEMORY_BYTES,
    )
    slots: int = setting(
        "KALLA_SLOTS",
        flag="--slots",
        shown="cores",
        meaning="Fragments that run at the same time, hence cores that are kept busy.",
        default_factory=machine.cores,
        ge=1,
        le=1024,
    )
    evidence_mode: Mode = setting(
        "KALLA_EVIDENCE_MODE",
        flag="--evidence-mode",
        shown=units.PRIVATE_MODE,
        meaning="Mode of the files that are written, in octal; folders may be entered by whoever "
        "may read them. The coordinator and its executors need the same.",
        default=units.parse_mode(units.PRIVATE_MODE),
    )


class Serving(Listening, Working):
    """Settings of the services that do the work."""

    allowed_env: Listed = setting(
        "KALLA_ALLOWED_ENV",
        flag="--allowed-env",
        shown="none",
        meaning="Variables of this service's environment, separated by commas, that URIs of "
        "sources may name as `${env:NAME}`.",
        default=(),
    )


def authorities_setting(of: str, flag: str | None = "--tls-ca") -> Any:
    """Declare the file of the authorities by which certificates are known.

    Args:
        of: whose certificates.
        flag: as on the command line; None where there is only the variable.
    """
    return setting(
        "KALLA_TLS_CA_FILE",
        flag=flag,
        shown="none",
        meaning=f"Certificates of the authorities, in PEM, that those of {of} are checked against.",
        default=None,
    )


def load(kind: type[T], **flags: object) -> T:
    """Read the settings of one kind; a flag that is None was not given.

    Args:
        flags: by field name, as text or as the value itself (`memory_limit_bytes="1GiB"`).

    Raises:
        InvalidSetting: naming each flag or variable that makes no sense, and its value.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    unknown = sorted(set(given) - set(kind.model_fields))
    if unknown:
        raise TypeError(f"no such settings: {', '.join(unknown)}")
    try:
        return kind(**{**_from_environment(kind), **given})
    except ValidationError as error:
        raise _invalid(kind, error, given) from None


def _from_environment(kind: type[Declared]) -> dict[str, Any]:
    """Return the settings that a variable gives, as text; one that is empty is not set."""
    found = {
        name: [os.environ[one] for one in _variables(field) if os.environ.get(one)]
        for name, field in kind.model_fields.items()
    }
    return {name: texts[0] for name, texts in found.items() if texts}


def table(kind: type[Declared], leave_out: Collection[str] = ()) -> str:
    """Return the settings of one kind as a Markdown table, but for the fields left out."""
    lines = ["| flag | variable | default | meaning |", "|---|---|---|---|"]
    for name, field in kind.model_fields.items():
        if name in leave_out:
            continue
        variables = ", else ".join(f"`{variable}`" for variable in _variables(field))
        extra = _extra(field)
        lines.append(
            f"| {_as_code(extra['flag'])} | {variables} | {extra['shown']} | {field.description} |"
        )
    return "\n".join(lines) + "\n"


def variables_of(kind: type[Declared]) -> tuple[str, ...]:
    """Return the variables that settings of a kind are read from."""
    return tuple(name for field in kind.model_fields.values() for name in _variables(field))


def _invalid(
    kind: type[Declared], error: ValidationError, flags: Mapping[str, object]
) -> InvalidSetting:
    by_location = {
        location: name
        for name, field in kind.model_fields.items()
        for location in (name, *_variables(field))
    }
    sentences: list[str] = []
    names: list[str] = []
    for fault in error.errors():
        field_name = by_location[str(fault["loc"][0])]
        origin, value = _origin(kind.model_fields[field_name], field_name, flags)
        reason = fault["msg"].removeprefix("Value error, ")
        sentences.append(f'{origin} cannot be "{value}": {reason}.')
        names.append(origin)
    return InvalidSetting("\n".join(sentences), settings=names)


def _origin(field: FieldInfo, field_name: str, flags: Mapping[str, object]) -> tuple[str, object]:
    """Return where a setting's value comes from, and the value as it was written."""
    if field_name in flags:
        return _extra(field)["flag"], flags[field_name]
    names = [name for name in _variables(field) if os.environ.get(name)]
    return names[0], os.environ[names[0]]


def _as_code(flag: str) -> str:
    return f"`{flag}`" if flag else ""


def _variables(field: FieldInfo) -> tuple[str, ...]:
    choices = field.validation_alias
    if not isinstance(choices, AliasChoices):
        raise TypeError("a setting is declared with _setting()")
    return tuple(str(name) for name in choices.choices)


def _extra(field: FieldInfo) -> Mapping[str, str]:
    extra = field.json_schema_extra
    if not isinstance(extra, dict):
        raise TypeError("a setting is declared with _setting()")
    return {name: str(value) for name, value in extra.items()}
