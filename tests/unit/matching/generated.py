"""Random match SQL over the nasty tables: two relations, joined, filtered, folded, united."""

from __future__ import annotations

import random

_LEFT = [
    "left_src",
    "inv",
    "(select id, k, ref, grp, cur, amount, d from left_src where grp > 0 or cur = 'EUR')",
    "(select id, k + 1 as k, lower(ref) as ref, grp, cur, amount, d from left_src)",
    "(select id, grp as k, cur as ref, cast(k as smallint) as grp, ref as cur, amount, d "
    "from left_src)",
    "(select distinct id, k, ref, grp, cur, amount, d from left_src)",
    "(select min(id) as id, k, ref, min(grp) as grp, min(cur) as cur, sum(amount) as amount, "
    "max(d) as d from left_src group by k, ref)",
    "(select id, k, ref, grp, cur, amount, d from left_src where cur = 'EUR' union all "
    "select id, k, ref, grp, cur, amount, d from left_src where cur = 'USD')",
    "(select a.id, a.k, b.ref, a.grp, a.cur, b.amount, b.d from left_src a "
    "left join left_src b on a.k = b.k and b.grp = 1)",
    "(select *, row_number() over (partition by k order by id) as n from left_src)",
    "(select l0.id, l0.k, l0.ref, l0.grp, x.ccy as cur, l0.amount, l0.d from left_src l0 "
    "left join fx x on x.ccy = l0.cur and x.k = l0.k)",
]
_RIGHT = [
    "right_src",
    "pay",
    "(select id, k, ref, grp, cur, paid, d from right_src where paid > 1)",
    "(select id, k, lower(trim(ref)) as ref, grp, cur, paid, d from right_src)",
    "(select max(id) as id, k, max(ref) as ref, max(grp) as grp, max(cur) as cur, "
    "sum(paid) as paid, max(d) as d from right_src group by k)",
    "(select max(id) as id, max(k) as k, ref, max(grp) as grp, cur, sum(paid) as paid, "
    "max(d) as d from right_src group by ref, cur)",
    "(select * from right_src r0 where exists (select 1 from left_src e where e.k = r0.k))",
    "(select * from right_src r0 where r0.k not in (select k from fx where k is not null))",
    "(select id, coalesce(k, -1) as k, coalesce(ref, '') as ref, grp, cur, paid, d from right_src)",
    "(select id, k, ref, grp, cur, paid, d from right_src union all "
    "select id, grp as k, ref, grp, cur, paid, d from right_src where cur = 'EUR')",
    "(select id, k, ref, grp, cur, paid, d from right_src union "
    "select id, k, ref, grp, cur, paid, d from right_src where cur = 'EUR')",
]
_ON = [
    "l.k = r.k",
    "l.k = r.k and l.ref = r.ref",
    "l.ref = r.ref",
    "lower(l.ref) = lower(r.ref)",
    "l.k = r.k and l.amount > r.paid",
    "l.k + 1 = r.k",
    "l.k is not distinct from r.k",
    "(l.k = r.k and l.cur = 'EUR') or (l.k = r.k and r.cur = 'EUR')",
    "l.k = r.k or l.ref = r.ref",
    "coalesce(l.k, -1) = coalesce(r.k, -1)",
    "l.k = r.k and l.cur is not distinct from r.cur",
    "case when l.grp = 1 then l.k else l.grp end = r.k",
    "l.amount = r.paid",
    "date_trunc('month', l.d) = date_trunc('month', r.d) and l.k = r.k",
    "cast(l.k as varchar) = cast(r.k as varchar)",
]
_JOIN = ["join", "join", "join", "left join", "right join", "full join"]
_WHERE = [
    "",
    "",
    " where l.cur = 'EUR'",
    " where r.paid > 1 or l.amount is null",
    " where l.k = 5",
    " where exists (select 1 from right_src e where e.k = l.k and e.grp = 1)",
    " where not exists (select 1 from left_src e where e.ref = r.ref and e.grp = 1)",
    " where l.k in (select k from fx)",
    " where l.grp = r.grp",
]
_SELECT = [
    ("l.id, r.id as rid", ""),
    ("l.k, r.k as rk, l.ref", ""),
    ("distinct l.k, r.cur", ""),
    ("distinct l.ref, r.ref as rr", ""),
    ("l.k, count(*) as c, sum(r.paid) as s", " group by l.k"),
    ("r.k, max(l.ref) as m", " group by r.k"),
    ("l.ref, r.ref as rr, count(*) as c", " group by l.ref, r.ref"),
    ("lower(l.ref) as lr, count(*) as c", " group by lower(l.ref)"),
    ("l.k, rank() over (partition by l.k order by l.id) as n", ""),
    ("r.id, count(*) over (partition by r.ref) as n", ""),
    ("coalesce(l.k, r.k) as q, l.id", ""),
]
_MORE = [
    "",
    "",
    "",
    " join fx x on x.k = l.k",
    " left join fx x on x.ccy = r.cur",
    " join left_src b on b.k = r.k and b.grp = 2",
    " left join right_src b on b.ref = r.ref and b.grp = 2",
    " left join right_src b on b.k = r.k and b.grp = 2",
]


def random_sql(seed: int) -> str:
    """Return match SQL that is the same for the same seed; it may be refused."""
    rng = random.Random(seed)
    sql, columns = _select(rng)
    if rng.random() < 0.2:
        other, _ = _select(rng, columns)
        sql = f"{sql} {rng.choice(['union all', 'union', 'intersect', 'except'])} {other}"
    return sql


def _select(
    rng: random.Random, columns: tuple[str, str] | None = None
) -> tuple[str, tuple[str, str]]:
    columns = columns or rng.choice(_SELECT)
    source = f"from {rng.choice(_LEFT)} l {rng.choice(_JOIN)} {rng.choice(_RIGHT)} r"
    rest = f"on {rng.choice(_ON)}{rng.choice(_MORE)}{rng.choice(_WHERE)}"
    return f"select {columns[0]} {source} {rest}{columns[1]}", columns
