r"""Source URIs: telling their parts, completing them, and keeping their secrets.

A URI with `scheme://` belongs to the connector of that scheme; everything else is a path on this
machine, taken literally (spaces, `#` and `%` included). Files, wherever they lie, may carry
options in a query: what follows the first `?` behind which there is nothing but options, whose
values are everything up to the next `&`. Where there is none such, what follows the last `?` and
looks like `name=value&…` is taken for options that do not exist. A path that itself looks like that
is written as `file:///` with `%3F` for the question mark.

`format` is what the files are (see `FileFormat`); every other option is a field of a source's
`format` (see `uri_format`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import quote, unquote

from kalla_core.errors import InvalidUri, NotAllowed
from kalla_core.recipe.nearest import nearest
from kalla_core.recipe.source_format import AS_USUAL, SourceFormat
from kalla_core.sources.uri_format import FIELDS, LISTED, formatted

FILE_SCHEME = "file"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_SCHEME_OR_ALMOST = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):/+")
_HOST_OF_FILE = re.compile(r"file://[^/]", re.IGNORECASE)
_NO_PORT = re.compile(r"([^/?#:\[]*:)(?!\d*(?:[/?#,]|\Z))[^/?#]+")
_OPTIONS_BEFORE = re.compile(r"[^?]*\?\w+=")
_OPTION = rf"(?:format|{'|'.join(FIELDS)})=[^&]*"
_KNOWN_QUERY = re.compile(rf"\?({_OPTION}(?:&{_OPTION})*)\Z", re.DOTALL)
_QUERY = re.compile(r"[A-Za-z_]+=[^/&]*(?:&[A-Za-z_]+=[^/&]*)*")
_SECRET = re.compile(r"\$\{env:([A-Za-z_][A-Za-z0-9_]*)\}")
_SECRET_OPTION = re.compile(
    r"([?&][^=&?]*(?:password|passwd|secret|token|credential|signature|key)[^=&?]*=)[^&]*", re.I
)
_MASK = "***"


class FileFormat(StrEnum):
    """What a file holds."""

    AVRO = "avro"
    BAI2 = "bai2"
    CAMT053 = "camt053"
    CSV = "csv"
    DUCKDB = "duckdb"
    FIXED = "fixed"
    JSON = "json"
    MT940 = "mt940"
    ODS = "ods"
    PARQUET = "parquet"
    SQLITE = "sqlite"
    XLSX = "xlsx"


@dataclass(frozen=True, slots=True)
class FileOptions:
    """What files are, None leaving it to their ending, and how they are written."""

    format: FileFormat | None = None
    written: SourceFormat = AS_USUAL


@dataclass(frozen=True, slots=True)
class FileUri:
    """A file or folder and its options.

    Attributes:
        location: a path, decoded, for local files; `scheme://…` without the query otherwise.
        query: the options as they were written, without the `?`; empty for none.
    """

    location: str
    options: FileOptions
    query: str = ""


def scheme_of(uri: str) -> str:
    """Return the scheme in lower case; `file` for a path."""
    if found := _SCHEME.match(uri):
        return found[1].lower()
    return FILE_SCHEME


def parse_file_uri(uri: str) -> FileUri:
    """Take the URI of a file or folder apart.

    Raises:
        InvalidUri: an unknown option or value, a host in `file://`, or no path at all.
    """
    location, query = _split_query(uri)
    options = _options(query, uri)
    if location.lower().startswith("file:/"):
        location = _decoded_path(location, uri)
    if not location or "\0" in location:
        raise InvalidUri(f"`{mask(uri)}` names no file.", uri=mask(uri))
    return FileUri(location, options, query)


def absolute(uri: str, base: Path) -> str:
    """Return `uri` with a relative path resolved against the folder `base`; others unchanged."""
    if scheme_of(uri) != FILE_SCHEME:
        return uri
    parsed = parse_file_uri(uri)
    path = os.path.normpath(base.absolute() / parsed.location)
    if parsed.location.endswith("/") and not path.endswith("/"):
        path += "/"
    if _split_query(path)[1]:
        path = f"file://{quote(path)}"
    return f"{path}?{parsed.query}" if parsed.query else path


def expand_secrets(uri: str, environ: Mapping[str, str] | None = None) -> str:
    """Return `uri` with each `${env:NAME}` replaced by that variable, percent-encoded.

    Raises:
        InvalidUri: a variable that is not set; only its name is told.
    """
    variables = os.environ if environ is None else environ

    def value(found: re.Match[str]) -> str:
        name = found[1]
        if name not in variables:
            raise InvalidUri(
                f"`{mask(uri)}` takes a secret from the environment variable {name},"
                " which is not set.",
                uri=mask(uri),
                variable=name,
            )
        return quote(variables[name], safe="")

    return _SECRET.sub(value, uri)


def check_secrets(uri: str, allowed_env: Collection[str] | None) -> None:
    """Check that a URI names only variables that may be given to a source; None allows all.

    In the path of a file nothing stands for a variable.

    Raises:
        NotAllowed: it names another one, whether or not that is set.
    """
    if allowed_env is None or scheme_of(uri) == FILE_SCHEME:
        return
    for name in _SECRET.findall(uri):
        if name not in allowed_env:
            raise NotAllowed(
                f"`{mask(uri)}` names the environment variable {name}, which this service gives"
                " to no source; its operator may list it in --allowed-env (KALLA_ALLOWED_ENV).",
                uri=mask(uri),
                variable=name,
                setting="KALLA_ALLOWED_ENV",
            )


def mask(uri: str) -> str:
    """Return `uri` fit to be shown: passwords and secret options replaced by `***`.

    Errs on the side of hiding: in a URI that is not well formed, more may be masked.
    """
    found = _SCHEME_OR_ALMOST.match(uri)
    if found is None or (found[1].lower() == FILE_SCHEME and not _HOST_OF_FILE.match(uri)):
        return uri
    head, rest = uri[: found.end()], uri[found.end() :]
    return head + _SECRET_OPTION.sub(rf"\1{_MASK}", _masked_password(rest))


def _masked_password(rest: str) -> str:
    before_query = rest.partition("?")[0]
    # An @ behind a question mark that no option follows is of a password that holds both.
    options = _OPTIONS_BEFORE.match(rest) is not None
    at = before_query.rfind("@") if options and "@" in before_query else rest.rfind("@")
    if at < 0:
        return _NO_PORT.sub(rf"\1{_MASK}", rest, count=1) if _NO_PORT.match(rest) else rest
    colon = rest.find(":", 0, max(at, 0))
    return rest if at < 0 or colon < 0 else f"{rest[: colon + 1]}{_MASK}{rest[at:]}"


def _split_query(uri: str) -> tuple[str, str]:
    if known := _KNOWN_QUERY.search(uri):
        return uri[: known.start()], known[1]
    location, mark, query = uri.rpartition("?")
    if mark and _QUERY.fullmatch(query):
        return location, query
    return uri, ""


def _decoded_path(location: str, uri: str) -> str:
    path = location[len("file:") :]
    if path.startswith("//"):
        host, slash, rest = path[2:].partition("/")
        if host.lower() not in ("", "localhost"):
            named = "" if "@" in uri else f" {host.partition(':')[0]}"  # it may be of a password
            raise InvalidUri(
                f"`{mask(uri)}` names a host{named}; a file is read from this machine only:"
                " file:///absolute/path.",
                uri=mask(uri),
            )
        path = slash + rest
    return unquote(path)


def _options(query: str, uri: str) -> FileOptions:
    values: dict[str, list[str]] = {}
    for piece in query.split("&") if query else ():
        name, _, value = piece.partition("=")
        values.setdefault(name, []).append(unquote(value))
    known = ("format", *FIELDS)
    for name, given in values.items():
        if name not in known:
            raise InvalidUri(_unknown_option(name, known, uri), uri=mask(uri))
        if name not in LISTED and len(given) > 1:
            raise InvalidUri(f"`{mask(uri)}` gives `{name}` more than once.", uri=mask(uri))
    chosen = values.pop("format", None)
    written, wrong = formatted(values)
    if wrong:
        raise InvalidUri(f"`{mask(uri)}`: {wrong}", uri=mask(uri))
    return FileOptions(None if chosen is None else _format(chosen[0], uri), written)


def _unknown_option(name: str, known: tuple[str, ...], uri: str) -> str:
    close = nearest(name, known)
    hint = f"Did you mean `{close[0]}`?" if close else f"Options are {', '.join(known)}."
    return f"`{mask(uri)}` has the unknown option `{name}`. {hint}"


def _format(value: str, uri: str) -> FileFormat:
    try:
        return FileFormat(value.lower())
    except ValueError:
        *known, last = (f"`{one}`" for one in FileFormat)
        raise InvalidUri(
            f"`{mask(uri)}`: format is {', '.join(known)} or {last}, not `{value}`.", uri=mask(uri)
        ) from None
