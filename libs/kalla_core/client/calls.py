"""Requests to a coordinator over HTTP: bounded in time, tried again where that is safe."""

from __future__ import annotations

import asyncio
import random
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from kalla_core.error_json import error_from_answer
from kalla_core.errors import (
    CoordinatorUnavailable,
    InvalidSetting,
    KallaError,
    RequestRefused,
    Unauthenticated,
)

CONNECT_PATIENCE_S = 5.0
TRIES = 4
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 5.0

_LATER = (502, 503, 504)
_LAST_RETRY_AFTER_S = 10


class Calls:
    """One coordinator; a context manager that closes its connections.

    Args:
        coordinator: its address, as `http://localhost:8080`.
        token: what lets us in; None where nobody is asked.
        timeout_s: for each step of a request (connecting is bounded by 5 seconds).
        transport: how requests travel, for tests.
        authorities: by which an https:// coordinator is known, as PEM; by default those that are
            known everywhere.

    Raises:
        InvalidSetting: an address that is none.
    """

    def __init__(
        self,
        coordinator: str,
        token: str | None,
        timeout_s: float,
        transport: httpx.AsyncBaseTransport | None = None,
        authorities: bytes | None = None,
    ) -> None:
        parts = urlsplit(coordinator)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise InvalidSetting(
                f"A coordinator has an address like http://localhost:8080, not {coordinator!r}."
            )
        self.address = coordinator.rstrip("/")
        self._http = httpx.AsyncClient(
            base_url=self.address,
            headers={} if token is None else {"Authorization": f"Bearer {token}"},
            timeout=httpx.Timeout(timeout_s, connect=CONNECT_PATIENCE_S),
            transport=transport,
            trust_env=False,
            # Without TLS there is nothing to verify, and no authorities to load first.
            verify=_trusting(authorities) if parts.scheme == "https" else False,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def json(
        self,
        method: str,
        path: str,
        *,
        again: bool = True,
        query: Mapping[str, Any] | None = None,
        body: object = None,
        timeout_s: float | None = None,
    ) -> Any:
        """Return the JSON of an answer.

        Args:
            method: of HTTP.
            path: below the address.
            again: whether the request may be sent twice.
            query: parameters; those that are None are left out.
            body: JSON; None for no body.
            timeout_s: for each step of this request, in place of the usual one.

        Raises:
            CoordinatorUnavailable: it cannot be reached, or does not answer in time.
            KallaError: what the coordinator says.
        """
        given = {name: value for name, value in (query or {}).items() if value is not None}
        request = self._http.build_request(
            method,
            path,
            params=given,
            json=body if body is not None else None,
            timeout=self._http.timeout if timeout_s is None else _reading(timeout_s),
        )
        for number in range(TRIES if again else 1):
            last = number == (TRIES if again else 1) - 1
            try:
                answer = await self._http.send(request)
            except httpx.TransportError as error:
                if last:
                    raise self._unreachable(error) from error
                await asyncio.sleep(pause_s(number))
                continue
            wait = _worth_waiting_s(answer, number)
            if last or wait is None:
                return _document(answer)
            await asyncio.sleep(wait)
        raise self._unreachable(None)

    @asynccontextmanager
    async def stream(
        self, path: str, accept: str, read_timeout_s: float | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Open an answer that comes in pieces; it is tried once.

        Raises:
            CoordinatorUnavailable: it cannot be reached, or falls silent.
            KallaError: what the coordinator says.
        """
        timeout = self._http.timeout if read_timeout_s is None else _reading(read_timeout_s)
        try:
            async with self._http.stream(
                "GET", path, headers={"Accept": accept}, timeout=timeout
            ) as answer:
                if answer.status_code >= 400:
                    await answer.aread()
                    _document(answer)
                yield answer
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception | None) -> CoordinatorUnavailable:
        why = f": {str(error) or type(error).__name__}" if error is not None else ""
        return CoordinatorUnavailable(
            f"The coordinator at {self.address} does not answer{why}.", coordinator=self.address
        )


def _trusting(authorities: bytes | None) -> ssl.SSLContext | bool:
    if authorities is None:
        return True
    return ssl.create_default_context(cadata=authorities.decode("ascii"))


def pause_s(number: int) -> float:
    """Return how long to wait after the n-th failure, from 0; at random, so that not all come."""
    longest = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(number, 30))
    return longest * (0.5 + random.random() / 2)  # noqa: S311 - no secret


def error_from_http(status: int, body: object) -> KallaError:
    """Return the error that an answer stands for, also one that somebody between us made."""
    document = body.get("error") if isinstance(body, Mapping) else None
    if isinstance(document, Mapping) and "code" in document:
        return error_from_answer(document)
    sentence = f"The coordinator's address answers with status {status}, and not as Kalla does."
    if status == 401:
        return Unauthenticated(sentence, status=status)
    if status >= 500:
        return CoordinatorUnavailable(sentence, status=status)
    return RequestRefused(sentence, status=status)


def _document(answer: httpx.Response) -> Any:
    try:
        document = answer.json()
    except ValueError:
        document = None
    if answer.status_code >= 300 or document is None:
        raise error_from_http(answer.status_code, document)
    return document


def _worth_waiting_s(answer: httpx.Response, number: int) -> float | None:
    """Return how long to wait before the next try; None if there should be none."""
    if answer.status_code not in _LATER:
        return None
    asked = answer.headers.get("retry-after", "")
    wait = max(pause_s(number), int(asked) if asked.isdecimal() else 0)
    return wait if wait <= _LAST_RETRY_AFTER_S else None


def _reading(timeout_s: float) -> httpx.Timeout:
    return httpx.Timeout(timeout_s, connect=CONNECT_PATIENCE_S)
