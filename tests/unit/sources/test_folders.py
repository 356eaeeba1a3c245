"""Folders whose names say columns, and addresses with stars, on this machine and in buckets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalla_core.errors import InvalidType, InvalidUri, SourceNotFound, SourceUnreadable
from kalla_core.recipe.model import Filter, FilterOp
from kalla_core.sources.protocol import SourceAccess
from kalla_core.sources.registry import connector_for
from tests.support.s3 import s3_server, set_variables
from tests.support.sources import file_spec, format_rows, read_rows, read_table, types_of

Put = Callable[[Path], str]


def here(folder: Path) -> str:
    return str(folder)


def in_a_bucket(folder: Path) -> str:
    bucket = s3_server().new_bucket()
    for file in folder.rglob("*"):
        if file.is_file():
            bucket.put(f"deep/{file.relative_to(folder)}", file.read_bytes())
    return f"s3://{bucket.name}/deep"


@pytest.fixture(params=[here, in_a_bucket], ids=["here", "s3"])
def put(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Put:
    if request.param is in_a_bucket:
        set_variables(monkeypatch, s3_server().environment())
    found: Put = request.param
    return found


def write(path: Path, *ids: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.table({"id": pa.array(ids, pa.int64())}), path)
    else:
        path.write_text("\n".join(["id", *map(str, ids), ""]))
    return path


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_folders_that_say_columns_are_read_as_such(tmp_path: Path, put: Put, ending: str) -> None:
    write(tmp_path / f"year=2025/day=2025-12-31/a.{ending}", 1, 2)
    write(tmp_path / f"year=2026/day=2026-01-01/a.{ending}", 3)
    write(tmp_path / f"year=2026/day=__HIVE_DEFAULT_PARTITION__/b.{ending}", 4)
    (tmp_path / "year=2026/_SUCCESS").write_text("")
    root = put(tmp_path)

    assert list(types_of(root).items()) == [
        ("id", pa.int64()), ("year", pa.int64()), ("day", pa.date32()),
    ]  # fmt: skip
    for parts in (1, 3):
        assert read_rows(root, parts=parts) == [
            (1, 2025, date(2025, 12, 31)),
            (2, 2025, date(2025, 12, 31)),
            (3, 2026, date(2026, 1, 1)),
            (4, 2026, None),
        ]


def test_what_folders_say_is_filtered_projected_previewed_and_typed(tmp_path: Path) -> None:
    for name in ("01", "02"):
        write(tmp_path / f"branch={name}/a.csv", 1, 2)
    spec = file_spec(tmp_path, filters=[Filter("branch", FilterOp.EQ, "02")])
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        (part,) = connector.plan(pinned, 1)
        only = [
            row
            for batch in connector.read(pinned, part, columns=["branch"])
            for row in batch.to_pylist()
        ]
        first = connector.preview(pinned, 1)
        connector.verify(pinned)

    assert only == [{"branch": "02"}, {"branch": "02"}]
    assert first.to_pylist() == [{"id": 1, "branch": "02"}]
    assert types_of(tmp_path, types={"branch": "integer"})["branch"] == pa.int64()
    with pytest.raises(InvalidType, match="`branch`, which folders say, is date"):
        types_of(tmp_path, types={"branch": "date"})


def test_names_of_folders_are_decoded_and_rows_numbered_over_all(tmp_path: Path) -> None:
    write(tmp_path / "place=Z%C3%BCrich%2FW/a.csv", 1, 2)
    write(tmp_path / "place=Bern/a.csv", 3)

    assert format_rows(tmp_path, {"row_number": "n"}, parts=2) == [
        (1, 3, "Bern"), (2, 1, "Zürich/W"), (3, 2, "Zürich/W"),
    ]  # fmt: skip


def test_json_below_folders_is_numbered_over_all_files(tmp_path: Path) -> None:
    for name, ids in (("a", (1, 2)), ("b", (3,))):
        (tmp_path / f"k={name}").mkdir()
        lines = "".join(f'{{"id": {one}}}\n' for one in ids)
        (tmp_path / f"k={name}" / "in.jsonl").write_text(lines)

    assert format_rows(tmp_path, {"row_number": "n"}, parts=2) == [
        (1, 1, "a"), (2, 2, "a"), (3, 3, "b"),
    ]  # fmt: skip


def test_folders_that_do_not_say_the_same_columns_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a=1/x.csv", 1)
    write(tmp_path / "x.csv", 1)

    with pytest.raises(SourceUnreadable, match=r"No folder of .* says `a=…`"):
        read_rows(tmp_path)


def test_a_column_that_the_files_have_as_well_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "id=1/x.csv", 1)

    with pytest.raises(SourceUnreadable, match="`id` is a column of the files, and their folders"):
        read_rows(tmp_path)


@pytest.mark.parametrize(
    ("address", "ids"),
    [
        ("2026-*.csv", [1, 2]),
        ("2026-0*/in.csv", [3, 4]),
        ("**/in.csv", [3, 4, 5]),
        ("**/*.csv", [3, 4, 1, 2, 5, 6]),
        ("2026-*/", [3, 4]),
        ("m*/*.csv", [5]),
        ("*.csv", [1, 2, 6]),
    ],
)
def test_stars_stand_for_any_names(tmp_path: Path, put: Put, address: str, ids: list[int]) -> None:
    for number, name in enumerate(
        ["2026-01.csv", "2026-02.csv", "2026-01/in.csv", "2026-02/in.csv", "m/in.csv", "x.csv"], 1
    ):
        write(tmp_path / name, number)
    write(tmp_path / ".hidden/in.csv", 9)
    write(tmp_path / "2026-03.csv.part", 9)
    write(tmp_path / "_tmp/in.csv", 9)

    found = read_table(file_spec(f"{put(tmp_path)}/{address}")).column("id").to_pylist()

    assert sorted(found) == sorted(ids)


def test_stars_that_mean_no_file_are_told(tmp_path: Path, put: Put) -> None:
    write(tmp_path / "a.csv", 1)

    with pytest.raises(SourceNotFound, match="no file is meant by its stars"):
        read_rows(f"{put(tmp_path)}/b*.csv")


def test_a_file_whose_name_has_a_star_is_that_file(tmp_path: Path) -> None:
    write(tmp_path / "a*.csv", 1)
    write(tmp_path / "ab.csv", 2)

    assert read_rows(tmp_path / "a*.csv") == [(1,)]


def test_stars_lead_to_no_file_outside_the_folders_that_may_be_read(tmp_path: Path) -> None:
    write(tmp_path / "secret/a.csv", 1)
    (tmp_path / "open").mkdir()
    (tmp_path / "open/link.csv").symlink_to(tmp_path / "secret/a.csv")
    access = SourceAccess(allowed_roots=(tmp_path / "open",))

    for address in ("open/*.csv", "*/a.csv", "secret/*"):
        spec = file_spec(tmp_path / address)
        with pytest.raises(InvalidUri, match="outside the folders"):
            connector_for(spec, access).pin(spec).__enter__()
