"""What became of a row, as sentences and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from kalla_core.answers.groups import Group
from kalla_core.answers.near_keys import near_words
from kalla_core.answers.why.attempts import Attempt
from kalla_core.answers.why.fate import Answer, Fate, Open
from kalla_core.answers.why.partners import Candidate, Partner
from kalla_core.answers.why.told import Failed, scores_that_hold
from kalla_core.evidence.schema import MATCH_RULE
from kalla_core.recipe.open_amounts import OPEN_AMOUNT

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
    "no_match": "no row of the other side satisfies the match SQL, which has no key to look for",
}


_IN_BRIEF = {
    "key_null": "the key is null",
    "key_not_found": "nobody has the key",
    "predicate_failed": "a condition fails",
    "not_chosen": "another was chosen",
    "ambiguous": "equally good rivals",
    "taken": "the best is taken",
    "suggested": "only suggested",
    "no_match": "no row satisfies the SQL",
}

REASONS = tuple(_BECAUSE)
"""Every code of `rejection_reason`."""


_MOST_TIED = 8
_MOST_MEMBERS = 20


def because(reason: str) -> str:
    """Return what a reason means, without a full stop."""
    return _BECAUSE.get(reason, reason.replace("_", " "))


def in_brief(reason: str) -> str:
    """Return what a reason means in a few words, for a chart."""
    return _IN_BRIEF.get(reason, because(reason))


def sentence(failed: Failed, holds: str = "does not hold") -> str:
    """Return what failed and by how much, without a full stop."""
    by = "" if failed.differ_by is None else f"; they differ by {failed.differ_by}"
    days = " days" if failed.in_days else ""
    score = "" if failed.reached is None else f"; {_score(failed)}"
    return f"{failed.condition} {holds}: {failed.values}{by}{days}{score}"


def _score(failed: Failed) -> str:
    return f"they come to {failed.reached} where {failed.asked} is asked"


def sentences(fate: Fate) -> Iterator[str]:
    """Yield paragraphs about the rows of one key, the verdict first."""
    yield from verdict(fate)
    for attempt in fate.attempts:
        yield f"{attempt_title(attempt)}. {' '.join(attempt_sentences(attempt))}"
    yield from further(fate)


def verdict(fate: Fate) -> Iterator[str]:
    """Yield who has the rows, or why nobody has them."""
    for one in fate.matches:
        yield f"Matched with {_named(one)}{_how(one)}."
    for group in fate.groups:
        yield _of_group(group)
    for part in fate.partly:
        yield f"{part['settled_amount']} of it is settled, {part[OPEN_AMOUNT]} stays open."
    for left_over in fate.open:
        yield from _of_open(left_over, told_by_passes=bool(fate.attempts))


def attempt_title(attempt: Attempt) -> str:
    """Return what a pass looked for and how many rows it found, without a full stop."""
    sought = "" if attempt.key is None else f" with {attempt.key}"
    count = attempt.candidates
    rows = "no candidate" if not count else f"{count:,} candidate{'s' if count > 1 else ''}"
    return f"Pass {attempt.number}, {attempt.name}: {attempt.reason}, {rows}{sought}"


def further(fate: Fate) -> Iterator[str]:
    """Yield what is to be said beside the passes."""
    told = {(one.rule, one.match_id) for attempt in fate.attempts for one in attempt.rivals}
    for one in fate.rivals:
        if (one.rule, one.match_id) not in told:
            yield f"In a tie: {_named(one)}{_how(one)}."
    for one in fate.suggested:
        yield f"Suggested: {_named(one)}{_how(one)}."
    if fate.more:
        yield "There are more rows of this key than are told here."


def _of_open(row: Open, *, told_by_passes: bool) -> Iterator[str]:
    yield f"Unmatched ({row.reason}): {because(row.reason)}."
    if told_by_passes:
        return
    if len(row.rules) > 1:
        yield f"It took part in: {', '.join(row.rules)}."
    if row.failed:
        yield from _of_conditions(row.failed, row.detail)
    elif row.detail:
        yield row.detail
    if row.near is not None:
        yield f"{near_words(row.near)}."
    elif row.candidate is not None:
        yield _where(row.candidate)
    if row.change is not None:
        yield f"What would have matched it: {row.change}"


def attempt_sentences(attempt: Attempt) -> Iterator[str]:
    """Yield what kept a row from the candidates of a pass, and what would have matched it."""
    if attempt.failed:
        yield from _of_conditions(attempt.failed, attempt.detail)
    elif attempt.detail:
        yield attempt.detail
    if attempt.tied:
        tied = ", ".join(f"{left} with {right}" for left, right in attempt.tied[:_MOST_TIED])
        more = len(attempt.tied) - _MOST_TIED
        yield f"In that tie: {tied}{f' and {more} more' if more > 0 else ''}."
    if attempt.ranks and attempt.taken_by is None:
        ranks = (f"{one.column} {_value(one.value)}" for one in attempt.ranks)
        yield f"By rank: {', '.join(ranks)}."
    if attempt.near is not None:
        yield f"{near_words(attempt.near)}."
    elif attempt.closest is not None:
        yield _where(attempt.closest)
    if attempt.change is not None:
        yield f"What would have matched it: {attempt.change}"


def _of_conditions(failed: Sequence[Failed], detail: str) -> Iterator[str]:
    for one in failed:
        yield f"{sentence(one)}."
    for one in scores_that_hold(detail):
        yield f"{sentence(one, 'holds')}."


def _of_group(group: Group) -> str:
    """Say who is in a group, what both sides come to, and what is left between them."""
    sides = []
    for members, total in ((group.left, group.left_total), (group.right, group.right_total)):
        names = ", ".join(one.key for one in members[:_MOST_MEMBERS])
        more = len(members) - _MOST_MEMBERS
        also = f" and {more:,} more" if more > 0 else ""
        sides.append(f"{names}{also}{'' if total is None else f', {total:,f} in all'}")
    difference = group.difference
    if difference is None:
        between = ""
    elif not difference:
        between = " Both sides come to the same."
    else:
        between = f" {abs(difference):,f} more on the {'left' if difference > 0 else 'right'}."
    return f"The group {group.id} by {group.rule}: left {sides[0]}; right {sides[1]}.{between}"


def _value(value: str | None) -> str:
    return "null" if value is None else value


def _where(candidate: Candidate) -> str:
    named = f"Its closest candidate is {candidate.key}"
    if candidate.taken_by:
        takers = ", ".join(f"{_named(one)}{_by(one)}" for one in candidate.taken_by[:3])
        more = len(candidate.taken_by) - 3
        also = f" and {more} more" if more > 0 else ""
        return f"{named}, which is matched with {takers}{also}."
    return f"{named}, which is unmatched too." if candidate.unmatched else f"{named}."


def _by(partner: Partner) -> str:
    return "" if partner.rule == MATCH_RULE else f" by {partner.rule}"


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


def _attempt_json(attempt: Attempt) -> dict[str, Any]:
    return {
        "pass": attempt.name,
        "match_key": attempt.key,
        "candidates": attempt.candidates,
        "rejection_reason": attempt.reason,
        "reason_detail": attempt.detail,
        "failed_conditions": [_failed_json(one) for one in attempt.failed],
        "scores_that_hold": [_failed_json(one) for one in scores_that_hold(attempt.detail)],
        "closest_candidate": _candidate_json(attempt.closest),
        "taken_by": attempt.taken_by,
        "ranks": [asdict(one) for one in attempt.ranks],
        "tie": attempt.tie,
        "tied": [{"left_key": left, "right_key": right} for left, right in attempt.tied],
        "smallest_change": attempt.change,
        "near_key": None if attempt.near is None else asdict(attempt.near),
    }


def _group_json(group: Group) -> dict[str, Any]:
    amounts = (group.left_total, group.right_total, group.difference)
    left, right, difference = (None if one is None else f"{one:f}" for one in amounts)
    return {
        "match_group": group.id,
        "rule_name": group.rule,
        "left_keys": [one.key for one in group.left],
        "right_keys": [one.key for one in group.right],
        "left_total": left,
        "right_total": right,
        "difference": difference,
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
        "partly": [dict(one) for one in fate.partly],
        "passes": [_attempt_json(one) for one in fate.attempts],
        "groups": [_group_json(one) for one in fate.groups],
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
        "tie": partner.tie,
        "columns": dict(partner.columns),
    }


def _open_json(row: Open) -> dict[str, Any]:
    return {
        "rejection_reason": row.reason,
        "reason_detail": row.detail,
        "attempted_rules": list(row.rules),
        "failed_conditions": [_failed_json(one) for one in row.failed],
        "scores_that_hold": [_failed_json(one) for one in scores_that_hold(row.detail)],
        "smallest_change": row.change,
        "near_key": None if row.near is None else asdict(row.near),
        "closest_candidate": _candidate_json(row.candidate),
        "row": dict(row.row),
    }


def _failed_json(failed: Failed) -> dict[str, Any]:
    return {
        "condition": failed.condition,
        "values": failed.values,
        "differ_by": None if failed.differ_by is None else str(failed.differ_by),
        "unit": "days" if failed.in_days else None,
        "reached": None if failed.reached is None else f"{failed.reached:f}",
        "asked": failed.asked,
    }


def _candidate_json(candidate: Candidate | None) -> dict[str, Any] | None:
    if candidate is None:
        return None
    return {
        "key": candidate.key,
        "status": "matched" if candidate.taken_by else "unmatched",
        "taken_by": [_partner_json(one) for one in candidate.taken_by],
        "row": dict(candidate.row),
    }
