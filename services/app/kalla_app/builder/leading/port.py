"""What is asked of a model and what it answers, whoever provides it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kalla_core.errors import SystemFailure

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ask:
    """What a model is asked.

    Attributes:
        rules: what holds for it, before all that is said.
        messages: in turn of `user` and `assistant`, the first and the last of `user`; each a
            `role` and a `content` of blocks: `text`; `tool_use` with `id`, `name` and `input`;
            `tool_result` with `tool_use_id`, `content` and `is_error`.
        tools: that it may call: `name`, `description` and `input_schema`.
        most_tokens: that it may write.
    """

    rules: str
    messages: Sequence[Json]
    tools: Sequence[Json]
    most_tokens: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A call that a model makes; nothing of it has been checked."""

    id: str
    tool: str
    input: Any


@dataclass(frozen=True, slots=True)
class Thought:
    """What a model answered.

    Attributes:
        tokens_in: that it read, `tokens_out` that it wrote, as its provider counts.
    """

    text: str
    calls: tuple[Wanted, ...]
    tokens_in: int
    tokens_out: int


class ModelFailed(SystemFailure):
    """A model did not answer, in a sentence for people.

    Attributes:
        tokens: that it used up nevertheless; 0 where nobody said.
    """

    code = "model_failed"
    retryable = True

    def __init__(self, message: str, tokens: int = 0) -> None:
        super().__init__(message)
        self.tokens = tokens


class Model(Protocol):
    """A model of some provider. Asyncio."""

    @property
    def name(self) -> str:
        """As its provider calls it."""

    async def think(self, ask: Ask, heard: Callable[[str], None]) -> Thought:
        """Let it think once; can be cancelled at any time.

        Args:
            heard: told each piece of its text as it comes.

        Raises:
            ModelFailed: it did not answer, or not as its provider's protocol says.
        """

    async def close(self) -> None:
        """Let go of connections."""
