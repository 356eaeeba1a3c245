"""Keeps conversations, and does what the guide says."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from kalla_app.builder.cards import answer, cards
from kalla_app.builder.events import KALLA, MODEL, Event, Kind, event_json
from kalla_app.builder.guide import Call, Follow, Move, Rest, Think, next_step
from kalla_app.builder.leading.doors import Refuse
from kalla_app.builder.leading.turn import Leader
from kalla_app.builder.led import OF_THE_MODEL, Led
from kalla_app.builder.phases import PHASES, allowed, may_go_back
from kalla_app.builder.state import Phase, State, fold
from kalla_app.builder.tools import Tools
from kalla_app.builder.words import HELP, goes_back_to, is_plain, meaning
from kalla_app.changes import Changes
from kalla_app.errors import Conflict, NotFound
from kalla_app.runs.service import run_json
from kalla_app.store import audit, chats
from kalla_app.store.chats import Chat
from kalla_app.store.database import Database
from kalla_core.errors import EngineFailure, Fault, KallaError, RecipeInvalid
from kalla_core.jobs.document import time_text
from kalla_core.observe.logs import get_logger

Json = dict[str, Any]

LEASE = timedelta(seconds=15)
_LOOK_S = 1.0
_WORDS_S = 0.3
_MOST_STEPS = 60
_LONGEST_TEXT = 4000
_FIELDS = frozenset({"session_id", "message", "card_id", "value", "back_to", "values", "stop"})
_SPEAKS = frozenset({Phase.INTENT, Phase.SCOPING, Phase.VALIDATION})
"""Phases that a model has something to say to as they begin."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation with its events, and what they have led to."""

    chat: Chat
    events: tuple[Event, ...]
    state: State

    @property
    def busy(self) -> bool:
        """Whether Kalla has something to do, rather than a person."""
        return not isinstance(next_step(self.state, self.chat.session_id), Rest)


