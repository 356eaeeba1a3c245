"""Who may read what lies on the disk."""

from __future__ import annotations

import stat
from pathlib import Path


def modes_below(folder: Path) -> tuple[frozenset[int], frozenset[int]]:
    """Return the modes of the files below a folder, and of the folders with itself."""
    found = [folder, *folder.rglob("*")]
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in found}
    return (
        frozenset(mode for path, mode in modes.items() if path.is_file()),
        frozenset(mode for path, mode in modes.items() if path.is_dir()),
    )
