"""Staged evidence put in its place as one step: readers see all of it, or all of what was there.

No file system renames four files at once. There are three ways around that, tried in this order:

1. The staged folder takes the place of the output folder: by rename(2) if that is missing or
   empty, by exchanging the two if it holds nothing but older evidence.
2. Links (the output holds other files too, is a mount point, ...): each final name becomes a
   symbolic link through `.kalla/current`, which leads to the old files, so nothing visible
   changes. Then `current` is turned to the new ones: that is the one step. Then the files
   themselves replace the links. Killed before the turn, a folder without older evidence may show
   links that lead nowhere: who opens them is told that there is no such file. Killed after it,
   the links lead to the new files. `recover` tidies up either.
3. In order (no symbolic links here): files are renamed one by one, metadata.json last, the old
   one removed first. **Not one step**: killed in between, the folder holds files without
   metadata.json until `recover` moves the others. It can: a journal says so, and all are there.

The caller holds the lock on the output. All functions raise `OSError`.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

from kalla_core.evidence.disk import sync_folder
from kalla_core.evidence.exchange import exchange
from kalla_core.evidence.lock import LOCK
from kalla_core.evidence.names import FINAL_NAMES, METADATA, SOMETIMES

INSIDE = ".kalla"
"""Folder in an output for what is under way there."""

CURRENT = "current"
"""Link in it that final names lead through while they are replaced."""

_NEXT, _OLD, _JOURNAL, _DOOMED = "next", "old", "journal", "doomed"


def publish(staged: Path, output: Path) -> None:
    """Put the files of `staged` in the place of the evidence in `output`, if there is any.

    Args:
        staged: folder with all of the evidence, durable, on the output's file system. What is
            under this name afterwards is older evidence, to be removed.
        output: folder; may be missing.
    """
    if not _replace_folder(staged, output):
        staged = _moved_inside(staged, output)
        if _links_work(staged.parent, output):
            by_links(staged, output)
        else:
            in_order(staged, output)
    sync_folder(output)
    sync_folder(output.parent)


def by_links(staged: Path, output: Path) -> None:
    """Let all names lead to the staged files at once, then replace the links by the files.

    Args:
        staged: folder within `output/.kalla`.
        output: as it is.
    """
    inside = staged.parent
    (inside / _OLD).mkdir()
    _turn(inside, _OLD)
    for name in FINAL_NAMES:
        _lead_through(inside, output, name)
    sync_folder(output)
    _turn(inside, staged.name)
    sync_folder(inside)
    recover(output)


def in_order(staged: Path, output: Path) -> None:
    """Rename one file after the other, metadata.json last.

    Args:
        staged: folder within `output/.kalla`.
        output: as it is.
    """
    inside = staged.parent
    (inside / _NEXT).write_text(staged.name)
    os.replace(inside / _NEXT, inside / _JOURNAL)
    sync_folder(inside)
    recover(output)


def recover(output: Path) -> None:
    """Finish or undo what was begun in an output, and clear `.kalla` but for a lock."""
    inside = output / INSIDE
    current = inside / CURRENT
    if (inside / _JOURNAL).exists():
        _move_in_order(inside, output)
    elif current.is_symlink():
        _settle(inside / os.readlink(current), output)
        sync_folder(output)
        current.unlink()
    if inside.exists():
        clear(inside)


def clear(folder: Path) -> None:
    """Empty a working folder but for its lock; without a lock in it, remove it too.

    Folders are renamed before they are emptied: a child that outlived its run for a moment no
    longer finds its own, instead of filling it while it is removed.
    """
    doomed = folder / _DOOMED
    _remove(doomed)
    for entry in list(folder.iterdir()):
        if _is_folder(entry):
            _remove(entry.rename(doomed))
        elif entry.name != LOCK:
            entry.unlink()
    if not (folder / LOCK).exists():
        folder.rmdir()


def _replace_folder(staged: Path, output: Path) -> bool:
    if output in staged.parents:
        return False
    try:
        if output.exists() and not _may_be_replaced(output, staged):
            return False
        os.rename(staged, output)
    except OSError as error:
        not_empty = error.errno in (errno.ENOTEMPTY, errno.EEXIST)
        return not_empty and _exchange_folders(staged, output)
    return True


def _may_be_replaced(output: Path, staged: Path) -> bool:
    """Whether nobody could tell the staged folder from the one that is there."""
    if output.samefile(Path.cwd()):
        return False  # whoever started this here would be left in a folder that is gone
    here, there = output.stat(), staged.stat()
    staged.chmod(stat.S_IMODE(here.st_mode))
    alike = (here.st_uid, here.st_gid) == (there.st_uid, there.st_gid)
    return alike and _attributes(output) == _attributes(staged)


def _attributes(folder: Path) -> dict[str, bytes]:
    if not hasattr(os, "listxattr"):
        return {}
    return {name: os.getxattr(folder, name) for name in os.listxattr(folder)}


def _exchange_folders(staged: Path, output: Path) -> bool:
    if not _only_evidence(output):
        return False
    try:
        exchange(staged, output)
    except OSError:
        return False
    for entry in list(staged.iterdir()):
        if entry.name not in FINAL_NAMES:  # somebody put it there a moment ago
            os.replace(entry, output / entry.name)
    return True


def _only_evidence(folder: Path) -> bool:
    return set(os.listdir(folder)) <= set(FINAL_NAMES)


def _moved_inside(staged: Path, output: Path) -> Path:
    inside = output / INSIDE
    if staged.parent == inside:
        return staged
    inside.mkdir(exist_ok=True)
    return staged.rename(inside / staged.name)


def _links_work(inside: Path, output: Path) -> bool:
    """Whether symbolic links can be made, and folders exchanged with them if there are any."""
    probe, folder = inside / "probe", inside / "probe.d"
    try:
        probe.symlink_to(folder.name)
        if any(_is_folder(output / name) for name in FINAL_NAMES):
            folder.mkdir()
            exchange(probe, folder)
    except OSError:
        return False
    finally:
        for left in (probe, folder):
            _remove(left)
    return True


def _turn(inside: Path, target: str) -> None:
    (inside / _NEXT).symlink_to(target)
    os.replace(inside / _NEXT, inside / CURRENT)


def _lead_through(inside: Path, output: Path, name: str) -> None:
    """Let a final name be a link through `current`, which leads to what it was until now."""
    final, kept = output / name, inside / _OLD / name
    target = f"{INSIDE}/{CURRENT}/{name}"
    if _is_folder(final):
        kept.symlink_to(target)
        exchange(final, kept)
    elif os.path.lexists(final):
        os.link(final, kept, follow_symlinks=False)
        (inside / _NEXT).symlink_to(target)
        os.replace(inside / _NEXT, final)
    else:
        final.symlink_to(target)


def _settle(folder: Path, output: Path) -> None:
    """Replace each link through `current` by what lies in the folder it leads to."""
    for name in FINAL_NAMES:
        final, kept = output / name, folder / name
        if not _leads_through(final):
            continue
        if _is_folder(kept):
            exchange(kept, final)
        elif os.path.lexists(kept):
            os.replace(kept, final)
        else:
            final.unlink()


def _leads_through(final: Path) -> bool:
    return final.is_symlink() and os.readlink(final).startswith(f"{INSIDE}/{CURRENT}/")


def _move_in_order(inside: Path, output: Path) -> None:
    staged = inside / (inside / _JOURNAL).read_text()
    if (staged / METADATA).exists():
        _remove(output / METADATA)
    if (staged / FINAL_NAMES[0]).exists():  # nothing has been moved yet
        for name in SOMETIMES:
            _remove(output / name)
    for name in FINAL_NAMES:
        if os.path.lexists(staged / name):
            _remove(output / name)
            os.replace(staged / name, output / name)
            sync_folder(output)
    (inside / _JOURNAL).unlink()


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _remove(path: Path) -> None:
    """Remove a file, a link or a folder with all in it; a path that is not there is fine."""
    if _is_folder(path):
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