class Builder:
    """Asyncio; works on conversations until it is closed."""

    def __init__(self, database: Database, tools: Tools, changes: Changes, leader: Leader) -> None:
        self._database = database
        self._leader = leader
        self._tools = tools
        self._changes = changes
        self._name = secrets.token_hex(8)
        self._working: dict[str, asyncio.Task[None]] = {}
        self._again: set[str] = set()

    async def begin(self, who: str) -> Conversation:
        """Begin a conversation."""
        now = datetime.now(UTC)
        session_id = secrets.token_hex(8)
        chat = Chat(session_id, "New recipe", Phase.GREETING.word, 0, who, now, now)
        async with self._database.writing() as connection:
            await chats.add(connection, chat)
            await audit.add(connection, who, "chat.begin", f"chat/{session_id}")
        self.wake(session_id)
        return Conversation(chat, (), State())

    async def page(self, limit: int, after: str | None) -> tuple[list[Chat], str | None]:
        """Return conversations, those that changed last first, and the cursor of the next page."""
        async with self._database.reading() as connection:
            return await chats.page(connection, limit, after)

    async def get(self, session_id: str) -> Conversation:
        """Return a conversation; what is left to do in it is done.

        Raises:
            NotFound: there is none of this id.
        """
        async with self._database.reading() as connection:
            found = await self._read(connection, session_id)
        if found.busy:
            self.wake(session_id)
        return found

    async def take(self, session_id: str, asked: Mapping[str, Any], who: str) -> None:
        """Take in what a person says or does; it is on disk when this returns.

        Args:
            asked: `card_id` and its `value`, or `back_to` with the name of a phase, or a `message`;
                or `values`, whether the model may see them, or `stop`, so that it does.

        Raises:
            NotFound: there is no such conversation.
            Conflict: the card was answered already, or no way leads back to that phase.
            RecipeInvalid: what was given is not what the card takes.
        """
        async with self._database.writing() as connection:
            found = await self._read(connection, session_id, change=True)
            chat, state = found.chat, found.state
            for kind, document in _taken(state, asked, led=self._leader.model is not None):
                author = who if kind is not Kind.TOLD else KALLA
                event = await chats.append(connection, chat, kind, author, document)
                chat = _longer(chat, event)
        self._changes.tell(_subject(session_id))
        if state.run_id is not None:
            self._changes.tell(state.run_id)
        self.wake(session_id)

    async def wait(self, session_id: str) -> None:
        """Wait for a change of a conversation, or for a short while."""
        await self._changes.wait(_subject(session_id), _LOOK_S)

    async def wait_for_words(self, session_id: str) -> None:
        """Wait until a model has said more, or for a short while."""
        await self._changes.wait(_words(session_id), _WORDS_S)

    def words(self, session_id: str) -> str | None:
        """Return what a model is saying just now, as far as this process has heard it."""
        return self._leader.words(session_id)

    def model(self) -> str | None:
        """Return the name of the model that leads conversations; None where none does."""
        return None if self._leader.model is None else self._leader.model.name

    async def rested(self, session_id: str, longest_s: float) -> Conversation:
        """Return a conversation once Kalla has nothing to do in it, or after so long."""
        until = time.monotonic() + longest_s
        found = await self.get(session_id)
        while found.busy and time.monotonic() < until and found.state.run_id is None:
            await self.wait(session_id)
            found = await self.get(session_id)
        return found

    def wake(self, session_id: str) -> None:
        """Let what is to be done in a conversation be done; returns at once."""
        self._again.add(session_id)
        if session_id not in self._working:
            task = asyncio.create_task(self._work(session_id))
            self._working[session_id] = task

    async def close(self) -> None:
        """Stop; what was under way is done by whoever looks at the conversation next."""
        tasks = list(self._working.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._leader.close()

    async def _read(
        self, connection: Any, session_id: str, *, change: bool = False
    ) -> Conversation:
        chat = await chats.find(connection, session_id, change=change)
        if chat is None:
            raise NotFound(f"There is no conversation {session_id}.", session_id=session_id)
        events = tuple(await chats.events(connection, session_id))
        return Conversation(chat, events, fold(events))

    async def _work(self, session_id: str) -> None:
        try:
            while session_id in self._again:
                self._again.discard(session_id)
                if not await self._hold(session_id):
                    return  # another process does it; whoever looks wakes us if that one dies
                await self._on(session_id)
        except KallaError as error:
            get_logger().warning("conversation_stopped", session_id=session_id, cause=error.code)
        finally:
            self._working.pop(session_id, None)
            with suppress(KallaError):
                async with self._database.writing() as connection:
                    await chats.release(connection, session_id, self._name)

    async def _on(self, session_id: str) -> None:
        for _ in range(_MOST_STEPS):
            async with self._database.reading() as connection:
                found = await self._read(connection, session_id)
            match next_step(found.state, session_id):
                case Rest():
                    return
                case Move(phase):
                    said = PHASES[phase].says
                    document = {"phase": phase.word, "from": found.state.phase.word, "back": False}
                    if self._leader.model is not None and phase in _SPEAKS:
                        document["turn"] = True
                    await self._add(session_id, Kind.MOVED, {**document, "text": said}, found.state)
                case Call() as step:
                    called = await self._called(session_id, step, found.state)
                    await self._add(session_id, Kind.CALLED, called)
                case Follow(run_id):
                    run = await self._ended(session_id, run_id)
                    if run is not None:  # else somebody has gone back, or asks the model
                        await self._add(session_id, Kind.ENDED, {"run": run})
                case Refuse(call, tool, message):
                    refused = {"call": call, "tool": tool, "message": message}
                    await self._add(session_id, Kind.REFUSED, refused)
                case Think(turn):
                    thought = await self._thought(session_id, found, turn)
                    await self._add(session_id, Kind.THOUGHT, thought, who=MODEL)
        get_logger().warning("conversation_stopped", session_id=session_id, cause="too_many_steps")

    async def _thought(self, session_id: str, found: Conversation, turn: int) -> Json:
        """Let the model think, keeping others off; return what is kept of it."""

        async def heard() -> bool:
            await self.wait(session_id)
            await self._hold(session_id)
            async with self._database.reading() as connection:
                return (await self._read(connection, session_id)).state.led.turn != turn

        def told() -> None:
            self._changes.tell(_words(session_id))

        return await self._leader.think(session_id, found.events, found.state, told, heard)

    async def _called(self, session_id: str, step: Call, state: State) -> Json:
        """Call a tool, keeping others off meanwhile; return what is kept of it."""
        began = time.monotonic()
        output: Json | None = None
        failure: Json | None = None
        work = asyncio.ensure_future(self._tools.call(step.tool, step.input, state.person))
        try:
            while not (await asyncio.wait({work}, timeout=LEASE.total_seconds() / 3))[0]:
                await self._hold(session_id)
            output = work.result()
        except KallaError as error:
            failure = _failure(error)
        except Exception as error:  # a fault of ours must not keep a conversation busy for ever
            get_logger().exception("tool_failed", session_id=session_id, tool=step.tool)
            failure = _failure(EngineFailure(f"An internal error: {type(error).__name__}."))
        finally:
            work.cancel()
        asked = {} if step.call is None else {"call": step.call}
        return {
            "tool": step.tool,
            **asked,
            "input": dict(step.input),
            "output": output,
            "error": failure,
            "seconds": round(time.monotonic() - began, 3),
        }

    async def _ended(self, session_id: str, run_id: str) -> Json | None:
        """Return a run once it has ended; None if nobody in the conversation waits any more."""
        while True:
            run = await self._tools.runs.get(run_id)
            if run.state.status.final:
                return run_json(run)
            await self._changes.wait(run_id, LEASE.total_seconds() / 3)
            await self._hold(session_id)
            async with self._database.reading() as connection:
                state = (await self._read(connection, session_id)).state
            if next_step(state, session_id) != Follow(run_id):
                return None

    async def _add(
        self,
        session_id: str,
        kind: Kind,
        document: Json,
        seen: State | None = None,
        who: str = KALLA,
    ) -> None:
        """Add an event of Kalla; a move only if nothing has happened since it was decided."""
        async with self._database.writing() as connection:
            found = await self._read(connection, session_id, change=True)
            if seen is not None and seen.number != found.state.number:
                return
            event = await chats.append(connection, found.chat, kind, who, document)
            state = fold((*found.events, event))
            await chats.describe(connection, session_id, _title(state), state.phase.word)
        self._changes.tell(_subject(session_id))

    async def _hold(self, session_id: str) -> bool:
        async with self._database.writing() as connection:
            return await chats.hold(connection, session_id, self._name, LEASE)


def chat_json(chat: Chat) -> Json:
    """Return what a list says of a conversation."""
    return {
        "session_id": chat.session_id,
        "title": chat.title,
        "phase": chat.phase,
        "events": chat.events,
        "created_by": chat.created_by,
        "created_at": time_text(chat.created_at),
        "updated_at": time_text(chat.updated_at),
    }


def conversation_json(found: Conversation, behind: int = 0) -> Json:
    """Return a conversation as the API shows it, with the events behind a number."""
    state = found.state
    return {
        **chat_json(found.chat),
        "phase": state.phase.word,
        "busy": found.busy,
        "tools": list(allowed(state)),
        "cards": list(cards(state)),
        "judged": list(state.judged),
        "recipe": state.recipe or (state.proposal or {}).get("recipe"),
        "saved": state.saved,
        "run_id": state.run_id,
        "problem": state.problem,
        "model": _model_json(state.led),
        "events": [event_json(one) for one in found.events if one.number > behind],
    }


def _model_json(led: Led) -> Json:
    used = {"tokens": led.used.tokens, "calls": led.used.calls, "seconds": led.used.seconds}
    return {"thinking": led.turn != 0, "sees_values": led.values, "used": used}


def _taken(state: State, asked: Mapping[str, Any], *, led: bool) -> list[tuple[Kind, Json]]:
    """Return the events that something said or done makes."""
    unknown = sorted(set(asked) - _FIELDS)
    if unknown:
        faults = [Fault("unknown_field", one, f"There is no `{one}` here.") for one in unknown]
        raise RecipeInvalid(faults, "request")
    if asked.get("card_id") is not None:
        return [(Kind.ANSWERED, answer(state, asked["card_id"], asked.get("value")))]
    if asked.get("back_to") is not None:
        return [(Kind.MOVED, _back(state, asked["back_to"]))]
    for name in OF_THE_MODEL:
        if asked.get(name) is not None:
            return [(Kind.ANSWERED, {"card": name, "type": name, "value": _switch(asked, name)})]
    text = asked.get("message")
    if not isinstance(text, str) or not text.strip() or len(text) > _LONGEST_TEXT:
        wrong = f"Answer a card, go back to a phase, or say 1 to {_LONGEST_TEXT} signs."
        raise RecipeInvalid([Fault("missing", "message", wrong)], "request")
    said: tuple[Kind, Json] = (Kind.SAID, {"text": text.strip()})
    if led and not is_plain(text):
        return [(Kind.SAID, {"text": text.strip(), "turn": True})]
    back = goes_back_to(state, text)
    if back is not None:
        return [said, (Kind.MOVED, _back(state, back.word))]
    meant = meaning(state, text)
    if meant is None and led:
        return [(Kind.SAID, {"text": text.strip(), "turn": True})]
    if meant is None:
        return [said, (Kind.TOLD, {"text": HELP})]
    return [said, (Kind.ANSWERED, answer(state, *meant))]


def _switch(asked: Mapping[str, Any], name: str) -> bool:
    if not isinstance(asked[name], bool):
        raise RecipeInvalid([Fault("wrong_type", name, "Say true or false.")], "request")
    return bool(asked[name])


def _back(state: State, name: object) -> Json:
    known = {phase.word: phase for phase in Phase}
    phase = known.get(name) if isinstance(name, str) else None
    if phase is None or not may_go_back(state, phase):
        raise Conflict(f"No way leads from {state.phase.word} back to {name}.")
    document = {"phase": phase.word, "from": state.phase.word, "back": True}
    return {**document, "text": PHASES[phase].says}


def _failure(error: KallaError) -> Json:
    return {"code": error.code, "message": error.message, "retryable": error.retryable}


def _longer(chat: Chat, event: Event) -> Chat:
    return Chat(
        chat.session_id, chat.title, chat.phase, event.number,
        chat.created_by, chat.created_at, event.at,
    )  # fmt: skip


def _title(state: State) -> str:
    if state.name:
        return state.name
    return " and ".join(state.chosen) if state.chosen else "New recipe"


def _subject(session_id: str) -> str:
    return f"chat/{session_id}"


def _words(session_id: str) -> str:
    return f"chat/{session_id}/words"
