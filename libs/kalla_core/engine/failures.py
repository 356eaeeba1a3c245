"""What DataFusion says when a query fails, as Kalla's errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kalla_core.errors import EngineFailure, InvalidSql, KallaError, OutOfDisk, OutOfMemory


class FailedOnValue(InvalidSql):
    """The match SQL fails on some value of the data.

    Attributes:
        reason: what DataFusion says of it.
    """

    def __init__(self, message: str, reason: str, **details: Any) -> None:
        super().__init__(message, **details)
        self.reason = reason


_CONSUMER = re.compile(r"Failed to allocate additional .*? for (\w+)")
_DATA_FAULTS = ("Cast error", "Divide by zero", "Arithmetic overflow", "Overflow", "Parser error",
                "Invalid argument", "Compute error", "Execution error")  # fmt: skip
_NOT_IMPLEMENTED = re.compile(
    r"(?:feature is not implemented: "
    r"|Internal error: (?=[^\n]*(?:not implemented|Unsupported data type)))([^\n]*)"
)
_RAISED = re.compile(r"PyErr \{ type: .*?, value: \w+\((['\"])(.*?)\1\).*")
"""What a function of Kalla's raised."""
_NO_PART = re.compile(r"Date part '(.*?)' not supported")
_NO_SPACE = ("No space left on device", "File too large", "Disk quota exceeded")

_REMEDY_OF_SORTS = "select fewer columns and join fewer tables in the match SQL"
_REMEDIES = {"ExternalSorter": _REMEDY_OF_SORTS, "ExternalSorterMerge": _REMEDY_OF_SORTS}
_ANY_REMEDY = "give the match SQL an equality key"


@contextmanager
def query_errors() -> Iterator[None]:
    """Turn what DataFusion raises while it plans or runs a query into `KallaError`."""
    try:
        yield
    except KallaError:
        raise
    except Exception as error:
        if not _from_engine(error):
            raise
        raise _named(str(error)) from error
    except BaseException as error:  # a panic is no Exception
        if type(error).__name__ != "PanicException":
            raise
        raise _not_run(str(error).strip().splitlines()[0]) from error


def _from_engine(error: Exception) -> bool:
    """DataFusion raises plain `Exception`, and pyarrow passes some on as its own."""
    return type(error) is Exception or "DataFusion" in str(error) or "External error" in str(error)


def _named(text: str) -> KallaError:
    first = _readable(text)
    if "Resources exhausted" in text:
        operator = _CONSUMER.search(text)
        name = operator.group(1) if operator else "a query operator"
        return OutOfMemory(
            f"The memory limit does not suffice: {name} needs more than its share. "
            f"Raise --memory-limit, or {_REMEDIES.get(name, _ANY_REMEDY)}.",
            operator=name,
        )
    if any(words in text for words in _NO_SPACE):
        return OutOfDisk(f"No space left for what the query spills to disk ({first}).")
    if part := _NO_PART.search(text):
        return InvalidSql(
            f"date_part and extract know no part '{part[1]}' of a moment; they know year, quarter, "
            "month, week, day, hour, minute, second, dow, doy and epoch."
        )
    if any(words in text for words in _DATA_FAULTS):
        return FailedOnValue(f"The match SQL failed on a value: {first}", reason=first)
    missing = _NOT_IMPLEMENTED.search(text)
    if missing:
        return _not_run(missing.group(1))
    return EngineFailure(f"The query engine failed: {first}")


def _not_run(what: str) -> InvalidSql:
    """Return the refusal of SQL that has a plan but that the query engine has no way to run."""
    return InvalidSql(
        f"The query engine cannot run this match SQL: {what}. Write it without the function, "
        "DISTINCT or ORDER BY that this is about."
    )


def _readable(text: str) -> str:
    """Drop the wrapping of nested errors and everything after the first line."""
    line = text.strip().splitlines()[-1] if "caused by" in text else text.strip().splitlines()[0]
    line = _RAISED.sub(r"\2", line)
    return re.sub(r"^(?:(?:DataFusion|Arrow|External|Execution) error: )+", "", line)
