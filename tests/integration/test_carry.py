"""Open items over periods: the unmatched rows of one run are rows of the next."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kalla_core.errors import InvalidUri, KallaError, RecipeInvalid, SourceChanged
from kalla_core.evidence.reader import open_evidence
from kalla_core.recipe.parse import parse_recipe
from kalla_core.recipe.write import to_document
from kalla_core.sources.pins import dated
from kalla_core.sources.protocol import SourceAccess
from kalla_core.sources.registry import connector_for
from kalla_core.validate import validate_recipe
from tests.support.postgres import new_database
from tests.support.runs import AMPLE, TIGHT, run_in_process
from tests.support.s3 import TestBucket, s3_server, set_variables

HEAD, PAID = "invoice,amount,due\n", "payment,invoice,paid\n"
PASS = {
    "name": "paid",
    "match_sql": "SELECT 1 AS one FROM i JOIN p ON i.invoice = p.invoice",
    "group_by": "component",
    "balance": {"left": "amount", "right": "paid"},
}


class Periods:
    """Runs of one recipe, month after month, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def document(self, carried: object, day: str, **fields: object) -> dict[str, object]:
        carry = {"evidence": str(carried), "as_of": day}
        sources = {
            "left": {
                "alias": "i",
                "primary_key": ["invoice"],
                "carry": {**carry, "age_from": "due"},
            },
            "right": {"alias": "p", "primary_key": ["payment"], "carry": carry},
        }
        for side, source in sources.items():
            source |= {"type": "file", "uri": str(self.folder / f"{side}.csv")}
            if carried is None:
                del source["carry"]
        return {
            "recipe_id": "close",
            "name": "Close",
            "passes": [PASS],
            "amounts": {"left": "amount", "right": "paid"},
            "sources": sources,
            **fields,
        }

    def put(self, left: str, right: str) -> None:
        (self.folder / "left.csv").write_text(HEAD + left)
        (self.folder / "right.csv").write_text(PAID + right)

    def run(self, month: str, document: dict[str, object], share=AMPLE, place: object = None):
        output = place or self.folder / month
        metadata = run_in_process(parse_recipe(document), output, share)
        with open_evidence(output) as evidence:
            tables = {name: evidence.table(name) for name in evidence.outputs}
        return metadata, tables


@pytest.fixture
def periods(tmp_path) -> Periods:
    """May is over: A1 is paid in part, A2 in full, A3 not at all."""
    made = Periods(tmp_path)
    made.put("A1,100.00,2026-05-10\nA2,50.00,2026-05-12\nA3,70.00,2026-05-20\n",
             "P1,A2,50.00\nP2,A1,60.00\n")  # fmt: skip
    made.run("may", made.document(None, ""))
    return made


def rows(tables, side: str, *names: str) -> dict[str, tuple]:
    table = tables[f"unmatched_{side}.parquet"].to_pylist()
    return {row["record_key"]: tuple(row[name] for name in names) for row in table}


def test_what_was_left_open_is_matched_once_the_rest_is_paid(periods):
    periods.put("A4,10.00,2026-06-11\n", "P3,A1,40.00\n")

    metadata, tables = periods.run("june", periods.document(periods.folder / "may", "2026-06-30"))

    matched = tables["matched.parquet"].select(["left_key", "right_key"]).to_pylist()
    assert sorted(tuple(one.values()) for one in matched) == [("A1", "P2"), ("A1", "P3")]
    open_items = rows(tables, "left", "first_open_run", "open_amount", "age_days", "due")
    assert open_items["A4"][0] is None
    assert str(open_items["A4"][1]) == "10.00"
    assert open_items["A4"][2] == 19
    assert open_items["A3"][0] == "test-run"
    assert open_items["A3"][2] == 41
    totals = metadata.reconciliation.control_totals
    assert totals["left"][0]["amounts"] == {
        "total": "180.00", "matched": "100.00", "unmatched": "80.00"
    }  # fmt: skip
    told = json.loads((periods.folder / "june" / "metadata.json").read_text())["sources"]["left"]
    assert (told["carry"]["rows"], told["carry"]["run_id"]) == (2, "test-run")


