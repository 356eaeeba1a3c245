"""A bucket as the place of uploads: what is there is whole, and what is not leaves nothing."""

from pathlib import Path

import pytest

from kalla_app.errors import Conflict
from kalla_app.uploads.places import BucketPlace, FolderPlace, Place
from kalla_core.errors import KallaError, OutOfDisk, StoreUnavailable
from kalla_core.s3.bucket import bucket
from kalla_core.s3.multipart import PART_BYTES
from kalla_core.settings.s3 import S3Settings
from tests.support.s3 import KEY_ID, SECRET, TestBucket, s3_server


def place_in(name: str) -> BucketPlace:
    settings = S3Settings(endpoint_url=s3_server().endpoint, allow_http=True, attempts=1)
    return BucketPlace(bucket(name, settings, (KEY_ID, SECRET)), 1 << 30)


def unfinished(of: TestBucket) -> list[object]:
    return list(of.client.list_multipart_uploads(Bucket=of.name).get("Uploads", ()))


async def put(place: Place, uri: str, *pieces: bytes) -> None:
    async with place.writing(uri) as write:
        for piece in pieces:
            await write(piece)


@pytest.mark.parametrize("pieces", [(), (b"id\n", b"1\n"), (b"x" * 3_000_000,) * 6], ids=len)
async def test_a_file_is_put_whole_however_large_its_pieces_are(pieces: tuple[bytes, ...]) -> None:
    there = s3_server().new_bucket()
    place = place_in(there.name)
    uri = place.uri("a1", "März 2026 (1).csv")

    await put(place, uri, *pieces)

    assert uri == f"s3://{there.name}/a1/März 2026 (1).csv"
    assert there.get("a1/März 2026 (1).csv") == b"".join(pieces)
    assert unfinished(there) == []
    assert len(b"".join(pieces)) < 3 * PART_BYTES  # the last of them is put in three parts


async def test_a_file_that_is_cut_off_leaves_nothing() -> None:
    there = s3_server().new_bucket()
    place = place_in(there.name)

    async def cut_off() -> None:
        async with place.writing(place.uri("a1", "a.csv")) as write:
            await write(b"x" * (PART_BYTES + 1))
            assert unfinished(there)
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await cut_off()

    assert there.keys() == set()
    assert unfinished(there) == []


async def test_of_two_who_bring_a_file_the_first_that_is_done_counts() -> None:
    there = s3_server().new_bucket()
    place = place_in(there.name)
    uri = place.uri("a1", "a.csv")

    async def late() -> None:
        async with place.writing(uri) as write:
            await write(b"x" * PART_BYTES)  # all that it brings, but for its end
            await put(place, uri, b"first")

    with pytest.raises((Conflict, StoreUnavailable)):  # the server of these tests says 500
        await late()

    assert there.get("a1/a.csv") == b"first"
    assert unfinished(there) == []


async def test_a_file_is_removed_with_what_killed_apps_have_left_of_it() -> None:
    there = s3_server().new_bucket()
    place = place_in(there.name)
    uri = place.uri("a1", "a.csv")
    await put(place, uri, b"id\n")
    there.put("a1b/other.csv", b"id\n")
    there.client.create_multipart_upload(Bucket=there.name, Key="a1/a.csv")

    await place.remove(uri)
    await place.remove(uri)

    assert there.keys() == {"a1b/other.csv"}
    assert unfinished(there) == []


async def test_a_bucket_that_is_not_there_is_told() -> None:
    place = place_in("no-such-bucket-here")

    with pytest.raises(StoreUnavailable, match="there is no such bucket"):
        await put(place, place.uri("a1", "a.csv"), b"id\n")


async def test_a_folder_that_cannot_be_written_is_told_and_others_are_left_alone(
    tmp_path: Path,
) -> None:
    (tmp_path / "full").write_text("no folder")
    (tmp_path / "elsewhere" / "a1").mkdir(parents=True)
    errors: list[KallaError] = []

    full = FolderPlace(tmp_path / "full")
    try:
        await put(full, full.uri("a1", "a.csv"), b"id\n")
    except KallaError as error:
        errors.append(error)
    await FolderPlace(tmp_path / "uploads").remove(str(tmp_path / "elsewhere" / "a1" / "a.csv"))

    assert [type(error) for error in errors] == [OutOfDisk]
    assert (tmp_path / "elsewhere" / "a1").is_dir()
