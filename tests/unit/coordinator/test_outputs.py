"""Whose the outputs of runs are."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from kalla_coordinator.jobs.allowed import Allowed
from kalla_coordinator.jobs.caller import ANYBODY, STRANGER, Caller
from kalla_coordinator.jobs.outputs import Lying, Outputs, place_of, places_around
from kalla_core.errors import NotAllowed, SourceUnavailable
from tests.support.jobs import Remembered, request

MINE, ADMIN = Caller("mine"), Caller("boss", admin=True)


def asked(source: str, output: str | None = None) -> Any:
    sources = [
        {"alias": "left_src", "uri": source},
        {"alias": "right_src", "uri": "r.csv"},
    ]
    return request("run-9", sources=sources, output_path=output)


@pytest.mark.parametrize(
    ("output", "around"),
    [
        ("/a/b", ("/a/b", "/a", "/")),
        ("s3://books/a/b", ("s3://books/a/b", "s3://books/a", "s3://books")),
        ("S3://books/a/b/", ("s3://books/a/b", "s3://books/a", "s3://books")),
        ("s3://books/a//b", ("s3://books/a//b", "s3://books/a", "s3://books/a/", "s3://books")),
        ("s3://books", ("s3://books",)),
        ("s3://books/", ("s3://books",)),
    ],
)
def test_what_lies_in_a_place_lies_in_all_around_it(output: str, around: tuple[str, ...]) -> None:
    found = places_around(output)

    assert found[0] == place_of(output) == around[0]
    assert set(found) == set(around)


@pytest.mark.parametrize(
    "source",
    [
        "{staging}/runs/run-1/matched.parquet",
        "{staging}/runs/run-1",
        "{staging}/runs/run-2/../run-1/matched.parquet?format=parquet",
        "file://{staging}/%72uns/run-1/matched.parquet",
        "{staging}/link/matched.parquet",
        "{staging}/named/matched.parquet",
        "s3://books/out/matched.parquet",
        "S3://books/out/?format=parquet",
        "s3://books/out",
        "{staging}/n%61med/../named/matched.parquet",
    ],
)
async def test_evidence_is_a_source_for_the_token_that_submitted_its_run(
    source: str, tmp_path: Path
) -> None:
    (tmp_path / "runs" / "run-1").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "runs" / "run-1")
    places = [f"{tmp_path}/runs/run-1", f"{tmp_path}/named", "s3://books/out"]
    known = Remembered({place: {"mine"} for place in places})
    outputs = Outputs(Allowed(tmp_path), known)
    uri = source.format(staging=tmp_path)
    inside = "run-1" in uri or "link" in uri
    reads = (f"{tmp_path}/runs/run-1",) if inside else ()

    for caller in (MINE, ADMIN, ANYBODY):
        assert (await outputs.terms(asked(uri), caller)).reads == reads
        assert await outputs.readable([uri], caller) == reads
    for caller in (STRANGER, Caller("other")):
        with pytest.raises(NotAllowed, match="another token"):
            await outputs.terms(asked(uri), caller)
        with pytest.raises(NotAllowed, match="another token"):
            await outputs.readable([uri], caller)


async def test_open_items_are_carried_from_evidence_of_the_same_token_alone(tmp_path: Path) -> None:
    places = [f"{tmp_path}/runs/run-1", f"{tmp_path}/named", "s3://books/out"]
    outputs = Outputs(Allowed(tmp_path), Remembered({place: {"mine"} for place in places}))

    for place in places:
        carrying = {"alias": "left_src", "uri": "l.csv", "carry": {"evidence": place}}
        sources = [carrying, {"alias": "right_src", "uri": "r.csv"}]
        wanted = request("run-9", sources=sources)
        reads = (place,) if "run-1" in place else ()
        assert (await outputs.terms(wanted, MINE)).reads == reads
        with pytest.raises(NotAllowed, match="another token"):
            await outputs.terms(wanted, Caller("other"))
    elsewhere = Outputs(Allowed(tmp_path, buckets=frozenset({"mine"})), Remembered())
    with pytest.raises(NotAllowed, match="bucket 'books'"):
        await elsewhere.terms(wanted, ANYBODY)


async def test_a_run_that_nobody_remembers_is_nobodys(tmp_path: Path) -> None:
    outputs = Outputs(Allowed(tmp_path), Remembered())

    with pytest.raises(NotAllowed):
        await outputs.readable([f"{tmp_path}/runs/old/matched.parquet"], MINE)
    assert await outputs.readable([f"{tmp_path}/in/a.csv", "s3://books/a.csv"], MINE) == ()


@pytest.mark.parametrize("maker", ["", "a-token-that-the-file-has-no-more"])
async def test_what_belongs_to_no_token_that_is_known_is_an_admins_only(
    maker: str, tmp_path: Path
) -> None:
    made, hers = f"{tmp_path}/named", f"{tmp_path}/admins"
    outputs = Outputs(Allowed(tmp_path), Remembered({made: {maker}, hers: {"boss"}}))

    for place in (made, hers):
        with pytest.raises(NotAllowed):
            await outputs.terms(asked(f"{place}/matched.parquet"), MINE)
        with pytest.raises(NotAllowed):
            await outputs.terms(asked("in.csv", place), MINE)
        for admin in (ADMIN, Caller("the-next-boss", admin=True)):
            assert (await outputs.terms(asked("in.csv", place), admin)).output == place


async def test_who_wrote_to_the_place_of_another_reads_nothing_there(tmp_path: Path) -> None:
    known = Remembered({f"{tmp_path}/named": {"mine", "other"}})
    outputs = Outputs(Allowed(tmp_path), known)

    for caller in (MINE, Caller("other")):
        with pytest.raises(NotAllowed):
            await outputs.readable([f"{tmp_path}/named/matched.parquet"], caller)


@pytest.mark.parametrize(
    "output", ["named", "named/matched.parquet/x", "s3://books/out/", "x/../named"]
)
async def test_nobody_puts_evidence_in_the_place_of_anothers(output: str, tmp_path: Path) -> None:
    known = Remembered({f"{tmp_path}/named": {"mine"}, "s3://books/out": {"mine"}})
    outputs = Outputs(Allowed(tmp_path), known)

    for caller in (MINE, ADMIN, ANYBODY):
        await outputs.terms(asked("a.csv", output), caller)
    with pytest.raises(NotAllowed, match="another token"):
        await outputs.terms(asked("a.csv", output), Caller("other"))


@pytest.mark.parametrize("place", ["", "/books", "/books/june"])
async def test_whoever_names_a_folder_of_all_as_an_output_shuts_nobody_out_of_it(
    place: str, tmp_path: Path
) -> None:
    known = Remembered({f"{tmp_path}{place}": {"other"}, f"s3://all{place}": {"other"}})
    outputs = Outputs(Allowed(tmp_path), known)
    june = "/books/june/invoices.csv"

    local = await outputs.terms(asked(f"{tmp_path}{june}", f"{tmp_path}{june}.out"), MINE)
    await outputs.terms(asked(f"s3://all{june}", "s3://all/books/june/out"), MINE)
    await outputs.readable([f"{tmp_path}{june}", f"s3://all{june}"], MINE)

    assert local.output == f"{tmp_path}{june}.out"
    for evidence in (f"{tmp_path}{place}/metadata.json", f"s3://all{place}/.kalla/claim.json"):
        with pytest.raises(NotAllowed, match="another token"):
            await outputs.readable([evidence], MINE)


@pytest.mark.parametrize(
    ("source", "reads"),
    [
        ("books", True),
        ("books/", True),
        ("books/**", True),
        ("books/**/*", True),
        ("books/**/*.parquet", True),
        ("books/**/p*1.parquet", True),
        ("books/*/matched.parquet/*", True),
        ("books/y*/*.json", True),
        ("books/*/metadata.json", True),
        ("books/**/*.csv", False),
        ("books/*", False),
        ("books/*.parquet", False),
        ("books/x*/**", False),
        ("books/y*/*/*.txt", False),
        ("other/**", False),
    ],
)
async def test_a_source_that_reads_what_lies_below_it_reads_no_evidence_of_another(
    source: str, reads: bool, tmp_path: Path
) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "books").symlink_to(tmp_path / "real")
    places = [f"{tmp_path}/real/year=1", "s3://all/books/year=1"]
    outputs = Outputs(Allowed(tmp_path), Remembered({place: {"other"} for place in places}))

    for uri in (f"{tmp_path}/{source}", f"s3://all/{source}"):
        for caller in (Caller("other"), ADMIN, ANYBODY):
            await outputs.readable([uri], caller)
        if reads:
            with pytest.raises(NotAllowed, match="another token"):
                await outputs.readable([uri], MINE)
            with pytest.raises(NotAllowed, match="another token"):
                await outputs.terms(asked(uri), MINE)
        else:
            await outputs.readable([uri], MINE)


class _Hanging:
    """Bounds over a file system that does not answer, for one of two requests."""

    def __init__(self, allowed: Allowed) -> None:
        self.allowed = allowed
        self.let_go = threading.Event()

    def check(self, request: Any) -> tuple[Lying, ...]:
        if request.recipe.left.uri == "hangs.csv":
            self.let_go.wait(60)
        return self.allowed.check(request)

    def check_sources(self, uris: Iterable[str]) -> tuple[Lying, ...]:
        return self.allowed.check_sources(uris)

    def output(self, request: Any) -> str:
        return self.allowed.output(request)


async def test_a_path_that_hangs_holds_up_nobody_but_who_asked_for_it(tmp_path: Path) -> None:
    hanging = _Hanging(Allowed(tmp_path))
    outputs = Outputs(hanging, Remembered(), patience_s=0.2)

    try:
        with pytest.raises(SourceUnavailable, match="does not answer"):
            await outputs.terms(asked("hangs.csv"), MINE)
        assert (await outputs.terms(asked("a.csv"), MINE)).reads == ()
    finally:
        hanging.let_go.set()
        outputs.close()
