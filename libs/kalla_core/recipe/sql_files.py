"""Match SQL that lies in files of its own, with an editor: `match_sql_file`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kalla_core.errors import Fault
from kalla_core.recipe.fields import MAX_SQL
from kalla_core.recipe.paths import Location, path_text

_FIELD = "match_sql_file"


def with_files(document: object, base: Path) -> tuple[object, list[Fault]]:
    """Return a recipe's document with the SQL that it names files of, and what is wrong with them.

    Args:
        document: a raw document; it stays as it is.
        base: the folder that relative paths start from.
    """
    if not isinstance(document, Mapping):
        return document, []
    faults: list[Fault] = []
    whole = _with_file(document, base, (), faults)
    passes = whole.get("passes")
    if isinstance(passes, list):
        whole["passes"] = [
            _with_file(one, base, ("passes", index), faults) if isinstance(one, Mapping) else one
            for index, one in enumerate(passes)
        ]
    return whole, faults


def _with_file(
    document: Mapping[str, Any], base: Path, place: Location, faults: list[Fault]
) -> dict[str, Any]:
    told = dict(document)
    name = told.get(_FIELD)
    if not isinstance(name, str) or not name.strip() or told.get("match_sql") is not None:
        return told
    text, wrong = _read(base / name)
    if wrong:
        faults.append(Fault("invalid_file", path_text((*place, _FIELD)), wrong))
    del told[_FIELD]
    # Something has to stand there for what else is wrong to be found.
    told["match_sql"] = text or "SELECT"
    return told


def _read(path: Path) -> tuple[str, str | None]:
    try:
        if path.stat().st_size > MAX_SQL * 4:
            return "", f"{path} is larger than any match SQL may be."
        return path.read_text("utf-8-sig"), None
    except FileNotFoundError:
        return "", f"There is no file {path}."
    except UnicodeDecodeError as error:
        return "", f"{path} is not text in UTF-8: byte {error.start + 1}."
    except (OSError, ValueError) as error:
        return "", f"{path} cannot be read: {error}."
