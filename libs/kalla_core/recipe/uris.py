"""What a recipe has to know of URIs: their scheme, and where relative paths lead.

What a URI means in full is the connectors' business.
"""

from __future__ import annotations

import re
from pathlib import Path

from kalla_core.recipe.model import SourceType

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
LOCAL = "file"

_OWN_SCHEMES = {
    "postgres": SourceType.POSTGRES,
    "postgresql": SourceType.POSTGRES,
    "mysql": SourceType.MYSQL,
    "mariadb": SourceType.MYSQL,
    "s3": SourceType.S3,
    LOCAL: SourceType.FILE,
    "bigquery": SourceType.BIGQUERY,
    "elasticsearch": SourceType.ELASTICSEARCH,
}
_FILES = (LOCAL, "s3")
_FITTING: dict[SourceType, tuple[str, ...]] = {
    SourceType.POSTGRES: ("postgres", "postgresql"),
    SourceType.MYSQL: ("mysql", "mariadb"),
    SourceType.FILE: _FILES,
    SourceType.CSV_UPLOAD: _FILES,
    SourceType.S3: ("s3",),
}


def scheme_of(uri: str) -> str:
    """Return the scheme in lower case; a path without one is `file`."""
    found = _SCHEME.match(uri)
    return LOCAL if found is None else found[1].lower()


def type_of(uri: str) -> SourceType:
    """Return the type a URI has by itself; `file` where nothing else is known."""
    return _OWN_SCHEMES.get(scheme_of(uri), SourceType.FILE)


def contradiction(source_type: SourceType, uri: str) -> str | None:
    """Return a sentence when a source of this type cannot have this URI, else None."""
    fitting, scheme = _FITTING.get(source_type), scheme_of(uri)
    if fitting is None:
        own = _OWN_SCHEMES.get(scheme, source_type)
        return None if own is source_type else f"A {source_type} source cannot have this {own} URI."
    if scheme in fitting:
        return None
    wanted = " or ".join("a local path" if one == LOCAL else f"{one}://…" for one in fitting)
    return f"A {source_type} source takes {wanted}, not {scheme}://…."


def resolve(uri: str, base: Path) -> str:
    """Return a URI whose local path starts from `base`, if it was relative; a query is kept."""
    if _SCHEME.match(uri) or uri.startswith(("/", f"{LOCAL}:/")):
        return uri
    return f"{base.as_posix().rstrip('/')}/{uri.removeprefix('./')}"
