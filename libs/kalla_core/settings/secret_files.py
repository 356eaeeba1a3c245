"""Files that hold secrets of a service, which nobody reads through it."""

from __future__ import annotations

import os
from pathlib import Path

from pydantic import SecretStr

from kalla_core.errors import InvalidSetting
from kalla_core.settings.declare import Serving

_SECRET_FIELDS = frozenset(
    {
        "token_file",
        "tls_key_file",
        "callback_secret_file",
        "database_password_file",
        "model_key_file",
    }
)
_BY_VARIABLE = {
    "PGPASSFILE": "~/.pgpass",
    "AWS_SHARED_CREDENTIALS_FILE": "~/.aws/credentials",
    "AWS_CONFIG_FILE": "~/.aws/config",
    "AWS_WEB_IDENTITY_TOKEN_FILE": None,
    "NETRC": "~/.netrc",
}


def secret_files(settings: Serving) -> tuple[Path, ...]:
    """Return the files that a service and its libraries take secrets from, there or not."""
    named = [
        getattr(settings, name) for name in type(settings).model_fields if name in _SECRET_FIELDS
    ]
    for variable, usual in _BY_VARIABLE.items():
        found = os.environ.get(variable) or usual
        named.append(None if found is None else Path(found))
    return tuple(_absolute(path) for path in named if path is not None)


def read_secret(path: Path | None, called: str = "callback secret") -> bytes | None:
    """Return what a file holds, by default the secret that signs callbacks; None without a file.

    Raises:
        InvalidSetting: the file cannot be read, or is empty.
    """
    if path is None:
        return None
    try:
        secret = path.read_bytes().strip()
    except OSError as error:
        raise InvalidSetting(f"The {called} {path} cannot be read: {error.strerror}.") from error
    if not secret:
        raise InvalidSetting(f"The {called} {path} is empty.")
    return secret


def secret_or_file(text: SecretStr | None, path: Path | None, called: str) -> SecretStr | None:
    """Return a secret that a variable or a file may give; None where neither does.

    Raises:
        InvalidSetting: both do, or the file cannot be read, is empty or no text.
    """
    if text is not None and path is not None:
        raise InvalidSetting(f"The {called} is given twice: by a variable and by the file {path}.")
    read = read_secret(path, called)
    if read is None:
        return text
    try:
        return SecretStr(read.decode())
    except UnicodeDecodeError:
        raise InvalidSetting(f"The {called} {path} is no text.") from None


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError:  # nobody has a home here
        return path.absolute()
