"""Made-up invoices and payments for `kalla demo`: the same seed gives the same files.

Every kind of trouble that a ledger knows is in them, in known shares (`TROUBLES`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

RECIPE_ID = "demo-invoices-payments"
SEED = 2026
INVOICES = 4_000

Ints = npt.NDArray[np.int64]

TROUBLES: Mapping[str, float] = {
    "exact": 0.58,
    "written_differently": 0.10,
    "cents_off": 0.08,
    "fee_deducted": 0.05,
    "two_instalments": 0.05,
    "paid_twice": 0.01,
    "typo": 0.02,
    "wrong_reference": 0.01,
    "no_reference": 0.01,
    "draft": 0.01,
    "unpaid": 0.08,
}
"""Share of the invoices that each kind of trouble befalls, before orphan payments are added."""

_ORPHANS = 0.04
_KINDS = tuple(TROUBLES)
_FIRST_DAY = np.datetime64("2026-01-05", "D")
_CUSTOMERS = (
    "Nordwind Logistik GmbH",
    "Harbour & Sons, Ltd.",
    'Café "Zur Post"',
    "Ålesund Fisk AS",
    "Blue Kettle Tea Co.",
    "Óptica Madrid, S.L.",
    "Tanaka Precision",
    "Fjord Data, Inc.",
    "Atelier Lumière",
    "O'Brien Haulage",
)
_NOTES = ("thank you", 'see "remittance"', "paid online, mobile app", "two lines\nof text")
_WORK = ("Maintenance", "Spare parts", "Consulting, two days", "Freight", "Licence, yearly")

MATCH_SQL = """\
SELECT i.invoice_id, p.payment_id, i.reference, i.amount, p.paid_amount,
  i.invoice_date, p.payment_date
FROM invoices i
JOIN payments p
  ON norm_ref(i.reference) = norm_ref(p.reference)
 AND tolerance_match(i.amount, p.paid_amount, 0.02)"""

INSTALMENTS_SQL = """\
WITH instalments AS (
  SELECT norm_ref(reference) AS ref, sum(paid_amount) AS total
  FROM payments
  GROUP BY norm_ref(reference)
  HAVING count(*) > 1
)
SELECT i.invoice_id, p.payment_id, i.reference, i.amount, p.paid_amount, p.payment_date,
       'one payment' AS rule_name
FROM invoices i
JOIN payments p
  ON norm_ref(i.reference) = norm_ref(p.reference)
 AND tolerance_match(i.amount, p.paid_amount, 0.02)
UNION ALL
SELECT i.invoice_id, p.payment_id, i.reference, i.amount, p.paid_amount, p.payment_date,
       'instalments that add up' AS rule_name
FROM invoices i
JOIN instalments s
  ON norm_ref(i.reference) = s.ref
 AND tolerance_match(i.amount, s.total, 0.02)
