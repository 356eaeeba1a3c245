"""Pinning the sources of a run together, so that those of one database show the same moment.

A connector whose sources can share a snapshot offers `pin_together`; it gets all of its sources
at once. Others pin one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Protocol, runtime_checkable

from kalla_core.recipe.model import SourceSpec
from kalla_core.sources.protocol import EVERYTHING, Connector, PinnedSource, SourceAccess
from kalla_core.sources.registry import connector_for


@runtime_checkable
class GroupConnector(Protocol):
    """A connector whose sources share a snapshot where they can."""

    name: str

    def pin_together(
        self, specs: Sequence[SourceSpec]
    ) -> AbstractContextManager[tuple[PinnedSource, ...]]:
        """Fix sources for a run, in this order; raises as `Connector.pin` does."""
        ...


@runtime_checkable
class Carries(Protocol):
    """A connector that adds the open items of an earlier run to what another one reads."""

    inner: Connector

    def carrying(self, spec: SourceSpec, pinned: PinnedSource) -> PinnedSource:
        """Return a pin of the new rows as one of both."""
        ...


@contextmanager
def pinned_together(
    specs: Sequence[SourceSpec],
    access: SourceAccess = EVERYTHING,
) -> Iterator[tuple[tuple[Connector, PinnedSource], ...]]:
    """Pin sources, each with the connector that reads it, in the order given.

    Raises:
        KallaError: as `connector_for` and `Connector.pin` do, for the first source that fails.
    """
    connectors = [connector_for(spec, access) for spec in specs]
    readers = [one.inner if isinstance(one, Carries) else one for one in connectors]
    grouped: dict[str, list[int]] = {}
    for index, connector in enumerate(readers):
        if isinstance(connector, GroupConnector):
            grouped.setdefault(connector.name, []).append(index)
    pins: dict[int, PinnedSource] = {}
    with ExitStack() as held:
        for index, connector in enumerate(readers):
            if index in pins:
                continue
            if isinstance(connector, GroupConnector):
                group = grouped[connector.name]
                together = connector.pin_together([_new(specs[each]) for each in group])
                pins.update(zip(group, held.enter_context(together), strict=True))
            else:
                pins[index] = held.enter_context(connector.pin(_new(specs[index])))
        for index, connector in enumerate(connectors):
            if isinstance(connector, Carries):
                pins[index] = connector.carrying(specs[index], pins[index])
        yield tuple((connector, pins[index]) for index, connector in enumerate(connectors))


def _new(spec: SourceSpec) -> SourceSpec:
    """Return the source of the new rows alone."""
    return replace(spec, carry=None)


def dated(specs: Sequence[SourceSpec], started_at: datetime) -> tuple[SourceSpec, ...]:
    """Return sources whose ages count to the day of the run where no other day is said."""
    day = started_at.astimezone(UTC).date()
    return tuple(
        replace(spec, carry=replace(spec.carry, as_of=spec.carry.as_of or day))
        if spec.carry is not None
        else spec
        for spec in specs
    )
