"""What the process that holds a run's sources tells of them, as JSON; one place each way."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pyarrow as pa

from kalla_core.fragments.remote import Extra, ScanWork
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.strategy import Strategy
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.parse import parse_recipe, parse_source
from kalla_core.recipe.write import source_document, to_document
from kalla_core.sources.access_json import access_json, access_of
from kalla_core.sources.protocol import EVERYTHING, Part, PinnedSource, SourceAccess, Statistics

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class HoldOrder:
    """What to hold and plan.

    Attributes:
        slots: of all executors; each source is cut into parts for as many where the recipe does
            not say.
        access: what sources may be reached.
    """

    recipe: Recipe
    started_at: datetime
    slots: int
    access: SourceAccess = EVERYTHING


@dataclass(frozen=True, slots=True)
class HeldPlan:
    """A run's sources, pinned, and how its match SQL may be cut.

    Attributes:
        scans: the parts of both sides, which take turns; `extras` likewise of the extras.
        scattered: unmatched rows can only be explained with all rows at hand.
        by_primary_key: rows are told apart by it, so it has to be unique.
        warnings: of the match SQL and its plan.
        late: executors move narrow rows and read unmatched ones whole once more.
    """

    left: PinnedSource
    right: PinnedSource
    extras: tuple[PinnedSource, ...]
    scans: tuple[ScanWork, ...]
    extra_scans: tuple[ScanWork, ...]
    strategy: Strategy
    replicable: frozenset[Side]
    scattered: bool
    by_primary_key: bool
    warnings: tuple[str, ...]
    late: bool = False

    def side(self, side: Side) -> PinnedSource:
        """Return what a side is read from."""
        return self.left if side is Side.LEFT else self.right

    @property
    def known_bytes(self) -> int | None:
        """Bytes of both sides as Arrow batches, estimated; None where nobody knows."""
        sizes = [self.side(side).statistics.arrow_bytes for side in Side]
        known = [size for size in sizes if size is not None]
        return sum(known) if len(known) == len(sizes) else None


def order_json(order: HoldOrder) -> Json:
    """Return an order as JSON."""
    return {
        "recipe": to_document(order.recipe),
        "started_at": order.started_at.isoformat(),
        "slots": order.slots,
        "access": access_json(order.access),
    }


def order_of(document: Mapping[str, Any]) -> HoldOrder:
    """Return the order that `order_json` described."""
    return HoldOrder(
        recipe=parse_recipe(document["recipe"]),
        started_at=datetime.fromisoformat(document["started_at"]),
        slots=document["slots"],
        access=access_of(document["access"]),
    )


def plan_json(plan: HeldPlan) -> Json:
    """Return a plan as JSON."""
    return {
        "left": _pinned_json(plan.left),
        "right": _pinned_json(plan.right),
        "extras": [_pinned_json(extra) for extra in plan.extras],
        "scans": [_scan_json(scan) for scan in plan.scans],
        "extra_scans": [_scan_json(scan) for scan in plan.extra_scans],
        "strategy": plan.strategy.value,
        "replicable": sorted(side.value for side in plan.replicable),
        "scattered": plan.scattered,
        "by_primary_key": plan.by_primary_key,
        "warnings": list(plan.warnings),
        "late": plan.late,
    }


def plan_of(document: Mapping[str, Any]) -> HeldPlan:
    """Return the plan that `plan_json` described."""
    return HeldPlan(
        left=_pinned_of(document["left"]),
        right=_pinned_of(document["right"]),
        extras=tuple(_pinned_of(extra) for extra in document["extras"]),
        scans=tuple(_scan_of(scan) for scan in document["scans"]),
        extra_scans=tuple(_scan_of(scan) for scan in document["extra_scans"]),
        strategy=Strategy(document["strategy"]),
        replicable=frozenset(Side(side) for side in document["replicable"]),
        scattered=document["scattered"],
        by_primary_key=document["by_primary_key"],
        warnings=tuple(document["warnings"]),
        late=document["late"],
    )


def _pinned_json(pinned: PinnedSource) -> Json:
    statistics = pinned.statistics
    return {
        "spec": source_document(pinned.spec),
        "schema": base64.b64encode(pinned.schema.serialize().to_pybytes()).decode(),
        "identity": dict(pinned.identity),
        "detail": dict(pinned.detail),
        "rows": statistics.rows,
        "arrow_bytes": statistics.arrow_bytes,
        "exact": statistics.exact,
    }


def _pinned_of(document: Mapping[str, Any]) -> PinnedSource:
    return PinnedSource(
        spec=parse_source(document["spec"]),
        schema=pa.ipc.read_schema(pa.py_buffer(base64.b64decode(document["schema"]))),
        identity=document["identity"],
        statistics=Statistics(document["rows"], document["arrow_bytes"], document["exact"]),
        detail=document["detail"],
    )


def _scan_json(scan: ScanWork) -> Json:
    table = scan.table.index if isinstance(scan.table, Extra) else scan.table.value
    part = scan.part
    return {
        "table": table,
        "index": part.index,
        "detail": dict(part.detail),
        "weight_bytes": part.weight_bytes,
    }


def _scan_of(document: Mapping[str, Any]) -> ScanWork:
    table = document["table"]
    part = Part(document["index"], document["detail"], document["weight_bytes"])
    return ScanWork(Extra(table) if isinstance(table, int) else Side(table), part)
