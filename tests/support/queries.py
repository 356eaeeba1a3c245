"""A job's tables, small and with every type that match SQL may meet, and queries over them."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
from datafusion import SessionContext

from kalla_core.matching.plans.prepare import PreparedSql, register_calls
from kalla_core.matching.plans.session import new_session
from kalla_core.matching.sql.query import MatchQuery, TableShape
from kalla_core.matching.sql.tables import register_shapes

STARTED_AT = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)

INVOICES = pa.schema(
    [
        ("id", pa.int64()),
        ("ref", pa.string()),
        ("amount", pa.decimal128(12, 2)),
        ("rate", pa.float64()),
        ("single", pa.float32()),
        ("due", pa.date32()),
        ("booked", pa.timestamp("us")),
        ("Odd Name", pa.string()),
        ("tags", pa.list_(pa.int64())),
    ]
)
PAYMENTS = pa.schema(
    [
        ("id", pa.int32()),
        ("reference", pa.string()),
        ("paid", pa.decimal128(14, 3)),
        ("fx", pa.float64()),
        ("paid_on", pa.date32()),
        ("received", pa.timestamp("us", "UTC")),
    ]
)
RATES = pa.schema([("ccy", pa.string()), ("factor", pa.decimal128(10, 7))])


def query(sql: str) -> MatchQuery:
    """Return match SQL over invoices (left, alias `Invoices`), payments and fx_rates."""
    return MatchQuery(
        sql=sql,
        left=TableShape("Invoices", INVOICES, ("id",)),
        right=TableShape("payments", PAYMENTS, ("id",)),
        extras=(TableShape("fx_rates", RATES),),
        started_at=STARTED_AT,
    )


def session_for(prepared: PreparedSql, tables: MatchQuery | None = None) -> SessionContext:
    """Return a session with the empty tables in which `prepared` plans."""
    session = new_session()
    register_shapes(session, tables or query(""))
    register_calls(session, prepared)
    return session
