import json
import resource
import subprocess
from pathlib import Path

import pytest

from kalla_core.evidence.folder import OutputFolder
from tests.support.books import Books
from tests.support.command import KALLA, Outcome, kalla, write_csv


def _is_one_paragraph(outcome: Outcome) -> bool:
    text = outcome.paragraph
    return (
        text.startswith("Error (")
        and "Traceback" not in outcome.err
        and "\n\n" not in text
        and outcome.out == ""
    )


def _fails(outcome: Outcome, exit_code: int, code: str, *words: str) -> None:
    assert outcome.exit_code == exit_code, outcome.err
    assert _is_one_paragraph(outcome), outcome.err
    assert code in outcome.paragraph
    assert [word for word in words if word not in outcome.paragraph] == [], outcome.paragraph


def test_a_recipe_that_is_not_there(books: Books) -> None:
    outcome = kalla("run", "nowhere.json", cwd=books.folder)

    _fails(outcome, 2, "invalid_recipe", "nowhere.json")


def test_a_recipe_that_is_no_json(books: Books) -> None:
    (books.folder / "bad.json").write_text('{"recipe_id": "x",\n  "name" "y"}')

    outcome = kalla("run", "bad.json", cwd=books.folder)

    _fails(outcome, 2, "invalid_recipe", "line 2")


def test_all_faults_of_a_recipe_at_once(books: Books) -> None:
    books.recipe["name"] = " "
    books.recipe["sources"]["left"]["primary_key"] = []
    books.recipe["colour"] = "red"

    outcome = books.run()

    _fails(outcome, 2, "invalid_recipe", "3 faults", "name", "sources.left.primary_key", "colour")


def test_a_source_that_is_not_there(books: Books) -> None:
    (books.folder / "payments.csv").unlink()
    before = books.names()

    outcome = books.run()

    _fails(outcome, 2, "source_not_found", "payments.csv")
    assert books.names() == before


def test_a_wrong_column_names_the_nearest(books: Books) -> None:
    books.recipe["match_sql"] = books.recipe["match_sql"].replace("i.amount,", "i.amuont,", 1)
    before = books.names()

    outcome = books.run()

    _fails(outcome, 2, "unknown_column", "amuont", "amount")
    assert books.names() == before


def test_a_wrong_primary_key_names_the_nearest(books: Books) -> None:
    books.recipe["sources"]["left"]["primary_key"] = ["invoice_di"]
    before = books.names()

    outcome = books.run()

    _fails(outcome, 2, "unknown_column", "invoice_di", "invoice_id")
    assert books.names() == before


def test_broken_sql_says_where(books: Books) -> None:
    books.recipe["match_sql"] = "SELECT i.invoice_id,\nFROM invoices i JOIN ON payments p"
    before = books.names()

    outcome = books.run()

    _fails(outcome, 2, "invalid_sql", "line 2")
    assert books.names() == before


def test_an_unknown_function_is_named(books: Books) -> None:
    books.recipe["match_sql"] = books.recipe["match_sql"].replace(
        "tolerance_match", "tolerence_match"
    )
    before = books.names()

    outcome = books.run()

    _fails(outcome, 2, "invalid_sql", "tolerence_match", "tolerance_match")
    assert books.names() == before


def test_sql_that_writes_is_refused(books: Books) -> None:
    books.recipe["match_sql"] = "DROP TABLE invoices"
    before = books.names()

    outcome = books.run()

    _fails(outcome, 2, "forbidden_sql")
    assert books.names() == before


def test_keys_of_unlike_types_propose_a_way_out(books: Books) -> None:
    write_csv(
        books.folder / "payments.csv",
        "payment_id,reference,paid_amount",
        ["P1,0001,100.00", "P2,0002,50.00"],
    )
    books.recipe["match_sql"] = books.recipe["match_sql"].replace("i.reference", "i.invoice_id")
    before = books.names()

    outcome = books.run()

    _fails(outcome, 2, "types_not_comparable", "invoice_id", "reference", "types")
    assert books.names() == before


def test_a_line_with_too_many_fields_is_named(books: Books) -> None:
    with (books.folder / "invoices.csv").open("a") as file:
        file.write("6,R-6,1.00,2026-01-06,surplus\n")
    before = books.names()

    outcome = books.run()

    _fails(outcome, 2, "source_unreadable", "invoices", "line 7")
    assert books.names() == before


def test_bytes_that_are_no_text_are_an_error(books: Books) -> None:
    with (books.folder / "payments.csv").open("ab") as file:
        file.write(b"P6,R-\xff\xfe,1.00\n")
    before = books.names()

    outcome = books.run()

    _fails(outcome, 2, "source_unreadable", "payments")
    assert books.names() == before


