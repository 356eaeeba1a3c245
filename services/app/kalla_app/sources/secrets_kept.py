"""What was shown masked and comes back changed elsewhere: it keeps its secrets. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kalla_core.observe.secrets import MASK, mask


def with_secrets(sent: Any, whole: Any) -> Any:
    """Return a document with the secrets of an older one, where it says what that had shown.

    Args:
        sent: JSON, of somebody who saw the older document masked.
        whole: the older document.
    """
    if isinstance(sent, str) and isinstance(whole, str):
        return whole if MASK in sent and mask(whole) == sent else sent
    if isinstance(sent, Mapping) and isinstance(whole, Mapping):
        return {name: with_secrets(item, whole.get(name)) for name, item in sent.items()}
    if isinstance(sent, list) and isinstance(whole, list):
        rest = [*whole, *[None] * len(sent)]
        return [with_secrets(item, rest[place]) for place, item in enumerate(sent)]
    return sent
