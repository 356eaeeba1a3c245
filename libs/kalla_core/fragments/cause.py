"""What a failure calls for: the one place where errors of fragments are classified."""

from __future__ import annotations

from enum import StrEnum

from kalla_core.errors import (
    AccountingFailed,
    Cancelled,
    Crashed,
    DeadlineExceeded,
    ExecutorLost,
    FetchFailed,
    KallaError,
    OutOfDisk,
    OutOfMemory,
    SourceChanged,
    UserError,
)


class Cause(StrEnum):
    """What is to be done about a fragment that failed.

    user_error      the request or the data is wrong: the job fails
    fatal           something that another try does not mend: the job fails
    transient       the same again may work
    source_changed  no fragment of this run attempt can succeed: all starts anew, or the job fails
    fetch_failed    an input is gone: it is made again, and then this fragment
    out_of_memory   again with less at a time, or the job fails
    out_of_disk     again elsewhere
    crashed         the process that worked on it died
    cancelled       somebody asked for it to stop
    lost            the executor is gone; only the coordinator says so
    """

    USER_ERROR = "user_error"
    FATAL = "fatal"
    TRANSIENT = "transient"
    SOURCE_CHANGED = "source_changed"
    FETCH_FAILED = "fetch_failed"
    OUT_OF_MEMORY = "out_of_memory"
    OUT_OF_DISK = "out_of_disk"
    CRASHED = "crashed"
    CANCELLED = "cancelled"
    LOST = "lost"


_CAUSES: tuple[tuple[type[KallaError], Cause], ...] = (
    (Cancelled, Cause.CANCELLED),
    (UserError, Cause.USER_ERROR),
    (SourceChanged, Cause.SOURCE_CHANGED),
    (FetchFailed, Cause.FETCH_FAILED),
    (OutOfMemory, Cause.OUT_OF_MEMORY),
    (OutOfDisk, Cause.OUT_OF_DISK),
    (Crashed, Cause.CRASHED),
    (ExecutorLost, Cause.LOST),
    (DeadlineExceeded, Cause.FATAL),
    (AccountingFailed, Cause.FATAL),
)


def cause_of(error: KallaError) -> Cause:
    """Return what an error calls for.

    What has no better word is transient: a fragment is tried a few times, then the job fails with
    the error itself.
    """
    return next((cause for kind, cause in _CAUSES if isinstance(error, kind)), Cause.TRANSIENT)
