"""Files that hold secrets of a service, which nobody reads through it."""

from __future__ import annotations

import os
from pathlib import Path

from kalla_core.errors import InvalidSetting
from kalla_core.settings.declare import Serving

_BY_VARIABLE = {
    "PGPASSFILE": "~/.pgpass",
    "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
    "AWS_CONFIG_FILE": "~/.aws/config",
    "AWS_WEB_IDENTITY_TOKEN_FILE": None,
    "NETRC": "~/.netrc",
}


def secret_files(settings: Serving) -> tuple[Path, ...]:
    """Return the files that a service and its libraries take secrets from, there or not."""
    named = [settings.token_file, settings.tls_key_file]
    for variable, usual in _BY_VARIABLE.items():
        found = os.environ.get(variable) or usual
        named.append(None if found is None else Path(found))
    return tuple(_absolute(path) for path in named if path is not None)


def read_secret(path: Path | None) -> bytes | None:
    """Return the secret that signs callbacks; None where there is no file of it.

    Raises:
        InvalidSetting: the file cannot be read, or is empty.
    """
    if path is None:
        return None
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise InvalidSetting(
            f"The callback secret {path} cannot be read: {error.strerror}."
        ) from error
    if not secret:
        raise InvalidSetting(f"The callback secret {path} is empty.")
    return secret


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError:  # nobody has a home here
        return path.absolute()
