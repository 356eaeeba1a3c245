from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalla_core.errors import RecipeInvalid
from kalla_core.recipe.model import Filter, FilterOp, Recipe, SourceSpec, SourceType
from kalla_core.validate import validate_recipe

INVOICES = "invoice_id,amount,due\nINV-1,10.00,2024-01-31\nINV-2,20.50,2024-02-29\n"
PAYMENTS = "payment_id,reference,paid,day\n1,INV-1,10.00,2024-01-30\n2,INV-9,1.00,2024-02-01\n"
RATES = "currency,rate\nEUR,1.00\nUSD,1.08\n"
SQL = (
    "SELECT l.invoice_id, r.payment_id FROM left_src l JOIN right_src r "
    "ON l.invoice_id = r.reference AND tolerance_match(l.amount, r.paid, 0.02)"
)


@pytest.fixture
def recipe(tmp_path):
    """A recipe over two files and a lookup table, without faults."""
    for name, text in (("invoices", INVOICES), ("payments", PAYMENTS), ("rates", RATES)):
        (tmp_path / f"{name}.csv").write_text(text)
    return Recipe(
        recipe_id="r",
        name="n",
        match_sql=SQL,
        left=a_file(tmp_path / "invoices.csv", "invoices", "invoice_id"),
        right=a_file(tmp_path / "payments.csv", "payments", "payment_id"),
        extras=(a_file(tmp_path / "rates.csv", "rates"),),
    )


def a_file(path, alias, *key):
    return SourceSpec(alias, SourceType.FILE, str(path), tuple(key))


def joined_on(condition):
    return f"SELECT l.invoice_id, r.payment_id FROM left_src l JOIN right_src r ON {condition}"


def found(recipe):
    return {fault.path: fault.code for fault in validate_recipe(recipe).faults}


def only_fault(recipe):
    (fault,) = validate_recipe(recipe).faults
    return fault


def test_a_recipe_without_faults_is_planned(recipe):
    validation = validate_recipe(recipe, datetime(2024, 3, 1, tzinfo=UTC))

    assert validation.faults == ()
    assert validation.demand().query.started_at == datetime(2024, 3, 1, tzinfo=UTC)
    assert list(validation.sources) == ["invoices", "payments", "rates"]
    assert validation.sources["rates"].schema.names == ["currency", "rate"]


def test_every_fault_of_every_part_is_told_at_once(recipe):
    faulty = replace(
        recipe,
        match_sql=joined_on("l.amout = r.paid"),
        left=replace(
            recipe.left,
            primary_key=("invoice_id", "lin"),
            columns=("due", "amont"),
            filters=(
                Filter("amount", FilterOp.GT, "much"),
                Filter("du", FilterOp.EQ, "2024-01-31"),
            ),
        ),
        right=replace(
            recipe.right,
            primary_key=("id",),
            types={"payd": "text", "paid": "decimal(10,2)", "dy": "date"},
        ),
    )

    assert found(faulty) == {
        "sources.left.primary_key[1]": "unknown_column",
        "sources.left.schema[1]": "unknown_column",
        "sources.left.filters[0].value": "invalid_filter",
        "sources.left.filters[1].column": "unknown_column",
        "sources.right.types.payd": "unknown_column",
        "sources.right.types.dy": "unknown_column",
        "sources.right.primary_key[0]": "unknown_column",
        "match_sql": "unknown_column",
    }


def test_a_missing_source_hides_no_fault_of_another(recipe, tmp_path):
    faulty = replace(
        recipe,
        match_sql="SELEC 1",
        left=a_file(tmp_path / "absent.csv", "invoices", "invoice_id"),
        right=replace(recipe.right, primary_key=("payment",)),
        extras=(a_file(tmp_path / "gone.csv", "rates"),),
    )

    assert found(faulty) == {
        "sources.left.uri": "source_not_found",
        "sources.right.primary_key[0]": "unknown_column",
        "extras[0].uri": "source_not_found",
        "match_sql": "invalid_sql",
    }


def test_without_a_source_the_sql_is_not_blamed_for_columns_nobody_knows(recipe, tmp_path):
    faulty = replace(recipe, left=a_file(tmp_path / "absent.csv", "invoices", "invoice_id"))

    validation = validate_recipe(faulty)

    assert [fault.path for fault in validation.faults] == ["sources.left.uri"]
    assert validation.planned is None
    assert list(validation.sources) == ["payments", "rates"]


def test_an_unknown_column_is_told_with_the_nearest(recipe):
    fault = only_fault(replace(recipe, left=replace(recipe.left, columns=("amont",))))

    assert (fault.path, fault.details["nearest"]) == ("sources.left.schema[0]", ("amount",))
    assert fault.message == "There is no column `amont`. Did you mean `amount`?"


def test_a_source_whose_uri_the_run_did_not_give_is_missed(recipe):
    fault = only_fault(replace(recipe, right=replace(recipe.right, uri=None)))

    assert (fault.code, fault.path) == ("missing", "sources.right.uri")


def test_a_source_no_connector_reads_is_refused_by_its_type(recipe):
    left = replace(recipe.left, type=SourceType.BIGQUERY, uri="bigquery://project/table")

    fault = only_fault(replace(recipe, left=left))

    assert (fault.code, fault.path) == ("connector_missing", "sources.left.type")


