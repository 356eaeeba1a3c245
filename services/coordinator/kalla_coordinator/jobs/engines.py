"""Where a job runs: on this machine or on executors. Pure, but for asking how large files are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from kalla_coordinator.jobs.host import Host
from kalla_coordinator.jobs.model import ExecutorInfo
from kalla_core.errors import NoExecutors
from kalla_core.recipe.model import EngineChoice, Recipe, SourceSpec
from kalla_core.recipe.uris import LOCAL, scheme_of


class Cluster(Protocol):
    """Who is registered, without asking anybody."""

    def slots(self) -> int:
        """Return the slots of all executors that take fragments, busy or not."""
        ...

    def infos(self) -> tuple[ExecutorInfo, ...]:
        """Return the executors that are registered."""
        ...


class NoCluster:
    """No executors: the coordinator was started without a cluster."""

    def slots(self) -> int:
        """Return 0."""
        return 0

    def infos(self) -> tuple[ExecutorInfo, ...]:
        """Return nobody."""
        return ()


@dataclass(frozen=True, slots=True)
class Engines:
    """The hosts there are.

    Attributes:
        smallest_bytes: `auto` runs a job on executors only if its sources are known to have as
            many bytes, or it is not known how many they have.
    """

    local: Host
    cluster: Host | None = None
    executors: Cluster = NoCluster()  # noqa: RUF009 - it holds nothing
    smallest_bytes: int = 0

    def choose(self, recipe: Recipe) -> Host:
        """Return the host for a recipe. May look at local files: call it in a thread.

        Raises:
            NoExecutors: the recipe asks for the cluster, and there is none.
        """
        wanted = recipe.options.engine
        if wanted is EngineChoice.LOCAL:
            return self.local
        there = self.cluster is not None and self.executors.slots() > 0
        if wanted is EngineChoice.CLUSTER:
            if self.cluster is None:
                raise NoExecutors(
                    "The engine `cluster` needs executors, and this coordinator takes none."
                )
            return self.cluster  # which waits for executors, with a bound
        if self.cluster is None or not there or not self._gains(recipe):
            return self.local
        return self.cluster

    def _gains(self, recipe: Recipe) -> bool:
        sizes = [source_bytes(spec) for spec in (recipe.left, recipe.right)]
        known = [size for size in sizes if size is not None]
        return len(known) < len(sizes) or sum(known) >= self.smallest_bytes


def source_bytes(spec: SourceSpec) -> int | None:
    """Return the size of a local file or folder; None of what lies elsewhere or is not there."""
    uri = spec.uri or ""
    if scheme_of(uri) != LOCAL:
        return None
    path = Path(urlsplit(uri).path if uri.startswith(LOCAL) else uri.partition("?")[0])
    try:
        # A source has no folders within its folder, so nothing deeper is looked at.
        files = [path] if path.is_file() else [one for one in path.iterdir() if one.is_file()]
        return sum(one.stat().st_size for one in files)
    except (OSError, ValueError):  # also a name that no file can have
        return None
