"""A file that a command writes: whole, or as it was before."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from kalla_core.errors import InvalidSetting
from kalla_core.evidence.disk import disk_errors
from kalla_core.s3.location import is_s3


def write_file(path: Path, pieces: Iterable[bytes]) -> None:
    """Write a file beside `path`, and put it there once it is whole.

    Raises:
        OutOfDisk, OutputNotWritable: it cannot be written; nothing was changed.
    """
    with disk_errors(path):
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name[:80]}.", dir=path.parent)
        beside = Path(name)
    try:
        with disk_errors(path), os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o666 & ~_umask())
            for piece in pieces:
                file.write(piece)
        with disk_errors(path):
            beside.replace(path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def refuse_evidence(path: Path | None, out: str) -> None:
    """Refuse to write a file into evidence, of which every file is accounted for.

    Raises:
        InvalidSetting: `path` lies below the folder `out`.
    """
    if path is None or is_s3(out):
        return
    folder = Path(out).resolve()
    if path.resolve().is_relative_to(folder):
        raise InvalidSetting(
            f"{path} lies in the evidence {out}, which stays as the run left it; write elsewhere.",
            settings=["--output"],
        )


def report_files(paths: Sequence[Path]) -> tuple[Path | None, Path | None]:
    """Return the page and the workbook among the files that `--report` names, by their endings.

    Raises:
        InvalidSetting: a file is neither, or there are two of a kind.
    """
    html = [path for path in paths if path.suffix.lower() in (".html", ".htm")]
    xlsx = [path for path in paths if path.suffix.lower() == ".xlsx"]
    if len(html) + len(xlsx) != len(paths) or max(len(html), len(xlsx)) > 1:
        raise InvalidSetting(
            "--report takes a file that ends in .html, one that ends in .xlsx, or one of each.",
            settings=["--report"],
        )
    return next(iter(html), None), next(iter(xlsx), None)


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
