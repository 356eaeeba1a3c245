"""What a request may name: outputs, sources, callbacks. Pure, but for looking at files."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kalla_coordinator.jobs.outputs import Lying, Reach, places_with
from kalla_core.errors import InvalidUri, NotAllowed
from kalla_core.ids import RunId
from kalla_core.observe.secrets import mask_text
from kalla_core.recipe.job import JobRequest
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.uris import LOCAL, scheme_of
from kalla_core.s3.location import SCHEME, S3Location
from kalla_core.sources.doors import check_reachable, real_path
from kalla_core.sources.mysql.uri import mysql_hosts
from kalla_core.sources.paths import STAR, fixed_start, segments_of
from kalla_core.sources.postgres.uri import hosts_of
from kalla_core.sources.protocol import SourceAccess
from kalla_core.sources.uri import check_secrets, parse_file_uri

RUNS = "runs"
"""Folder below the staging path for the evidence of jobs that name no output."""

STORE = "jobs.sqlite"
"""File below the staging path that jobs are kept in; others beside it begin with its name."""

LOCK = f"{STORE}.lock"
"""File beside it that its owner holds a lock on."""


_STORE_FILES = tuple(f"{STORE}{end}" for end in ("", "-wal", "-shm", "-journal", ".lock"))
_OF_PROCESSES = Path("/proc")


@dataclass(frozen=True, slots=True)
class Allowed:
    """What this coordinator lets jobs reach.

    Attributes:
        staging: absolute; always allowed.
        roots: other folders, absolute, for local sources and outputs; None for everywhere.
        hosts: hosts that sources may lie on; None for all.
        callback_hosts: hosts that are told; None for all.
        env: variables of the environment that sources may name.
        buckets: of S3, for sources and outputs; None for all.
        secrets: files that hold secrets of the service, beside the job store.
    """

    staging: Path
    roots: tuple[Path, ...] | None = None
    hosts: frozenset[str] | None = None
    callback_hosts: frozenset[str] | None = None
    env: frozenset[str] = frozenset()
    buckets: frozenset[str] | None = None
    secrets: tuple[Path, ...] = ()

    @property
    def access(self) -> SourceAccess:
        """What those who read sources may reach; folders of runs are opened job by job."""
        store = (self.staging / name for name in _STORE_FILES)
        return SourceAccess(
            allowed_roots=None if self.roots is None else (self.staging, *self.roots),
            allowed_env=self.env,
            closed=(self.staging / RUNS, _OF_PROCESSES),
            secrets=(*store, *self.secrets),
        )

    def output(self, request: JobRequest) -> str:
        """Return where the evidence of a job goes: a path, or an `s3://` prefix.

        Raises:
            NotAllowed: a folder outside what is allowed, or the coordinator's own.
            InvalidUri: neither a folder nor an address in S3.
        """
        wanted = request.output_path
        if wanted is None:
            return str(self.default_output(request.run_id))
        if scheme_of(wanted) == "s3":
            self._demand_bucket("output", wanted)
            return wanted
        if scheme_of(wanted) != LOCAL:
            raise _no_output(wanted)
        text = unquote(urlsplit(wanted).path) if wanted.startswith(f"{LOCAL}:/") else wanted
        path = _resolved(self.staging / text)
        if path is None:
            raise _no_output(wanted)
        if path in (self.staging, self.staging / RUNS) or self._is_own(path):
            raise NotAllowed(f"The output {wanted} is the coordinator's own.", path=wanted)
        runs, own = self.staging / RUNS, self.default_output(request.run_id)
        if path.is_relative_to(runs) and not path.is_relative_to(own):
            raise NotAllowed(f"The output {wanted} lies in the folder of another run.", path=wanted)
        if not path.is_relative_to(self.staging):
            if not Path(text).is_absolute():
                raise NotAllowed(
                    f"The output {wanted} does not lie below the staging path.", path=wanted
                )
            self._demand_root(path)
        return str(path)

    def default_output(self, run_id: RunId) -> Path:
        """Return the folder of a job that names none."""
        return self.staging / RUNS / run_id

    def check(self, request: JobRequest) -> tuple[Lying, ...]:
        """Refuse what leads to other hosts, to the coordinator's own files or to its secrets.

        Returns:
            Where the sources lie; whether the caller may read that is `Outputs` to say.

        Raises:
            NotAllowed: a host, a file or a variable of the environment that is not allowed.
            InvalidUri: the URI of a database or of a callback is malformed.
        """
        if request.callback_url is not None:
            _check_callback(request.callback_url)
        if self.callback_hosts is not None and request.callback_url is not None:
            host = (urlsplit(request.callback_url).hostname or "").lower()
            _demand("callback", host, self.callback_hosts)
        return self.check_sources(_uris(request.recipe))

    def check_sources(self, uris: Iterable[str]) -> tuple[Lying, ...]:
        """Refuse sources on other hosts, the job store and secrets; as `check`."""
        lying: list[Lying] = []
        for uri in uris:
            if scheme_of(uri) == LOCAL:
                lying += self._local(uri)
                continue
            check_secrets(uri, self.env)
            if scheme_of(uri) == "s3":
                self._demand_bucket("source", uri)
                lying += _in_bucket(uri)
            if self.hosts is not None:
                for host in sorted(_source_hosts(uri)):
                    _demand("source", host, self.hosts)
        return tuple(lying)

    def _local(self, uri: str) -> list[Lying]:
        """Refuse what is the service's own: the requests of all, with their passwords, say."""
        try:
            path = Path(parse_file_uri(uri).location).absolute()
            real = real_path(path)
        except (InvalidUri, OSError, ValueError):
            return []  # whoever reads it says what is wrong with it
        runs = self.staging / RUNS
        if real in (self.staging, runs):
            raise NotAllowed(f"The source {uri} is the coordinator's own folder.", uri=uri)
        if self._is_own(real):
            raise NotAllowed(f"The source {uri} is the coordinator's own.", uri=uri)
        run = runs / real.relative_to(runs).parts[0] if real.is_relative_to(runs) else None
        with suppress(OSError):
            opened = () if run is None else (run,)
            check_reachable(real, replace(self.access, allowed_roots=None, opened=opened))
        places, reach = places_with(str(real)), _reach(path, real)
        if run is None:
            return [Lying(uri, places, reach=reach)]
        return [Lying(uri, (*places, str(run)), str(run), reach)]

    def _is_own(self, path: Path) -> bool:
        own = self.staging / STORE
        return path.is_relative_to(self.staging) and path.parts[len(own.parts) - 1].startswith(
            own.name
        )

    def _demand_bucket(self, what: str, uri: str) -> None:
        bucket = uri[len("s3://") :].partition("/")[0]
        if self.buckets is not None and bucket not in self.buckets:
            raise NotAllowed(
                f"This coordinator may not reach the {what} bucket {bucket!r}; its operator may "
                "list it in --allowed-buckets (KALLA_ALLOWED_BUCKETS).",
                bucket=bucket,
                setting="KALLA_ALLOWED_BUCKETS",
            )

    def _demand_root(self, path: Path) -> None:
        if self.roots is not None and not any(path.is_relative_to(root) for root in self.roots):
            raise NotAllowed(
                f"The output {path} lies outside the folders that this coordinator may write; "
                "name one below the staging path, or widen KALLA_ALLOWED_PATHS.",
                path=str(path),
            )


