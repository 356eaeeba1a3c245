"""Kalla, the machine or a source failed, and the request may be fine."""

from __future__ import annotations

from kalla_core.errors.base import SystemFailure


class SourceUnavailable(SystemFailure):
    """A source did not answer; it may later."""

    code = "source_unavailable"
    retryable = True


class SourceChanged(SystemFailure):
    """A source changed while it was read, so no single state of it was seen."""

    code = "source_changed"
    retryable = True


class OutOfMemory(SystemFailure):
    """The memory limit does not suffice, even by buckets; the message names the operator."""

    code = "out_of_memory"


class OutOfDisk(SystemFailure):
    """No space left for the spool or the evidence."""

    code = "out_of_disk"


class Crashed(SystemFailure):
    """A child process died without saying why."""

    code = "crashed"
    retryable = True


class DeadlineExceeded(SystemFailure):
    """The run took longer than its `timeout_s`."""

    code = "deadline_exceeded"


class EvidenceDamaged(SystemFailure):
    """What an executor wrote is not what it reported."""

    code = "evidence_damaged"


class AccountingFailed(SystemFailure):
    """Rows read, matched and unmatched do not add up: the result cannot be trusted."""

    code = "accounting_failed"


class EngineFailure(SystemFailure):
    """The query engine failed in a way that has no name of its own."""

    code = "engine_failure"


class ResultsBusy(SystemFailure):
    """The results that are being read take up all the memory there is for them."""

    code = "results_busy"
    retryable = True


class QueueFull(SystemFailure):
    """Too many jobs wait already.

    Attributes:
        retry_after_s: when to ask again, in seconds.
    """

    code = "queue_full"
    retryable = True

    def __init__(self, message: str, *, retry_after_s: int = 1, **details: object) -> None:
        super().__init__(message, retry_after_s=retry_after_s, **details)
        self.retry_after_s = retry_after_s


class ShuttingDown(SystemFailure):
    """A service that ends takes no new work."""

    code = "shutting_down"
    retryable = True


class StoreUnavailable(SystemFailure):
    """The store of jobs cannot be read or written."""

    code = "store_unavailable"
    retryable = True


class CoordinatorUnavailable(SystemFailure):
    """The coordinator cannot be reached, or does not answer in time."""

    code = "coordinator_unavailable"
    retryable = True


class OutputUnavailable(SystemFailure):
    """Where the evidence goes does not answer; it may later."""

    code = "output_unavailable"
    retryable = True


class NoExecutors(SystemFailure):
    """A cluster job, and no executor registered in time."""

    code = "no_executors"
    retryable = True


class ExecutorLost(SystemFailure):
    """An executor went away with what it had in hand."""

    code = "executor_lost"
    retryable = True


class FetchFailed(SystemFailure):
    """A spool could not be fetched from the executor that holds it."""

    code = "fetch_failed"
    retryable = True
