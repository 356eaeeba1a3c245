"""What happened in a conversation. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from kalla_core.jobs.document import time_text

Json = dict[str, Any]


class Kind(StrEnum):
    """What an event is of.

    | kind       | document                                                    |
    |------------|-------------------------------------------------------------|
    | `said`     | `text` of a person                                          |
    | `told`     | `text` of Kalla                                             |
    | `answered` | `card`, `type` and `value` of a person                      |
    | `called`   | `tool`, `input`, `output` or `error`, and `seconds` it took |
    | `moved`    | `phase`, `from`, and whether it was `back`                  |
    | `ended`    | `run`, as it then is                                        |
    | `thought`  | of a model: `text`, `calls`, what it took; or an `error`    |
    | `refused`  | a `call` of a model, its `tool`, and the `message` it got   |

    What begins a turn of a model has `turn`; what a model asked for has the id of its `call`.
    """

    SAID = "said"
    TOLD = "told"
    ANSWERED = "answered"
    CALLED = "called"
    MOVED = "moved"
    ENDED = "ended"
    THOUGHT = "thought"
    REFUSED = "refused"


KALLA = "kalla"
"""Who does what no person does."""

MODEL = "kalla/model"
"""Who thinks where a model leads; no name of a person has a slash."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        number: in its conversation, from 1.
        who: a person, or `KALLA`.
    """

    number: int
    kind: Kind
    who: str
    at: datetime
    document: Mapping[str, Any]


def event_json(event: Event) -> Json:
    """Return an event as the API shows it."""
    return {
        "number": event.number,
        "kind": event.kind.value,
        "who": event.who,
        "at": time_text(event.at),
        **event.document,
    }
