"""Models behind the Messages API of Anthropic, over its SDK."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import anthropic
import httpx2

from kalla_app.builder.leading.port import Ask, ModelFailed, Thought, Wanted
from kalla_app.builder.leading.providers import Provided

OWN_URL = "https://api.anthropic.com"
_CONNECT_S = 10.0
_MOST_SIGNS = 100_000
"""Of an answer, whatever its provider sends."""


class AnthropicModel:
    """A model that is asked over HTTP; its answers stream. Asyncio."""

    def __init__(
        self, provided: Provided, transport: httpx2.AsyncBaseTransport | None = None
    ) -> None:
        """Prepare to ask; nothing is sent yet.

        Args:
            transport: what carries requests, where that is not the network.
        """
        self._name = provided.name
        # How long an answer may take is whoever asks to say: here only silence counts.
        timeout = httpx2.Timeout(60.0, connect=_CONNECT_S)
        self._client = anthropic.AsyncAnthropic(
            api_key=provided.key.get_secret_value(),
            base_url=provided.url or OWN_URL,
            max_retries=1,
            timeout=timeout,
            http_client=httpx2.AsyncClient(transport=transport, timeout=timeout),
        )

    @property
    def name(self) -> str:
        """As its provider calls it."""
        return self._name

    async def close(self) -> None:
        """Let go of connections."""
        await self._client.close()

    async def think(self, ask: Ask, heard: Callable[[str], None]) -> Thought:
        """Let it think once.

        Raises:
            ModelFailed: it did not answer, or not as the protocol says.
        """
        answer = _Answer(heard)
        wanted: dict[str, Any] = {
            "model": self._name,
            "max_tokens": ask.most_tokens,
            "system": ask.rules,
            "messages": list(ask.messages),
            "stream": True,
        }
        if ask.tools:
            wanted["tools"] = list(ask.tools)
        try:
            stream: Any = await self._client.messages.create(**wanted)
            async with stream:
                await answer.read(stream)
            return answer.thought()
        except anthropic.APIStatusError as error:
            raise ModelFailed(_said(error), answer.tokens) from error
        except (anthropic.APIError, httpx2.HTTPError) as error:
            raise ModelFailed(answer.broken(), answer.tokens) from error
        except (ValueError, TypeError, AttributeError, KeyError) as error:
            # The SDK takes events as they come: what is none fails where it is read.
            raise ModelFailed(_NONSENSE, answer.tokens) from error


class _Answer:
    """An answer as it comes, event by event."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        self._heard = heard
        self._text: list[str] = []
        self._blocks: dict[int, tuple[str, str, list[str]]] = {}
        self._in = self._out = self._signs = 0
        self._stop: str | None = None
        self._ended = False

    @property
    def tokens(self) -> int:
        return self._in + self._out

    async def read(self, stream: AsyncIterator[Any]) -> None:
        """Take in events until the last.

        Raises:
            ModelFailed: there are too many, or the last is missing.
        """
        async for event in stream:
            match event.type:
                case "message_start":
                    self._in = _count(event.message.usage.input_tokens)
                    self._out = _count(event.message.usage.output_tokens)
                case "content_block_start" if event.content_block.type == "tool_use":
                    block = event.content_block
                    self._blocks[event.index] = (str(block.id), str(block.name), [])
                case "content_block_delta":
                    self._more(event.index, event.delta)
                case "message_delta":
                    self._stop = event.delta.stop_reason
                    self._out = _count(event.usage.output_tokens)
                case "message_stop":
                    self._ended = True
                    break
        if not self._ended:
            raise ModelFailed(self.broken(), self.tokens)

    def thought(self) -> Thought:
        """Return what was answered.

        Raises:
            ModelFailed: it declined, or what it wants cannot be read.
        """
        text = "".join(self._text).strip()
        if self._stop == "refusal":
            raise ModelFailed("The model declined to answer.", self.tokens)
        if self._stop in ("max_tokens", "model_context_window_exceeded"):
            # A call that is cut off is none.
            return Thought(f"{text} …" if text else "…", (), self._in, self._out)
        calls = tuple(_wanted(*self._blocks[index]) for index in sorted(self._blocks))
        if not text and not calls:
            raise ModelFailed("The model said nothing.", self.tokens)
        return Thought(text, calls, self._in, self._out)

    def broken(self) -> str:
        """Return a sentence for an answer that did not come, or not whole."""
        if self._text or self._blocks or self._in:
            return "The model's answer broke off in the middle."
        return "The model cannot be reached."

    def _more(self, index: int, delta: Any) -> None:
        match delta.type:
            case "text_delta":
                piece = str(delta.text)
                self._text.append(piece)
                self._heard(piece)
            case "input_json_delta":
                piece = str(delta.partial_json)
                self._blocks[index][2].append(piece)
            case _:
                return
        self._signs += len(piece)
        if self._signs > _MOST_SIGNS:
            raise ModelFailed("The model's answer did not end.", self.tokens)


_NONSENSE = "The model answered something that is none of its protocol."


def _wanted(call_id: str, name: str, pieces: list[str]) -> Wanted:
    text = "".join(pieces)
    return Wanted(call_id, name, json.loads(text) if text.strip() else {})


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _said(error: anthropic.APIStatusError) -> str:
    """Return a sentence for an answer that is an error.

    What the provider says itself is left out: it may quote what was asked.
    """
    match error.status_code:
        case 401 | 403:
            return f"The model's provider does not take the key ({error.status_code})."
        case 402:
            return "The model's provider wants to be paid first (402)."
        case 404:
            return "The model's provider knows no model of this name (404)."
        case 413:
            return "The conversation has become too long for the model (413)."
        case 429:
            return "The model's provider was asked too much of late (429); it can be tried later."
        case 529:
            return "The model's provider is overloaded (529); it can be tried later."
        case status if status >= 500:
            return f"The model's provider has failed ({status}); it can be tried later."
        case 200:
            return "The model's provider has failed in the middle of an answer."
        case status:
            return f"The model's provider refuses what it was asked ({status})."
