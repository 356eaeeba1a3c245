import json
from pathlib import Path

import pyarrow.csv as pacsv
import pytest

from kalla_core.cli.demo_data import DemoFiles, write_demo


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> DemoFiles:
    return write_demo(tmp_path_factory.mktemp("demo"))


def _column(path: Path, name: str) -> list[object]:
    options = pacsv.ParseOptions(newlines_in_values=True)
    convert = pacsv.ConvertOptions(strings_can_be_null=True, quoted_strings_can_be_null=False)
    values: list[object] = pacsv.read_csv(path, parse_options=options, convert_options=convert)[
        name
    ].to_pylist()
    return values


def test_the_same_seed_gives_the_same_files(demo: DemoFiles, tmp_path: Path) -> None:
    again = write_demo(tmp_path)

    assert again.invoices.read_bytes() == demo.invoices.read_bytes()
    assert again.payments.read_bytes() == demo.payments.read_bytes()


def test_another_seed_gives_other_files(demo: DemoFiles, tmp_path: Path) -> None:
    other = write_demo(tmp_path, seed=7)

    assert other.payments.read_bytes() != demo.payments.read_bytes()


def test_the_files_have_as_many_rows_as_they_say(demo: DemoFiles) -> None:
    invoices = _column(demo.invoices, "invoice_id")
    payments = _column(demo.payments, "payment_id")

    assert len(invoices) == len(set(invoices)) == demo.invoice_count == 4_000
    assert len(payments) == len(set(payments)) == demo.payment_count


def test_two_instalments_add_up_to_the_cent(demo: DemoFiles) -> None:
    owed = dict(
        zip(_column(demo.invoices, "reference"), _column(demo.invoices, "amount"), strict=True)
    )
    paid: dict[object, list[float]] = {}
    for reference, amount in zip(
        _column(demo.payments, "reference"), _column(demo.payments, "paid_amount"), strict=True
    ):
        paid.setdefault(reference, []).append(float(str(amount)))

    adding_up = [
        reference
        for reference, amounts in paid.items()
        if len(amounts) == 2
        and reference in owed
        and round(sum(amounts), 2) == float(str(owed[reference]))
    ]

    assert len(adding_up) >= 190


def test_every_kind_of_trouble_is_in_the_data(demo: DemoFiles) -> None:
    references = [str(value) for value in _column(demo.payments, "reference")]

    assert None in _column(demo.invoices, "reference")
    assert "None" in references
    for beginning in ("INV-", "inv-", "Inv ", "INV/", "IVN-", "INV-7"):
        assert any(reference.startswith(beginning) for reference in references), beginning
    assert b"\nof text" in demo.payments.read_bytes()
    assert b'"Caf\xc3\xa9 ""Zur Post"""' in demo.payments.read_bytes()


def test_the_recipe_names_the_files_beside_it(demo: DemoFiles) -> None:
    document = json.loads(demo.recipe.read_text())

    for side in ("left", "right"):
        assert (demo.recipe.parent / document["sources"][side]["uri"]).exists()
