"""The embedded server: there for a block, and gone with whoever started it."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from contextlib import suppress
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from kalla_core.cli.demo_data import write_demo
from kalla_core.cli.demo_postgres import show_postgres
from kalla_core.cli.embedded_postgres import (
    PACKAGE,
    ServerDidNotStart,
    binaries,
    embedded_server,
    is_installed,
)
from kalla_core.recipe.parse import load_recipe
from kalla_core.settings import load_settings
from tests.support.processes import has_ended


def test_a_server_is_gone_when_its_block_ends_however_it_ends() -> None:
    with suppress(KeyboardInterrupt), embedded_server() as server:
        pid, folder = server.pid, server.socket
        assert not has_ended(pid)
        raise KeyboardInterrupt

    assert has_ended(pid)
    assert not folder.exists()


def test_a_server_that_does_not_start_says_why_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = Path(tempfile.mkdtemp(prefix="pg-"))
    folder.chmod(0o755)  # the server runs as nobody where root runs the tests
    monkeypatch.setattr("tempfile.tempdir", str(folder))

    with (
        pytest.raises(ServerDidNotStart, match="invalid value for parameter"),
        embedded_server({"work_mem": "much"}),
    ):
        pass

    assert list(folder.iterdir()) == []
    folder.rmdir()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's server runs as somebody else")
def test_programs_that_only_root_reaches_are_brought_to_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = binaries().parents[1]
    for one in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(one, tmp_path / one.name)
    tmp_path.chmod(0o700)
    private = tmp_path / binaries().relative_to(package.parent)
    monkeypatch.setattr("kalla_core.cli.embedded_postgres.binaries", lambda: private)
    mask = os.umask(0o077)

    try:
        with embedded_server() as server:
            assert not has_ended(server.pid)
            brought = server.socket / "programs"
            owners = {path.lstat().st_uid for path in (brought, *brought.rglob("*"))}
            assert owners == {server.socket.stat().st_uid}  # who watches over it removes them
    finally:
        os.umask(mask)

    assert not server.socket.exists()


def test_without_the_package_the_demo_says_what_brings_a_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, PACKAGE, None)
    recipe = load_recipe(write_demo(tmp_path, invoices=10).recipe)
    said = StringIO()

    show_postgres(Console(file=said), recipe, load_settings(), tmp_path, tmp_path / "evidence")

    assert not is_installed()
    assert "pip install kalla[demo]" in " ".join(said.getvalue().split())
    assert not (tmp_path / "evidence-postgres").exists()
