"""Logs: one line per event, a name with fields, to standard error.

    configure_logs("info", LogFormat.JSON)
    with log_context(run_id=run_id, stage="scan"):
        log.info("fragment_lost", attempt=2, cause="crashed")

What is bound by `log_context` is on every line written inside it, in this thread or task. Values
that hold secrets are masked on their way out, whoever logs them.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import MutableMapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Never, TextIO, cast

from kalla_core.observe.lean import structlog
from kalla_core.observe.repeats import Repeats
from kalla_core.observe.secrets import mask
from kalla_core.observe.steady import Steady
from kalla_core.settings import LogFormat, LogLevel

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger, Processor

_LEVELS = {
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARNING: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
    LogLevel.OFF: logging.CRITICAL,
}


def configure_logs(
    level: LogLevel = LogLevel.INFO,
    format: LogFormat | None = None,
    stream: TextIO | None = None,
) -> None:
    """Set up logs for this process; each process does so once, child processes too.

    Args:
        level: the least severe level that is written.
        format: None for lines for people on a terminal and JSON elsewhere.
        stream: where to; standard error by default.
    """
    target = sys.stderr if stream is None else stream
    chosen = _format_for(target) if format is None else format
    structlog.configure(
        processors=[_drop] if level is LogLevel.OFF else _processors(chosen, target.isatty()),
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        # A line that finds no room, on a disk that is full, must not end what it tells of.
        logger_factory=structlog.WriteLoggerFactory(cast("TextIO", Steady(target))),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers = [one for one in root.handlers if not isinstance(one, _Others)] + [_Others()]


class _Others(logging.Handler):
    """Lets what libraries log by Python's own logging come out as our lines do, masked.

    What a library says again and again, as when there are no descriptors left, is said less often.
    """

    def __init__(self) -> None:
        super().__init__()
        self._repeats = Repeats()

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record; the logger's name tells whose it is."""
        missed = self._repeats.held_back((record.name, record.msg), time.monotonic())
        if missed is None:
            return
        try:
            get_logger().log(
                record.levelno,
                "library_log",
                library=record.name,
                message=record.getMessage(),
                **({"held_back": missed} if missed else {}),
                **({"exc_info": record.exc_info} if record.exc_info else {}),
            )
        except Exception:  # as handlers do: a line that cannot be written must not end its caller
            self.handleError(record)


def get_logger(**fields: object) -> FilteringBoundLogger:
    """Return a logger with fields bound to it; it follows later calls of `configure_logs`."""
    return cast("FilteringBoundLogger", structlog.get_logger(**fields))


def log_context(**fields: object) -> AbstractContextManager[None]:
    """Bind fields (`run_id`, `stage`, …) to every line written inside the context."""
    return structlog.contextvars.bound_contextvars(**fields)


def mask_secrets(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Structlog processor: mask every field that holds or names a secret."""
    return {name: mask(value, name) for name, value in event.items()}


def _drop(_logger: object, _method: str, _event: MutableMapping[str, Any]) -> Never:
    raise structlog.DropEvent


def _format_for(stream: TextIO) -> LogFormat:
    return LogFormat.CONSOLE if stream.isatty() else LogFormat.JSON


def _processors(format: LogFormat, colors: bool) -> list[Processor]:
    common: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    # Tracebacks become text before masking, because they quote URIs too. Values of variables stay
    # out of them: they are requests, tokens and rows.
    if format is LogFormat.JSON:
        transformer = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        traceback: Processor = structlog.processors.ExceptionRenderer(transformer)
        render: Processor = structlog.processors.JSONRenderer(ensure_ascii=False)
    else:
        traceback = structlog.processors.format_exc_info
        render = structlog.dev.ConsoleRenderer(
            colors=colors, exception_formatter=structlog.dev.plain_traceback
        )
    return [*common, traceback, mask_secrets, render]