def _resolved(path: Path) -> Path | None:
    """Return where a path leads; None for what can be none."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):  # a circle of links, a NUL
        return None


def _no_output(wanted: str) -> InvalidUri:
    shown = mask_text(wanted)
    return InvalidUri(f"An output is a folder or s3://bucket/prefix, not {shown}.", uri=shown)


def _in_bucket(uri: str) -> list[Lying]:
    try:
        location = parse_file_uri(uri).location
        where = S3Location.parse(location)
        return [Lying(uri, places_with(location), reach=_reach_in_bucket(where))]
    except InvalidUri:
        return []  # whoever reads it says what is wrong with it


def _reach(path: Path, real: Path) -> Reach | None:
    """Return what a local source reads below where it starts, which links may lead to."""
    if STAR in str(path) and not path.exists():
        start = real_path(Path(fixed_start(str(path))))
        return Reach(f"{str(start).rstrip('/')}/", tuple(segments_of(str(path))))
    return Reach(f"{real}/") if real.is_dir() else None


def _reach_in_bucket(where: S3Location) -> Reach:
    key = f"/{where.key}"
    start = f"{SCHEME}{where.bucket}{fixed_start(key)}"
    return Reach(start, tuple(segments_of(key)) if STAR in key else ())


def _uris(recipe: Recipe) -> list[str]:
    specs = (recipe.left, recipe.right, *recipe.extras)
    carried = [spec.carry.evidence for spec in specs if spec.carry is not None]
    return [*(spec.uri or "" for spec in specs), *carried]


def _source_hosts(uri: str) -> frozenset[str]:
    """Return the hosts that reading a source may lead to; S3's is set by whoever runs this."""
    scheme = scheme_of(uri)
    if scheme in (LOCAL, "s3"):
        return frozenset()
    if scheme in ("postgres", "postgresql"):
        return hosts_of(uri)
    if scheme in ("mysql", "mariadb"):
        return mysql_hosts(uri)
    return frozenset({(urlsplit(uri).hostname or "").lower()})


def _check_callback(url: str) -> None:
    """Refuse what can never be called: better now than when the job has ended."""
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        shown = mask_text(url)
        raise InvalidUri(f"A callback goes to http:// or https://, not to {shown}.", uri=shown)


def _demand(what: str, host: str, allowed: frozenset[str]) -> None:
    if host not in allowed:
        raise NotAllowed(f"This coordinator may not reach the {what} host {host!r}.", host=host)
