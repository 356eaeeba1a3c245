"""A provider of models that says what a script says, in the words of its protocol."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx2

Json = dict[str, Any]
Block = str | tuple[str, Any]


@dataclass(frozen=True)
class Answer:
    """What is sent back."""

    status: int
    body: bytes
    kind: str = "text/event-stream"


Brain = Callable[[Json], Answer]


def says(*blocks: Block, stop: str | None = None, tokens: tuple[int, int] = (100, 20)) -> Answer:
    """Answer with texts, and with calls of tools with their inputs."""
    return Answer(200, _stream(blocks, stop, tokens))


def cut(*blocks: Block, keep: float = 0.6) -> Answer:
    """Answer, and break off in the middle."""
    whole = _stream(blocks, None, (100, 20))
    return Answer(200, whole[: int(len(whole) * keep)])


def fails(status: int, message: str = "no") -> Answer:
    """Answer with an error."""
    error = {"type": "error", "error": {"type": "some_error", "message": message}}
    return Answer(status, json.dumps(error).encode(), "application/json")


def now(asked: Json) -> Json:
    """Return where the conversation stands, as the model was told."""
    text = asked["messages"][-1]["content"][-1]["text"]
    return dict(json.loads(text.removeprefix("<now>").removesuffix("</now>")))


def results(asked: Json) -> list[Json]:
    """Return what the calls made last came to."""
    return [one for one in asked["messages"][-1]["content"] if one["type"] == "tool_result"]


class Provider:
    """Answers as its brain says.

    Attributes:
        asked: what it was asked, in order.
    """

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.asked: list[Json] = []

    def transport(self) -> httpx2.MockTransport:
        """Return what carries requests here without a network."""

        def handle(request: httpx2.Request) -> httpx2.Response:
            found = self.answer(request.content)
            return httpx2.Response(
                found.status, content=found.body, headers={"Content-Type": found.kind}
            )

        return httpx2.MockTransport(handle)

    def answer(self, body: bytes) -> Answer:
        """Return the answer to a request."""
        asked = json.loads(body)
        self.asked.append(asked)
        return self.brain(asked)

    def seen(self) -> str:
        """Return all that it was ever asked."""
        return json.dumps(self.asked, ensure_ascii=False)


def in_turn(*answers: Answer) -> Brain:
    """Answer one after the other; the last again and again."""
    left = list(answers)

    def brain(_asked: Json) -> Answer:
        return left.pop(0) if len(left) > 1 else left[0]

    return brain


@contextmanager
def provider(brain: Brain) -> Iterator[tuple[Provider, str]]:
    """Serve on a port of this machine; yields the provider and its address."""
    found = Provider(brain)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            answer = found.answer(self.rfile.read(length))
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found, f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _stream(blocks: Sequence[Block], stop: str | None, tokens: tuple[int, int]) -> bytes:
    usage = {"input_tokens": tokens[0], "output_tokens": 1}
    message = {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "scripted", "content": [],
        "stop_reason": None, "stop_sequence": None, "usage": usage,
    }  # fmt: skip
    events: list[Json] = [{"type": "message_start", "message": message}]
    for index, block in enumerate(blocks):
        events += _text(index, block) if isinstance(block, str) else _call(index, *block)
    wants = any(not isinstance(one, str) for one in blocks)
    ending = stop or ("tool_use" if wants else "end_turn")
    delta = {"stop_reason": ending, "stop_sequence": None}
    events += [
        {"type": "message_delta", "delta": delta, "usage": {"output_tokens": tokens[1]}},
        {"type": "message_stop"},
    ]
    lines = [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n" for one in events]
    return "".join(lines).encode()


def _text(index: int, text: str) -> list[Json]:
    return [
        {"type": "content_block_start", "index": index,
         "content_block": {"type": "text", "text": ""}},
        *(
            {"type": "content_block_delta", "index": index,
             "delta": {"type": "text_delta", "text": f"{word} "}}
            for word in text.split()
        ),
        {"type": "content_block_stop", "index": index},
    ]  # fmt: skip


def _call(index: int, tool: str, given: object) -> list[Json]:
    text = given if isinstance(given, str) else json.dumps(given)
    start = {"type": "tool_use", "id": f"toolu_{index}", "name": tool, "input": {}}
    half = len(text) // 2
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *(
            {"type": "content_block_delta", "index": index,
             "delta": {"type": "input_json_delta", "partial_json": piece}}
            for piece in (text[:half], text[half:])
        ),
        {"type": "content_block_stop", "index": index},
    ]  # fmt: skip
