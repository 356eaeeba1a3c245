"""Whole runs, from buckets and into buckets, by the command."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalla_core.evidence.names import MATCHED, OF_EVERY_RUN
from kalla_core.evidence.reader import open_evidence
from tests.support.command import kalla
from tests.support.s3 import SECRET, TestBucket, s3_server, set_variables

INVOICES = b"invoice_id,amount\nI-1,10.00\nI-2,20.00\nI-3,30.00\n"
PAYMENTS = b"payment_id,reference,paid\nP-1,I-1,10.01\nP-2,I-2,25.00\n"


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> TestBucket:
    set_variables(monkeypatch, s3_server().environment())
    made = s3_server().new_bucket()
    made.put("in/invoices.csv", INVOICES)
    made.put("in/payments/1.csv", PAYMENTS)
    return made


def write_recipe(folder: Path, bucket: TestBucket, invoices: str = "in/invoices.csv") -> Path:
    source = {"type": "s3", "uri": f"s3://{bucket.name}/{invoices}"}
    document = {
        "recipe_id": "from-s3",
        "name": "From S3",
        "match_sql": "SELECT l.invoice_id, r.payment_id FROM left_src l JOIN right_src r"
        " ON l.invoice_id = r.reference AND tolerance_match(l.amount, r.paid, 0.02)",
        "sources": {
            "left": {**source, "alias": "invoices", "primary_key": ["invoice_id"]},
            "right": {
                **source,
                "alias": "payments",
                "uri": f"s3://{bucket.name}/in/payments/",
                "primary_key": ["payment_id"],
            },
        },
    }
    path = folder / "recipe.json"
    path.write_text(json.dumps(document))
    return path


def test_a_run_reads_from_a_bucket_and_writes_into_one(bucket: TestBucket, tmp_path: Path) -> None:
    output = f"s3://{bucket.name}/runs/1"

    done = kalla("run", write_recipe(tmp_path, bucket), "--output", output, cwd=tmp_path)

    assert done.exit_code == 0, done.err
    assert "key_not_found" in done.out
    assert {key for key in sorted(bucket.keys()) if key.startswith("runs/")} == {
        f"runs/1/{name}" for name in OF_EVERY_RUN
    }
    with open_evidence(output, verify=True) as evidence:
        pairs = evidence.table(MATCHED).select(["invoice_id", "payment_id"]).to_pylist()
        (part,) = evidence.parts(MATCHED)
        assert sum(batch.num_rows for batch in evidence.part_batches(part)) == 1
        assert "etag" in evidence.metadata.left.identity["files"][0]
    assert pairs == [{"invoice_id": "I-1", "payment_id": "P-1"}]


def test_a_source_in_a_bucket_is_previewed_and_validated(
    bucket: TestBucket, tmp_path: Path
) -> None:
    shown = kalla("preview", f"s3://{bucket.name}/in/invoices.csv", "--json", cwd=tmp_path)
    checked = kalla("validate", write_recipe(tmp_path, bucket), cwd=tmp_path)

    assert json.loads(shown.out)["row_count"] == 3
    assert checked.exit_code == 0, checked.err


def test_a_source_in_a_bucket_is_read_with_its_format(bucket: TestBucket, tmp_path: Path) -> None:
    told = "Ledger\npayment_id;reference;paid\nP-1;I-1;1.010,01-\nP-2;\u20ac;25,00\nTotal;;2\n"
    bucket.put("in/ledger.csv", told.encode("cp1252"))
    bucket.put("in/invoices.csv", b"invoice_id,amount\nI-1,-1010.00\nI-2,25.00\n")
    path = write_recipe(tmp_path, bucket)
    recipe = json.loads(path.read_text())
    written = {
        "delimiter": ";", "encoding": "cp1252", "decimal": ",", "thousands": ".",
        "amounts": "trailing_minus", "skip_first": 1, "skip_last": 1,
    }  # fmt: skip
    uri = f"s3://{bucket.name}/in/ledger.csv"
    recipe["sources"]["right"] |= {"uri": uri, "format": written}
    path.write_text(json.dumps(recipe))

    done = kalla("run", path, "--output", "out", cwd=tmp_path)
    shown = kalla("preview", uri, "--json", "--format", json.dumps(written), cwd=tmp_path)

    assert done.exit_code == 0, done.err
    pairs = pq.read_table(tmp_path / "out" / "matched.parquet").to_pylist()
    assert [(row["invoice_id"], row["payment_id"]) for row in pairs] == [("I-1", "P-1")]
    assert [(row["reference"], row["paid"]) for row in json.loads(shown.out)["rows"]] == [
        ("I-1", "-1010.01"),
        ("\u20ac", "25.00"),
    ]


def test_what_is_not_there_is_named_with_its_source_and_leaves_nothing(
    bucket: TestBucket, tmp_path: Path
) -> None:
    recipe = write_recipe(tmp_path, bucket, "in/nothing.csv")

    done = kalla("run", recipe, "--output", f"s3://{bucket.name}/runs/1", cwd=tmp_path)

    assert done.exit_code == 2
    assert "in/nothing.csv" in done.paragraph
    assert SECRET not in done.err
    assert not any(key.startswith("runs/") for key in sorted(bucket.keys()))


def test_parquet_is_read_from_a_bucket(bucket: TestBucket, tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": range(1000)}), tmp_path / "n.parquet", row_group_size=100)
    uri = bucket.put("n.parquet", (tmp_path / "n.parquet").read_bytes())

    shown = kalla(
        "preview", uri, "--json", "--filter", '{"column":"n","op":"gte","value":990}', cwd=tmp_path
    )

    assert [row["n"] for row in json.loads(shown.out)["rows"]] == list(range(990, 1000))
