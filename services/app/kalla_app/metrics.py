"""The app's metrics, in a registry of their own that is passed around."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from kalla_core.observe.loop_lag import LAG_SECONDS

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 1, 5, 30)


class AppMetrics:
    """What is counted."""

    def __init__(self) -> None:
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
