"""Builds the app, starts it, and stops it."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

from kalla_app.access.people import Known, parse_people
from kalla_app.builder.leading.budget import Limits
from kalla_app.builder.leading.providers import Provided, model_of
from kalla_app.builder.leading.turn import Leader
from kalla_app.builder.service import Builder
from kalla_app.builder.tools import Tools
from kalla_app.changes import Changes
from kalla_app.context import App
from kalla_app.evidence.closest import ClosestRows
from kalla_app.evidence.copies import Copies
from kalla_app.evidence.pages import RowPages
from kalla_app.evidence.place import EvidencePlace
from kalla_app.evidence.spreads import Spreads
from kalla_app.exceptions.ages import Ages
from kalla_app.exceptions.bench import Bench
from kalla_app.exceptions.book import ExceptionBook
from kalla_app.exceptions.follow import Follower
from kalla_app.exceptions.laid import Layers
from kalla_app.http import application
from kalla_app.metrics import AppMetrics
from kalla_app.recipes.shelf import Shelf
from kalla_app.runs.dispatch import Dispatcher
from kalla_app.runs.service import RunService
from kalla_app.runs.shares import Shares
from kalla_app.runs.watch import Watches
from kalla_app.sources.catalogue import Catalogue
from kalla_app.store.database import Database, opened
from kalla_app.store.runs import Run
from kalla_app.store.sessions import Sessions
from kalla_app.store.vault import open_vault
from kalla_app.uploads.dock import Dock
from kalla_app.uploads.places import BucketPlace, FolderPlace
from kalla_app.uploads.places import Place as UploadsPlace
from kalla_app.workers import Place, helped, places
from kalla_core.client.client import Client
from kalla_core.database import with_password
from kalla_core.errors import InvalidSetting
from kalla_core.observe.logs import configure_logs, get_logger
from kalla_core.observe.loop_lag import watch_loop
from kalla_core.observe.rights import warn_of_root
from kalla_core.observe.variables import warn_of_unknown_variables
from kalla_core.s3.bucket import bucket
from kalla_core.s3.troubles import S3Error
from kalla_core.serving.server import listening_at, serving_http
from kalla_core.settings import AppSettings
from kalla_core.settings.app import UPLOADS_BUCKET
from kalla_core.settings.s3 import load_s3_settings
from kalla_core.settings.secret_files import read_secret, secret_or_file
from kalla_core.settings.tls import read_authorities, read_certificate
from kalla_core.settings.tokens import is_loopback, sends_tokens_openly


def run(settings: AppSettings) -> None:
    """Run the app until told to end.

    Raises:
        KallaError: it cannot start.
    """
    configure_logs(settings.log_level, settings.log_format)
    warn_of_unknown_variables()
    warn_of_root()
    asyncio.run(_until_told(settings))


async def _until_told(settings: AppSettings) -> None:
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    async with running(settings) as address:
        get_logger().info("app_ready", address=address, port=urlsplit(address).port)
        await told.wait()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)  # the next one ends the process
    get_logger().info("app_stopped")


@asynccontextmanager
async def running(settings: AppSettings, place: Place | None = None) -> AsyncIterator[str]:
    """Run the app for a block; yields the address it is reached at.

    Args:
        place: of this process among several, where another one began it.

    Raises:
        KallaError: it cannot start.
    """
    people = _people(settings)
    if sends_tokens_openly(settings):
        get_logger().warning(
            "not_encrypted",
            bind_host=settings.bind_host,
            message="Tokens and rows travel without encryption: give --tls-cert and --tls-key, "
            "or let a proxy on this machine speak TLS.",
        )
    folder = _folder(settings.data_path)
    database_url = with_password(
        settings.database_url, read_secret(settings.database_password_file, "database password")
    )
    certificate = read_certificate(settings)
    vault = open_vault(secret_or_file(settings.key, settings.key_file, "key"), folder)
    async with AsyncExitStack() as stack:
        place = place or await stack.enter_async_context(places(settings))
        listener = stack.enter_context(
            listening_at(settings.bind_host, settings.port, shared=place is not None)
        )
        address = _address(settings, listener, secure=certificate is not None)
        called_at = (
            address
            if settings.callback_url is None
            else _checked(settings.callback_url, "KALLA_APP_CALLBACK_URL")
        )
        database = await stack.enter_async_context(opened(database_url, folder))
        client = await stack.enter_async_context(_client(settings))
        changes, metrics, closing = Changes(), AppMetrics(place), asyncio.Event()
        catalogue = Catalogue(database, vault, client)
        shelf = Shelf(database, vault, client, catalogue)
        evidence = EvidencePlace(client, Copies(folder / "evidence"))
        ages = Ages(database, evidence, folder / "ages")
        rows = RowPages(evidence, folder / "lookups")
        stack.push_async_callback(rows.close)
        spreads = Spreads(evidence, folder / "lookups")
        stack.push_async_callback(spreads.close)

        def ended(run: Run) -> None:
            ages.note(run)
            rows.note(run)
            spreads.note(run)

        dispatcher = Dispatcher(
            database,
            vault,
            client,
            changes.tell,
            lambda action, outcome: metrics.errands.labels(action, outcome).inc(),
            ended,
        )
        run_service = RunService(
            database,
            vault,
            shelf,
            dispatcher,
            changes.tell,
            callback_url=f"{called_at}/api/worker",
            output_of=lambda run_id: _output(settings.output_path, run_id),
        )
        dock = Dock(
            database,
            client,
            _uploads(settings, folder / "uploads"),
            vault.signing,
            address,
            settings.upload_limit_bytes,
        )
        tools = Tools(catalogue, shelf, run_service, client)
        builder = Builder(database, tools, changes, _leader(settings, database))
        stack.push_async_callback(builder.close)
        app = App(
            database=database,
            sessions=Sessions(database),
            client=client,
            catalogue=catalogue,
            shelf=shelf,
            runs=run_service,
            dock=dock,
            evidence=evidence,
            rows=rows,
            closest=ClosestRows(evidence),
            spreads=spreads,
            exceptions=ExceptionBook(database, evidence, rows),
            bench=Bench(evidence, Layers(database, ages, Follower(database, evidence))),
            builder=builder,
            dispatcher=dispatcher,
            watches=Watches(run_service.get, changes, closing),
            shares=Shares(client.get),
            metrics=metrics,
            people=people,
            callback_secret=read_secret(settings.callback_secret_file),
            secure=address.startswith("https:"),
            closing=closing,
        )
        hosts = frozenset(urlsplit(one).hostname or "" for one in (address, called_at))
        if settings.insecure and not is_loopback(settings.bind_host):
            hosts |= {settings.bind_host}
        # A task that fails ends the app, loudly: without it runs would wait for ever.
        group = await stack.enter_async_context(asyncio.TaskGroup())
        for work in (
            dispatcher.run(),
            dock.keep_swept(),
            evidence.keep_swept(settings.retention),
            ages.keep_made(),
            ages.keep_swept(settings.retention),
            watch_loop(metrics.loop_lag.observe),
            metrics.keep_told(),
        ):
            stack.callback(group.create_task(work).cancel)
        served, grace_s = application(app, hosts), settings.grace.total_seconds()
        await stack.enter_async_context(serving_http(served, listener, grace_s, certificate))
        port = int(listener.getsockname()[1])
        await stack.enter_async_context(helped(settings, port, address, place))
        stack.callback(app.closing.set)  # first of all: streams end, and so the server can
        _set_aside()
        yield address


def _set_aside() -> None:
    """Keep all that is there by now from being looked through for what is needed no more.

    That takes a tenth of a second again and again, in which nobody is answered.
    """
    gc.collect()
    gc.freeze()


def _leader(settings: AppSettings, database: Database) -> Leader:
    key = secret_or_file(settings.model_key, settings.model_key_file, "model's key")
    provided = None if key is None else Provided(settings.model, key, settings.model_url)
    limits = Limits(
        tokens=settings.model_tokens,
        calls=settings.model_calls,
        seconds=settings.model_time.total_seconds(),
        day_tokens=settings.model_day_tokens,
    )
    return Leader(database, model_of(provided), limits)


def _people(settings: AppSettings) -> tuple[Known, ...]:
    if settings.token_file is None:
        if not settings.insecure and not is_loopback(settings.bind_host):
            raise InvalidSetting(
                f"--bind-host {settings.bind_host} lets other machines in, and there is no token "
                "file. Give --token-file, or --insecure if everybody may."
            )
        return ()
    where = f"the token file {settings.token_file}"
    try:
        text = settings.token_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{where[0].upper()}{where[1:]} cannot be read: {error}.") from error
    return parse_people(text, where)


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise InvalidSetting(
            f"The data path {path} cannot be made: {error.strerror}.", settings=["--data-path"]
        ) from error
    return path.absolute()


def _client(settings: AppSettings) -> Client:
    token = secret_or_file(settings.worker_token, settings.worker_token_file, "worker token")
    authorities = read_authorities(settings.tls_ca_file)
    return Client(
        settings.worker_url,
        None if token is None else token.get_secret_value(),
        authorities=authorities,
    )


def _address(settings: AppSettings, listener: socket.socket, *, secure: bool) -> str:
    if settings.public_url is not None:
        return _checked(settings.public_url, "PUBLIC_URL")
    host = settings.bind_host.strip("[]")
    name = "localhost" if host in ("0.0.0.0", "::", "127.0.0.1") else host  # noqa: S104
    scheme = "https" if secure else "http"
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{listener.getsockname()[1]}"


def _checked(url: str, variable: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InvalidSetting(
            f"{variable} is an address like https://kalla.example, not {url}.", settings=[variable]
        )
    return url.rstrip("/")


def _uploads(settings: AppSettings, folder: Path) -> UploadsPlace:
    name = settings.uploads_bucket
    if name is None and settings.s3_endpoint is not None:
        name = UPLOADS_BUCKET
    if name is None:
        return FolderPlace(folder)
    key, secret = settings.s3_access_key, settings.s3_secret_key
    if (key is None) != (secret is None):
        raise InvalidSetting(
            "S3_ACCESS_KEY and S3_SECRET_KEY are given together or not at all.",
            settings=["S3_ACCESS_KEY", "S3_SECRET_KEY"],
        )
    found = load_s3_settings()
    if settings.s3_endpoint is not None:
        found = found.model_copy(update={"endpoint_url": settings.s3_endpoint})
    keys = None
    if key is not None and secret is not None:
        keys = (key.get_secret_value(), secret.get_secret_value())
    try:
        return BucketPlace(bucket(name, found, keys), settings.upload_limit_bytes)
    except S3Error as error:
        raise InvalidSetting(f"The bucket of uploads {name} {error.sentence}") from error


def _output(output_path: str | None, run_id: str) -> str | None:
    return None if output_path is None else f"{output_path.rstrip('/')}/{run_id}"
