"""What a request may name: outputs, sources, callbacks. Pure, but for where links lead."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from kalla_core.errors import NotAllowed
from kalla_core.ids import RunId
from kalla_core.recipe.job import JobRequest
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.uris import LOCAL, scheme_of
from kalla_core.sources.postgres.uri import hosts_of

RUNS = "runs"
"""Folder below the staging path for the evidence of jobs that name no output."""


@dataclass(frozen=True, slots=True)
class Allowed:
    """What this coordinator lets jobs reach.

    Attributes:
        staging: absolute; always allowed.
        roots: other folders, absolute, for local sources and outputs; None for everywhere.
        hosts: hosts that sources may lie on; None for all.
        callback_hosts: hosts that are told; None for all.
    """

    staging: Path
    roots: tuple[Path, ...] | None = None
    hosts: frozenset[str] | None = None
    callback_hosts: frozenset[str] | None = None

    @property
    def source_roots(self) -> tuple[Path, ...] | None:
        """Folders that local sources may lie in."""
        return None if self.roots is None else (self.staging, *self.roots)

    def output(self, request: JobRequest) -> str:
        """Return where the evidence of a job goes: a path, or an `s3://` prefix.

        Raises:
            NotAllowed: a folder outside what is allowed.
        """
        wanted = request.output_path
        if wanted is not None and scheme_of(wanted) != LOCAL:
            return wanted
        path = self.default_output(request.run_id) if wanted is None else self._local(wanted)
        below = path != self.staging and path.is_relative_to(self.staging)
        if Path(wanted or "").is_absolute() and not below:
            self._demand_root(path)
        elif not below:
            raise NotAllowed(
                f"The output {wanted} does not lie below the staging path.", path=str(wanted)
            )
        return str(path)

    def default_output(self, run_id: RunId) -> Path:
        """Return the folder of a job that names none."""
        return self.staging / RUNS / run_id

    def check(self, request: JobRequest) -> None:
        """Refuse what leads to other hosts.

        Raises:
            NotAllowed: a host that is not allowed.
            InvalidUri: the URI of a database is malformed.
        """
        if self.callback_hosts is not None and request.callback_url is not None:
            host = (urlsplit(request.callback_url).hostname or "").lower()
            _demand("callback", host, self.callback_hosts)
        self.check_sources(_uris(request.recipe))

    def check_sources(self, uris: Iterable[str]) -> None:
        """Refuse sources on other hosts; raises as `check`."""
        if self.hosts is not None:
            for uri in uris:
                for host in sorted(_source_hosts(uri)):
                    _demand("source", host, self.hosts)

    def _local(self, wanted: str) -> Path:
        text = urlsplit(wanted).path if wanted.startswith("file:") else wanted
        return (self.staging / text).resolve()

    def _demand_root(self, path: Path) -> None:
        if self.roots is not None and not any(path.is_relative_to(root) for root in self.roots):
            raise NotAllowed(
                f"The output {path} lies outside the folders that this coordinator may write; "
                "name one below the staging path, or widen KALLA_ALLOWED_PATHS.",
                path=str(path),
            )


def _uris(recipe: Recipe) -> list[str]:
    return [spec.uri or "" for spec in (recipe.left, recipe.right, *recipe.extras)]


def _source_hosts(uri: str) -> frozenset[str]:
    """Return the hosts that reading a source may lead to; S3's is set by whoever runs this."""
    scheme = scheme_of(uri)
    if scheme in (LOCAL, "s3"):
        return frozenset()
    if scheme in ("postgres", "postgresql"):
        return hosts_of(uri)
    return frozenset({(urlsplit(uri).hostname or "").lower()})


def _demand(what: str, host: str, allowed: frozenset[str]) -> None:
    if host not in allowed:
        raise NotAllowed(f"This coordinator may not reach the {what} host {host!r}.", host=host)
