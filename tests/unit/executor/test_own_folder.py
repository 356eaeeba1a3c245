"""The folder for spools in a temporary folder that everybody shares is the executor's alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kalla_core.errors import InvalidSetting
from kalla_executor.app import own_temporary_folder


def test_nobody_else_may_look_into_it_even_if_it_was_there(tmp_path: Path) -> None:
    made = own_temporary_folder(tmp_path, os.getuid())
    first = made.stat().st_mode & 0o777
    made.chmod(0o755)

    again = own_temporary_folder(tmp_path, os.getuid())

    assert again == made
    assert (first, again.stat().st_mode & 0o777) == (0o700, 0o700)


def test_one_that_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    made = own_temporary_folder(tmp_path, os.getuid())
    made.rmdir()
    (tmp_path / "elsewhere").mkdir()
    made.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(InvalidSetting, match="--spool-path"):
        own_temporary_folder(tmp_path, os.getuid())


def test_one_of_somebody_else_is_refused(tmp_path: Path) -> None:
    somebody = os.getuid() + 1
    (tmp_path / f"kalla-{somebody}").mkdir()

    with pytest.raises(InvalidSetting, match="somebody else"):
        own_temporary_folder(tmp_path, somebody)
