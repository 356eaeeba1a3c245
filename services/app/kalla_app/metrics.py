"""The app's metrics, in a registry of their own that is passed around."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from kalla_app.workers import Place
from kalla_core.observe.loop_lag import LAG_SECONDS

_TELL_S = 5.0
_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 1, 5, 30)


class AppMetrics:
    """What is counted, by all processes of an app.

    Each process among several writes down what it has counted, now and then and before it shows
    anything; it goes on from what one in its place has written before it. So what is shown is all
    written down, by whichever process, and grows whoever ends and whoever is asked.

    Args:
        place: of this one among several; None without others.
    """

    def __init__(self, place: Place | None = None) -> None:
        self._own = None if place is None else place.folder / f"{place.number}.prom"
        self._before = "" if self._own is None else _text_of(self._own)
        self.registry = own = CollectorRegistry()
        self.requests = Counter(
            "kalla_app_requests", "Requests that were answered.", ["status"], registry=own
        )
        self.request_seconds = Histogram(
            "kalla_app_request_seconds",
            "From a request to the beginning of its answer.",
            buckets=_SECONDS,
            registry=own,
        )
        self.runs = Gauge("kalla_app_runs", "Runs by where they stand.", ["status"], registry=own)
        self.errands = Counter(
            "kalla_app_errands",
            "Requests to the coordinator about runs, by what became of them.",
            ["action", "outcome"],
            registry=own,
        )
        self.callbacks = Counter(
            "kalla_app_callbacks", "Callbacks of the coordinator.", ["outcome"], registry=own
        )
        self.loop_lag = Histogram(
            "kalla_event_loop_lag_seconds",
            "How late the event loop is.",
            buckets=LAG_SECONDS,
            registry=own,
        )

    async def keep_told(self) -> None:
        """Let the other processes know what was counted, until cancelled."""
        while self._own is not None:
            self._tell(self._own)
            await asyncio.sleep(_TELL_S)

    def shown(self) -> bytes:
        """Return what all processes have counted, as Prometheus reads it."""
        if self._own is None:
            return generate_latest(self.registry)
        told = self._tell(self._own)
        others = sorted({*self._own.parent.glob("*.prom")} - {self._own})
        return _added([told, *map(_text_of, others)]).encode()

    def _tell(self, path: Path) -> str:
        """Write down what this process has counted, and others in its place; return it."""
        told = generate_latest(self.registry).decode()
        if self._before:
            told = _added([told, self._before])
        unfinished = path.with_suffix(".new")
        with suppress(OSError):  # what is not told now is told next time
            unfinished.write_text(told)
            os.replace(unfinished, path)
        return told


def _text_of(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


def _added(texts: Sequence[str]) -> str:
    both = CollectorRegistry()
    both.register(_Together(texts))
    return generate_latest(both).decode()


class _Together(Collector):
    """What several processes have counted, added up; what is no count is as the first has it."""

    def __init__(self, texts: Iterable[str]) -> None:
        self._texts = texts

    def collect(self) -> Iterator[Metric]:
        families: dict[str, Metric] = {}
        sums: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
        for text in self._texts:
            for family in text_string_to_metric_families(text):
                is_first = families.setdefault(family.name, family) is family
                if is_first or family.type in ("counter", "histogram"):
                    summed = sums.setdefault(family.name, {})
                    for sample in family.samples:
                        key = sample.name, tuple(sorted(sample.labels.items()))
                        summed[key] = summed.get(key, 0.0) + sample.value
        for name, family in families.items():
            made = Metric(name, family.documentation, family.type)
            for (called, labels), value in sums[name].items():
                made.add_sample(called, dict(labels), value)
            yield made
