"""What can go wrong, named for what happened.

Every error Kalla raises on purpose is in this tree. Each carries a stable `code` (the same word
on the command line, in logs and, later, on every wire), says whether trying the same thing again
can help, and whose turn it is: the user's (the request or the data is wrong, exit code 2) or the
operator's (the system failed, exit code 3).

    KallaError
    ├── UserError                    the request or the data is wrong
    │   ├── RecipeInvalid            invalid_recipe        faults found in a recipe, all at once
    │   ├── InvalidSql               invalid_sql           match SQL that does not parse or plan
    │   │   ├── ForbiddenSql         forbidden_sql         ... or more than reads the tables
    │   │   └── SidesNotIdentified   sides_not_identified  ... or cannot name a row of both sides
    │   ├── UnknownColumn            unknown_column
    │   ├── TypesNotComparable       types_not_comparable
    │   ├── InvalidFilter            invalid_filter
    │   ├── InvalidUri               invalid_uri
    │   ├── InvalidType              invalid_type          a `types` entry that names no type
    │   ├── InvalidFormat            invalid_format        a `format` that the source cannot have
    │   ├── InvalidSetting           invalid_setting
    │   ├── ConnectorMissing         connector_missing     no connector for this kind of source
    │   ├── SourceNotFound           source_not_found
    │   ├── SourceUnreadable         source_unreadable     the data is not what it should be
    │   ├── DuplicateKeys            duplicate_keys        a key that must be unique is not
    │   ├── TooManyPairs             too_many_pairs        a key matches far too often
    │   ├── OutputExists             output_exists
    │   ├── OutputInUse              output_in_use
    │   ├── OutputNotWritable        output_not_writable
    │   ├── NotShared                not_shared            executors do not see a folder
    │   ├── NotAllowed               not_allowed           a path or host outside what is allowed
    │   ├── Unauthenticated          unauthenticated       no token, or a wrong one
    │   ├── RequestRefused           invalid_request       not as the API describes it
    │   ├── RequestTooLarge          too_large             more bytes than a request may have
    │   ├── RowTooLarge              row_too_large         a row that no message of Flight holds
    │   ├── JobNotFound              job_not_found
    │   ├── EvidenceGone             evidence_gone         no longer there, or another run's
    │   ├── JobConflict              job_conflict          the run id belongs to another request
    │   ├── JobEnded                 job_ended             too late to cancel, or no evidence yet
    │   └── Cancelled                cancelled
    └── SystemFailure                Kalla or the machine failed
        ├── SourceUnavailable        source_unavailable    may answer later
        ├── SourceChanged            source_changed        changed while it was read
        ├── OutOfMemory              out_of_memory
        ├── OutOfDisk                out_of_disk
        ├── Crashed                  crashed               a child process died
        ├── DeadlineExceeded         deadline_exceeded
        ├── QueueFull                queue_full            too many jobs wait; later
        ├── ResultsBusy              results_busy          too many results are read; later
        ├── ShuttingDown             shutting_down         takes no new work
        ├── StoreUnavailable         store_unavailable     the job store does not answer
        ├── CoordinatorUnavailable   coordinator_unavailable
        ├── OutputUnavailable        output_unavailable    a bucket that evidence goes to
        ├── NoExecutors              no_executors          nobody to run a cluster job
        ├── ExecutorLost             executor_lost         gone with what it had in hand
        ├── FetchFailed              fetch_failed          a spool could not be fetched
        ├── EvidenceDamaged          evidence_damaged      a part is not what was reported
        ├── AccountingFailed         accounting_failed     rows in and rows out do not add up
        └── EngineFailure            engine_failure        the query engine failed in another way
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

_LONGEST_MESSAGE = 1 << 19


def shortened(text: str, most: int) -> str:
    """Return `text`, or its beginning and how long it is in all."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"


class KallaError(Exception):
    """Base of all; `str()` is one readable sentence or paragraph without secrets."""

    code: ClassVar[str] = "internal"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, **details: object) -> None:
        message = shortened(message, _LONGEST_MESSAGE)
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, object] = details


class UserError(KallaError):
    """The request or the data is wrong; the same again fails again."""


class SystemFailure(KallaError):
    """Kalla, the machine or a source failed; the request may be fine."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a recipe.

    Attributes:
        code: stable word, as in the tree above or of the recipe's own (`missing`, `empty`, ...).
        path: where in the document, as `sources.left.primary_key[0]`.
        message: a sentence that says what is wrong and, where it can, what would be right.
    """

    code: str
    path: str
    message: str
    details: Mapping[str, object] = field(default_factory=dict)


MOST_FAULTS = 100
"""Faults that one answer lists; whoever mends so many has reason to ask again."""

