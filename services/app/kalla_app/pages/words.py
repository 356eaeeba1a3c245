"""What pages call stages, reasons, states, queues and sets."""

from __future__ import annotations

STAGES = {
    "staging": "Reading the sources",
    "matching": "Matching",
    "writing_results": "Writing the results",
}
REASONS = {
    "key_null": "No key to match by",
    "key_not_found": "Nobody has this key",
    "predicate_failed": "Same key, but it differs",
    "no_match": "No partner",
    "not_chosen": "Another was chosen",
    "ambiguous": "More than one fits",
    "taken": "Its partner is taken",
    "suggested": "Suggested only",
    "unbalanced": "The group does not add up",
    "rest": "Matched, but something is left",
}
STATES = {
    "open": "Open",
    "explained": "Explained",
    "matched_by_hand": "Matched by hand",
    "written_off": "Written off",
    "ignored": "Ignored",
    "force_closed": "Closed for good",
}
TRAYS = {
    "open": "Open",
    "mine": "Mine",
    "unassigned": "Unassigned",
    "suggested": "Suggested",
    "waiting": "To approve",
    "suspended": "Suspended",
    "closed": "Closed",
}
SETS = {
    "matched": "Matched",
    "unmatched_left": "Unmatched left",
    "unmatched_right": "Unmatched right",
    "ambiguous": "Ambiguous",
    "suggested": "Suggested",
    "partly_matched_left": "Partly matched left",
    "partly_matched_right": "Partly matched right",
}
