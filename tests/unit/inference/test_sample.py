"""Samples of both sides in which partners stay together."""

import pyarrow as pa

from kalla_core.inference.sample import Sampler, agreed

ROWS = 30_000


def sampler(table: pa.Table, most: int) -> Sampler:
    found = Sampler(table.schema, most)
    for batch in table.to_batches(max_chunksize=5000):
        found.add(batch)
    return found


def test_rows_of_large_tables_are_kept_with_their_partners() -> None:
    numbers = [n * 7919 % 1_000_003 for n in range(ROWS)]
    left = pa.table({"ref": [f"INV-{n:07d}" for n in numbers]})
    right = pa.table({"text": [f"pay inv {n}" for n in reversed(numbers)]})

    kept = agreed(sampler(left, 2000), sampler(right, 2000), 2000)

    refs = {int(text.split("-")[-1]) for text in kept[0]["ref"].to_pylist()}
    texts = {int(text.split()[-1]) for text in kept[1]["text"].to_pylist()}
    assert 800 < len(refs) <= 2000
    assert len(refs & texts) > 0.98 * len(refs)


def test_small_tables_are_kept_as_they_are() -> None:
    left = pa.table({"a": ["x", "y", None]})
    right = pa.table({"b": [1, 2]})

    assert agreed(sampler(left, 10), sampler(right, 10), 10) == (left, right)
