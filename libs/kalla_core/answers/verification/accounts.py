"""Rows counted again from the files: who is matched, who is not, and how often."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow.compute as pc

from kalla_core.answers.verification.damage import Check, Damage
from kalla_core.answers.verification.keys import (
    MOST_AT_ONCE,
    Ints,
    SideKeys,
    classes,
    repeated_texts,
    shared_texts,
)
from kalla_core.evidence.keys import match_ids, text_hashes
from kalla_core.evidence.metadata import SideSummary
from kalla_core.evidence.names import MATCHED, METADATA, UNMATCHED
from kalla_core.evidence.reader import Evidence
from kalla_core.evidence.schema import GROUP_FIELD, MATCH_RULE
from kalla_core.matching.sql.query import Side

_EXAMPLES = 3
_ONE_LEFT = ("1:1", "N:1")
_ONE_RIGHT = ("1:1", "1:N")


def check_side(evidence: Evidence, side: Side, at_once: int = MOST_AT_ONCE) -> Check:
    """Count the rows of a side again: each matched or unmatched, none both, none too often."""
    summary = _summary(evidence, side)
    alone = not summary.duplicate_keys and not summary.null_keys
    distinct = 0
    damages: list[Damage] = []
    for keys in classes(evidence, side, at_once):
        distinct += len(np.unique(keys.matched))
        if alone:
            damages += _twice_told(evidence, side, keys)
            damages += _too_often(evidence, side, keys)
    if alone and distinct != summary.matched:
        damages.append(_miscounted(side, f"{summary.matched:,}", distinct))
    spare = summary.duplicate_keys + summary.null_keys
    if not alone and not distinct <= summary.matched <= distinct + spare:
        at_least = max(summary.matched - spare, 0)
        damages.append(_miscounted(side, f"{at_least:,} to {summary.matched:,}", distinct))
    covered = f"{summary.records:,} rows: each matched or unmatched, none both, none too often"
    skipped = (
        ""
        if alone
        else f"keys of {spare:,} rows repeat or are null, so rows cannot be told apart by them"
    )
    return Check(f"{side.word} rows", covered, tuple(damages), skipped)


def check_ids(evidence: Evidence) -> Check:
    """Compute the ids of all matches again, and count the groups."""
    wrong, example, rows = 0, "", 0
    groups: list[Ints] = []
    grouped = GROUP_FIELD.name in evidence.schema(MATCHED).names
    ours = ["match_id", "left_key", "right_key"]
    names = [*ours, GROUP_FIELD.name] if grouped else ours
    for batch in evidence.batches(MATCHED, columns=names):
        ids = match_ids(batch.column("left_key"), batch.column("right_key"))
        differs = pc.not_equal(ids, batch.column("match_id")).fill_null(True)
        found = pc.sum(differs).as_py() or 0
        if found and not wrong:
            place = pc.indices_nonzero(differs)[0].as_py()
            example = f"{batch.column('match_id')[place]}, not {ids[place]}"
        wrong, rows = wrong + found, rows + batch.num_rows
        if grouped:
            texts = batch.column(GROUP_FIELD.name).drop_null()
            groups.append(np.unique(text_hashes(texts)))
    damages = []
    if wrong:
        found_words = f"{wrong:,} that are not, as {example}"
        damages.append(Damage(MATCHED, "match_id", "the hash of both keys", found_words))
    told = evidence.metadata.matched_groups
    count = len(np.unique(np.concatenate(groups))) if groups else 0
    if grouped and told is not None and count != told:
        damages.append(Damage(MATCHED, "groups", f"{told:,}", f"{count:,}"))
    return Check("match ids", f"{rows:,} ids computed again", tuple(damages))


def _twice_told(evidence: Evidence, side: Side, keys: SideKeys) -> Iterator[Damage]:
    """Find rows that are matched and unmatched, and rows that are unmatched twice."""
    name = UNMATCHED[side]
    both = np.intersect1d(keys.matched, keys.unmatched)
    texts = shared_texts(evidence, side, both) if len(both) else []
    if texts:
        yield Damage(name, "rows that are matched as well", "none", _few(texts, len(both)))
    again = _repeated(keys.unmatched)
    texts = repeated_texts(evidence, name, "record_key", again) if len(again) else []
    if texts:
        yield Damage(name, "rows that stand there twice", "none", _few(texts, len(again)))


def _too_often(evidence: Evidence, side: Side, keys: SideKeys) -> Iterator[Damage]:
    """Find rows with more partners than their rule allows, or than the metadata counted."""
    for rule, cardinality in _bounded(evidence.metadata.recipe, side).items():
        if rule not in keys.rule_names:
            continue
        chosen = keys.rules == keys.rule_names.index(rule)
        many = _of_several_partners(keys.matched[chosen], keys.partners[chosen])
        column = f"{side.word}_key"
        texts = repeated_texts(evidence, MATCHED, column, many, rule) if len(many) else []
        if texts:
            yield Damage(
                MATCHED,
                f"partners of {side.word} rows in the pass {rule!r}",
                f"one at most ({cardinality})",
                f"several for {_few(texts, len(many))}",
            )
    if evidence.metadata.recipe.get("passes"):
        rules = _of_several_partners(keys.matched, keys.rules)
        texts = repeated_texts(evidence, MATCHED, f"{side.word}_key", rules) if len(rules) else []
        if texts:
            what = f"{side.word} rows that two passes consumed"
            yield Damage(MATCHED, what, "none", _few(texts, len(rules)))


def _bounded(recipe: Mapping[str, Any], side: Side) -> dict[str, str]:
    """Return the passes in which a row of the side has one partner at most."""
    listed = recipe.get("passes") or [{**recipe, "name": MATCH_RULE}]
    bounded = _ONE_LEFT if side is Side.LEFT else _ONE_RIGHT
    return {
        str(one.get("name")): str(one["cardinality"])
        for one in listed
        if one.get("cardinality") in bounded and one.get("group_by") is None
    }


def _of_several_partners(own: Ints, partners: Ints) -> Ints:
    pairs = np.unique(np.stack([own, partners], axis=1), axis=0)
    return _repeated(pairs[:, 0])


def _repeated(hashes: Ints) -> Ints:
    values, counts = np.unique(hashes, return_counts=True)
    return values[counts > 1]


def _miscounted(side: Side, expected: str, found: int) -> Damage:
    what = f"matched_{side.word}_count"
    return Damage(METADATA, what, expected, f"{found:,} distinct keys in {MATCHED}")


def _few(texts: list[str], count: int) -> str:
    shown = ", ".join(repr(text) for text in texts[:_EXAMPLES])
    return shown if count <= _EXAMPLES else f"{count:,}, as {shown}"


def _summary(evidence: Evidence, side: Side) -> SideSummary:
    return evidence.metadata.left if side is Side.LEFT else evidence.metadata.right


def no_keys(name: str) -> Check:
    """Return the check that could not be made, since the files are damaged."""
    return Check(name, "", (), "the files are damaged, so their rows tell nothing")
