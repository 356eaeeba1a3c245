"""Inferring and trying recipes, as a service is asked to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kalla_core.error_json import fault_json
from kalla_core.errors import RecipeInvalid
from kalla_core.evidence.metadata import RunMetadata
from kalla_core.inference.profiles import ColumnProfile
from kalla_core.inspection.asked import SIDES, asked_pairs, asked_source
from kalla_core.inspection.proposal_document import proposal_document
from kalla_core.inspection.proposing import propose, with_keys
from kalla_core.inspection.sampling import Sample, samples
from kalla_core.inspection.trial import trial_document, try_recipe
from kalla_core.recipe.model import Recipe
from kalla_core.recipe.parse import parse_recipe
from kalla_core.sources.protocol import SourceAccess
from kalla_core.validate import validate_recipe

Json = dict[str, Any]

_MEMORY = 512 << 20
"""For the engine's process, beside the one that infers."""


def inferred_document(
    asked: Mapping[str, Any], scratch: Path, threads: int, access: SourceAccess
) -> Json:
    """Infer a recipe, and try it on samples of its sources.

    Args:
        asked: `sources` with `left` and `right`, each with `alias`, `uri`, `types`, `filters` and
            `format`; `judged` pairs; `rows` to show of each set.
        scratch: an empty folder, for samples and evidence.

    Returns:
        As `proposal_document`, with `profiles` of both samples, what is `undecidable` of the files,
        and as `trial` what `trial_document` says; it is null where no rule is plausible.

    Raises:
        KallaError: a source cannot be read, the run on the samples failed.
    """
    judged = asked_pairs(asked["judged"])
    both = [asked["sources"][side] for side in SIDES]
    sides = [asked_source(one, one["alias"], access) for one in both]
    left, right = with_keys(*samples(sides[0], sides[1], access=access), access)
    found = propose(left, right, judged, access)
    tried = trial = None
    if found.document is not None:
        recipe = parse_recipe(found.document)
        tried = try_recipe(recipe, (left, right), scratch, _MEMORY, threads, access)
        trial = trial_document(scratch, recipe, (left, right), judged, asked["rows"], tried)
    looked = zip(
        SIDES,
        (found.proposal.left_profiles, found.proposal.right_profiles),
        strict=True,
    )
    return {
        **proposal_document(found),
        "tried": None if tried is None else _counted(tried),
        "undecidable": [
            f"{one.spec.alias}: {sentence}" for one in (left, right) for sentence in one.undecidable
        ],
        "profiles": {side: [_profile(one) for one in each] for side, each in looked},
        "trial": trial,
    }


def tried_recipe_document(
    asked: Mapping[str, Any], scratch: Path, threads: int, access: SourceAccess
) -> Json:
    """Try a recipe on samples of its sources whose rows have partners.

    Args:
        asked: `recipe`, `judged` pairs, and `rows` to show of each set.
        scratch: an empty folder, for samples and evidence.

    Returns:
        `faults`, and without any `sample`, `tried` and `trial` as of `inferred_document`; else
        these are null.

    Raises:
        KallaError: a source cannot be read, the run on the samples failed.
    """
    judged = asked_pairs(asked["judged"])
    try:
        recipe = parse_recipe(asked["recipe"])
        faults = validate_recipe(recipe, access=access).faults
    except RecipeInvalid as error:
        faults = error.faults
    if faults:
        told = [fault_json(fault) for fault in faults]
        return {"faults": told, "sample": None, "tried": None, "trial": None}
    taken = _samples_of(recipe, access)
    tried = try_recipe(recipe, taken, scratch, _MEMORY, threads, access)
    return {
        "faults": [],
        "sample": {
            side: {"rows": len(one.table), "of": one.rows}
            for side, one in zip(SIDES, taken, strict=True)
        },
        "tried": _counted(tried),
        "trial": trial_document(scratch, recipe, taken, judged, asked["rows"], tried),
    }


def _counted(tried: RunMetadata) -> dict[str, int]:
    return {
        "matched_left": tried.left.matched,
        "unmatched_left": tried.left.unmatched,
        "matched_right": tried.right.matched,
        "unmatched_right": tried.right.unmatched,
    }


def _profile(profile: ColumnProfile) -> Json:
    return {
        "name": profile.name,
        "type": profile.type,
        "rows": profile.rows,
        "nulls": profile.nulls,
        "distinct": profile.distinct,
        "patterns": [{"mask": mask, "share": round(share, 4)} for mask, share in profile.patterns],
        "least": profile.least,
        "most": profile.most,
    }


def _samples_of(recipe: Recipe, access: SourceAccess) -> tuple[Sample, Sample]:
    return samples((recipe.left, None), (recipe.right, None), access=access)
