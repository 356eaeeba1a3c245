"""Names of attempts and errors as protobuf, both ways."""

from __future__ import annotations

import json

from kalla_core.engine.programs import messages
from kalla_core.errors import KallaError
from kalla_core.fragments.attempt import AttemptId
from kalla_core.wire.generated import common_pb2 as pb


def attempt_message(attempt: AttemptId) -> pb.AttemptId:
    """Return a name as a message."""
    return pb.AttemptId(
        run_id=attempt.run_id,
        run_attempt=attempt.run_attempt,
        stage=attempt.stage,
        fragment=attempt.fragment,
        attempt=attempt.attempt,
    )


def attempt_of(message: pb.AttemptId) -> AttemptId:
    """Return the name that a message holds."""
    return AttemptId(
        run_id=message.run_id,
        run_attempt=message.run_attempt,
        stage=message.stage,
        fragment=message.fragment,
        attempt=message.attempt,
    )


def failure_message(error: KallaError) -> pb.Failure:
    """Return an error as a message; everything beside its code and its sentence is JSON."""
    document = messages.error_json(error)
    code, sentence = document.pop("code"), document.pop("message")
    return pb.Failure(code=code, message=sentence, details_json=json.dumps(document))


def error_of(failure: pb.Failure) -> KallaError:
    """Return the error that a message holds, as the class that it was."""
    document = json.loads(failure.details_json)
    return messages.error({"code": failure.code, "message": failure.message, **document})
