"""Which files of this machine a source may be, whatever name they are called by."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from kalla_core.errors import InvalidUri, KallaError, NotAllowed, SourceChanged, SourceUnreadable
from kalla_core.sources.doors import check_reachable, open_reachable
from kalla_core.sources.local import LocalStore
from kalla_core.sources.postgres.uri import parse_postgres_uri
from kalla_core.sources.protocol import SourceAccess

TEXT = "id,word\n1,secret\n"


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(TEXT)
    return path


@pytest.fixture
def access(tmp_path: Path) -> SourceAccess:
    """Runs of two, of which one is opened; and a file of the service's own."""
    for run in ("mine", "other"):
        write(tmp_path / "runs" / run / "matched.csv")
    return SourceAccess(
        closed=(tmp_path / "runs",),
        opened=(tmp_path / "runs" / "mine",),
        secrets=(write(tmp_path / "own" / "jobs.sqlite"), tmp_path / "not-there"),
    )


def test_a_path_below_an_allowed_root_may_be_read(tmp_path: Path) -> None:
    bound = SourceAccess(allowed_roots=(Path("/nowhere"), tmp_path))

    assert check_reachable(tmp_path / "in.csv", bound) == tmp_path / "in.csv"
    assert check_reachable(Path("/etc/passwd"), SourceAccess()) == Path("/etc/passwd")


def test_a_link_that_leads_out_of_the_allowed_roots_may_not(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    root.mkdir()
    outside.mkdir()
    (root / "link").symlink_to(outside)

    for path in (root / "link" / "in.csv", root / ".." / "outside", outside):
        with pytest.raises(InvalidUri, match="outside the folders"):
            check_reachable(path, SourceAccess(allowed_roots=(root,)))


def test_only_opened_folders_of_closed_ones_are_read(tmp_path: Path, access: SourceAccess) -> None:
    store = LocalStore(access)

    (mine,) = store.list(str(tmp_path / "runs" / "mine"))

    assert store.open(mine).read() == TEXT.encode()
    for path in ("runs/other", "runs/other/matched.csv", "runs/mine/../other", "runs/none", "runs"):
        with pytest.raises(NotAllowed, match="no source"):
            store.list(str(tmp_path / path))


def _symlink(target: Path, name: Path) -> None:
    name.symlink_to(target)


def _hard_link(target: Path, name: Path) -> None:
    name.hardlink_to(target)


@pytest.mark.parametrize("link", [_symlink, _hard_link])
@pytest.mark.parametrize("target", ["own/jobs.sqlite", "runs/other/matched.csv"])
def test_what_is_not_read_is_not_read_by_another_name(
    link: Callable[[Path, Path], None], target: str, tmp_path: Path, access: SourceAccess
) -> None:
    write(tmp_path / "in" / "a.csv")
    link(tmp_path / target, tmp_path / "in" / "b.csv")
    store = LocalStore(access)

    for asked in ("in/b.csv", "in"):
        with pytest.raises(NotAllowed):
            store.list(str(tmp_path / asked))


@pytest.mark.parametrize("link", [_symlink, _hard_link])
@pytest.mark.parametrize("target", ["own/jobs.sqlite", "runs/other/matched.csv"])
def test_a_name_that_leads_elsewhere_once_it_was_looked_at_is_not_opened(
    link: Callable[[Path, Path], None], target: str, tmp_path: Path, access: SourceAccess
) -> None:
    source = write(tmp_path / "in.csv")
    store = LocalStore(access)
    (pinned,) = store.list(str(source))

    source.unlink()
    os.utime(tmp_path / target, ns=(int(pinned.stamp["mtime_ns"]),) * 2)  # as it was, to the bit
    link(tmp_path / target, source)

    with pytest.raises(NotAllowed):
        store.open(pinned)


def test_files_with_two_names_of_which_none_is_closed_are_read(
    tmp_path: Path, access: SourceAccess
) -> None:
    source = write(tmp_path / "in.csv")
    (tmp_path / "again.csv").hardlink_to(source)
    (tmp_path / "runs" / "mine" / "again.csv").hardlink_to(tmp_path / "runs/mine/matched.csv")

    for path in (source, tmp_path / "runs" / "mine" / "again.csv"):
        with open_reachable(path, access).reader() as opened:
            assert opened.read() == TEXT.encode()


def test_a_pipe_is_no_source_and_holds_nobody_up(tmp_path: Path) -> None:
    pipe, store = tmp_path / "in.csv", LocalStore(SourceAccess())
    (pinned,) = store.list(str(write(pipe)))
    pipe.unlink()
    os.mkfifo(pipe)
    told: list[type[Exception]] = []

    def open_both() -> None:
        for look in (lambda: store.list(str(pipe)), lambda: store.open(pinned)):
            try:
                look()
            except KallaError as error:
                told.append(type(error))

    thread = threading.Thread(target=open_both, daemon=True)
    thread.start()
    thread.join(20)

    assert told == [SourceUnreadable, SourceChanged]


def test_a_circle_of_links_is_told_as_one(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")

    with pytest.raises(KallaError) as told:
        LocalStore(SourceAccess()).list(str(tmp_path / "a"))

    assert told.value.code in ("invalid_uri", "source_unavailable")


def test_no_option_of_a_database_names_a_file_of_the_services_own(
    tmp_path: Path, access: SourceAccess
) -> None:
    name = tmp_path / "runs" / "other" / "matched.csv"

    for path in (name, tmp_path / "own" / "jobs.sqlite"):
        with pytest.raises(NotAllowed):
            parse_postgres_uri(f"postgres://db/d?table=t&sslrootcert={path}", access)
