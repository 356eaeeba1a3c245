"""Settings of the coordinator."""

from __future__ import annotations

from pathlib import Path

from kalla_core.settings.declare import Serving, setting


class CoordinatorSettings(Serving):
    """`kallad coordinator`: where it listens, what it takes on, where it remembers."""

    http_port: int = setting(
        "HTTP_PORT",
        flag="--http-port",
        shown="8080",
        meaning="Port of the job API over HTTP; 0 takes a free one.",
        default=8080,
        ge=0,
        le=65535,
    )
    grpc_port: int = setting(
        "GRPC_PORT",
        flag="--grpc-port",
        shown="50050",
        meaning="Port of the job API over gRPC, and of the executors; 0 takes a free one.",
        default=50050,
        ge=0,
        le=65535,
    )
    results_port: int = setting(
        "RESULTS_PORT",
        flag="--results-port",
        shown="50053",
        meaning="Port of result sets over Arrow Flight; 0 takes a free one.",
        default=50053,
        ge=0,
        le=65535,
    )
    partitions: int = setting(
        "KALLA_PARTITIONS",
        "BALLISTA_PARTITIONS",
        flag="--partitions",
        shown="4",
        meaning="Parts per source where a recipe does not say.",
        default=4,
        ge=1,
        le=1024,
    )
    staging_path: Path = setting(
        "STAGING_PATH",
        flag="--staging-path",
        shown="./staging",
        meaning="Folder for job records, scratch, and the evidence of jobs that name no output.",
        default=Path("staging"),
    )
    max_jobs: int = setting(
        "MAX_CONCURRENT_JOBS",
        flag="--max-jobs",
        shown="4",
        meaning="Jobs that run at the same time; the memory limit is divided among them.",
        default=4,
        ge=1,
        le=256,
    )
    queue_limit: int = setting(
        "KALLA_QUEUE_LIMIT",
        flag="--queue-limit",
        shown="100",
        meaning="Jobs that may wait; one more is answered with 429.",
        default=100,
        ge=0,
    )
    database_url: str | None = setting(
        "DATABASE_URL",
        flag="--database-url",
        shown="SQLite below the staging path",
        meaning="PostgreSQL database for job records, in a schema of its own.",
        default=None,
    )
