"""Models of providers, each over the SDK of its own, imported where it is installed.

anthropic   the Messages API, at its own address or at one that speaks the same
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from pydantic import SecretStr

from kalla_app.builder.leading.port import Model
from kalla_core.observe.logs import get_logger


@dataclass(frozen=True, slots=True)
class Provided:
    """Where a model is and who pays for it.

    Attributes:
        url: None for the provider's own.
    """

    name: str
    key: SecretStr
    url: str | None = None


def model_of(provided: Provided | None) -> Model | None:
    """Return the model that leads conversations; None where none is to, or its SDK is missing."""
    if provided is None:
        return None
    if find_spec("anthropic") is None:
        get_logger().warning(
            "model_not_installed",
            model=provided.name,
            message="A key of a model is given, and what speaks to it is not installed: "
            "pip install 'kalla[builder]'. The recipe builder goes on without it.",
        )
        return None
    from kalla_app.builder.leading.providers.anthropic import AnthropicModel

    return AnthropicModel(provided)
