"""`kalla init` as a user meets it: from two files to a recipe that runs."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kalla_core.cli.app import app


def kalla(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def books(tmp_path: Path) -> Path:
    invoices, payments = ["id;ref;amount;day"], ["no,text,paid,paid_on"]
    for n in range(60):
        whole, cents = divmod(10_000 + n * 7919 % 90_000, 100)
        invoices.append(f"{n};INV-{n * 37:05d};{whole},{cents:02d};{1 + n % 27:02d}.01.2026")
        payments.append(f"P{n},inv {n * 37} thanks,{whole}.{cents:02d},2026-02-{1 + n % 27:02d}")
    (tmp_path / "books.csv").write_text("\n".join(invoices) + "\n")
    (tmp_path / "bank.csv").write_text("\n".join(payments) + "\n")
    return tmp_path


def test_two_files_become_a_recipe_that_validates_and_runs(books: Path) -> None:
    outcome = kalla("init", books / "books.csv", books / "bank.csv", "--out", books / "made")

    assert outcome.exit_code == 0, outcome.stderr
    assert "left: 60 matched, 0 stay open" in outcome.stdout
    made = json.loads((books / "made" / "recipe.json").read_text())
    assert made["sources"]["left"]["format"]["delimiter"] == ";"
    sql = (books / "made" / made["passes"][0]["match_sql_file"]).read_text()
    assert sql.startswith("-- ")
    assert "`ref`" in (books / "made" / "README.md").read_text()
    assert kalla("validate", books / "made" / "recipe.json").exit_code == 0


def test_a_program_asks_and_answers_by_json(books: Path) -> None:
    files = (books / "books.csv", books / "bank.csv", "--out", books / "made", "--json")
    asked = json.loads(kalla("init", *files).stdout)["next_question"]
    answer = {"left": asked["left"], "right": asked["right"], "judgement": "yes"}
    (books / "judged.json").write_text(json.dumps([answer]))

    told = json.loads(
        kalla("init", *files, "--overwrite", "--judged", books / "judged.json").stdout
    )

    assert sum(one["agreed"] for one in told["passes"]) == 1
    assert told["tried"] == {
        "matched_left": 60, "unmatched_left": 0, "matched_right": 60, "unmatched_right": 0
    }  # fmt: skip


def test_a_recipe_that_is_there_is_not_replaced(books: Path) -> None:
    (books / "recipe.json").write_text("{}")

    outcome = kalla("init", books / "books.csv", books / "bank.csv", "--out", books)

    assert outcome.exit_code == 2
    assert "There is a recipe" in outcome.stderr


def test_files_with_nothing_in_common_are_refused_with_what_was_tried(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("word\n" + "".join(f"{'a' * n}b\n" for n in range(40)))
    (tmp_path / "b.csv").write_text("name\n" + "".join(f"{'c' * n}d\n" for n in range(30)))

    outcome = kalla("init", tmp_path / "a.csv", tmp_path / "b.csv", "--out", tmp_path / "made")

    assert outcome.exit_code == 2
    assert "No rule is plausible" in outcome.stdout
    assert "Tried:" in outcome.stdout
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    "content", ["{", '[{"left": 1}]', '[{"left": 1, "right": 2, "judgement": "perhaps"}]']
)
def test_judged_pairs_that_make_no_sense_are_refused(books: Path, content: str) -> None:
    (books / "judged.json").write_text(content)

    outcome = kalla(
        "init", books / "books.csv", books / "bank.csv", "--judged", books / "judged.json"
    )

    assert outcome.exit_code == 2
    assert "--judged takes a JSON list" in " ".join(outcome.stderr.split())
