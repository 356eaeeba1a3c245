"""Settings of whatever talks to a coordinator."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from kalla_core.settings.declare import Declared, authorities_setting, setting


class ClientSettings(Declared):
    """Where the coordinator is, and what lets us in."""

    coordinator: str = setting(
        "KALLA_COORDINATOR",
        flag="--coordinator",
        shown="http://localhost:8080",
        meaning="Address of the coordinator.",
        default="http://localhost:8080",
    )
    token: SecretStr | None = setting(
        "KALLA_TOKEN",
        shown="none",
        meaning="Token that the coordinator asks for.",
        default=None,
    )
    tls_ca_file: Path | None = authorities_setting("a coordinator at https://", flag=None)
