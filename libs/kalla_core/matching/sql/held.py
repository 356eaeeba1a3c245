"""What in a match SQL holds many rows at once, whatever the way of the run."""

from __future__ import annotations

from kalla_core.errors import InvalidSql, OutOfMemory
from kalla_core.matching.sql.lexer import tokenize
from kalla_core.matching.sql.sites import call_sites


def windows_in(sql: str) -> tuple[str, ...]:
    """Return the window functions of a statement as they are written; none if it is not read."""
    try:
        tokens = tokenize(sql)
    except InvalidSql:
        return ()
    found = []
    for site in call_sites(tokens):
        over = any(token.word("over") for token in tokens[site.close + 1 : site.end])
        if over and not site.name.word("filter"):
            text = sql[site.name.start : tokens[site.end - 1].end]
            found.append(" ".join(text.split()))
    return tuple(dict.fromkeys(found))


def with_windows(error: OutOfMemory, sql: str) -> OutOfMemory:
    """Return the error of a run that has windows, with what they may have held and what to do."""
    windows = windows_in(sql)
    if not windows:
        return error
    named = " and ".join(windows)
    verb = "holds" if len(windows) == 1 else "hold"
    hint = (
        f" {named} {verb} all rows of a partition at once, which are all pairs of a key where the "
        "sides are joined below: compute it in a sub-query over one side before the join, or make "
        "the partitions and the join narrower."
    )
    return OutOfMemory(error.message + hint, **error.details)
