import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from kalla_core.cli.app import app
from tests.support.books import Books


def kalla(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_valid_recipe_is_said_to_be_valid(books: Books) -> None:
    outcome = kalla("validate", books.write())

    assert outcome.exit_code == 0, outcome.stderr
    assert "recipe.json is valid." in outcome.stdout.replace("\n", "")
    assert "invoices: 4 columns, 5 rows" in outcome.stdout


def test_all_faults_are_listed_with_code_and_path(books: Books) -> None:
    books.recipe["sources"]["left"]["primary_key"] = ["invoice"]
    books.recipe["sources"]["right"]["uri"] = "nowhere.csv"

    outcome = kalla("validate", books.write())

    assert outcome.exit_code == 2
    assert "2 faults" in outcome.stderr
    assert "sources.left.primary_key[0] (unknown_column)" in outcome.stderr
    assert "sources.right.uri (source_not_found)" in outcome.stderr


@pytest.mark.parametrize("document", ['{"recipe_id": "x"}', "[]", "{"])
def test_faults_as_json(books: Books, document: str) -> None:
    (books.folder / "bad.json").write_text(document)

    outcome = kalla("validate", books.folder / "bad.json", "--json")

    found = json.loads(outcome.stdout)
    assert outcome.exit_code == 2
    assert found["valid"] is False
    assert all(fault.keys() == {"code", "path", "message", "details"} for fault in found["faults"])
    assert found["faults"]


def test_a_valid_recipe_as_json(books: Books) -> None:
    outcome = kalla("validate", books.write(), "--json")

    found = json.loads(outcome.stdout)
    assert outcome.exit_code == 0
    assert found["valid"] is True
    assert found["sources"]["payments"] == {
        "payment_id": "text",
        "reference": "text",
        "paid_amount": "decimal(18,2)",
    }


def test_an_explanation_names_strategy_keys_and_conditions(books: Books) -> None:
    outcome = kalla("explain", books.write())

    assert outcome.exit_code == 0, outcome.stderr
    assert "Strategy: copartition" in outcome.stdout
    assert "reference of invoices = reference of payments" in outcome.stdout
    assert "tolerance_match(i.amount, p.paid_amount, 0.02)" in outcome.stdout
    assert "TableScan" not in outcome.stdout


def test_an_explanation_says_that_groups_are_told_by_their_members(books: Books) -> None:
    usual = kalla("explain", books.write())
    asked = kalla("explain", books.write(), "--set", "groups=members")

    assert "match_group" not in usual.stdout
    assert asked.exit_code == 0, asked.stderr
    assert "told by its members" in asked.stdout


def test_the_plan_is_shown_on_request(books: Books) -> None:
    outcome = kalla("explain", books.write(), "--verbose")

    assert outcome.exit_code == 0, outcome.stderr
    assert "TableScan: payments" in outcome.stdout


def test_an_explanation_as_json(books: Books) -> None:
    outcome = kalla("explain", books.write(), "--json", "--set", "options.buckets=7")

    found = json.loads(outcome.stdout)
    assert found["strategy"] == "copartition"
    assert found["keys"] == [{"left": "reference", "right": "reference"}]
    assert found["conditions"] == ["tolerance_match(i.amount, p.paid_amount, 0.02)"]
    assert found["buckets"] == 7
    assert found["groups"] == "pairs"
    assert [rule["keys"] for rule in found["rules"]] == [found["keys"]]
    assert found["why"]


def test_a_query_without_a_key_is_not_cut_by_key(books: Books) -> None:
    books.recipe["match_sql"] = (
        "SELECT i.invoice_id, p.payment_id FROM invoices i"
        " JOIN payments p ON i.amount < p.paid_amount"
    )

    outcome = kalla("explain", books.write(), "--json")

    found = json.loads(outcome.stdout)
    assert found["strategy"] in {"broadcast", "single"}
    assert found["keys"] == []
    assert found["buckets"] == 1


def test_more_data_than_memory_is_cut_into_buckets(books: Books) -> None:
    many = pa.table({"n": np.zeros(6_000_000, dtype=np.int64)})
    for side, alias in (("left", "invoices"), ("right", "payments")):
        pq.write_table(many, books.folder / f"{alias}.parquet")
        books.recipe["sources"][side] |= {"uri": f"{alias}.parquet", "primary_key": ["n"]}
    books.recipe["match_sql"] = "SELECT i.n FROM invoices i JOIN payments p ON i.n = p.n"

    small = kalla("explain", books.write(), "--json", "--memory-limit", "512MiB")
    large = kalla("explain", books.write(), "--json", "--memory-limit", "8GiB")

    assert json.loads(small.stdout)["buckets"] > 1
    assert json.loads(large.stdout)["buckets"] == 1


def test_a_preview_shows_types_and_rows(books: Books) -> None:
    outcome = kalla("preview", books.folder / "invoices.csv", "--rows", "2")

    assert outcome.exit_code == 0, outcome.stderr
    assert "4 columns, 5 rows" in outcome.stdout.replace("\n", "")
    assert "decimal(18,2)" in outcome.stdout
    assert "R-2" in outcome.stdout
    assert "R-3" not in outcome.stdout


def test_a_preview_as_json_with_types_and_filters(books: Books) -> None:
    outcome = kalla(
        *("preview", books.folder / "invoices.csv", "--json"),
        *("--type", "invoice_id=text", "--type", "amount=decimal(20,4)"),
        *("--filter", '{"column": "invoice_id", "op": "in", "value": ["2", "4"]}'),
    )

    found = json.loads(outcome.stdout)
    assert [(row["invoice_id"], row["reference"], row["amount"]) for row in found["rows"]] == [
        ("2", "R-2", "50.0000"),
        ("4", None, "10.0000"),
    ]
    assert found["columns"][0] == {"name": "invoice_id", "type": "text"}


@pytest.mark.parametrize("way", ["json", "file"])
def test_a_preview_with_a_format(tmp_path: Path, way: str) -> None:
    (tmp_path / "ledger.csv").write_text("id;paid\n1;1.234,50\n")
    written = '{"delimiter": ";", "decimal": ",", "thousands": "."}'
    (tmp_path / "format.json").write_text(written)
    given = written if way == "json" else tmp_path / "format.json"

    outcome = kalla("preview", tmp_path / "ledger.csv", "--json", "--format", given)

    assert outcome.exit_code == 0, outcome.stderr
    assert json.loads(outcome.stdout)["rows"] == [{"id": 1, "paid": "1234.50"}]


BANK = "Konto;12\n\nTag;Betrag\n03.04.2026;1.234,50\n30.04.2026;1,00\nSaldo;9\n"


@pytest.mark.parametrize("asked", [["--guess"], []])
def test_a_file_is_shown_as_it_seems_to_be_written(tmp_path: Path, asked: list[str]) -> None:
    (tmp_path / "bank.csv").write_text(BANK)

    shown = kalla("preview", tmp_path / "bank.csv", *asked)
    found = json.loads(kalla("preview", tmp_path / "bank.csv", "--json", *asked).stdout)

    assert found["guess"]["format"] == {
        "delimiter": ";", "decimal": ",", "thousands": ".", "date": "%d.%m.%Y",
        "header": 3, "skip_last": 1,
    }  # fmt: skip
    assert found["rows"][0] == {"Tag": "2026-04-03", "Betrag": "1234.50"}
    assert (found["guess"]["instead_of"] is None) == bool(asked)
    assert f'"format": {json.dumps(found["guess"]["format"])}' in shown.stdout
    assert "decimal: a comma stands before the fraction of `1.234,50` in line 4" in shown.stdout


def test_what_a_file_does_not_decide_is_said_and_what_was_said_is_kept(tmp_path: Path) -> None:
    (tmp_path / "us.csv").write_text("d;n\n03/04/2026;1.000\n")
    said = '{"date": "%m/%d/%Y"}'

    asked = kalla("preview", tmp_path / "us.csv", "--guess")
    told = kalla("preview", tmp_path / "us.csv", "--guess", "--json", "--format", said)

    assert "Undecidable: `03/04/2026` in line 2" in asked.stdout
    assert "Undecidable: `1.000` in line 2" in asked.stdout
    assert json.loads(told.stdout)["rows"][0]["d"] == "2026-03-04"


@pytest.mark.parametrize("text", ["", "one line of prose\nand another\n"])
def test_what_holds_no_table_is_not_guessed(tmp_path: Path, text: str) -> None:
    (tmp_path / "prose.csv").write_text(text)

    outcome = kalla("preview", tmp_path / "prose.csv", "--guess")

    assert outcome.exit_code == 2
    assert "looks like a table of text" in outcome.stderr.replace("\n", " ")


def test_a_preview_of_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.table({"n": [1, 2, 3]}), tmp_path / "numbers.parquet")

    outcome = kalla("preview", tmp_path / "numbers.parquet", "--json")

    assert [row["n"] for row in json.loads(outcome.stdout)["rows"]] == [1, 2, 3]


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (["--type", "amount"], "invalid_setting", "COLUMN=TYPE"),
        (["--type", "amount=money"], "invalid_setting", "money"),
        (["--type", "amuont=text"], "unknown_column", "amount"),
        (["--filter", "amount > 3"], "invalid_filter", "JSON"),
        (["--filter", '{"column": "amount", "op": "near", "value": 3}'], "invalid_setting", "near"),
        (["--filter", '{"column": "amount", "op": "gt", "value": "x"}'], "invalid_filter", "x"),
        (["--format", '{"delimiter": ";;"}'], "invalid_setting", "format.delimiter: Must be one"),
        (["--format", '{"delimiter": '], "invalid_setting", "--format takes JSON"),
        (["--format", "nowhere.json"], "invalid_setting", "`nowhere.json` cannot be read"),
        (["--format", "pyproject.toml"], "invalid_setting", "`pyproject.toml` holds none"),
    ],
)
def test_wrong_types_and_filters_are_errors(
    books: Books, flags: list[str], code: str, words: str
) -> None:
    outcome = kalla("preview", books.folder / "invoices.csv", *flags)

    assert outcome.exit_code == 2, outcome.stdout
    assert outcome.stderr.startswith(f"Error ({code}): ")
    assert words in outcome.stderr


