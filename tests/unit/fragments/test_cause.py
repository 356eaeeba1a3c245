import pytest
from hypothesis import given

from kalla_core.errors import (
    Cancelled,
    Crashed,
    EngineFailure,
    ExecutorLost,
    KallaError,
    OutOfDisk,
    OutOfMemory,
    OutputUnavailable,
    SourceChanged,
    SourceUnavailable,
    SourceUnreadable,
)
from kalla_core.fragments.attempt import AttemptId, parse_attempt_id
from kalla_core.fragments.cause import Cause, cause_of
from kalla_core.fragments.fetch_fault import FetchFault, fetch_failed
from kalla_core.fragments.outcome import failed
from tests.support.fragments import ATTEMPTS, FAULTS


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (SourceUnreadable("line 3"), Cause.USER_ERROR),
        (Cancelled("so they said"), Cause.CANCELLED),
        (SourceUnavailable("away"), Cause.TRANSIENT),
        (OutputUnavailable("away"), Cause.TRANSIENT),
        (EngineFailure("a panic"), Cause.TRANSIENT),
        (SourceChanged("other rows"), Cause.SOURCE_CHANGED),
        (OutOfMemory("a join"), Cause.OUT_OF_MEMORY),
        (OutOfDisk("full"), Cause.OUT_OF_DISK),
        (Crashed("SIGSEGV"), Cause.CRASHED),
        (ExecutorLost("away"), Cause.LOST),
    ],
)
def test_an_error_calls_for_what_its_class_says(error: KallaError, cause: Cause) -> None:
    assert cause_of(error) is cause


@given(FAULTS)
def test_a_failed_fetch_names_what_could_not_be_fetched(fault: FetchFault) -> None:
    outcome = failed(fetch_failed("gone", fault))

    assert (outcome.cause, outcome.fetch) == (Cause.FETCH_FAILED, fault)


@given(ATTEMPTS)
def test_the_name_of_an_attempt_can_be_read_back(attempt: AttemptId) -> None:
    assert parse_attempt_id(str(attempt)) == attempt
