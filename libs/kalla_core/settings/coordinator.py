"""Settings of the coordinator."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from kalla_core.settings.declare import Bytes, Duration, Listed, Serving, setting


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
    database_password_file: Path | None = setting(
        "DATABASE_PASSWORD_FILE",
        flag="--database-password-file",
        shown="none",
        meaning="File with the password of the user that `DATABASE_URL` names.",
        default=None,
    )
    smallest_cluster_bytes: Bytes = setting(
        "KALLA_AUTO_MIN_BYTES",
        flag="--auto-min-bytes",
        shown="64MiB",
        meaning="Sources that are known to be smaller than this are joined on the coordinator's "
        "own machine by the engine `auto`, whoever is registered.",
        default=64 << 20,
        ge=0,
    )
    grace: Duration = setting(
        "KALLA_GRACE",
        flag="--grace",
        shown="20s",
        meaning="How long running jobs may take to finish after SIGTERM; then the next start runs "
        "them again.",
        default=timedelta(seconds=20),
    )
    retention: Duration = setting(
        "KALLA_RETENTION",
        flag="--retention",
        shown="30d",
        meaning="How long finished jobs are remembered, with the evidence of those that named no "
        "output.",
        default=timedelta(days=30),
    )
    allowed_paths: Listed | None = setting(
        "KALLA_ALLOWED_PATHS",
        flag="--allowed-paths",
        shown="all on this machine's own address, else none",
        meaning="Folders beside the staging path, separated by commas, that local sources and "
        "outputs of jobs may lie in.",
        default=None,
    )
    allowed_hosts: Listed | None = setting(
        "KALLA_ALLOWED_HOSTS",
        flag="--allowed-hosts",
        shown="all",
        meaning="Hosts of databases, separated by commas, that jobs may read.",
        default=None,
    )
    allowed_buckets: Listed | None = setting(
        "KALLA_ALLOWED_BUCKETS",
        flag="--allowed-buckets",
        shown="all",
        meaning="Buckets of S3, separated by commas, that jobs may read and write.",
        default=None,
    )
    callback_hosts: Listed | None = setting(
        "KALLA_CALLBACK_HOSTS",
        flag="--callback-hosts",
        shown="all",
        meaning="Hosts, separated by commas, that callbacks may go to.",
        default=None,
    )
    callback_secret_file: Path | None = setting(
        "KALLA_CALLBACK_SECRET_FILE",
        flag="--callback-secret-file",
        shown="none",
        meaning="File with the secret that signs callbacks in `X-Kalla-Signature`.",
        default=None,
    )
    heartbeat: Duration = setting(
        "KALLA_HEARTBEAT",
        flag="--heartbeat",
        shown="2s",
        meaning="How often executors tell that they live; one that is silent for eight times as "
        "long is lost.",
        default=timedelta(seconds=2),
        gt=timedelta(0),
    )
    executor_grace: Duration = setting(
        "KALLA_EXECUTOR_GRACE",
        flag="--executor-grace",
        shown="5s",
        meaning="How long an executor may be away after its stream broke before its work is given "
        "to others.",
        default=timedelta(seconds=5),
    )
    executor_wait: Duration = setting(
        "KALLA_EXECUTOR_WAIT",
        flag="--executor-wait",
        shown="60s",
        meaning="How long a job of the engine `cluster` waits while no executor is there; then it "
        "fails with `no_executors`.",
        default=timedelta(seconds=60),
    )
