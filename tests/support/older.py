"""Kalla as it was: the code of an older commit, run with the packages of today."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tomllib
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PROTOCOL = "libs/kalla_core/fragments/presence.py"


def since_protocol() -> str:
    """Return the oldest commit whose executors speak the protocol of today; its parent's do not.

    Skips the test where the history is not there, as in a shallow clone or an sdist.
    """
    try:
        shallow = _git("rev-parse", "--is-shallow-repository").decode().strip()
        changed = _git("log", "--format=%H", "-G^PROTOCOL = ", "--", _PROTOCOL).decode().split()
    except (OSError, subprocess.CalledProcessError):
        shallow, changed = "none", []
    if shallow != "false" or not changed:
        pytest.skip("the history of the repository is not here, and with it no older executor")
    return changed[0]


def code_of(commit: str, folder: Path) -> dict[str, str]:
    """Lay the code of a commit down; return the variables with which `kallad` is that one."""
    packed = _git("archive", commit, "libs", "services", "pyproject.toml")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    _install(folder / "libs", tomllib.loads((folder / "pyproject.toml").read_text("utf-8")))
    roots = [folder / "libs", *sorted((folder / "services").iterdir())]
    return {"PYTHONPATH": os.pathsep.join(map(str, roots))}


def _install(folder: Path, described: dict[str, dict[str, object]]) -> None:
    """Write what an installation would say: which commands there are, and whose."""
    project = described["project"]
    written = folder / f"{project['name']}-{project['version']}.dist-info"
    written.mkdir()
    (written / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = project["entry-points"]
    assert isinstance(groups, dict)
    (written / "entry_points.txt").write_text(
        "".join(
            f"[{group}]\n" + "".join(f"{name} = {place}\n" for name, place in entries.items())
            for group, entries in groups.items()
        )
    )


def _git(*arguments: str) -> bytes:
    return subprocess.run(
        ["git", *arguments], cwd=_ROOT, capture_output=True, timeout=60, check=True
    ).stdout
