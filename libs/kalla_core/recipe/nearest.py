"""What somebody may have meant who wrote a name that is not there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MOST_SUGGESTED = 20
"""Names of one document that are looked up, which takes time; there may be thousands."""

_LONGEST = 128
_HOW_MANY = 3
_SHOWN = 12


def nearest(name: str, names: Iterable[str]) -> tuple[str, ...]:
    """Return up to three of `names` that are spelled most like `name`, best first, any case.

    None for a name that is longer than names are: what that takes grows with its square.
    """
    if len(name) > _LONGEST:
        return ()
    by_fold: dict[str, list[str]] = {}
    for candidate in names:
        by_fold.setdefault(candidate.casefold(), []).append(candidate)
    from difflib import get_close_matches  # only faults ask for it

    folds = get_close_matches(name.casefold(), by_fold, n=_HOW_MANY, cutoff=0.5)
    return tuple(candidate for fold in folds for candidate in by_fold[fold])[:_HOW_MANY]


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return a sentence that leads from `name` to what is there: the nearest, else all names."""
    there = tuple(names)
    close = nearest(name, there)
    if close:
        return f"Did you mean {listed(close)}?"
    if not there:
        return "There are none."
    more = f" and {len(there) - _SHOWN} more" if len(there) > _SHOWN else ""
    return f"There are {', '.join(f'`{one}`' for one in there[:_SHOWN])}{more}."


def listed(names: Sequence[str]) -> str:
    """Return names for a sentence: `a`, `b` or `c`."""
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
