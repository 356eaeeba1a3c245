"""What executors and the coordinator say arrives as it was said."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kalla_core.errors import EngineFailure, FetchFailed, KallaError
from kalla_core.fragments.outcome import FragmentEnded, FragmentFailed
from kalla_core.fragments.presence import FromExecutor, ToExecutor
from kalla_core.fragments.remote import Launch
from kalla_core.wire.executors import (
    from_executor,
    from_executor_message,
    to_executor,
    to_executor_message,
)
from kalla_core.wire.generated import executors_pb2 as pb
from tests.support.fragments import FROM_EXECUTORS, LAUNCHES, TO_EXECUTORS


@given(FROM_EXECUTORS)
def test_what_an_executor_says_arrives_as_it_was_said(said: FromExecutor) -> None:
    sent = from_executor_message(said).SerializeToString()

    heard = from_executor(pb.FromExecutor.FromString(sent))

    assert _comparable(heard) == _comparable(said)


@given(TO_EXECUTORS)
def test_what_the_coordinator_says_arrives_as_it_was_said(said: ToExecutor) -> None:
    sent = to_executor_message(said).SerializeToString()

    heard = to_executor(pb.ToExecutor.FromString(sent))

    assert heard == said


@given(LAUNCHES)
def test_schemas_arrive_with_their_metadata(launch: Launch) -> None:
    sent = to_executor_message(launch).SerializeToString()

    heard = to_executor(pb.ToExecutor.FromString(sent))

    assert isinstance(heard, Launch)
    assert heard.job.left.schema.equals(launch.job.left.schema, check_metadata=True)


@given(LAUNCHES, st.integers(-(10**9), 1999).map(lambda us: timedelta(microseconds=us)))
def test_no_time_left_does_not_become_no_bound(launch: Launch, left: timedelta) -> None:
    heard = to_executor(to_executor_message(replace(launch, time_left=left)))

    assert isinstance(heard, Launch)
    assert heard.time_left == timedelta(milliseconds=1)


def test_a_message_of_another_version_is_an_error_of_this_one() -> None:
    with pytest.raises(EngineFailure, match="this version"):
        to_executor(pb.ToExecutor())
    with pytest.raises(EngineFailure, match="this version"):
        from_executor(pb.FromExecutor())
    with pytest.raises(EngineFailure, match="this version"):
        from_executor(pb.FromExecutor(ended=pb.FragmentEnded()))


def _comparable(said: FromExecutor) -> object:
    """Errors are compared by class, sentence and details: two of them are never equal."""
    if isinstance(said, FragmentEnded) and isinstance(said.outcome, FragmentFailed):
        failed = said.outcome
        return said.id, said.seconds, failed.cause, failed.fetch, _described(failed.error)
    return said


def _described(error: KallaError) -> object:
    position = (getattr(error, "line", None), getattr(error, "column", None))
    wait = getattr(error, "retry_after_s", None)
    is_fetch = isinstance(error, FetchFailed)
    return type(error), error.message, dict(error.details), position, wait, is_fetch
