"""What sources tools may name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kalla_core.errors import NotAllowed
from kalla_core.recipe.uris import LOCAL, resolve, scheme_of

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reach:
    """What sources tools may name.

    Attributes:
        roots: folders of this machine below which files are read, the first of which relative
            paths start from; None where a coordinator decides.
    """

    roots: tuple[Path, ...] | None

    def uri(self, uri: str) -> str:
        """Return a URI as the engine takes it.

        Raises:
            NotAllowed: it is of another machine, and only files below the roots are read.
        """
        if self.roots is None:
            return uri
        if scheme_of(uri) != LOCAL:
            raise NotAllowed(
                "Without --coordinator only files of this machine are read; a coordinator says "
                "which databases and buckets may be."
            )
        return resolve(uri, self.roots[0])

    def recipe(self, document: Mapping[str, Any]) -> Json:
        """Return a recipe whose URIs are as the engine takes them.

        Raises:
            NotAllowed: as `uri`.
        """
        sources = document.get("sources")
        extras = document.get("extras")
        changed = dict(document)
        if isinstance(sources, Mapping):
            changed["sources"] = {name: self._source(one) for name, one in sources.items()}
        if isinstance(extras, list):
            changed["extras"] = [self._source(one) for one in extras]
        return changed

    def _source(self, one: object) -> object:
        if not isinstance(one, Mapping):
            return one
        changed = dict(one)
        if isinstance(one.get("uri"), str):
            changed["uri"] = self.uri(one["uri"])
        carry = one.get("carry")
        if isinstance(carry, Mapping) and isinstance(carry.get("evidence"), str):
            changed["carry"] = {**carry, "evidence": self.uri(carry["evidence"])}
        return changed
