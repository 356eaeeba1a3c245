"""Which files a path stands for."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kalla_core.errors import InvalidUri, SourceChanged, SourceNotFound, SourceUnreadable
from kalla_core.sources.local import LocalStore
from kalla_core.sources.protocol import SourceAccess
from kalla_core.sources.registry import connector_for
from kalla_core.sources.store import StoredFile
from tests.support.sources import file_spec, read_rows, types_of


def write(path: Path, text: str = "a\n1\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_a_folder_stands_for_its_files_in_the_order_of_their_names(tmp_path: Path) -> None:
    passed_over = (
        ".hidden.csv",
        "_SUCCESS",
        "~$a.csv",
        "b.csv~",
        "c.csv.part",
        "d.TMP",
        ".~lock.a#",
        "Thumbs.db",
        "desktop.ini",
    )
    for name in ("b.csv", "a.csv", *passed_over):
        write(tmp_path / name)

    files = LocalStore(SourceAccess()).list(str(tmp_path))

    assert [file.name for file in files] == ["a.csv", "b.csv"]
    assert [file.size_bytes for file in files] == [4, 4]


def test_a_folder_in_a_folder_is_refused_whatever_its_name_ends_in(tmp_path: Path) -> None:
    (tmp_path / "march.part").mkdir()

    with pytest.raises(SourceUnreadable, match=r"march.part"):
        LocalStore(SourceAccess()).list(str(tmp_path))


def test_a_folder_in_a_folder_is_refused_unless_hidden(tmp_path: Path) -> None:
    write(tmp_path / "in" / "a.csv")
    write(tmp_path / "in" / ".cache" / "b.csv")
    assert read_rows(tmp_path / "in") == [(1,)]

    write(tmp_path / "in" / "2024" / "b.csv")

    with pytest.raises(SourceUnreadable, match="has a folder in it, `2024`"):
        types_of(tmp_path / "in")


def test_a_link_in_a_folder_that_leads_out_of_the_allowed_roots_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "outside.csv")
    write(tmp_path / "in" / "a.csv")
    (tmp_path / "in" / "b.csv").symlink_to(tmp_path / "outside.csv")
    spec = file_spec(tmp_path / "in")
    access = SourceAccess(allowed_roots=(tmp_path / "in",))

    assert read_rows(tmp_path / "in") == [(1,), (1,)]
    with (
        pytest.raises(InvalidUri, match="outside the folders"),
        connector_for(spec, access).pin(spec),
    ):
        pass


@pytest.mark.parametrize(
    ("names", "error", "says"),
    [
        ([], SourceNotFound, "folder is empty"),
        (["notes.txt"], InvalidUri, r"Nothing there ends in .*\.csv, "),
        (["books.XLS"], InvalidUri, r"`books.XLS` is a workbook of another kind; save it as"),
        (["a.csv", "b.parquet"], InvalidUri, "`csv` and `parquet`"),
    ],
)
def test_a_folder_whose_format_cannot_be_told_is_refused(
    tmp_path: Path, names: list[str], error: type[Exception], says: str
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in names:
        write(folder / name)

    with pytest.raises(error, match=says):
        types_of(folder)


def test_a_format_that_is_said_beats_the_ending(tmp_path: Path) -> None:
    path = write(tmp_path / "export.dat")

    assert read_rows(f"{path}?format=csv") == [(1,)]
    with pytest.raises(InvalidUri, match=r"say what it is with \?format=csv"):
        types_of(path)


@pytest.mark.parametrize("name", ["IN.CSV", "what?.csv", "a b#c%20.csv", "héllo.csv"])
def test_names_may_hold_any_character(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / name)

    assert read_rows(path) == [(1,)]


def test_a_relative_path_is_pinned_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "in.csv")
    monkeypatch.chdir(tmp_path)
    spec = file_spec("in.csv?header=false")

    with connector_for(spec).pin(spec) as pinned:
        assert pinned.spec.uri == f"{tmp_path}/in.csv?header=false"


def test_what_is_neither_file_nor_folder_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.csv")

    with pytest.raises(SourceUnreadable, match="neither a file nor a folder"):
        types_of(tmp_path / "pipe.csv")


def test_a_path_through_a_file_leads_nowhere(tmp_path: Path) -> None:
    write(tmp_path / "in.csv")

    with pytest.raises(SourceNotFound, match="no file or folder"):
        types_of(tmp_path / "in.csv" / "deeper.csv")


def test_a_file_that_joins_a_folder_is_a_change(tmp_path: Path) -> None:
    write(tmp_path / "a.csv")
    spec = file_spec(tmp_path)
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        write(tmp_path / "notes.txt")
        connector.verify(pinned)
        write(tmp_path / "b.csv")

        with pytest.raises(SourceChanged, match="came or went"):
            connector.verify(pinned)


def test_a_stored_file_survives_the_way_through_json() -> None:
    file = StoredFile("/data/in.csv", 123, {"mtime_ns": 1_700_000_000_123_456_789})

    assert StoredFile.from_json(json.loads(json.dumps(file.as_json()))) == file


def test_errors_show_the_alias_and_carry_it(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFound) as caught:
        types_of(tmp_path / "gone.csv")

    assert str(caught.value).startswith(f"Source `ledger` ({tmp_path}/gone.csv): ")
    assert caught.value.details["source"] == "ledger"
