"""Settings of whatever talks to a coordinator."""

from __future__ import annotations

from pydantic import SecretStr

from kalla_core.settings.declare import Declared, setting


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
