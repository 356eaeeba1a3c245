"""The tokens of a service: whoever sends one of them may come in; executors send the first."""

from __future__ import annotations

import ipaddress

from kalla_core.errors import InvalidSetting
from kalla_core.settings.declare import Serving


def read_tokens(settings: Serving) -> tuple[str, ...]:
    """Return the lines of the token file, but for blank ones and `#` comments.

    Empty without a token file: nobody is asked, which is for the machine itself only.

    Raises:
        InvalidSetting: the file cannot be read or holds none, or there is none and others than
            this machine could come in.
    """
    if settings.token_file is None:
        if not settings.insecure and not is_loopback(settings.bind_host):
            raise InvalidSetting(
                f"--bind-host {settings.bind_host} lets other machines in, and there is no token "
                "file. Give --token-file, or --insecure if everybody may."
            )
        return ()
    try:
        lines = settings.token_file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(
            f"The token file {settings.token_file} cannot be read: {error}."
        ) from error
    stripped = (line.strip() for line in lines)
    tokens = tuple(line for line in stripped if line and not line.startswith("#"))
    if not tokens:
        raise InvalidSetting(f"The token file {settings.token_file} holds no token.")
    return tokens


def sends_tokens_openly(settings: Serving) -> bool:
    """Whether tokens come from other machines, and without TLS."""
    secret = settings.token_file is not None and settings.tls_cert_file is None
    return secret and not is_loopback(settings.bind_host)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
