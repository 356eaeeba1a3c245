"""Settings of the app: what people see in a browser."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from pydantic import SecretStr

from kalla_core.settings.declare import Bytes, Duration, Listening, authorities_setting, setting

UPLOADS_BUCKET = "kalla-uploads"
"""Where uploads go when only the address of a store is given."""


class AppSettings(Listening):
    """`kallad app`: where it listens, where it remembers, and which coordinator works for it."""

    port: int = setting(
        "KALLA_APP_PORT",
        flag="--port",
        shown="3000",
        meaning="Port of the pages and of the REST API; 0 takes a free one.",
        default=3000,
        ge=0,
        le=65535,
    )
    workers: int = setting(
        "KALLA_APP_WORKERS",
        flag="--workers",
        shown="1",
        meaning="Processes that answer on this port, on one store: one for each core that people "
        "keep busy.",
        default=1,
        ge=1,
        le=64,
    )
    token_file: Path | None = setting(
        "KALLA_APP_TOKEN_FILE",
        flag="--token-file",
        shown="none",
        meaning="File whose lines let people in: `ROLE NAME TOKEN` with the roles viewer, operator "
        "and admin.",
        default=None,
    )
    data_path: Path = setting(
        "KALLA_APP_DATA_PATH",
        flag="--data-path",
        shown="./app-data",
        meaning="Folder for the app's database, its key, uploads, and copies of evidence.",
        default=Path("app-data"),
    )
    database_url: str | None = setting(
        "DATABASE_URL",
        flag="--database-url",
        shown="SQLite below the data path",
        meaning="PostgreSQL database of the app, in a schema of its own.",
        default=None,
    )
    database_password_file: Path | None = setting(
        "DATABASE_PASSWORD_FILE",
        flag="--database-password-file",
        shown="none",
        meaning="File with the password of the user that `DATABASE_URL` names.",
        default=None,
    )
    key: SecretStr | None = setting(
        "KALLA_APP_KEY",
        shown="made below the data path",
        meaning="Key that passwords of sources are encrypted with in the database, 32 bytes as "
        "URL-safe base64; apps on one database need the same.",
        default=None,
    )
    key_file: Path | None = setting(
        "KALLA_APP_KEY_FILE",
        flag="--key-file",
        shown="none",
        meaning="File with that key, in place of the variable.",
        default=None,
    )
    worker_url: str = setting(
        "WORKER_URL",
        "KALLA_COORDINATOR",
        flag="--worker-url",
        shown="http://localhost:8080",
        meaning="Address of the coordinator.",
        default="http://localhost:8080",
    )
    worker_token: SecretStr | None = setting(
        "KALLA_TOKEN",
        shown="none",
        meaning="Token that the coordinator asks for; it needs the roles submit and read.",
        default=None,
    )
    worker_token_file: Path | None = setting(
        "WORKER_TOKEN_FILE",
        flag="--worker-token-file",
        shown="none",
        meaning="File with that token, in place of the variable.",
        default=None,
    )
    tls_ca_file: Path | None = authorities_setting("a coordinator at https://")
    public_url: str | None = setting(
        "PUBLIC_URL",
        flag="--public-url",
        shown="http://localhost and the port",
        meaning="Address at which browsers reach the app.",
        default=None,
    )
    callback_url: str | None = setting(
        "KALLA_APP_CALLBACK_URL",
        flag="--callback-url",
        shown="the public one",
        meaning="Address at which the coordinator reaches the app, where that is another.",
        default=None,
    )
    callback_secret_file: Path | None = setting(
        "KALLA_CALLBACK_SECRET_FILE",
        flag="--callback-secret-file",
        shown="none",
        meaning="File with the secret that the coordinator signs callbacks with; without it a "
        "callback is believed nothing, and the coordinator is asked.",
        default=None,
    )
    upload_limit_bytes: Bytes = setting(
        "KALLA_APP_UPLOAD_LIMIT",
        flag="--upload-limit",
        shown="10GiB",
        meaning="Largest file that may be uploaded; files that no source lies in are removed after "
        "a week.",
        default=10 << 30,
        ge=1,
    )
    uploads_bucket: str | None = setting(
        "S3_UPLOADS_BUCKET",
        flag="--uploads-bucket",
        shown=f"none; with `S3_ENDPOINT`, `{UPLOADS_BUCKET}`",
        meaning="Bucket that uploads are put into instead of a folder, so that several apps and "
        "the coordinator see them.",
        default=None,
    )
    s3_endpoint: str | None = setting(
        "S3_ENDPOINT",
        shown="as S3 below",
        meaning="Address of the store that has this bucket.",
        default=None,
    )
    s3_access_key: SecretStr | None = setting(
        "S3_ACCESS_KEY",
        shown="as every AWS tool",
        meaning="Name of the key for it.",
        default=None,
    )
    s3_secret_key: SecretStr | None = setting(
        "S3_SECRET_KEY",
        shown="as every AWS tool",
        meaning="The key itself.",
        default=None,
    )
    model_key: SecretStr | None = setting(
        "ANTHROPIC_API_KEY",
        shown="none",
        meaning="Key of a model that leads the recipe builder, which needs the extra `builder`; "
        "without one its guide does.",
        default=None,
    )
    model_key_file: Path | None = setting(
        "ANTHROPIC_API_KEY_FILE",
        flag="--model-key-file",
        shown="none",
        meaning="File with that key, in place of the variable.",
        default=None,
    )
    model: str = setting(
        "ANTHROPIC_MODEL",
        flag="--model",
        shown="`claude-sonnet-5-5`",
        meaning="The model, as its provider calls it.",
        default="claude-sonnet-5-5",
        min_length=1,
    )
    model_url: str | None = setting(
        "ANTHROPIC_BASE_URL",
        flag="--model-url",
        shown="its provider's",
        meaning="Address of whoever provides the model and speaks the same protocol.",
        default=None,
    )
    model_tokens: int = setting(
        "KALLA_APP_MODEL_TOKENS",
        flag="--model-tokens",
        shown="200000",
        meaning="Tokens that a model may read and write in a conversation.",
        default=200_000,
        ge=1,
    )
    model_day_tokens: int = setting(
        "KALLA_APP_MODEL_DAY_TOKENS",
        flag="--model-day-tokens",
        shown="2000000",
        meaning="Tokens that models may read and write in a day, UTC, in all conversations.",
        default=2_000_000,
        ge=1,
    )
    model_calls: int = setting(
        "KALLA_APP_MODEL_CALLS",
        flag="--model-calls",
        shown="60",
        meaning="How often a model is asked in a conversation.",
        default=60,
        ge=1,
    )
    model_time: Duration = setting(
        "KALLA_APP_MODEL_TIME",
        flag="--model-time",
        shown="10m",
        meaning="How long a conversation waits for a model, in all; a minute at most at a time.",
        default=timedelta(minutes=10),
        gt=timedelta(0),
    )
    grace: Duration = setting(
        "KALLA_GRACE",
        flag="--grace",
        shown="5s",
        meaning="How long answers and uploads that are under way may take after SIGTERM.",
        default=timedelta(seconds=5),
        ge=timedelta(0),
    )
    retention: Duration = setting(
        "KALLA_APP_RETENTION",
        flag="--retention",
        shown="30d",
        meaning="How long copies of evidence stay below the data path after somebody last looked "
        "at them; later they are fetched again, for as long as the coordinator has them. Ages of "
        "open rows stay as long, those of a recipe's newest run for good.",
        default=timedelta(days=30),
        ge=timedelta(0),
    )
    output_path: str | None = setting(
        "KALLA_APP_OUTPUT_PATH",
        flag="--output-path",
        shown="below the coordinator's staging path",
        meaning="Folder or `s3://bucket/prefix` for the evidence of runs, one folder each.",
        default=None,
    )
