"""From a source's URI to its connector.

Connectors are entry points of the group `kalla.connectors`, named after the URI scheme they
read (`file` for paths). Each is a callable that takes a `SourceAccess` and returns a `Connector`;
a package that brings one need only be installed. Schemes that Kalla reads itself stay its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib.metadata import EntryPoint, distribution, entry_points
from typing import cast

from kalla_core.errors import ConnectorMissing, InvalidUri
from kalla_core.recipe.model import SourceSpec, SourceType
from kalla_core.sources.protocol import EVERYTHING, Connector, SourceAccess
from kalla_core.sources.uri import check_secrets, mask, scheme_of

GROUP = "kalla.connectors"

_SCHEMES: Mapping[SourceType, tuple[str, ...]] = {
    SourceType.FILE: ("file", "s3"),
    SourceType.CSV_UPLOAD: ("file", "s3"),
    SourceType.S3: ("s3",),
    SourceType.POSTGRES: ("postgres", "postgresql"),
    SourceType.MYSQL: ("mysql", "mariadb"),
    SourceType.BIGQUERY: ("bigquery",),
    SourceType.ELASTICSEARCH: ("elasticsearch",),
}
_WANTED: Mapping[SourceType, str] = {
    SourceType.FILE: "a path, file:/// or s3://",
    SourceType.CSV_UPLOAD: "a path, file:/// or s3://",
    SourceType.S3: "s3://bucket/key",
    SourceType.POSTGRES: "postgres://user@host/database?table=name",
    SourceType.MYSQL: "mysql://user@host/database?table=name",
}


def connector_for(spec: SourceSpec, access: SourceAccess = EVERYTHING) -> Connector:
    """Return the connector that reads `spec`.

    Raises:
        InvalidUri: no URI, or one that contradicts the source's type.
        NotAllowed: its URI names a variable of the environment that is not allowed.
        ConnectorMissing: no installed connector reads this kind of source.
    """
    scheme = _scheme(spec)
    check_secrets(spec.uri or "", access.allowed_env)
    entry = _own().get(scheme) or _entries().get(scheme)  # to look at all packages takes longer
    if entry is None:
        raise _missing(spec, scheme)
    factory = cast("Callable[[SourceAccess], Connector]", entry.load())
    connector = factory(access)
    if spec.carry is None:
        return connector
    from kalla_core.sources.carry.connector import CarryingConnector  # loads all that reads files

    return CarryingConnector(connector, access)


def installed_schemes() -> tuple[str, ...]:
    """Return the URI schemes for which a connector is installed, sorted."""
    return tuple(sorted(_entries()))


def load_connectors() -> None:
    """Import all connectors now; one that cannot be imported says so when it is wanted."""
    for entry in _entries().values():
        with suppress(ImportError):
            entry.load()


def _scheme(spec: SourceSpec) -> str:
    if spec.uri is None or not spec.uri.strip():
        raise InvalidUri(
            f"The source `{spec.alias}` has no uri: the recipe leaves it to the run, and the run"
            " gave none.",
            source=spec.alias,
        )
    scheme = scheme_of(spec.uri)
    allowed = _SCHEMES[spec.type]
    if spec.type not in _WANTED and not any(each in _entries() for each in allowed):
        raise _missing(spec, spec.type.value)
    if scheme not in allowed:
        wanted = _WANTED.get(spec.type, f"{allowed[0]}://")
        raise InvalidUri(
            f"The source `{spec.alias}` is of type `{spec.type.value}`, which takes {wanted},"
            f" but its uri is `{mask(spec.uri)}`.",
            source=spec.alias,
            uri=mask(spec.uri),
        )
    return scheme


def _missing(spec: SourceSpec, kind: str) -> ConnectorMissing:
    return ConnectorMissing(
        f"The source `{spec.alias}` needs a connector for {kind}, and none is installed."
        f" Installed are: {', '.join(installed_schemes())}.",
        source=spec.alias,
        kind=kind,
    )


@cache
def _entries() -> Mapping[str, EntryPoint]:
    return {**{entry.name: entry for entry in entry_points(group=GROUP)}, **_own()}


@cache
def _own() -> Mapping[str, EntryPoint]:
    entries = distribution("kalla").entry_points.select(group=GROUP)
    return {entry.name: entry for entry in entries}
