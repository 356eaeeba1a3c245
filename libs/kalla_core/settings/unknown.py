"""Variables of the environment that look like settings of ours and are none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches

from kalla_core.settings.declare import Declared, variables_of

_PREFIX = "KALLA_"


def unknown_variables(
    kinds: Iterable[type[Declared]], environ: Mapping[str, str]
) -> dict[str, str | None]:
    """Return each variable that no kind of settings knows, and the nearest one that there is."""
    known = {variable for kind in kinds for variable in variables_of(kind)}
    # Without the prefix, which all have alike and which would make any two of them near.
    ours = sorted(name.removeprefix(_PREFIX) for name in known if name.startswith(_PREFIX))
    found = [name for name in sorted(environ) if name.startswith(_PREFIX) and name not in known]
    close = {name: get_close_matches(name.removeprefix(_PREFIX), ours, n=1) for name in found}
    return {name: f"{_PREFIX}{near[0]}" if near else None for name, near in close.items()}