def test_a_partly_paid_invoice_stays_open_with_what_was_paid_beside_it(periods):
    periods.put("", "")

    metadata, tables = periods.run("june", periods.document(periods.folder / "may", "2026-06-30"))

    assert {key: str(one[0]) for key, one in rows(tables, "left", "open_amount").items()} == {
        "A1": "100.00", "A3": "70.00"
    }  # fmt: skip
    assert [str(one[0]) for one in rows(tables, "right", "open_amount").values()] == ["60.00"]
    bridge = metadata.reconciliation.control_totals["bridge"][0]
    assert (bridge["left_unmatched"], bridge["right_unmatched"]) == ("170.00", "60.00")


def test_ages_without_a_column_are_the_days_between_runs_added_up(periods):
    document = periods.document(periods.folder / "may", "2026-06-30")
    may = json.loads((periods.folder / "may" / "metadata.json").read_text())
    ran = datetime.fromisoformat(may["started_at"]).date()
    periods.put("", "P9,Z,1.00\n")

    _, june = periods.run("june", document)
    periods.put("", "")
    _, july = periods.run("july", periods.document(periods.folder / "june", "2026-07-31"))

    since = (datetime(2026, 6, 30).date() - ran).days
    assert rows(june, "right", "age_days") == {"P2": (since,), "P9": (0,)}
    assert rows(july, "right", "age_days") == {"P2": (since + 31,), "P9": (31,)}
    assert rows(july, "right", "first_open_run")["P9"] == ("test-run",)


def test_ages_count_to_the_day_of_the_run_where_no_day_is_said(periods):
    document = periods.document(periods.folder / "may", "2026-06-30")
    del document["sources"]["left"]["carry"]["as_of"]
    recipe = parse_recipe(document)

    late = datetime(2026, 7, 1, 1, tzinfo=UTC)
    left, right = dated((recipe.left, recipe.right), late)

    assert (str(left.carry.as_of), str(right.carry.as_of)) == ("2026-07-01", "2026-06-30")


def test_filters_are_for_new_rows_and_columns_of_one_period_are_null_in_the_other(periods):
    document = periods.document(periods.folder / "may", "2026-06-30")
    document["sources"]["left"]["filters"] = [{"column": "note", "op": "eq", "value": "x"}]
    (periods.folder / "left.csv").write_text("invoice,note,amount\nA5,x,7\nA6,y,8\n")

    metadata, tables = periods.run("june", document)

    found = rows(tables, "left", "note", "due", "age_days")
    assert found["A5"] == ("x", None, None)
    assert found["A3"][0] is None
    assert found["A3"][2] == 41
    assert set(found) == {"A1", "A3", "A5"}
    assert metadata.left.excluded == 1


@pytest.mark.parametrize("options", [{"partitions": 4}, {"partitions": 3, "buckets": 7}])
def test_carried_rows_are_the_same_however_a_run_is_cut(periods, options):
    periods.put("A4,10.00,2026-06-11\n", "P3,A1,40.00\n")
    document = periods.document(periods.folder / "may", "2026-06-30")
    whole = periods.run("june", document)[1]

    cut = periods.run("cut", {**document, "options": options}, TIGHT)[1]

    for name in ("unmatched_left.parquet", "unmatched_right.parquet"):
        assert cut[name].sort_by("record_key").equals(whole[name].sort_by("record_key"))


