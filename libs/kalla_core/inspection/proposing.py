"""From two samples to a recipe that validates: inference, held against the sources."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from kalla_core.errors import Fault, RecipeInvalid
from kalla_core.inference import Judged, Proposal, infer
from kalla_core.inference.infer import Names
from kalla_core.inference.profiles import comparable, primary_key, profiles
from kalla_core.inspection.sampling import Sample, numbered, samples
from kalla_core.recipe.parse import parse_recipe
from kalla_core.recipe.write import source_document
from kalla_core.sources.protocol import EVERYTHING, SourceAccess
from kalla_core.validate import validate_recipe

_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PASS = re.compile(r"passes\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class Proposed:
    """A recipe that was inferred.

    Attributes:
        document: the recipe, None where no rule is plausible.
        refused: passes that did not validate and were left out, each with why.
    """

    proposal: Proposal
    left: Sample
    right: Sample
    document: Mapping[str, Any] | None
    refused: tuple[str, ...] = ()


def with_keys(
    left: Sample, right: Sample, access: SourceAccess = EVERYTHING
) -> tuple[Sample, Sample]:
    """Return samples whose rows can be told apart: by their number, where nothing else does."""
    found = infer_keys(left, right)
    specs = [
        (numbered(one.spec) if not key else None) or one.spec
        for one, key in zip((left, right), found, strict=True)
    ]
    if specs == [left.spec, right.spec]:
        return left, right
    return samples((specs[0], left.guess), (specs[1], right.guess), access=access)


def infer_keys(left: Sample, right: Sample) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the primary keys of both."""
    tables = [comparable(one.table) for one in (left, right)]
    first, second = (primary_key(one, profiles(one)) for one in tables)
    return first, second


def propose(
    left: Sample, right: Sample, judged: Sequence[Judged] = (), access: SourceAccess = EVERYTHING
) -> Proposed:
    """Infer a recipe, and leave out what the engine does not take.

    Raises:
        RecipeInvalid: what is wrong is not one of its passes.
    """
    usual = Names()
    names = Names(_named(left.spec.alias, usual.left), _named(right.spec.alias, usual.right))
    proposal = infer(left.table, right.table, judged, names)
    refused: list[str] = []
    while proposal.passes and proposal.left_key and proposal.right_key:
        document = recipe_document(proposal, left, right)
        faults = _faults(document, access)
        if not faults:
            return Proposed(proposal, left, right, document, tuple(refused))
        bad = {int(found[1]) for one in faults if (found := _PASS.search(one.path))}
        bad = bad or _invalid_alone(proposal, left, right, access)
        if not bad:
            raise RecipeInvalid(faults)
        refused += [f"{proposal.passes[n].name}: {faults[0].message}" for n in sorted(bad)]
        kept = tuple(one for n, one in enumerate(proposal.passes) if n not in bad)
        proposal = replace(proposal, passes=kept)
    return Proposed(proposal, left, right, None, tuple(refused))


def _named(alias: str, usual: str) -> str:
    """Return what a source is called in SQL: its alias, where that needs no quotes."""
    return alias if _PLAIN.fullmatch(alias) else usual


def recipe_document(proposal: Proposal, left: Sample, right: Sample) -> dict[str, Any]:
    """Return the recipe of a proposal."""
    a, b = left.spec.alias, right.spec.alias
    document: dict[str, Any] = {
        "recipe_id": f"{a}-{b}",
        "name": f"{a} and {b}",
        "description": "Inferred from both sources; README.md says why.",
        "match_description": "; then ".join(one.says for one in proposal.passes),
        "sources": {
            "left": source_document(replace(left.spec, primary_key=proposal.left_key)),
            "right": source_document(replace(right.spec, primary_key=proposal.right_key)),
        },
        "passes": [dict(one.document) for one in proposal.passes],
    }
    if proposal.amounts is not None:
        document["amounts"] = dict(proposal.amounts)
    return document


def _faults(document: Mapping[str, Any], access: SourceAccess) -> tuple[Fault, ...]:
    try:
        return validate_recipe(parse_recipe(document), access=access).faults
    except RecipeInvalid as error:
        return error.faults


def _invalid_alone(
    proposal: Proposal, left: Sample, right: Sample, access: SourceAccess
) -> set[int]:
    """Return the passes that are no recipe by themselves."""
    return {
        n for n, one in enumerate(proposal.passes)
        if _faults(recipe_document(replace(proposal, passes=(one,)), left, right), access)
    }  # fmt: skip
