"""Lets a model think once: within its budget, until somebody is heard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from kalla_app.builder.events import Event
from kalla_app.builder.leading.budget import Grant, Limits, Spent, estimated, granted
from kalla_app.builder.leading.port import Ask, Model, ModelFailed, Thought
from kalla_app.builder.leading.told import asked, signs
from kalla_app.builder.state import State
from kalla_app.store import model_use
from kalla_app.store.database import Database
from kalla_core.observe.logs import get_logger

Json = dict[str, Any]

_GONE = "No model leads conversations here any more."


@dataclass(slots=True)
class _Saying:
    """What a model says at this moment."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Leader:
    """The model, if there is one, and what it may use up. Asyncio.

    Attributes:
        saying: what it says in each conversation just now; only in this process.
    """

    database: Database
    model: Model | None = None
    limits: Limits = field(default_factory=Limits)
    saying: dict[str, _Saying] = field(default_factory=dict)

    def words(self, session_id: str) -> str | None:
        """Return what the model has said so far of what it is saying; None while it is silent."""
        found = self.saying.get(session_id)
        return None if found is None else found.text

    async def think(
        self,
        session_id: str,
        events: Sequence[Event],
        state: State,
        told: Callable[[], None],
        heard: Callable[[], Awaitable[bool]],
    ) -> Json:
        """Return the document of the event that a thought is.

        Args:
            told: called when there are more words to show.
            heard: returns after a while; whether somebody was heard, so that the turn is over.
        """
        turn = state.led.turn
        document: Json = {
            "turn": turn, "model": None, "text": "", "calls": [], "tokens_in": 0,
            "tokens_out": 0, "seconds": 0.0, "error": None,
        }  # fmt: skip
        if self.model is None:
            return {**document, "error": _GONE}
        document["model"] = self.model.name
        ask = asked(events, state, 0)
        read = estimated(signs(ask))
        day = model_use.today()
        grant = await self._granted(day, state, signs(ask))
        if isinstance(grant, Spent):
            return {**document, "error": grant.message}
        began = time.monotonic()
        saying = self.saying[session_id] = _Saying()
        used = read
        try:
            work = self._asked(self.model, replace(ask, most_tokens=grant.tokens), saying, told)
            found = await _until_heard(work, heard, grant.seconds)
            if found is None:
                used = read + estimated(len(saying.text))
                made: Json = {"text": saying.text, "tokens_in": used, "interrupted": True}
            else:
                used = found.tokens_in + found.tokens_out
                made = _said(found, turn, state.led.thoughts)
        except ModelFailed as error:
            used = error.tokens
            made = {"text": saying.text, "tokens_in": used, "error": error.message}
        except TimeoutError:
            used = read + estimated(len(saying.text))
            late = f"The model took longer than {grant.seconds:.0f} seconds."
            made = {"text": saying.text, "tokens_in": used, "error": late}
        finally:
            self.saying.pop(session_id, None)
            await self._used(day, used - read - grant.tokens)
        return {**document, **made, "seconds": round(time.monotonic() - began, 3)}

    async def close(self) -> None:
        """Let go of the model's connections."""
        if self.model is not None:
            await self.model.close()

    async def _granted(self, day: date, state: State, asked_signs: int) -> Grant | Spent:
        """Return what a thought may take; that is then reserved of that day."""
        async with self.database.writing() as connection:
            so_far = await model_use.used(connection, day)
            grant = granted(state.led, self.limits, asked_signs, so_far)
            if isinstance(grant, Grant):
                await model_use.add(connection, day, estimated(asked_signs) + grant.tokens)
        return grant

    async def _used(self, day: date, more: int) -> None:
        """Correct what was reserved by what was used."""
        async with self.database.writing() as connection:
            await model_use.add(connection, day, more)

    async def _asked(
        self, model: Model, ask: Ask, saying: _Saying, told: Callable[[], None]
    ) -> Thought:
        def hear(piece: str) -> None:
            saying.text += piece
            told()

        try:
            return await model.think(ask, hear)
        except ModelFailed:
            raise
        except Exception as error:  # a fault of an SDK must not end a conversation
            get_logger().exception("model_failed", model=model.name)
            raise ModelFailed("The model could not be asked: an internal error.") from error


def _said(found: Thought, turn: int, thoughts: int) -> Json:
    # Ids of our own: those of a provider may be anything, among it the same twice.
    calls = [
        {"id": f"call-{turn}-{thoughts}-{place}", "tool": one.tool, "input": one.input}
        for place, one in enumerate(found.calls)
    ]
    return {
        "text": found.text,
        "calls": calls,
        "tokens_in": found.tokens_in,
        "tokens_out": found.tokens_out,
    }


async def _until_heard(
    work: Awaitable[Thought], heard: Callable[[], Awaitable[bool]], seconds: float
) -> Thought | None:
    """Return a thought; None if somebody was heard first.

    Raises:
        TimeoutError: it took too long.
    """
    thinking = asyncio.ensure_future(work)
    watching = asyncio.create_task(_watched(heard))
    try:
        done, _ = await asyncio.wait(
            {thinking, watching}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
        )
        if thinking in done:
            return thinking.result()
        if watching in done:
            watching.result()
            return None
        raise TimeoutError
    finally:
        for one in (thinking, watching):
            one.cancel()
        await asyncio.gather(thinking, watching, return_exceptions=True)


async def _watched(heard: Callable[[], Awaitable[bool]]) -> None:
    while not await heard():
        pass