def test_evidence_in_a_bucket_is_carried_to_a_table_of_a_database(
    periods, monkeypatch: pytest.MonkeyPatch
):
    set_variables(monkeypatch, s3_server().environment())
    bucket: TestBucket = s3_server().new_bucket()
    place = f"s3://{bucket.name}/may"
    periods.run("may", periods.document(None, ""), place=place)
    database = new_database()
    database.run(
        "CREATE TABLE i (invoice text, amount numeric(12,2), due date)",
        "INSERT INTO i VALUES ('A4', 10, '2026-06-11')",
        "CREATE TABLE p (payment text, invoice text, paid numeric(12,2))",
        "INSERT INTO p VALUES ('P3', 'A1', 40)",
    )
    document = periods.document(place, "2026-06-30")
    for source in document["sources"].values():
        source |= {"type": "postgres", "uri": database.uri(source["alias"])}

    _, tables = periods.run("june", document)

    assert rows(tables, "left", "age_days") == {"A3": (41,), "A4": (19,)}
    assert rows(tables, "right") == {}
    told = json.loads((periods.folder / "june" / "metadata.json").read_text())["sources"]
    assert told["left"]["snapshot"] == told["right"]["snapshot"]


def test_what_is_wrong_with_what_is_carried_is_a_fault_that_says_where(periods):
    carried = periods.folder / "may"
    (periods.folder / "left.csv").write_text("invoice,amount,due\nA5,7,soon\n")
    faults = {}
    for name, change in {
        "type": {},
        "nowhere": {"evidence": str(periods.folder / "april")},
        "amount": {"amount": "amonut", "age_from": None},
        "age": {"age_from": "invoice"},
    }.items():
        document = periods.document(carried, "2026-06-30")
        document["sources"]["left"]["carry"] |= change
        if name != "type":
            (periods.folder / "left.csv").write_text("invoice,amount,due\nA5,7,2026-06-01\n")
        faults[name] = validate_recipe(parse_recipe(document)).faults
    document["sources"]["left"]["carry"]["as_of"] = "June"
    with pytest.raises(RecipeInvalid) as refused:
        parse_recipe(document)

    assert refused.value.faults[0].path == "sources.left.carry.as_of"
    assert "`due` is text here and date among the open items" in faults["type"][0].message
    assert "There is no file or folder" in faults["nowhere"][0].message
    assert "there is no column `amonut`" in faults["amount"][0].message
    assert "`invoice` is text and must be a date" in faults["age"][0].message
    assert all(one[0].path == "sources.left.uri" for one in faults.values())


def test_a_source_carries_what_has_its_alias_and_no_columns_of_the_added_names(periods):
    document = periods.document(periods.folder / "may", "2026-06-30")
    document["sources"]["left"]["alias"] = "bills"
    (periods.folder / "right.csv").write_text("payment,invoice,paid,age_days\n")

    left, right = validate_recipe(parse_recipe(document)).faults[:2]

    assert "has no source `bills`, but `i` and `p`" in left.message
    assert "has a column `age_days`, which `carry` adds" in right.message


def test_evidence_that_changes_while_it_is_read_is_told(periods):
    recipe = parse_recipe(periods.document(periods.folder / "may", "2026-06-30"))
    (spec,) = dated((recipe.left,), datetime(2026, 6, 30, tzinfo=UTC))
    connector = connector_for(spec)

    with connector.pin(spec) as pinned:
        parts = connector.plan(pinned, 2)
        path = periods.folder / "may" / "unmatched_left.parquet"
        pq.write_table(pa.table({"a": [1]}), path)

        with pytest.raises(SourceChanged):
            list(connector.read(pinned, parts[-1]))
        with pytest.raises(KallaError):
            connector.verify(pinned)


def test_evidence_outside_the_folders_that_may_be_read_is_refused(periods, tmp_path):
    recipe = parse_recipe(periods.document(periods.folder / "may", "2026-06-30"))
    (tmp_path / "allowed").mkdir()
    inside = (tmp_path / "allowed" / "left.csv").absolute()
    inside.write_text(HEAD)
    document = to_document(recipe)
    document["sources"]["left"]["uri"] = str(inside)
    access = SourceAccess(allowed_roots=(tmp_path / "allowed",))
    spec = parse_recipe(document).left

    with pytest.raises(InvalidUri, match="lies outside"), connector_for(spec, access).pin(spec):
        pass
