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
    │   ├── CardinalityViolated      cardinality_violated  a row has more partners than it may
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
    │   ├── RowNotFound              row_not_found         a key that no row of the evidence has
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

from kalla_core.errors.base import (
    KallaError,
    SystemFailure,
    UserError,
    shortened,
)
from kalla_core.errors.recipe import (
    MOST_FAULTS,
    Fault,
    RecipeInvalid,
)
from kalla_core.errors.system import (
    AccountingFailed,
    CoordinatorUnavailable,
    Crashed,
    DeadlineExceeded,
    EngineFailure,
    EvidenceDamaged,
    ExecutorLost,
    FetchFailed,
    NoExecutors,
    OutOfDisk,
    OutOfMemory,
    OutputUnavailable,
    QueueFull,
    ResultsBusy,
    ShuttingDown,
    SourceChanged,
    SourceUnavailable,
    StoreUnavailable,
)
from kalla_core.errors.user import (
    Cancelled,
    CardinalityViolated,
    ConnectorMissing,
    DuplicateKeys,
    EvidenceGone,
    ForbiddenSql,
    InvalidFilter,
    InvalidFormat,
    InvalidSetting,
    InvalidSql,
    InvalidType,
    InvalidUri,
    JobConflict,
    JobEnded,
    JobNotFound,
    NotAllowed,
    NotShared,
    OutputExists,
    OutputInUse,
    OutputNotWritable,
    RequestRefused,
    RequestTooLarge,
    RowNotFound,
    RowTooLarge,
    SidesNotIdentified,
    SourceNotFound,
    SourceUnreadable,
    TooManyPairs,
    TypesNotComparable,
    Unauthenticated,
    UnknownColumn,
)

__all__ = [
    "MOST_FAULTS",
    "AccountingFailed",
    "Cancelled",
    "CardinalityViolated",
    "ConnectorMissing",
    "CoordinatorUnavailable",
    "Crashed",
    "DeadlineExceeded",
    "DuplicateKeys",
    "EngineFailure",
    "EvidenceDamaged",
    "EvidenceGone",
    "ExecutorLost",
    "Fault",
    "FetchFailed",
    "ForbiddenSql",
    "InvalidFilter",
    "InvalidFormat",
    "InvalidSetting",
    "InvalidSql",
    "InvalidType",
    "InvalidUri",
    "JobConflict",
    "JobEnded",
    "JobNotFound",
    "KallaError",
    "NoExecutors",
    "NotAllowed",
    "NotShared",
    "OutOfDisk",
    "OutOfMemory",
    "OutputExists",
    "OutputInUse",
    "OutputNotWritable",
    "OutputUnavailable",
    "QueueFull",
    "RecipeInvalid",
    "RequestRefused",
    "RequestTooLarge",
    "ResultsBusy",
    "RowNotFound",
    "RowTooLarge",
    "ShuttingDown",
    "SidesNotIdentified",
    "SourceChanged",
    "SourceNotFound",
    "SourceUnavailable",
    "SourceUnreadable",
    "StoreUnavailable",
    "SystemFailure",
    "TooManyPairs",
    "TypesNotComparable",
    "Unauthenticated",
    "UnknownColumn",
    "UserError",
    "shortened",
]
