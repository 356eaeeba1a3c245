"""What somebody may have meant who wrote a name that is not there."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

_SHOWN = 12


def nearest(name: str, known: Iterable[str], count: int = 3) -> tuple[str, ...]:
    """Return the known names most like `name`, best first; case does not matter."""
    by_folded: dict[str, list[str]] = {}
    for candidate in known:
        by_folded.setdefault(candidate.casefold(), []).append(candidate)
    close = get_close_matches(name.casefold(), by_folded, n=count, cutoff=0.6)
    return tuple(original for folded in close for original in by_folded[folded])[:count]


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the end of a sentence: `; did you mean "amount"?`, else the names there are."""
    names = tuple(known)
    close = nearest(name, names)
    if close:
        return "; did you mean " + " or ".join(f'"{one}"' for one in close) + "?"
    if not names:
        return "; there are none."
    shown = ", ".join(names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"; there are {shown}{more}."
