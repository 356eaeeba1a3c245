"""What a run's process and its parent tell each other survives the way through JSON text."""

import ast
import json
from collections.abc import Iterator
from datetime import UTC, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kalla_core.engine
from kalla_core import errors
from kalla_core.engine.budget import SMALLEST_LIMIT, budget
from kalla_core.engine.keys.key_counts import KeyCounts
from kalla_core.engine.programs import messages
from kalla_core.engine.progress import Progress, Stage
from kalla_core.engine.run.job_outcome import JobOutcome, SideOutcome
from kalla_core.engine.run.job_spec import JobSpec
from kalla_core.errors import EngineFailure, Fault, InvalidSql, KallaError, RecipeInvalid
from kalla_core.evidence.metadata import WrittenFile
from kalla_core.matching.sql.query import Side
from tests.support.recipes import recipes

ENGINE = Path(kalla_core.engine.__path__[0])
TEXT = st.text(max_size=20)
COUNTS = st.integers(0, 1 << 62)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)
NAMES = st.from_regex(r"[a-z]{1,8}", fullmatch=True).filter(
    lambda name: name not in ("message", "line", "column", "self")
)
DETAILS = st.dictionaries(NAMES, PLAIN, max_size=3)
JSON_OBJECTS = st.dictionaries(TEXT, PLAIN, max_size=3)
PATHS = st.sampled_from([Path("/tmp/a b/é"), Path("/x"), Path("relative/y"), Path("/\udcff")])  # noqa: S108
MOMENTS = st.datetimes(
    timezones=st.just(UTC) | st.integers(-600, 600).map(lambda m: timezone(timedelta(minutes=m)))
)
SPECS = st.builds(
    JobSpec,
    recipe=recipes(),
    started_at=MOMENTS,
    staging=PATHS,
    spool=PATHS,
    budget=st.builds(budget, st.integers(SMALLEST_LIMIT, 1 << 45), st.integers(1, 128)),
)
SIDES = st.builds(
    SideOutcome,
    records=COUNTS,
    matched=COUNTS,
    unmatched=COUNTS,
    excluded=st.none() | COUNTS,
    keys=st.builds(KeyCounts, COUNTS, COUNTS),
    identity=JSON_OBJECTS,
)
OUTCOMES = st.builds(
    JobOutcome,
    sides=st.fixed_dictionaries(dict.fromkeys(Side, SIDES)),
    extras=st.dictionaries(TEXT, JSON_OBJECTS, max_size=2),
    strategy=TEXT,
    files=st.lists(st.builds(WrittenFile, TEXT, COUNTS, COUNTS, TEXT), max_size=3).map(tuple),
    durations=st.dictionaries(TEXT, st.floats(0, 1e9), max_size=3),
    joins=st.dictionaries(TEXT, COUNTS, max_size=3),
    warnings=st.lists(TEXT, max_size=3).map(tuple),
)
REPORTS = st.builds(
    Progress,
    stage=st.sampled_from(Stage),
    source=st.none() | TEXT,
    rows_done=COUNTS,
    rows_total=st.none() | COUNTS,
    bytes_done=COUNTS,
    bytes_total=st.none() | COUNTS,
    fragments_done=COUNTS,
    fragments_total=COUNTS,
    matched_rows=COUNTS,
)


def kinds_of_error() -> list[type[KallaError]]:
    """Every class of `errors.py` that has a code of its own."""
    found = [value for value in vars(errors).values() if isinstance(value, type)]
    return [kind for kind in found if issubclass(kind, KallaError) and "code" in vars(kind)]


@st.composite
def any_error(draw: st.DrawFn) -> KallaError:
    kind = draw(st.sampled_from(kinds_of_error()))
    if issubclass(kind, RecipeInvalid):
        faults = st.builds(Fault, TEXT, TEXT, TEXT, JSON_OBJECTS)
        return kind(draw(st.lists(faults, max_size=3)), draw(TEXT))
    position: dict[str, Any] = {}
    if issubclass(kind, InvalidSql):
        place = st.none() | st.integers(1, 10**6)
        position = {"line": draw(place), "column": draw(place)}
    return kind(draw(TEXT), **position, **draw(DETAILS))


def through_json(document: Any) -> Any:
    return json.loads(json.dumps(document))


@given(SPECS)
def test_a_run_survives(spec: JobSpec) -> None:
    assert messages.spec(through_json(messages.spec_json(spec))) == spec


@given(OUTCOMES)
def test_what_a_run_did_survives(outcome: JobOutcome) -> None:
    assert messages.outcome(through_json(messages.outcome_json(outcome))) == outcome


@given(REPORTS)
def test_progress_survives(progress: Progress) -> None:
    sent = {"event": "progress", **messages.progress_json(progress)}

    assert messages.progress(through_json(sent)) == progress


@given(any_error())
def test_an_error_survives_with_all_it_carries(error: KallaError) -> None:
    received = messages.error(through_json(messages.error_json(error)))

    assert type(received) is type(error)
    assert str(received) == str(error)
    assert vars(received) == vars(error)


def test_every_class_of_error_that_may_be_raised_is_known_by_a_code_of_its_own() -> None:
    codes = [kind.code for kind in kinds_of_error()]

    assert len(codes) > 25
    assert len(set(codes)) == len(codes)


def test_details_that_json_does_not_know_arrive_as_text() -> None:
    error = EngineFailure("no", path=Path("/x"), names=("a", "b"), inner={1: Path("/y")})

    received = messages.error(through_json(messages.error_json(error)))

    assert received.details == {"path": "/x", "names": ["a", "b"], "inner": {"1": "/y"}}


def test_an_error_of_a_newer_version_is_a_failure_with_its_own_words() -> None:
    document = {"code": "unheard_of", "message": "The moon is down.", "details": {"phase": 3}}

    received = messages.error(document)

    assert isinstance(received, EngineFailure)
    assert (received.message, received.details) == ("The moon is down.", {"phase": 3})


def test_a_traceback_comes_along_as_a_note() -> None:
    document = {**messages.error_json(EngineFailure("no")), "traceback": "line 1\nline 2"}

    received = messages.error(document)

    assert received.__notes__ == ["line 1\nline 2"]


@pytest.mark.parametrize("module", sorted(ENGINE.glob("*.py")), ids=lambda path: path.stem)
def test_nothing_in_the_engine_pickles(module: Path) -> None:
    names = set(_imported(ast.parse(module.read_text())))

    assert not names & {"pickle", "cloudpickle", "marshal", "shelve", "multiprocessing"}


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]
