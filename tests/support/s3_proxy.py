"""A proxy before an S3 server that loses, delays, cuts off and refuses what a test says.

It speaks HTTP, so a rule sees whole requests and decides about each, in the order in which they
come: None lets it pass.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import SHUT_RDWR, socket
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

_PATIENCE_S = 60
_OF_CONNECTIONS = frozenset({"connection", "keep-alive", "transfer-encoding", "date", "server"})


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        number: counts from 1, through all connections.
        conditional: whether it depends on an ETag, or on that nothing is there.
    """

    number: int
    method: str
    key: str
    query: dict[str, str]
    conditional: bool

    @property
    def reads_rows(self) -> bool:
        """Whether it is for the content of an object."""
        return self.method == "GET" and bool(self.key)


@dataclass(frozen=True)
class Refuse:
    """Answer as S3 does when it will not: with a code, or to HEAD with a status only."""

    status: int
    code: str
    message: str = "said the proxy"


@dataclass(frozen=True)
class Drop:
    """Close the connection without an answer, before or after the server has carried it out."""

    carried_out: bool = False


@dataclass(frozen=True)
class CutOff:
    """Send the head of the answer and a share of its body; then close, or say nothing more."""

    share: float = 0.5
    stall: bool = False


@dataclass(frozen=True)
class Stall:
    """Say nothing at all."""


@dataclass(frozen=True)
class Delay:
    """Let it pass, but later."""

    seconds: float


@dataclass(frozen=True)
class InPages:
    """Let it pass; a listing comes in pages of so many keys."""

    keys: int


@dataclass(frozen=True)
class Unconditionally:
    """Let it pass without its conditions, as a store does that knows none."""


Fault = Refuse | Drop | CutOff | Stall | Delay | InPages | Unconditionally
Rule = Callable[[Request], Fault | None]

SLOW_DOWN = Refuse(503, "SlowDown", "Please reduce your request rate.")
BROKEN = Refuse(500, "InternalError", "We encountered an internal error. Please try again.")


def no_fault(_request: Request) -> None:
    """Let everything pass."""


def always(fault: Fault) -> Rule:
    """Do that to every request."""
    return lambda _request: fault


def in_turn(*faults: Fault | None) -> Rule:
    """Do these one after the other, again and again."""
    return lambda request: faults[(request.number - 1) % len(faults)]


@dataclass
class S3Proxy:
    """A running proxy.

    Attributes:
        rule: may be replaced at any time.
        requests: all that came so far.
    """

    endpoint: str
    rule: Rule
    requests: list[Request]


@contextmanager
def s3_proxy(server: str, rule: Rule = no_fault) -> Iterator[S3Proxy]:
    """Run a proxy before the server at an address, in a block; connections end with it."""
    listening = _Listening(server)
    listening.proxy = S3Proxy(f"http://127.0.0.1:{listening.server_port}", rule, [])
    thread = threading.Thread(target=listening.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield listening.proxy
    finally:
        listening.ended.set()
        listening.shutdown()
        listening.close_connections()
        listening.server_close()
        thread.join(_PATIENCE_S)


class _Listening(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    proxy: S3Proxy

    def __init__(self, server: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        parts = urlsplit(server)
        assert parts.hostname is not None
        self.upstream = (parts.hostname, parts.port)
        self.ended = threading.Event()
        self.deciding = threading.Lock()
        self._open: set[socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients and faults close connections; that is what they are for."""

    def close_connections(self) -> None:
        for each in list(self._open):
            with suppress(OSError):
                each.shutdown(SHUT_RDWR)

    def decide(self, method: str, target: str, conditional: bool) -> Fault | None:
        parts = urlsplit(target)
        key = unquote(parts.path).lstrip("/").partition("/")[2]
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        with self.deciding:
            number = len(self.proxy.requests) + 1
            request = Request(number, method, key, query, conditional)
            self.proxy.requests.append(request)
            return self.proxy.rule(request)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _PATIENCE_S
    server: _Listening

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        conditional = "If-Match" in self.headers or "If-None-Match" in self.headers
        fault = self.server.decide(self.command, self.path, conditional)
        match fault:
            case Refuse():
                self._refuse(fault)
            case Drop(carried_out):
                if carried_out:
                    self._asked(body)
                self.close_connection = True
            case Stall():
                self._wait(_PATIENCE_S)
            case CutOff(share, stall):
                self._pass(self._asked(body), share)
                self._wait(_PATIENCE_S if stall else 0)
            case Delay(seconds):
                self._wait(seconds)
                self.close_connection = False
                self._pass(self._asked(body))
            case InPages(keys):
                self._pass(self._asked(body, f"&max-keys={keys}"))
            case Unconditionally():
                del self.headers["If-Match"], self.headers["If-None-Match"]
                self._pass(self._asked(body))
            case None:
                self._pass(self._asked(body))

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = do_any  # noqa: N815 - as the base calls them

    def _asked(self, body: bytes, more: str = "") -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = HTTPConnection(*self.server.upstream, timeout=_PATIENCE_S)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() != "expect"}
            upstream.request(self.command, self.path + more, body, headers)
            answer = upstream.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            upstream.close()

    def _pass(self, answer: tuple[int, list[tuple[str, str]], bytes], share: float = 1.0) -> None:
        status, headers, body = answer
        self.send_response(status)
        named = {name.lower() for name, _ in headers}
        for name, value in headers:
            if name.lower() not in _OF_CONNECTIONS:
                self.send_header(name, value)
        if "content-length" not in named:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: int(len(body) * share)])

    def _refuse(self, fault: Refuse) -> None:
        body = (
            '<?xml version="1.0" encoding="UTF-8"?>\n'
            f"<Error><Code>{fault.code}</Code><Message>{fault.message}</Message></Error>"
        ).encode()
        self.send_response(fault.status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _wait(self, seconds: float) -> None:
        self.close_connection = True
        self.wfile.flush()
        self.server.ended.wait(seconds)
