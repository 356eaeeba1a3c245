"""What was inferred, as JSON: the same on the command line and for programs that ask."""

from __future__ import annotations

from typing import Any

from kalla_core.inference import InferredPass, Question
from kalla_core.inference.mappings import FieldMapping
from kalla_core.inspection.proposing import Proposed

Json = dict[str, Any]


def proposal_document(found: Proposed) -> Json:
    """Return a recipe that was inferred, what speaks for it, and what to ask next."""
    proposal = found.proposal
    return {
        "recipe": found.document,
        "primary_keys": {"left": list(proposal.left_key), "right": list(proposal.right_key)},
        "passes": [_pass(one) for one in proposal.passes],
        "sample": {
            side: {
                "rows": len(one.table),
                "of": one.rows,
                "undecidable": list(one.undecidable),
            }
            for side, one in (("left", found.left), ("right", found.right))
        },
        "next_question": _question(proposal.next_question),
        "near_misses": list(proposal.tried),
        "left_out": list(found.refused),
        "mappings": [_mapping(one) for one in proposal.mappings],
    }


def _pass(one: InferredPass) -> Json:
    evidence = one.evidence
    return {
        "name": one.name,
        "says": one.says,
        "pairs": evidence.pairs,
        "estimate": evidence.estimate,
        "agreed": evidence.agreed,
        "disagreed": evidence.disagreed,
        "left_coverage": round(evidence.left_coverage, 4),
        "right_coverage": round(evidence.right_coverage, 4),
        "examples": [list(map(list, pair)) for pair in evidence.examples],
        "counter_examples": [list(map(list, pair)) for pair in evidence.counter_examples],
        "why": list(evidence.says),
    }


def _mapping(one: FieldMapping) -> Json:
    return {
        "left": list(one.left),
        "right": list(one.right),
        "role": one.role.value,
        "sql": one.sql,
        "says": one.says,
        "share": None if one.share is None else round(one.share, 4),
    }


def _question(question: Question | None) -> Json | None:
    if question is None:
        return None
    return {
        "left": list(question.left),
        "right": list(question.right),
        "left_row": dict(question.left_row),
        "right_row": dict(question.right_row),
        "why": question.why,
        "rows": question.rows,
    }
