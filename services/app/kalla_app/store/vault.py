"""What holds secrets, encrypted with a key that is not in the database.

A document that is fit to be shown after masking changed nothing is not kept here at all.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet, InvalidToken
from pydantic import SecretStr
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from kalla_app.store.tables import SECRETS
from kalla_core.errors import InvalidSetting, StoreUnavailable
from kalla_core.observe.secrets import mask

KEY_FILE = "key"


class Vault:
    """Seals documents and opens them again; made by `open_vault`.

    Attributes:
        signing: a key for signatures, which tells nothing of the one that seals.
    """

    def __init__(self, key: bytes) -> None:
        self.signing = hashlib.sha256(b"kalla app signs " + key).digest()
        self._cipher = Fernet(key)

    async def keep(self, connection: AsyncConnection, name: str, document: Any) -> Any:
        """Keep a document under a name, in place of an older one, and return it as it may be shown.

        Args:
            document: JSON.
        """
        shown = mask(document)
        await self.forget(connection, name)
        if shown != document:
            sealed = self._cipher.encrypt(json.dumps(document).encode()).decode()
            await connection.execute(insert(SECRETS).values(name=name, sealed=sealed))
        return shown

    async def whole(self, connection: AsyncConnection, name: str, shown: Any) -> Any:
        """Return a document with its secrets, given how it may be shown.

        Raises:
            StoreUnavailable: it was sealed with another key.
        """
        query = select(SECRETS.c.sealed).where(SECRETS.c.name == name)
        sealed = (await connection.execute(query)).scalar()
        if sealed is None:
            return shown
        try:
            return json.loads(self._cipher.decrypt(sealed.encode()))
        except InvalidToken as error:
            raise StoreUnavailable(
                "A password in the app's database was encrypted with another key than this app has."
            ) from error

    async def forget(self, connection: AsyncConnection, name: str) -> None:
        """Forget what is kept under a name, if anything is."""
        await connection.execute(delete(SECRETS).where(SECRETS.c.name == name))


def open_vault(key: SecretStr | None, folder: Path) -> Vault:
    """Return the vault of a key; without one, of the key in the folder, which is made if need be.

    Raises:
        InvalidSetting: it is no key, or cannot be read.
    """
    text = _made(folder / KEY_FILE) if key is None else key.get_secret_value()
    try:
        if len(base64.urlsafe_b64decode(text)) != 32:
            raise ValueError("its length")
    except (binascii.Error, ValueError) as error:
        raise InvalidSetting(
            "KALLA_APP_KEY must be 32 bytes as URL-safe base64, as `openssl rand -base64 32 | tr "
            "'+/' '-_'` prints them.",
            settings=["KALLA_APP_KEY"],
        ) from error
    return Vault(text.encode())


def _made(path: Path) -> str:
    """Return the key in a file; of several processes that find none, one makes it."""
    try:
        own = path.with_name(f".{path.name}-{os.getpid()}")
        descriptor = os.open(own, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(Fernet.generate_key())
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(own, path)
        except FileExistsError:
            pass
        finally:
            own.unlink()
        return path.read_text(encoding="ascii").strip()
    except OSError as error:
        raise InvalidSetting(f"The app's key {path} cannot be kept: {error.strerror}.") from error
