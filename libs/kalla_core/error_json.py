"""Errors as JSON, one place each way: between processes of one run, and in answers of the API.

Between a process and its child an error keeps every attribute. An answer is for everybody: a code,
a sentence and a list of details. For a recipe with faults the details are the faults; for any other
error there is at most one, an object with what the error carries. Either way the error arrives as
the class it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kalla_core.errors import (
    EngineFailure,
    Fault,
    InvalidSql,
    KallaError,
    QueueFull,
    RecipeInvalid,
    RequestRefused,
)

Json = dict[str, Any]


def error_json(error: KallaError) -> Json:
    """Return an error as JSON."""
    described: Json = {
        "code": error.code,
        "message": error.message,
        "details": _plain(error.details),
    }
    if isinstance(error, InvalidSql):
        described |= {"line": error.line, "column": error.column}
    if isinstance(error, RecipeInvalid):
        described["subject"] = error.subject
        described["faults"] = [fault_json(fault) for fault in error.faults]
    return described


def error(document: Mapping[str, Any]) -> KallaError:
    """Return the error that `error_json` described; a `traceback` beside it becomes a note."""
    made = _made(document)
    if "traceback" in document:
        made.add_note(document["traceback"])
    return made


def fault_json(fault: Fault) -> Json:
    """Return one fault of a recipe as JSON."""
    return {
        "code": fault.code,
        "path": fault.path,
        "message": fault.message,
        "details": _plain(fault.details),
    }


def fault_of(document: Mapping[str, Any]) -> Fault:
    """Return the fault that `fault_json` described, whatever else a stranger put into it."""
    details = document.get("details")
    return Fault(
        code=str(document.get("code")),
        path=str(document.get("path")),
        message=str(document.get("message")),
        details=details if isinstance(details, Mapping) else {},
    )


def answer(error: KallaError) -> Json:
    """Return an error as answers of the API have it: `code`, `message` and a list of `details`."""
    if isinstance(error, RecipeInvalid):
        details = [fault_json(fault) for fault in error.faults]
    else:
        carried = dict(_plain(error.details))
        if isinstance(error, InvalidSql) and error.line is not None:
            carried |= {"line": error.line, "column": error.column}
        details = [carried] if carried else []
    return {"code": error.code, "message": error.message, "details": details}


def error_from_answer(document: Mapping[str, Any]) -> KallaError:
    """Return the error that an answer describes, whatever else a stranger put into it.

    A code that this version does not know is a `RequestRefused` that names it.
    """
    code, message = str(document.get("code")), str(document.get("message") or "No reason given.")
    listed = document["details"] if _is_list(document.get("details")) else ()
    details = [one for one in listed if isinstance(one, Mapping)]
    kind = _KINDS.get(code)
    if kind is None:
        return RequestRefused(message, code=code)
    if issubclass(kind, RecipeInvalid):
        made: KallaError = kind([fault_of(one) for one in details])
        made.message = message
        made.args = (message,)
        return made
    carried = dict(details[0]) if details else {}
    if issubclass(kind, InvalidSql):
        position = {name: _whole(carried.pop(name, None)) for name in ("line", "column")}
        made = kind(message, **position)
    elif issubclass(kind, QueueFull):
        made = kind(message, retry_after_s=_whole(carried.get("retry_after_s")) or 1)
    else:
        made = kind(message)
    made.details = carried
    return made


def _made(document: Mapping[str, Any]) -> KallaError:
    kind = _KINDS.get(document["code"], EngineFailure)
    if issubclass(kind, RecipeInvalid):
        return kind([Fault(**fault) for fault in document["faults"]], document["subject"])
    if issubclass(kind, InvalidSql):
        position = {"line": document["line"], "column": document["column"]}
        return kind(document["message"], **position, **document["details"])
    return kind(document["message"], **document["details"])


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _kinds(kind: type[KallaError]) -> Iterator[type[KallaError]]:
    yield kind
    for narrower in kind.__subclasses__():
        yield from _kinds(narrower)


_KINDS = {kind.code: kind for kind in _kinds(KallaError) if "code" in vars(kind)}


def _plain(value: object) -> Any:
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    return str(value)
