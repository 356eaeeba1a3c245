"""From a source's URI to its connector.

Connectors are entry points of the group `kalla.connectors`, named after the URI scheme they
read (`file` for paths). Each is a callable that takes a `SourceAccess` and returns a `Connector`;
a package that brings one need only be installed. Schemes that Kalla reads itself stay its own:
they are known here as well, since to look at what is installed takes longer than small runs do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

from kalla_core.errors import ConnectorMissing, InvalidUri
from kalla_core.recipe.model import SourceSpec, SourceType
from kalla_core.sources.protocol import EVERYTHING, Connector, SourceAccess
from kalla_core.sources.uri import check_secrets, mask, scheme_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "kalla.connectors"

OWN: Mapping[str, str] = {
    "file": "kalla_core.sources.files:local_files",
    "postgres": "kalla_core.sources.postgres:postgres_tables",
    "postgresql": "kalla_core.sources.postgres:postgres_tables",
    "mysql": "kalla_core.sources.mysql:mysql_tables",
    "mariadb": "kalla_core.sources.mysql:mysql_tables",
    "s3": "kalla_core.sources.s3:s3_files",
}
"""What `pyproject.toml` declares."""

_Factory = Callable[[SourceAccess], Connector]

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
    if scheme not in OWN and scheme not in _others():
        raise _missing(spec, scheme)
    connector = _factory(scheme)(access)
    if spec.carry is None:
        return connector
    from kalla_core.sources.carry.connector import CarryingConnector  # loads all that reads files

    return CarryingConnector(connector, access)


def installed_schemes() -> tuple[str, ...]:
    """Return the URI schemes for which a connector is installed, sorted."""
    return tuple(sorted({*OWN, *_others()}))


def load_connectors() -> None:
    """Import all connectors now; one that cannot be imported says so when it is wanted."""
    for scheme in installed_schemes():
        with suppress(ImportError):
            _factory(scheme)


def _scheme(spec: SourceSpec) -> str:
    if spec.uri is None or not spec.uri.strip():
        raise InvalidUri(
            f"The source `{spec.alias}` has no uri: the recipe leaves it to the run, and the run"
            " gave none.",
            source=spec.alias,
        )
    scheme = scheme_of(spec.uri)
    allowed = _SCHEMES[spec.type]
    if spec.type not in _WANTED and not any(each in installed_schemes() for each in allowed):
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


def _factory(scheme: str) -> _Factory:
    """Return what makes connectors for a scheme that is installed.

    Raises:
        ImportError: it asks for what is not there.
    """
    if scheme not in OWN:
        return cast("_Factory", _others()[scheme].load())
    module, _, name = OWN[scheme].partition(":")
    return cast("_Factory", getattr(import_module(module), name))


@cache
def _others() -> Mapping[str, EntryPoint]:
    """Return those that other packages bring, by their schemes."""
    from importlib.metadata import entry_points

    found = {entry.name: entry for entry in entry_points(group=GROUP)}
    return {scheme: entry for scheme, entry in found.items() if scheme not in OWN}
