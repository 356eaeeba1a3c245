"""Settings of an executor."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from kalla_core.settings.declare import Bytes, Duration, Serving, authorities_setting, setting


class ExecutorSettings(Serving):
    """`kallad executor`: whom it works for, where it listens, what it may take."""

    coordinator_host: str = setting(
        "COORDINATOR_HOST",
        "SCHEDULER_HOST",
        flag="--coordinator-host",
        shown="localhost",
        meaning="Host of the coordinator.",
        default="localhost",
    )
    coordinator_port: int = setting(
        "COORDINATOR_PORT",
        "SCHEDULER_PORT",
        flag="--coordinator-port",
        shown="50050",
        meaning="Port of the coordinator's gRPC.",
        default=50050,
        ge=1,
        le=65535,
    )
    flight_port: int = setting(
        "BIND_PORT",
        flag="--flight-port",
        shown="50051",
        meaning="Port where peers fetch spools over Arrow Flight; 0 takes a free one.",
        default=50051,
        ge=0,
        le=65535,
    )
    grpc_port: int = setting(
        "BIND_GRPC_PORT",
        flag="--grpc-port",
        shown="50052",
        meaning="Port of the gRPC health service; 0 takes a free one.",
        default=50052,
        ge=0,
        le=65535,
    )
    http_port: int = setting(
        "EXECUTOR_HTTP_PORT",
        flag="--http-port",
        shown="8081",
        meaning="Port of health, readiness and metrics; 0 takes a free one.",
        default=8081,
        ge=0,
        le=65535,
    )
    tls_ca_file: Path | None = authorities_setting("the coordinator and the other executors")
    external_host: str | None = setting(
        "EXTERNAL_HOST",
        flag="--external-host",
        shown="found by itself",
        meaning="Name or address under which peers reach this executor.",
        default=None,
    )
    spool_path: Path | None = setting(
        "KALLA_SPOOL_PATH",
        flag="--spool-path",
        shown="a temporary folder",
        meaning="Folder for rows on their way from scan to join.",
        default=None,
    )
    spool_limit_bytes: Bytes | None = setting(
        "KALLA_SPOOL_LIMIT",
        flag="--spool-limit",
        shown="none",
        meaning="Most that the spool may take on disk, like `100GiB`.",
        default=None,
        ge=1,
    )
    grace: Duration = setting(
        "KALLA_GRACE",
        flag="--grace",
        shown="20s",
        meaning="How long running fragments may take to finish after SIGTERM.",
        default=timedelta(seconds=20),
    )
