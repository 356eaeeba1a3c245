"""A file as a path that a database opens."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from kalla_core.errors import InvalidFormat, SourceUnreadable
from kalla_core.recipe.nearest import suggestion
from kalla_core.sources.formats import FileSource
from kalla_core.sources.local import LocalStore

_COPIED_BYTES = 1 << 20


@contextmanager
def opened_path(source: FileSource, index: int, beside: Sequence[str]) -> Iterator[str]:
    """Yield where a file lies on this machine: itself, or a copy of what lies elsewhere.

    Args:
        source: its files; that it may be read, and is as it was pinned, is checked.
        index: which of them.
        beside: endings of files next to it that hold changes which are not in it.

    Raises:
        SourceUnreadable: there is such a file.
    """
    path = source.files[index].path
    with source.open(index) as raw:
        if not isinstance(source.store, LocalStore):
            with tempfile.TemporaryDirectory(prefix="kalla-") as folder:
                copy = Path(folder) / "copy"
                with copy.open("wb") as out:
                    shutil.copyfileobj(raw, out, _COPIED_BYTES)
                yield str(copy)
            return
    for ending in beside:
        if os.path.exists(path + ending) and os.path.getsize(path + ending):
            raise SourceUnreadable(
                f"`{path}` has changes in `{path + ending}` that are not in it yet: a program"
                " has it open, or ended within a change. Close it there, or give a copy that the"
                " database itself makes.",
                file=path,
            )
    yield path
    source.check_unchanged(index)


def chosen_table(path: str, names: Sequence[str], wanted: str | None) -> str:
    """Return which table is read: the one that is wanted, or the only one.

    Raises:
        InvalidFormat: there is none such, or nobody said which one.
        SourceUnreadable: there is none at all.
    """
    if wanted is not None:
        if wanted in names:
            return wanted
        hint = suggestion(wanted, names) if names else "It has none."
        raise InvalidFormat(f"`{path}` has no table `{wanted}`. {hint}", field="table")
    if len(names) == 1:
        return names[0]
    if not names:
        raise SourceUnreadable(f"`{path}` has no table and no view.", file=path)
    shown = ", ".join(f"`{name}`" for name in names[:10])
    raise InvalidFormat(
        f"`{path}` has {len(names)} tables and views: {shown}; say which one is"
        " read by `?table=NAME`, or by `table` in the source's `format`.",
        field="table",
    )


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
