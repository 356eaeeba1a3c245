"""The process that carries out an inspection: `python -m kalla_core.inspection.child`.

It reads one JSON line from standard input and writes one to standard output, `done` with the answer
or `error`. When standard input ends it exits at once: whoever asked is gone.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from kalla_core.engine.programs.child import further_lines
from kalla_core.error_json import error_json
from kalla_core.errors import EngineFailure, KallaError, OutOfMemory, RecipeInvalid
from kalla_core.inspection.documents import (
    explanation_document,
    preview_document,
    validation_document,
)
from kalla_core.inspection.explain import explain_recipe
from kalla_core.inspection.guess import forgiving_preview, guessed_preview
from kalla_core.inspection.preview import demand_source
from kalla_core.inspection.request import Inspection, Kind, from_json
from kalla_core.json_text import json_text
from kalla_core.recipe.parse import parse_recipe
from kalla_core.validate import Validation, validate_recipe


def main() -> None:
    """Answer the question on standard input."""
    out = _own_output()
    asked = sys.stdin.readline()
    if not asked:
        return  # started ahead of need, and not needed
    further_lines()
    text = json_text(_outcome(json.loads(asked)))
    try:
        out.write(text + "\n")
        out.flush()
    finally:
        os._exit(0)  # threads of a connector that still wait must not hold the process up


def answer(inspection: Inspection) -> dict[str, Any]:
    """Carry out an inspection and return what it found, as JSON.

    Raises:
        KallaError: a recipe that cannot be explained, a source that cannot be read.
    """
    document = inspection.document
    match inspection.kind:
        case Kind.VALIDATE:
            return validation_document(_validation(inspection))
        case Kind.EXPLAIN:
            explanation = explain_recipe(
                parse_recipe(document),
                inspection.memory_limit_bytes,
                inspection.threads,
                inspection.access,
            )
            return explanation_document(explanation)
        case Kind.PREVIEW:
            spec = demand_source(
                document["uri"], document["types"], document["filters"], document["format"]
            )
            look = guessed_preview if document["guess"] else forgiving_preview
            return preview_document(look(spec, document["rows"], inspection.access))
        case Kind.PROPOSE | Kind.TRY:
            return _proven(inspection)


def _proven(inspection: Inspection) -> dict[str, Any]:
    # Imported here: most inspections neither infer nor run anything.
    from kalla_core.inspection.proving import inferred_document, tried_recipe_document

    carry_out = inferred_document if inspection.kind is Kind.PROPOSE else tried_recipe_document
    scratch = Path(inspection.scratch)
    return carry_out(inspection.document, scratch, inspection.threads, inspection.access)


def _validation(inspection: Inspection) -> Validation:
    try:
        recipe = parse_recipe(inspection.document)
    except RecipeInvalid as error:
        return Validation(error.faults, (), {}, None)
    return validate_recipe(recipe, access=inspection.access)


def _outcome(asked: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return {"event": "done", "answer": answer(from_json(asked))}
    except KallaError as error:
        return _error(error)
    except MemoryError as error:
        return _error(OutOfMemory(f"There is not enough memory to look at this ({error})."))
    except BaseException as error:  # a panic of the query engine is no Exception
        failure = EngineFailure(f"An internal error: {type(error).__name__}: {error}")
        return _error(failure.with_traceback(error.__traceback__))


def _error(error: KallaError) -> dict[str, Any]:
    trace = "".join(traceback.format_exception(error))
    return {"event": "error", **error_json(error), "traceback": trace}


def _own_output() -> IO[str]:
    """Keep standard output for the answer; whatever else is printed goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return out


if __name__ == "__main__":
    main()
