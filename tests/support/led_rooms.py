"""Conversations that a scripted model leads, with tools that answer out of nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import httpx2
from pydantic import SecretStr

from kalla_app.builder.events import MODEL
from kalla_app.builder.leading.budget import Limits
from kalla_app.builder.leading.providers import Provided
from kalla_app.builder.leading.providers.anthropic import AnthropicModel
from kalla_app.builder.leading.turn import Leader
from kalla_app.builder.service import Builder, Conversation, conversation_json
from kalla_app.builder.tools import Tools
from kalla_app.changes import Changes
from kalla_app.store.database import Database, opened
from tests.support.scripted_model import Brain, Provider, says
from tests.support.told_tools import ToldTools

PATIENCE_S = 60
Json = dict[str, Any]


class Room:
    """Conversations with a scripted model."""

    def __init__(self, builder: Builder, provider: Provider) -> None:
        self.builder = builder
        self.provider = provider

    async def begun(self) -> Conversation:
        made = await self.builder.begin("anna")
        return await self.rested(made)

    async def rested(self, talk: Conversation) -> Conversation:
        async with asyncio.timeout(PATIENCE_S):
            found = await self.builder.rested(talk.chat.session_id, PATIENCE_S)
        assert not found.busy
        return found

    async def spoken(self, talk: Conversation) -> Conversation:
        """Return a conversation once the model's first thought is kept."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.thoughts(found := await self.builder.get(talk.chat.session_id)):
                await self.builder.wait(talk.chat.session_id)
        return found

    async def say(self, talk: Conversation, **asked: Any) -> Conversation:
        await self.builder.take(talk.chat.session_id, asked, "anna")
        return await self.rested(talk)

    async def give(self, talk: Conversation, value: object = None) -> Conversation:
        """Answer the first card."""
        card = self.cards(talk)[0]
        return await self.say(talk, card_id=card["id"], value=value)

    async def validated(self, doubts: int = 4) -> Conversation:
        """Lead a conversation to where a person is to approve."""
        talk = await self.give(await self.begun(), {"left": "a", "right": "b"})
        talk = await self.give(talk, {"left": [], "right": []})
        for word in ("yes", "no", "yes", "no")[:doubts]:
            talk = await self.give(talk, {"judgement": word})
        assert talk.state.phase.word == "validation"
        return talk

    @staticmethod
    def cards(talk: Conversation) -> list[Json]:
        return list(conversation_json(talk)["cards"])

    @staticmethod
    def thoughts(talk: Conversation) -> list[Json]:
        return [dict(one.document) for one in talk.events if one.who == MODEL]


@asynccontextmanager
async def room(
    folder: Path,
    brain: Brain,
    limits: Limits | None = None,
    transport: httpx2.AsyncBaseTransport | None = None,
    database: Database | None = None,
) -> AsyncIterator[Room]:
    provider = Provider(brain)
    model = AnthropicModel(
        Provided("scripted", SecretStr("key"), "http://provider.test"),
        transport or provider.transport(),
    )
    async with AsyncExitStack() as stack:
        where = database or await stack.enter_async_context(opened(None, folder))
        tools = cast("Tools", ToldTools())
        builder = Builder(where, tools, Changes(), Leader(where, model, limits or Limits()))
        stack.push_async_callback(builder.close)
        yield Room(builder, provider)


class Held(httpx2.AsyncBaseTransport):
    """Sends a beginning, and then nothing until it is let go."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.let_go = asyncio.Event()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        await request.aread()
        whole = says("I think of much").body
        return httpx2.Response(
            200,
            content=self._pieces(whole),
            headers={"Content-Type": "text/event-stream"},
        )

    async def _pieces(self, whole: bytes) -> AsyncIterator[bytes]:
        place = whole.index(b"event: content_block_stop")
        yield whole[:place]
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.let_go.set()
