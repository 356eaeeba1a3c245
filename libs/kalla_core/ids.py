"""Names of things that must not be mixed up."""

from __future__ import annotations

import re
import uuid
from typing import NewType

from kalla_core.errors import InvalidSetting

RunId = NewType("RunId", str)
"""One execution of a recipe; chosen by the caller, usable as the name of a folder."""

RecipeId = NewType("RecipeId", str)
"""A recipe, as its author calls it: any text that is not blank."""

RUN_ID_PATTERN = "[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?"
_RUN_ID = re.compile(RUN_ID_PATTERN)
_SHOWN_CHARACTERS = 256


def new_run_id() -> RunId:
    """Return an id that no other run has."""
    return RunId(str(uuid.uuid4()))


def parse_run_id(text: str) -> RunId:
    """Check an id that a caller chose; folders and URLs are named by it.

    Raises:
        InvalidSetting: it is empty, longer than 128, or has other characters than letters and
            digits of ASCII, `.`, `_` and `-` (a dot neither first nor last).
    """
    if _RUN_ID.fullmatch(text) is None:
        # Only its beginning is told: an error has to fit into the headers of an answer.
        shown = text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}…"
        raise InvalidSetting(
            f"The run id {shown!r} cannot be used: take 1 to 128 letters, digits, '-', '_' or '.', "
            "beginning with a letter or digit and not ending with a dot.",
            run_id=shown,
        )
    return RunId(text)
