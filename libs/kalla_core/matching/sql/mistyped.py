"""Values in match SQL that do not go together, or not into a function: which, and where."""

from __future__ import annotations

import re

from kalla_core.errors import KallaError, TypesNotComparable
from kalla_core.matching.sql.arrow_types import split, spoken
from kalla_core.matching.sql.refusals import quoted
from kalla_core.matching.sql.said import Said
from kalla_core.matching.sql.text import where


def no_common_type(said: Said, match: re.Match[str]) -> KallaError:
    """Tell in which expression values of two types were meant to meet."""
    left, right = spoken(match["left"].strip()), spoken(match["right"].strip())
    what = f"A value of type {left} and one of type {right} do not go together"
    found = said.culprit()
    if found is not None:
        what = f"{what} in {quoted(found)}"
    place = None if found is None else found.offset
    return TypesNotComparable(**where(said.sql, place, what, "; CAST one of them."))


def wrong_arguments(said: Said, match: re.Match[str]) -> KallaError:
    """Tell of which types the arguments are."""
    function, place = match["name"], said.place(match["name"])
    types = ", ".join(spoken(part) for part in split(match["types"]))
    what = f"{function} does not take ({types})"
    if place is None and (found := said.culprit()):  # what was written otherwise, as = ANY
        what, place = f"{quoted(found)} does not take ({types})", found.offset
    return TypesNotComparable(**where(said.sql, place, what, "; CAST what it is given."))
