"""What is said of files of one source that do not all have its columns. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def missing_notes(columns: Sequence[Sequence[str]], paths: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence for each column that some files of a source do not have.

    Args:
        columns: the names in each file.
        paths: of the files, in the same order.
    """
    names = dict.fromkeys(name for held in columns for name in held)
    notes = []
    for name in names:
        lacking = [path for held, path in zip(columns, paths, strict=True) if name not in held]
        if lacking:
            others = f" and {len(lacking) - 1} more" if len(lacking) > 1 else ""
            notes.append(
                f"`{lacking[0]}`{others} of {len(paths)} files has no column `{name}`; it is NULL"
                " there."
            )
    return tuple(notes)
