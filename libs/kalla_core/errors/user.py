"""The request or the data is wrong: errors that the same again brings again."""

from __future__ import annotations

from kalla_core.errors.base import UserError


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


class CardinalityViolated(UserError):
    """A row of a pass that takes all its candidates has more partners than it may."""

    code = "cardinality_violated"


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


class RowNotFound(UserError):
    """A key that no row of the evidence has; the message names one that is spelled like it."""

    code = "row_not_found"


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