_LONGEST_PATH = 300
_LONGEST_FAULT = 4000


def _bounded(fault: Fault) -> Fault:
    details = {
        name: shortened(value, _LONGEST_FAULT) if isinstance(value, str) else value
        for name, value in fault.details.items()
    }
    path = shortened(fault.path, _LONGEST_PATH)
    return Fault(fault.code, path, shortened(fault.message, _LONGEST_FAULT), details)


class RecipeInvalid(UserError):
    """A recipe has faults; `faults` lists them, `MOST_FAULTS` at most, long texts cut."""

    code = "invalid_recipe"

    def __init__(self, faults: Sequence[Fault], subject: str = "recipe") -> None:
        told = [_bounded(fault) for fault in faults[:MOST_FAULTS]]
        lines = "\n".join(f"  {fault.path}: {fault.message}" for fault in told)
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        if len(told) < len(faults):
            lines += f"\n  … and {len(faults) - len(told)} more"
        super().__init__(f"The {subject} has {count}:\n{lines}")
        self.faults = tuple(told)
        self.subject = subject


class InvalidSql(UserError):
    """Match SQL that does not parse, plan or fit; `line` and `column` count from 1."""

    code = "invalid_sql"

    def __init__(
        self, message: str, *, line: int | None = None, column: int | None = None, **details: object
    ) -> None:
        super().__init__(message, **details)
        self.line = line
        self.column = column


class ForbiddenSql(InvalidSql):
    """Match SQL that would do more than read the job's own tables."""

    code = "forbidden_sql"


class SidesNotIdentified(InvalidSql):
    """Match SQL whose result rows do not name a row of both sides."""

    code = "sides_not_identified"


class UnknownColumn(UserError):
    """A column that is not there; the message names the nearest ones."""

    code = "unknown_column"


class TypesNotComparable(UserError):
    """Two values that cannot be compared without saying how."""

    code = "types_not_comparable"


class InvalidFilter(UserError):
    """A filter with a wrong column, operator or value."""

    code = "invalid_filter"


class InvalidUri(UserError):
    """A source URI that cannot be understood, or contradicts its type."""

    code = "invalid_uri"


class InvalidType(UserError):
    """A `types` entry of a recipe that names no type."""

    code = "invalid_type"


class InvalidFormat(UserError):
    """A `format` of a recipe that does not go with its source."""

    code = "invalid_format"


class InvalidSetting(UserError):
    """A flag, variable or option whose value makes no sense."""

    code = "invalid_setting"


class ConnectorMissing(UserError):
    """A kind of source that no installed connector reads."""

    code = "connector_missing"


class SourceNotFound(UserError):
    """A file, folder, table or object that does not exist."""

    code = "source_not_found"


class SourceUnreadable(UserError):
    """Data that is not what it should be; the message says which line and column."""

    code = "source_unreadable"


class DuplicateKeys(UserError):
    """A key that has to be unique, because rows are told apart by it, is not."""

    code = "duplicate_keys"


class TooManyPairs(UserError):
    """The match SQL makes more pairs than the run may have."""

    code = "too_many_pairs"


class OutputExists(UserError):
    """The output folder holds complete evidence of another run."""

    code = "output_exists"


class OutputInUse(UserError):
    """Another run is writing into the output folder."""

    code = "output_in_use"


class OutputNotWritable(UserError):
    """The output folder cannot be created or written."""

    code = "output_not_writable"


class NotShared(UserError):
    """A cluster job whose local sources or output not every executor sees."""

    code = "not_shared"


class NotAllowed(UserError):
    """A path, bucket or host outside what the settings allow this service to reach."""

    code = "not_allowed"


class Unauthenticated(UserError):
    """A request without a token, or with a wrong one."""

    code = "unauthenticated"


class RequestRefused(UserError):
    """A request that is not as the API describes it, in its address, method or form."""

    code = "invalid_request"


class RequestTooLarge(UserError):
    """A request with more bytes than a service takes."""

    code = "too_large"


class RowTooLarge(UserError):
    """A row of evidence that is more than a message of Flight may hold."""

    code = "row_too_large"


class JobNotFound(UserError):
    """No job of this run id."""

    code = "job_not_found"


class EvidenceGone(UserError):
    """Evidence of a job that is no longer where it was."""

    code = "evidence_gone"


class JobConflict(UserError):
    """A run id that another request has taken already."""

    code = "job_conflict"


class JobEnded(UserError):
    """What was asked for needs a job in another state than the one it is in."""

    code = "job_ended"


class Cancelled(UserError):
    """Somebody asked for the run to stop."""

    code = "cancelled"


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
