"""What became of a row, as sentences and as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kalla_core.answers.why.fate import Answer, Candidate, Fate, Open, Partner
from kalla_core.answers.why.told import Failed

_BECAUSE = {
    "key_null": "its key is null",
    "key_not_found": "no row of the other side has its key",
    "predicate_failed": "its key is there, but a condition beside the key does not hold",
    "not_chosen": "another row was chosen",
    "ambiguous": "several candidates are equally good",
    "taken": "its best candidate is matched better elsewhere",
    "suggested": "its match is only suggested, and waits for a person",
    "sum_ambiguous": "more than one set of rows has its sum",
    "sum_budget_exceeded": "there are too many rows to try all sums",
    "unbalanced": "the sums of its group do not agree",
    "no_key": "the match SQL has no key to look for",
}


_IN_BRIEF = {
    "key_null": "the key is null",
    "key_not_found": "nobody has the key",
    "predicate_failed": "a condition fails",
    "not_chosen": "another was chosen",
    "ambiguous": "equally good rivals",
    "taken": "the best is taken",
    "suggested": "only suggested",
}


def because(reason: str) -> str:
    """Return what a reason means, without a full stop."""
    return _BECAUSE.get(reason, reason.replace("_", " "))


def in_brief(reason: str) -> str:
    """Return what a reason means in a few words, for a chart."""
    return _IN_BRIEF.get(reason, because(reason))


def sentence(failed: Failed) -> str:
    """Return what failed and by how much, without a full stop."""
    by = "" if failed.differ_by is None else f"; they differ by {failed.differ_by}"
    days = " days" if failed.in_days else ""
    return f"{failed.condition} does not hold: {failed.values}{by}{days}"


def sentences(fate: Fate) -> Iterator[str]:
    """Yield paragraphs about the rows of one key, the verdict first."""
    for one in fate.matches:
        yield f"Matched with {_named(one)}{_how(one)}."
    for left_over in fate.open:
        yield from _of_open(left_over)
    for one in fate.rivals:
        yield f"In a tie: {_named(one)}{_how(one)}."
    for one in fate.suggested:
        yield f"Suggested: {_named(one)}{_how(one)}."
    if fate.more:
        yield "There are more rows of this key than are told here."


def _of_open(row: Open) -> Iterator[str]:
    yield f"Unmatched ({row.reason}): {because(row.reason)}."
    if len(row.rules) > 1:
        yield f"It took part in: {', '.join(row.rules)}."
    if row.failed:
        for failed in row.failed:
            yield f"{sentence(failed)}."
    elif row.detail:
        yield row.detail
    if row.candidate is not None:
        yield _where(row.candidate)
    if row.change is not None:
        yield f"What would have matched it: {row.change}"


def _where(candidate: Candidate) -> str:
    named = f"Its closest candidate is {candidate.key}"
    if candidate.taken_by:
        takers = ", ".join(_named(one) for one in candidate.taken_by[:3])
        more = len(candidate.taken_by) - 3
        also = f" and {more} more" if more > 0 else ""
        return f"{named}, which is matched with {takers}{also}."
    return f"{named}, which is unmatched too." if candidate.unmatched else f"{named}."


def _named(partner: Partner) -> str:
    if partner.key is not None:
        return partner.key
    return f"the group {partner.group}"


def _how(partner: Partner) -> str:
    parts = [f"by {partner.rule}"]
    if partner.confidence is not None and partner.confidence != 1.0:
        parts.append(f"with confidence {partner.confidence:g}")
    if partner.group is not None and partner.key is not None:
        parts.append(f"in the group {partner.group}")
    if partner.note:
        parts.append(f"({partner.note})")
    return " " + " ".join(parts)


def answer_json(answer: Answer) -> dict[str, Any]:
    """Return an answer as JSON; values of rows are as the API's rows have them."""
    return {
        "run_id": answer.run_id,
        "key": list(answer.asked),
        "found": [_fate_json(fate) for fate in answer.fates],
    }


def _fate_json(fate: Fate) -> dict[str, Any]:
    return {
        "side": fate.side.word,
        "source": fate.alias,
        "key": fate.key,
        "status": "matched" if fate.matches else "unmatched",
        "told": list(sentences(fate)),
        "matches": [_partner_json(one) for one in fate.matches],
        "unmatched": [_open_json(one) for one in fate.open],
        "ambiguous": [_partner_json(one) for one in fate.rivals],
        "suggested": [_partner_json(one) for one in fate.suggested],
        "more": fate.more,
    }


def _partner_json(partner: Partner) -> dict[str, Any]:
    return {
        "key": partner.key,
        "match_id": partner.match_id,
        "rule_name": partner.rule,
        "confidence": partner.confidence,
        "match_group": partner.group,
        "match_note": partner.note,
        "columns": dict(partner.columns),
    }


def _open_json(row: Open) -> dict[str, Any]:
    candidate = row.candidate
    return {
        "rejection_reason": row.reason,
        "reason_detail": row.detail,
        "attempted_rules": list(row.rules),
        "failed_conditions": [
            {
                "condition": one.condition,
                "values": one.values,
                "differ_by": None if one.differ_by is None else str(one.differ_by),
                "unit": "days" if one.in_days else None,
            }
            for one in row.failed
        ],
        "smallest_change": row.change,
        "closest_candidate": None
        if candidate is None
        else {
            "key": candidate.key,
            "status": "matched" if candidate.taken_by else "unmatched",
            "taken_by": [_partner_json(one) for one in candidate.taken_by],
            "row": dict(candidate.row),
        },
        "row": dict(row.row),
    }
