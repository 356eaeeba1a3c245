from importlib.metadata import distribution
from pathlib import Path

import pytest

from kalla_core.errors import ConnectorMissing, InvalidUri, NotAllowed
from kalla_core.recipe.model import SourceSpec, SourceType
from kalla_core.sources.protocol import SourceAccess
from kalla_core.sources.registry import GROUP, OWN, connector_for, installed_schemes


def spec(kind: SourceType, uri: str | None) -> SourceSpec:
    return SourceSpec(alias="payments", type=kind, uri=uri)


@pytest.mark.parametrize("kind", [SourceType.FILE, SourceType.CSV_UPLOAD])
@pytest.mark.parametrize("uri", ["in.csv", "/data/in.parquet", "file:///data/", "folder/"])
def test_paths_are_read_by_the_connector_for_files(kind: SourceType, uri: str) -> None:
    assert connector_for(spec(kind, uri)).name == "file"


def test_the_connectors_that_kalla_knows_are_those_that_it_declares() -> None:
    declared = distribution("kalla").entry_points.select(group=GROUP)

    assert {entry.name: entry.value for entry in declared} == OWN
    assert set(OWN) <= set(installed_schemes())


@pytest.mark.parametrize(
    ("kind", "uri"),
    [
        (SourceType.BIGQUERY, "bigquery://project/table"),
        (SourceType.BIGQUERY, "in.csv"),
        (SourceType.ELASTICSEARCH, "https://host/index"),
    ],
)
def test_a_kind_of_source_without_a_connector_is_refused_by_name(
    kind: SourceType, uri: str
) -> None:
    with pytest.raises(ConnectorMissing, match=rf"`payments` needs a connector for {kind.value}"):
        connector_for(spec(kind, uri))


@pytest.mark.parametrize(
    ("kind", "uri"),
    [
        (SourceType.FILE, "postgres://user:secret@host/db?table=t"),
        (SourceType.POSTGRES, "in.csv"),
        (SourceType.POSTGRES, "s3://bucket/in.csv"),
        (SourceType.S3, "in.csv"),
        (SourceType.CSV_UPLOAD, "https://host/in.csv"),
    ],
)
def test_a_type_that_contradicts_its_uri_is_refused(kind: SourceType, uri: str) -> None:
    with pytest.raises(InvalidUri, match=f"`payments` is of type `{kind.value}`") as caught:
        connector_for(spec(kind, uri))

    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("uri", [None, "", " "])
def test_a_source_without_a_uri_is_refused(uri: str | None) -> None:
    with pytest.raises(InvalidUri, match="`payments` has no uri"):
        connector_for(spec(SourceType.FILE, uri))


def test_a_connector_reads_only_below_the_allowed_roots(tmp_path: Path) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "in.csv").write_text("a\n1\n")
    access = SourceAccess(allowed_roots=(inside,))

    for path in (inside / "in.csv", outside / "in.csv"):
        wanted = spec(SourceType.FILE, str(path))
        connector = connector_for(wanted, access)
        if path.parent == inside:
            with connector.pin(wanted) as pinned:
                assert pinned.schema.names == ["a"]
        else:
            with pytest.raises(InvalidUri, match="outside the folders"), connector.pin(wanted):
                pass


def test_what_was_pinned_elsewhere_is_read_only_below_the_allowed_roots(tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("a\n1\n")
    wanted = spec(SourceType.FILE, str(tmp_path / "in.csv"))
    trusting, strict = (
        connector_for(wanted, SourceAccess(allowed_roots=roots))
        for roots in (None, (tmp_path / "elsewhere",))
    )

    with trusting.pin(wanted) as pinned:
        (part,) = trusting.plan(pinned, 1)

        with pytest.raises(InvalidUri, match="outside the folders"):
            list(strict.read(pinned, part))


@pytest.mark.parametrize(
    "uri",
    [
        "postgres://user:${env:PGPASS}@host/db?table=t",
        "postgres://${env:USER}@host/db?table=t",
        "postgres://host/db?table=t&application_name=${env:HOME}",
    ],
)
def test_no_connector_gets_a_uri_with_a_variable_that_is_not_allowed(uri: str) -> None:
    wanted = spec(SourceType.POSTGRES, uri)
    connector_for(wanted)

    with pytest.raises(NotAllowed):
        connector_for(wanted, SourceAccess(allowed_env=frozenset({"OTHER"})))


def test_in_the_path_of_a_file_nothing_stands_for_a_variable() -> None:
    access = SourceAccess(allowed_env=frozenset())

    assert connector_for(spec(SourceType.FILE, "/data/${env:PGPASS}.csv"), access).name == "file"
