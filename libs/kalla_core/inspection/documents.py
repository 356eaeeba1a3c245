"""What inspections found, as JSON: the same on the command line and over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kalla_core.error_json import fault_json
from kalla_core.inspection.explain import Explanation
from kalla_core.inspection.preview import Preview
from kalla_core.matching.keys.keys import KeyComponent
from kalla_core.matching.sql.query import Side
from kalla_core.matching.strategy.planned import Planned, Rule
from kalla_core.observe.secrets import mask_text
from kalla_core.recipe.column_types import type_word
from kalla_core.sources.csv.guess.found import Guess
from kalla_core.validate import Validation

Json = dict[str, Any]


def validation_document(validation: Validation) -> Json:
    """Return what was found out about a recipe."""
    return {
        "valid": not validation.faults,
        "faults": [fault_json(fault) for fault in validation.faults],
        "warnings": list(validation.warnings),
        "sources": {
            alias: {field.name: type_word(field.type) for field in source.schema}
            for alias, source in validation.sources.items()
        },
    }


def explanation_document(explanation: Explanation) -> Json:
    """Return how a recipe would be run."""
    planned = explanation.planned
    return {
        "strategy": planned.strategy.value,
        "why": list(planned.why),
        "identification": planned.identification.value,
        "keys": _keys(planned),
        "conditions": _conditions(planned),
        "rules": [_rule(rule) for rule in planned.rules],
        "buckets": explanation.buckets,
        "arrow_bytes": explanation.arrow_bytes,
        "memory_limit_bytes": explanation.memory_limit_bytes,
        "warnings": list(planned.warnings),
        "plan": planned.plan_text,
        "groups": explanation.groups.value,
    }


def _keys(planned: Planned) -> list[Json]:
    """Return the equalities that every pair fulfils, by whichever rule it is one."""
    keys = planned.reason_keys if all(rule.keys for rule in planned.rules) else ()
    return _pairs(keys)


def _rule(rule: Rule) -> Json:
    """Return one way to be a pair: a branch of a UNION, an alternative of an OR, or all."""
    return {
        "name": rule.name,
        "keys": _pairs(rule.keys),
        "conditions": [one.text for one in rule.conditions],
        "beyond": list(rule.beyond),
    }


def _pairs(keys: Iterable[KeyComponent]) -> list[Json]:
    return [{side.word: key.text(side) for side in Side} for key in keys]


def _conditions(planned: Planned) -> list[str]:
    """Return the conditions that every pair fulfils beside them."""
    first, *others = ([one.text for one in rule.conditions] for rule in planned.rules)
    return [text for text in first if all(text in other for other in others)]


def preview_document(preview: Preview) -> Json:
    """Return what a source holds; values that JSON does not know are their text."""
    pinned, table = preview.pinned, preview.rows
    return {
        "uri": mask_text(pinned.spec.uri or ""),
        "columns": [{"name": field.name, "type": type_word(field.type)} for field in table.schema],
        "row_count": pinned.statistics.rows,
        "row_count_exact": pinned.statistics.exact,
        "rows": table.to_pylist(),
        "notes": [*pinned.notes, *pinned.texts.values()],
        "guess": None if preview.guess is None else _guess(preview.guess, preview.failure),
    }


def _guess(found: Guess, failure: str | None) -> Json:
    return {
        "file_format": found.file_format,
        "format": dict(found.document()),
        "types": dict(found.types),
        "evidence": list(found.evidence),
        "undecidable": list(found.undecidable),
        "instead_of": failure,
    }
