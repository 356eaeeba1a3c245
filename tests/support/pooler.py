"""A transaction pooler in miniature: many clients, one connection to the server.

Every client is let in; what it sends up to a Sync or a simple query goes to the one connection,
whose answer goes back to it, until the server says that it is ready and in no transaction. Then
it is the next client's turn.
"""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kalla_core.cli.embedded_postgres import EmbeddedServer

_IDLE = b"I"


@contextmanager
def transaction_pooler(server: EmbeddedServer) -> Iterator[int]:
    """Run a pooler before a server; yields the port it listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        pooler = _Pooler(server)
        threading.Thread(target=pooler.accept, args=(listening,), daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            pooler.close()


class _Pooler:
    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        self._turn = threading.Lock()
        self._upstream: socket.socket | None = None
        self._greeting = b""
        self._clients: list[socket.socket] = []

    def accept(self, listening: socket.socket) -> None:
        with suppress(OSError):
            while True:
                client, _ = listening.accept()
                self._clients.append(client)
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def close(self) -> None:
        for each in (*self._clients, *([self._upstream] if self._upstream else [])):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError, ConnectionError):
            startup = _startup(client)
            with self._turn:
                client.sendall(self._greeted(startup))
            while True:
                message = _message(client)
                if message[:1] == b"X":
                    return
                with self._turn:
                    self._transaction(client, message)

    def _greeted(self, startup: bytes) -> bytes:
        if self._upstream is None:
            self._upstream = socket.create_connection(("127.0.0.1", self._server.port))
            self._upstream.sendall(startup)
            self._greeting = b"".join(_until_ready(self._upstream)[0])
        return self._greeting

    def _transaction(self, client: socket.socket, message: bytes) -> None:
        assert self._upstream is not None
        while True:
            self._upstream.sendall(message)
            if message[:1] in (b"S", b"Q"):
                answer, state = _until_ready(self._upstream)
                client.sendall(b"".join(answer))
                if state == _IDLE:
                    return
            message = _message(client)


def _until_ready(server: socket.socket) -> tuple[list[bytes], bytes]:
    answer = []
    while True:
        answer.append(_message(server))
        if answer[-1][:1] == b"Z":
            return answer, answer[-1][-1:]


def _startup(client: socket.socket) -> bytes:
    length = _exactly(client, 4)
    return length + _exactly(client, struct.unpack("!I", length)[0] - 4)


def _message(peer: socket.socket) -> bytes:
    head = _exactly(peer, 5)
    return head + _exactly(peer, struct.unpack("!I", head[1:])[0] - 4)


def _exactly(peer: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        piece = peer.recv(count - len(got))
        if not piece:
            raise ConnectionError("the peer is gone")
        got += piece
    return got
