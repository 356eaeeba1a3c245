"""Errors say which source they are about: by its alias, or, if it has none, by where it lies."""

from __future__ import annotations

import pytest

from kalla_core.errors import SourceNotFound, SourceUnavailable
from kalla_core.inspection.preview import source_of
from kalla_core.recipe.model import SourceSpec, SourceType
from kalla_core.sources.naming import naming

WHERE = "postgres://anna:secret@host/db?table=t"
MASKED = "postgres://anna:***@host/db?table=t"


def test_a_source_of_a_recipe_is_called_by_its_alias() -> None:
    spec = SourceSpec("bank", SourceType.POSTGRES, WHERE)

    with pytest.raises(SourceNotFound) as told, naming(spec):
        raise SourceNotFound("There is no table t.")

    assert told.value.message == f"Source `bank` ({MASKED}): There is no table t."
    assert told.value.details["source"] == "bank"


def test_one_that_is_only_looked_at_is_called_by_where_it_lies() -> None:
    spec, faults = source_of(WHERE, {}, [])
    assert spec is not None
    assert faults == ()

    with pytest.raises(SourceNotFound) as told, naming(spec):
        raise SourceNotFound("There is no table t.")
    with pytest.raises(SourceUnavailable) as broken, naming(spec):
        raise OSError("no route to host")

    assert told.value.message == f"The source {MASKED}: There is no table t."
    assert broken.value.message == f"The source {MASKED} cannot be read: no route to host."
