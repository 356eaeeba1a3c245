"""All checks of evidence, in an order in which one damage does not hide another."""

from __future__ import annotations

import json
from pathlib import Path

from kalla_core.answers.verification.accounts import check_ids, check_side, no_keys
from kalla_core.answers.verification.amounts import check_amounts
from kalla_core.answers.verification.attempts import check_attempts
from kalla_core.answers.verification.damage import Check, Damage, Verification
from kalla_core.answers.verification.files import check_counts, check_files, check_strangers
from kalla_core.errors import SourceUnreadable
from kalla_core.evidence.metadata import MetadataError, RunMetadata, from_json
from kalla_core.evidence.names import ATTEMPTS, METADATA
from kalla_core.evidence.places import Place, place_of
from kalla_core.evidence.reader import open_evidence
from kalla_core.matching.sql.query import Side
from kalla_core.s3.location import is_s3

_ROWS = "rows"


def verify(location: str | Path) -> Verification:
    """Check the evidence in a folder or at `s3://bucket/prefix`, in bounded memory.

    Raises:
        SourceNotFound: there is no complete evidence.
        OutputUnavailable: the store does not answer; that is no damage.
    """
    place = place_of(location)
    described, metadata = _described(place)
    if metadata is None:
        return Verification(str(location), None, (described,))
    checks = [described, check_files(place, metadata), check_counts(metadata)]
    if not is_s3(str(location)):
        checks.append(check_strangers(location, metadata))
    if any(check.damages for check in checks):
        checks.append(no_keys(_ROWS))
    else:
        checks += _rows(location)
    return Verification(str(location), metadata, tuple(checks))


def _described(place: Place) -> tuple[Check, RunMetadata | None]:
    covered = "metadata.json, and the SHA-256 of its recipe"
    try:
        metadata = from_json(json.loads(place.document()))
    except SourceUnreadable as error:
        found = str(error)
    except (MetadataError, ValueError) as error:
        found = str(error)
    else:
        return Check("metadata", covered), metadata
    damage = Damage(METADATA, "the document", "what a run writes", found)
    return Check("metadata", covered, (damage,)), None


def _rows(location: str | Path) -> list[Check]:
    try:
        with open_evidence(location) as evidence:
            sides = [check_side(evidence, side) for side in Side]
            checks = [*sides, check_ids(evidence), check_amounts(evidence)]
            return [*checks, check_attempts(evidence)] if evidence.has(ATTEMPTS) else checks
    except (SourceUnreadable, OSError, ValueError) as error:
        damage = Damage("", "the rows", "to be readable", str(error))
        return [Check(_ROWS, "every row", (damage,))]