def test_a_value_that_does_not_fit_its_type_names_line_and_column(books: Books) -> None:
    books.recipe["sources"]["left"]["types"] = {"amount": "decimal(12,2)"}
    with (books.folder / "invoices.csv").open("a") as file:
        file.write("6,R-6,twelve,2026-01-06\n")
    before = books.names()

    outcome = books.run()

    _fails(outcome, 2, "source_unreadable", "line 7", "amount", "twelve")
    assert books.names() == before


@pytest.mark.parametrize("place", ["invoices.csv/out", "/proc/kalla/out"])
def test_an_output_folder_that_cannot_be_made(books: Books, place: str) -> None:
    before = books.names()

    outcome = books.run("--output", place)

    _fails(outcome, 2, "output_not_writable", place.rsplit("/", 1)[0])
    assert books.names() == before


def test_a_folder_that_holds_evidence_is_not_overwritten_unasked(books: Books) -> None:
    first = books.run()
    kept = (books.folder / "out" / "metadata.json").read_bytes()

    second = books.run()
    third = books.run("--overwrite")

    assert first.exit_code == 0, first.err
    _fails(second, 2, "output_exists", "--overwrite")
    assert third.exit_code == 0, third.err
    assert (books.folder / "out" / "metadata.json").read_bytes() != kept


def test_a_folder_that_another_run_writes_into(books: Books) -> None:
    with OutputFolder.claim(books.folder / "out", "other", False):
        before = books.names()

        outcome = books.run()

        assert books.names() == before
    _fails(outcome, 2, "output_in_use")


def test_a_disk_that_is_full(books: Books) -> None:
    _write_many(books, rows=20_000)
    before = books.names()

    outcome = books.run(limits=_at_most_4_kib_a_file)

    _fails(outcome, 3, "out_of_disk")
    assert books.names() == before


def _at_most_4_kib_a_file() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def _write_many(books: Books, rows: int) -> None:
    write_csv(
        books.folder / "invoices.csv",
        "invoice_id,reference,amount,booked",
        [f"{n},R-{n * 7919 % 1_000_003},{n}.50,2026-01-01" for n in range(rows)],
    )


def test_a_memory_limit_that_makes_no_sense(books: Books) -> None:
    outcome = books.run("--memory-limit", "lots")

    _fails(outcome, 2, "invalid_setting", "--memory-limit", "lots")


@pytest.mark.parametrize("flag", [["--engine", "cluster"], ["--set", "options.engine=cluster"]])
def test_a_cluster_needs_a_coordinator(books: Books, flag: list[str]) -> None:
    outcome = books.run(*flag)

    _fails(outcome, 2, "invalid_setting", "coordinator")


def test_an_override_that_names_no_field(books: Books) -> None:
    outcome = books.run("--set", "options.bukets=7")

    _fails(outcome, 2, "invalid_setting", "bukets", "buckets")


@pytest.mark.parametrize(
    "arguments", [["run"], ["run", "recipe.json", "--no-such-flag"], ["preview"], ["fly"]]
)
def test_a_wrong_command_line_exits_with_2(arguments: list[str], tmp_path: Path) -> None:
    outcome = kalla(*arguments, cwd=tmp_path)

    assert outcome.exit_code == 2
    assert "Usage: kalla" in outcome.err
    assert "Traceback" not in outcome.err


def test_debug_shows_the_traceback(books: Books) -> None:
    (books.folder / "payments.csv").unlink()

    outcome = books.run("--debug")

    assert outcome.exit_code == 2
    assert "Traceback" in outcome.err
    assert outcome.err.splitlines()[-1].startswith("Error (source_not_found)")


def test_a_run_that_finds_no_room_to_tell_of_itself_succeeds(books: Books) -> None:
    recipe = books.write()

    with Path("/dev/full").open("w") as full:
        told = subprocess.run(
            [*KALLA, "run", str(recipe), "--output", "out", "--json"],
            cwd=books.folder,
            stdout=subprocess.PIPE,
            stderr=full,
        )

    assert told.returncode == 0
    assert json.loads(told.stdout)["matched_count"] == 2
    assert (books.folder / "out" / "metadata.json").exists()


@pytest.mark.parametrize("arguments", [["--version"], ["run", "recipe.json", "--json"]])
def test_a_result_that_finds_no_room_is_an_error_in_a_sentence(
    books: Books, arguments: list[str]
) -> None:
    books.write()

    with Path("/dev/full").open("w") as full:
        told = subprocess.run(
            [*KALLA, *arguments], cwd=books.folder, stdout=full, stderr=subprocess.PIPE, text=True
        )

    assert told.returncode == 3
    assert told.stderr.splitlines()[-1].startswith("Error")
    assert "Traceback" not in told.stderr
