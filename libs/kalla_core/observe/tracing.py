"""Traces of jobs, from submission over fragments and commit to the callback.

They are made where the extra `tracing` is installed and `OTEL_EXPORTER_OTLP_ENDPOINT` says where to
send them; OpenTelemetry's own variables say the rest. Elsewhere nothing is loaded and nothing costs
anything, but what callers tell of their trace is handed on all the same.

A trace is told as the text of a W3C `traceparent`, empty for none: it is what travels in headers,
in metadata, in stored jobs and on the stream to executors.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from kalla_core.errors import InvalidSetting

HEADER = "traceparent"
_WRITTEN = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_LAST_MS = 5_000

incoming: ContextVar[str] = ContextVar("incoming_trace", default="")
"""The trace that the caller of the request at hand has told of."""


def as_trace(told: object) -> str:
    """Return a trace that somebody else told of; empty if it is none."""
    text = told.decode("latin-1") if isinstance(told, bytes) else told
    return text if isinstance(text, str) and _WRITTEN.fullmatch(text) else ""


@dataclass(slots=True)
class Span:
    """Something that is going on.

    Attributes:
        trace: what is told to those whose work is part of it.
        attributes: to be told with it at its end; numbers, texts and flags.
        failed: why it failed, if it did.
    """

    trace: str
    attributes: dict[str, Any] = field(default_factory=dict)
    failed: str = ""


class _Tracer:
    """What OpenTelemetry makes spans with; None while nothing is traced."""

    tracer: Any = None


@contextmanager
def tracing(service: str) -> Iterator[None]:
    """Trace what a service does within the block, if the environment says where to.

    Raises:
        InvalidSetting: it does, and the extra is not installed.
    """
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        yield
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as missing:
        raise InvalidSetting(
            f"{' or '.join(_ENDPOINTS)} is set, but traces need the extra `tracing`: "
            "`pip install 'kalla[tracing]'`.",
            setting=_ENDPOINTS[0],
        ) from missing
    named = os.environ.get("OTEL_SERVICE_NAME") or service
    provider = TracerProvider(
        resource=Resource.create({SERVICE_NAME: named, SERVICE_VERSION: version("kalla")}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    _Tracer.tracer = provider.get_tracer("kalla", version("kalla"))
    try:
        yield
    finally:
        _Tracer.tracer = None
        provider.force_flush(_LAST_MS)
        provider.shutdown()


@contextmanager
def span(name: str, parent: str = "", **attributes: Any) -> Iterator[Span]:
    """Trace what a block does; an error that leaves it makes the span a failed one."""
    began = time.time_ns()
    if _Tracer.tracer is None:
        yield Span(parent)
        return
    made = _Tracer.tracer.start_span(name, context=_context(parent), start_time=began)
    told = Span(_told(made), dict(attributes))
    try:
        yield told
    except BaseException as error:
        told.failed = told.failed or type(error).__name__
        raise
    finally:
        _end(made, told)


def past(name: str, parent: str, began_ns: int, **attributes: Any) -> None:
    """Trace what has just ended.

    Args:
        began_ns: when it began, in nanoseconds of the clock of this machine (`time.time_ns`).
    """
    if _Tracer.tracer is not None:
        made = _Tracer.tracer.start_span(name, context=_context(parent), start_time=began_ns)
        _end(made, Span(_told(made), attributes))


def _context(parent: str) -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({HEADER: parent} if parent else {})


def _told(made: Any) -> str:
    context = made.get_span_context()
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"


def _end(made: Any, told: Span) -> None:
    from opentelemetry.trace import Status, StatusCode

    made.set_attributes({f"kalla.{name}": value for name, value in told.attributes.items()})
    if told.failed:
        made.set_status(Status(StatusCode.ERROR, told.failed))
    made.end()
