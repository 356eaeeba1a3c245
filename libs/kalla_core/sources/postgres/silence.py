"""A wait for a server that has a bound, where the driver's own has none.

The driver waits inside libpq for as long as the connection lives, and a connection lives for as
long as something on the way acknowledges its packets. So every call that may wait is made by a
thread of the connection's own, and whoever needs the answer waits for that thread: with a bound,
and open to Ctrl-C. A thread that waits in vain is left behind; what is to be closed follows it in
its queue, so that nothing is freed under it, and all is closed if it ever comes back.

A server may be silent because it works: a view is sorted before its first row comes. Nothing
coming is therefore no fault by itself; it is when the server answers nobody else either, or when
it takes longer than the server gives any query.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple, TypeVar

from kalla_core.errors import SourceUnavailable
from kalla_core.sources.protocol import SILENT

PARTING_S = 5.0
"""How long is waited for a query to be called off, and for a connection to be closed."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long an answer is waited for.

    Attributes:
        host: the server, as errors name it.
        quiet_s: nothing may come for so long before the server is asked whether it is there.
        longest_s: an answer takes no longer than this, whatever the server says.
        silent: asks a server that has been quiet; returns how it failed to answer, or None if it
            is there.
    """

    host: str
    quiet_s: float
    longest_s: float
    silent: Callable[[], str | None]


T = TypeVar("T")


class _Outcome(NamedTuple):
    value: Any
    error: BaseException | None


_Answer = SimpleQueue[_Outcome]
_Task = tuple[Callable[[], Any], _Answer]


class Waiter:
    """Makes calls in a thread of its own, one after the other, for one that waits with a bound."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._left_behind = False
        threading.Thread(target=_carry_out, args=(self._tasks,), daemon=True).start()

    def wait(self, call: Callable[[], T], what: str) -> T:
        """Return what a call returns, and raise what it raises.

        Args:
            what: what is waited for, as an error names it.

        Raises:
            SourceUnavailable: nothing came; the call is left to itself.
        """
        answer = self._ask(call)
        try:
            value, error = self._awaited(answer, what)
        except BaseException:  # Ctrl-C as well
            self._left_behind = True
            raise
        if error is not None:
            raise error
        found: T = value
        return found

    def part(self, call: Callable[[], object]) -> None:
        """Let something be closed; without a wait behind a call that is left to itself."""
        answer = self._ask(call)
        if self._left_behind:
            return
        try:
            answer.get(timeout=PARTING_S)
        except Empty:
            self._left_behind = True

    def end(self) -> None:
        """Let the thread end once it has done what it was given."""
        self._tasks.put(None)

    def _ask(self, call: Callable[[], object]) -> _Answer:
        answer: _Answer = SimpleQueue()
        self._tasks.put((call, answer))
        return answer

    def _awaited(self, answer: _Answer, what: str) -> _Outcome:
        patience, began = self._patience, time.monotonic()
        while True:
            try:
                return answer.get(timeout=patience.quiet_s)
            except Empty:
                why = patience.silent()
            if not answer.empty():
                continue  # it came while the server was asked
            waited = time.monotonic() - began
            if why is None and waited > patience.longest_s:
                why = "it answers others, and gives no query of its own so much time"
            if why is not None:
                raise _fell_silent(patience.host, what, waited, why)


def _fell_silent(host: str, what: str, seconds: float, why: str) -> SourceUnavailable:
    """Return the error for a server of which nothing came for so long."""
    return SourceUnavailable(
        f"{host} fell silent: nothing came in {seconds:.0f} s of waiting for {what}; {why}."
        " `read_timeout=SECONDS` in the URI waits longer.",
        **{SILENT: round(seconds)},
    )


def _carry_out(tasks: SimpleQueue[_Task | None]) -> None:
    while (task := tasks.get()) is not None:
        call, answer = task
        answer.put(_outcome(call))
        del task, call, answer  # what they hold is not kept until the next


def _outcome(call: Callable[[], object]) -> _Outcome:
    try:
        return _Outcome(call(), None)
    except BaseException as error:  # raised where it is waited for
        return _Outcome(None, error)