@pytest.mark.parametrize(
    "content",
    [
        b"invoice_id,amount\nINV-1,1.00,surplus\n",
        b"invoice_id,amount\nINV-\xff,1.00\n",
        b'invoice_id,amount\n"INV-1,1.00\n',
        b"",
    ],
)
def test_unreadable_data_is_one_fault_of_its_uri(recipe, tmp_path, content):
    (tmp_path / "invoices.csv").write_bytes(content)

    fault = only_fault(recipe)

    assert (fault.code, fault.path) == ("source_unreadable", "sources.left.uri")


def test_columns_are_missed_in_unreadable_data_too(recipe, tmp_path):
    (tmp_path / "invoices.csv").write_text("number,amount\nINV-1,1.00,surplus\n")

    assert found(recipe) == {
        "sources.left.primary_key[0]": "unknown_column",
        "sources.left.uri": "source_unreadable",
    }


@pytest.mark.parametrize(
    ("sql", "code", "line", "column"),
    [
        ("SELECT l.invoice_id\nFROM left_src l JOIN", "invalid_sql", 2, None),
        (SQL.replace("AND", "\nAND").replace("l.amount", "l.amout"), "unknown_column", 2, None),
        ("DROP TABLE left_src", "forbidden_sql", 1, 1),
        ("SELECT * FROM left_src l JOIN\n  other o ON true", "forbidden_sql", 2, 3),
    ],
)
def test_a_fault_of_the_sql_has_its_place(recipe, sql, code, line, column):
    fault = only_fault(replace(recipe, match_sql=sql))

    assert (fault.path, fault.code, fault.details["line"]) == ("match_sql", code, line)
    assert column is None or fault.details["column"] == column


def test_sql_that_names_no_row_of_one_side_is_refused(recipe):
    sql = "SELECT * FROM left_src WHERE invoice_id IN (SELECT reference FROM right_src)"

    fault = only_fault(replace(recipe, match_sql=sql))

    assert (fault.path, fault.code) == ("match_sql", "sides_not_identified")


def test_a_key_of_text_and_number_is_refused_and_told_the_ways_out(recipe):
    fault = only_fault(replace(recipe, match_sql=joined_on("l.invoice_id = r.payment_id")))

    assert (fault.path, fault.code) == ("match_sql", "types_not_comparable")
    assert fault.details["line"] == 1
    assert "`types`" in fault.message
    assert "CAST" in fault.message


def test_a_number_is_not_compared_with_a_date(recipe):
    fault = only_fault(replace(recipe, match_sql=joined_on("l.amount = r.day")))

    assert (fault.path, fault.code) == ("match_sql", "types_not_comparable")


def test_a_types_entry_makes_unlike_keys_alike(recipe):
    sql = joined_on("l.invoice_id = r.payment_id")
    right = replace(recipe.right, types={"payment_id": "text"})

    assert found(replace(recipe, match_sql=sql, right=right)) == {}


def test_what_may_not_be_meant_is_a_warning(recipe):
    left = replace(recipe.left, types={"amount": "double"})
    sql = (
        "SELECT l.invoice_id, r.payment_id, s.total FROM left_src l "
        "JOIN right_src r ON l.invoice_id = r.reference "
        "JOIN (SELECT invoice_id, sum(amount) AS total FROM left_src GROUP BY invoice_id) s "
        "ON s.invoice_id = l.invoice_id"
    )

    validation = validate_recipe(replace(recipe, left=left, match_sql=sql))

    assert validation.faults == ()
    assert any("sum" in warning.lower() for warning in validation.warnings)


def test_what_has_faults_cannot_be_demanded(recipe):
    validation = validate_recipe(replace(recipe, match_sql="SELEC 1"))

    with pytest.raises(RecipeInvalid) as refused:
        validation.demand()

    assert refused.value.faults == validation.faults


def test_a_key_without_an_order_is_a_fault_of_its_own_and_hides_no_other(recipe, tmp_path):
    tags = pa.array([["a"], ["b"]], pa.list_(pa.string()))
    table = pa.table({"invoice_id": ["INV-1", "INV-2"], "amount": [1, 2], "tags": tags})
    pq.write_table(table, tmp_path / "invoices.parquet")
    left = a_file(tmp_path / "invoices.parquet", "invoices", "tags")

    faults = found(replace(recipe, left=left, match_sql=joined_on("l.nothing = r.reference")))

    assert faults == {
        "sources.left.primary_key[0]": "types_not_comparable",
        "match_sql": "unknown_column",
    }


def test_a_result_that_no_file_can_hold_is_a_fault_of_the_sql(recipe):
    sql = joined_on("l.invoice_id = r.reference").replace("SELECT", "SELECT INTERVAL '1 day' AS x,")

    fault = only_fault(replace(recipe, match_sql=sql))

    assert (fault.path, fault.code) == ("match_sql", "invalid_sql")
    assert "'x'" in fault.message


def test_a_filter_on_a_column_that_a_word_makes_text_is_told_what_reads_it(recipe, tmp_path):
    (tmp_path / "payments.csv").write_text(PAYMENTS + "3,I-9,n/a,2024-02-01\n")
    few = (Filter("paid", FilterOp.GT, 1),)

    fault = only_fault(
        replace(
            recipe,
            right=replace(recipe.right, filters=few),
            match_sql=joined_on("l.invoice_id = r.reference"),
        )
    )

    assert fault.path == "sources.right.filters[0].value"
    assert "`paid` is text because of `n/a` in line" in fault.message
    assert '"format": {"null": "n/a"} would read it' in fault.message
