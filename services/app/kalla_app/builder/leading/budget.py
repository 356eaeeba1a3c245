"""How much a model may use up. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from kalla_app.builder.led import Led

MOST_THOUGHTS = 8
"""Thoughts in a turn; whoever calls tools without end is stopped."""
_SIGNS_OF_A_TOKEN = 3
_LEAST_ANSWER = 256
_MOST_ANSWER = 2_048


@dataclass(frozen=True, slots=True)
class Limits:
    """What a model may use up.

    Attributes:
        tokens: read and written, in a conversation.
        calls: of the model, in a conversation.
        seconds: of waiting for it, in a conversation.
        day_tokens: in all conversations of a day, UTC.
        thought_s: for one thought.
    """

    tokens: int = 200_000
    calls: int = 60
    seconds: float = 600.0
    day_tokens: int = 2_000_000
    thought_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Grant:
    """What a thought may take: `tokens` to write, and `seconds`."""

    tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Spent:
    """That nothing may be asked any more, in words."""

    message: str


def granted(led: Led, limits: Limits, asked_signs: int, day_tokens: int) -> Grant | Spent:
    """Return what the next thought may take, or why there is to be none.

    Args:
        asked_signs: of what the model would read.
        day_tokens: that all conversations have used up today.
    """
    if led.thoughts >= MOST_THOUGHTS:
        return Spent(f"The model went on calling tools, and was stopped after {MOST_THOUGHTS}.")
    if led.used.calls >= limits.calls:
        return Spent(f"The model was asked {limits.calls} times here, and that is all.")
    left_s = limits.seconds - led.used.seconds
    if left_s <= 0:
        return Spent(f"The model took {limits.seconds:.0f} seconds here, and that is all.")
    read = estimated(asked_signs)
    here, today = limits.tokens - led.used.tokens - read, limits.day_tokens - day_tokens - read
    if here < _LEAST_ANSWER:
        return Spent(f"The model's {limits.tokens} tokens for a conversation are used up.")
    if today < _LEAST_ANSWER:
        return Spent(f"The model's {limits.day_tokens} tokens for a day are used up.")
    return Grant(min(here, today, _MOST_ANSWER), min(left_s, limits.thought_s))


def estimated(signs: int) -> int:
    """Return how many tokens a text has at most, about."""
    return -(-signs // _SIGNS_OF_A_TOKEN)