JOIN payments p
  ON norm_ref(p.reference) = s.ref"""


_PAIRS = """\
SELECT i.amount, p.paid_amount, abs(i.amount - p.paid_amount) AS off
FROM invoices i
JOIN payments p
  ON norm_ref(i.reference) = norm_ref(p.reference)
 AND {}"""

PASSES: tuple[Mapping[str, object], ...] = (
    {
        "name": "reference and amount",
        "match_sql": _PAIRS.format("tolerance_match(i.amount, p.paid_amount, 0.02)"),
        "cardinality": "1:1",
        "rank": ["off"],
    },
    {
        "name": "instalments",
        "kind": "subset_sum",
        "one": "left",
        "block": [["reference", "reference"]],
        "amount": ["amount", "paid_amount"],
        "max_items": 4,
    },
    {
        "name": "less a fee",
        "match_sql": _PAIRS.format("tolerance_pct(i.amount, p.paid_amount, 0.05)"),
        "cardinality": "1:1",
        "rank": ["off"],
        "accept": "suggest",
        "confidence": 0.8,
    },
)

_RULE = "References equal however they are written, amounts equal within 2 cents"
_RULE_OF_SUMS = f"{_RULE}; or several payments with the reference that add up to the amount"


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """What was written; counts are rows.

    Attributes:
        recipe: one payment for one invoice.
        instalments: the same, and payments that add up.
        passes: no payment used twice, what adds up, and what is only proposed.
    """

    recipe: Path
    instalments: Path
    passes: Path
    invoices: Path
    payments: Path
    invoice_count: int
    payment_count: int


def write_demo(folder: Path, invoices: int = INVOICES, seed: int = SEED) -> DemoFiles:
    """Write two CSV files and two recipes into `folder`, which exists."""
    random = np.random.default_rng(seed)
    kinds = _kinds(random, invoices)
    ledger = _ledger(random, kinds)
    paid = _payments(random, kinds, ledger)
    files = DemoFiles(
        recipe=folder / "recipe.json",
        instalments=folder / "instalments.json",
        passes=folder / "passes.json",
        invoices=folder / "invoices.csv",
        payments=folder / "payments.csv",
        invoice_count=invoices,
        payment_count=paid.num_rows,
    )
    files.invoices.write_bytes(_csv(ledger.drop_columns(["number", "cents", "day"])))
    files.payments.write_bytes(_csv(paid))
    _write_recipe(files.recipe, RECIPE_ID, {"match_sql": MATCH_SQL, "match_description": _RULE})
    sums = {"match_sql": INSTALMENTS_SQL, "match_description": _RULE_OF_SUMS}
    _write_recipe(files.instalments, f"{RECIPE_ID}-instalments", sums)
    amounts = {"left": "amount", "right": "paid_amount"}
    _write_recipe(files.passes, f"{RECIPE_ID}-passes", {"passes": PASSES, "amounts": amounts})
    return files


def _write_recipe(path: Path, recipe_id: str, rules: Mapping[str, object]) -> None:
    document = {
        "recipe_id": recipe_id,
        "name": "Invoices and payments",
        "description": "Which invoices were paid, by which payments, and what is left over",
        **rules,
        "sources": {
            "left": _source("invoices", "invoice_id"),
            "right": _source("payments", "payment_id"),
        },
    }
    text = json.dumps(document, indent=2, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")


def _source(alias: str, key: str) -> dict[str, object]:
    return {"alias": alias, "type": "file", "uri": f"{alias}.csv", "primary_key": [key]}


def _kinds(random: np.random.Generator, count: int) -> Ints:
    """Return an index into `TROUBLES` per invoice: exact shares, in a random order."""
    shares = np.array(list(TROUBLES.values()))
    edges = np.floor(np.cumsum(shares) * count / shares.sum()).astype(np.int64)
    return random.permutation(np.searchsorted(edges, np.arange(count), side="right"))


def _is(kinds: Ints, *names: str) -> npt.NDArray[np.bool_]:
    return np.isin(kinds, [_KINDS.index(name) for name in names])


def _ledger(random: np.random.Generator, kinds: Ints) -> pa.Table:
    """Return the invoices, and `number`, `cents`, `day` for what the payments are made from."""
    count = len(kinds)
    number = np.arange(1, count + 1)
    cents = random.integers(1_000, 100_000, count) * random.choice([1, 1, 1, 10], count)
    day = random.integers(0, 180, count)
    return pa.table(
        {
            "invoice_id": _text(10_000 + number),
            "reference": _blank(_reference(number), _is(kinds, "draft")),
            "customer_no": pc.utf8_lpad(_text(random.integers(1, 900, count)), 5, "0"),
            "customer": _pick(random, _CUSTOMERS, count),
            "invoice_date": _date(day),
            "due_date": _date(day + 30),
            "amount": _amount(cents),
            "currency": _pick(random, ("EUR",), count),
            "description": _pick(random, _WORK, count),
            "number": pa.array(number),
            "cents": pa.array(cents),
            "day": pa.array(day),
        }
    )


def _payments(random: np.random.Generator, kinds: Ints, ledger: pa.Table) -> pa.Table:
    """Return what was paid: one row per payment, in the order in which the bank booked them."""
    invoice = _invoices_paid(kinds)
    kind, count = kinds[invoice], len(invoice)
    number = ledger["number"].to_numpy()[invoice]
    customer = ledger["customer"].combine_chunks().take(pa.array(invoice))
    day = ledger["day"].to_numpy()[invoice] + random.integers(0, 45, count)
    cents = _cents_paid(random, kind, invoice, ledger["cents"].to_numpy())
    orphans = int(len(kinds) * _ORPHANS)
    strangers = _reference(random.integers(700_000, 800_000, orphans))
    table = pa.table(
        {
            "payment_date": _date(np.concatenate([day, random.integers(0, 220, orphans)])),
            "payer": pa.concat_arrays([customer, _pick(random, _CUSTOMERS, orphans)]),
            "paid_amount": _amount(np.concatenate([cents, random.integers(500, 50_000, orphans)])),
            "currency": _pick(random, ("EUR",), count + orphans),
            "reference": pa.concat_arrays([_written(random, kind, number), strangers]),
            "note": _blank(
                _pick(random, _NOTES, count + orphans), random.random(count + orphans) < 0.7
            ),
        }
    )
    table = table.take(pa.array(random.permutation(table.num_rows)))
    ids = pc.binary_join_element_wise("P", _padded(np.arange(1, table.num_rows + 1)), "")
    return table.add_column(0, "payment_id", ids)


def _invoices_paid(kinds: Ints) -> Ints:
    """Return the position of the invoice behind each payment, ascending."""
    times = np.ones(len(kinds), dtype=np.int64)
    times[_is(kinds, "unpaid", "draft")] = 0
    times[_is(kinds, "two_instalments", "paid_twice")] = 2
    return np.repeat(np.arange(len(kinds)), times)


def _cents_paid(random: np.random.Generator, kind: Ints, invoice: Ints, owed: Ints) -> Ints:
    """Return what each payment pays; `kind` and `invoice` are per payment, `owed` per invoice."""
    cents = owed[invoice]
    fee = random.choice([350, 500, 900], len(kind))
    first = (owed * random.integers(30, 71, len(owed)) // 100)[invoice]
    again = np.concatenate([[False], invoice[1:] == invoice[:-1]])
    part = np.where(again, cents - first, first)
    off = random.choice([-2, -1, 1, 2], len(kind))
    choices = [part, cents + off, cents - fee]
    happened = [_is(kind, name) for name in ("two_instalments", "cents_off", "fee_deducted")]
    return np.select(happened, choices, cents)


def _written(random: np.random.Generator, kind: Ints, number: Ints) -> pa.Array:
    """Return the references as the payers wrote them, null where they wrote none."""
    proper = _reference(number)
    bare = _text(number)
    styles = [
        pc.utf8_lower(proper),
        pc.binary_join_element_wise("Inv", bare, " "),
        pc.binary_join_element_wise("INV", pc.utf8_lpad(bare, 9, "0"), "/"),
    ]
    style = random.integers(0, len(styles), len(number))
    own_way = pc.choose(pa.array(style), *styles)
    swapped = pc.binary_join_element_wise("IVN", _padded(number), "-")
    written = pc.if_else(pa.array(_is(kind, "written_differently")), own_way, proper)
    written = pc.if_else(pa.array(_is(kind, "typo")), swapped, written)
    wrong = pa.array(_is(kind, "wrong_reference"))
    written = pc.if_else(wrong, _reference(number + 1), written)
    return _blank(written, _is(kind, "no_reference"))


def _reference(number: Ints) -> pa.Array:
    return pc.binary_join_element_wise("INV", _padded(number), "-")


def _padded(number: Ints) -> pa.Array:
    return pc.utf8_lpad(_text(number), 6, "0")


def _text(number: Ints) -> pa.Array:
    return pa.array(number).cast(pa.string())


def _amount(cents: Ints) -> pa.Array:
    """Return amounts as text with two places, from cents that are not negative."""
    places = pc.utf8_lpad(_text(cents % 100), 2, "0")
    return pc.binary_join_element_wise(_text(cents // 100), places, ".")


def _date(days: Ints) -> pa.Array:
    return pa.array(_FIRST_DAY + days).cast(pa.string())


def _pick(random: np.random.Generator, words: tuple[str, ...], count: int) -> pa.Array:
    return pa.array(words).take(pa.array(random.integers(0, len(words), count)))


def _blank(values: pa.Array, where: npt.NDArray[np.bool_]) -> pa.Array:
    return pc.if_else(pa.array(where), pa.scalar(None, values.type), values)


def _csv(table: pa.Table) -> bytes:
    """Return a table of text as CSV: quoted where it must be, null as nothing at all."""
    columns = [_quoted(column.combine_chunks()) for column in table.columns]
    lines = pc.binary_join_element_wise(*columns, ",", null_handling="replace")
    header = ",".join(table.column_names)
    return ("\n".join([header, *lines.to_pylist()]) + "\n").encode()


def _quoted(values: pa.Array) -> pa.Array:
    must = pc.match_substring_regex(values, '[",\n]')
    doubled = pc.replace_substring(values, '"', '""')
    return pc.if_else(must, pc.binary_join_element_wise('"', doubled, '"', ""), values)