def test_a_demo_goes_all_the_way(tmp_path: Path) -> None:
    first = kalla("demo", tmp_path / "demo")
    again = kalla("demo", tmp_path / "demo")

    metadata = json.loads((tmp_path / "demo" / "evidence" / "metadata.json").read_text())
    passes = json.loads((tmp_path / "demo" / "passes" / "metadata.json").read_text())["passes"]
    held, sums, proposed = passes
    assert held["held"] > 0
    assert sums["kind"] == "subset_sum"
    assert sums["rows"]["left"] < sums["rows"]["right"]
    assert proposed["suggested"] > 0
    assert "What each pass did" in first.stdout
    assert first.exit_code == again.exit_code == 0, first.stderr
    assert metadata["left_record_count"] == 4_000
    assert metadata["matched_count"] == metadata["matched_right_count"] == 3_120
    assert metadata["unmatched_left_count"] == 920
    for words in ("tolerance_match", "copartition", "3,120 matches", "key_null", " preview "):
        assert words in first.stdout.replace("\n", " "), words


def test_the_demos_second_recipe_matches_instalments_too(tmp_path: Path) -> None:
    kalla("demo", tmp_path / "demo")

    outcome = kalla("run", tmp_path / "demo" / "instalments.json", "-o", tmp_path / "out")

    matched = pq.read_table(tmp_path / "out" / "matched.parquet", columns=["rule_name"])
    counted = matched["rule_name"].value_counts().to_pylist()
    assert outcome.exit_code == 0, outcome.stderr
    assert {one["values"]: one["counts"] for one in counted} == {
        "one payment": 3_120,
        "instalments that add up": 394,
    }


def test_a_demo_leaves_a_foreign_folder_alone(tmp_path: Path) -> None:
    (tmp_path / "invoices.csv").write_text("mine")

    outcome = kalla("demo", tmp_path)

    assert outcome.exit_code == 2
    assert "output_exists" in outcome.stderr
    assert (tmp_path / "invoices.csv").read_text() == "mine"
