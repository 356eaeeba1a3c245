# ruff: noqa: E501 - a table with a line per shape
"""Shapes of match SQL, what is to become of each, and an independent way to its pairs.

The tables are those of `nasty.py`: `left_src` (also `inv`) and `right_src` (also `pay`) with the
primary key `id` on both sides, `fx` as an extra. `k` is null on both sides here and there, and
repeats.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

COPARTITION, BROADCAST, SINGLE = "copartition", "broadcast", "single"
NOT_IDENTIFIED = "sides_not_identified"

_SELECT_LIST = re.compile(r"^select .*? from ", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Shape:
    """A match SQL.

    Attributes:
        expected: the strategy, or the code of the refusal.
        oracle: SQL for DuckDB that gives the ids of both sides of every pair; empty: none.
    """

    name: str
    sql: str
    expected: str
    oracle: str

    def __str__(self) -> str:
        return self.name


def _rows(name: str, expected: str, sql: str, pairs: str = "l.id, r.id") -> Shape:
    """A shape whose result rows are the rows of its join: the oracle selects their ids."""
    return Shape(name, sql, expected, _SELECT_LIST.sub(f"select {pairs} from ", sql, count=1))


def _told(name: str, expected: str, sql: str, oracle: str) -> Shape:
    """A shape whose pairs are told by another SQL."""
    return Shape(name, sql, expected, oracle)


def _twice(name: str, expected: str, sql: str, one: str, other: str) -> Shape:
    """A shape whose result rows name two pairs, which may be the same."""
    rest = _SELECT_LIST.sub("", sql, count=1)
    differ = f"({one}) is distinct from ({other})"
    both = f"select {one} from {rest} union all select {other} from {rest}"
    return Shape(name, sql, expected, f"{both} {'and' if 'where' in rest else 'where'} {differ}")


def _refused(name: str, sql: str, code: str = NOT_IDENTIFIED) -> Shape:
    return Shape(name, sql, code, "")


_INNER = "from left_src l join right_src r on l.k = r.k"
_G = "select ref, sum(paid) s, count(*) c from right_src group by ref"

JOINS = (
    _rows("inner", COPARTITION, f"select l.name, r.name rn {_INNER}"),
    _rows("residual", COPARTITION, f"select l.name, r.name rn {_INNER} and abs(l.amount - r.paid) <= 0.02"),
    _rows("where_join", COPARTITION, "select l.name, r.name rn from left_src l, right_src r where l.k = r.k and l.cur = r.cur"),
    _rows("comma_expression", COPARTITION, "select l.name, r.name rn from left_src l, right_src r where lower(trim(l.ref)) = lower(r.ref)"),
    _rows("composite", COPARTITION, f"select l.name, r.name rn {_INNER} and l.ref = r.ref"),
    _rows("three_components", COPARTITION, f"select l.name, r.name rn {_INNER} and l.ref = r.ref and l.cur = r.cur"),
    _rows("left", COPARTITION, "select l.name, r.name rn from left_src l left join right_src r on l.k = r.k"),
    _rows("right", COPARTITION, "select l.name, r.name rn from left_src l right join right_src r on l.k = r.k"),
    _rows("full", COPARTITION, "select l.name, r.name rn from left_src l full join right_src r on l.k = r.k"),
    _rows("full_residual", COPARTITION, "select l.name, r.name rn from left_src l full join right_src r on l.k = r.k and l.amount > 1"),
    _rows("left_then_filter", COPARTITION, "select l.name, r.name rn from left_src l left join right_src r on l.k = r.k where r.paid > 1"),
    _rows("left_is_null", COPARTITION, "select l.name from left_src l left join right_src r on l.k = r.k where r.k is null"),
    _rows("one_sided_filters", COPARTITION, f"select l.id lid, r.id rid {_INNER} where l.cur = 'EUR' and r.paid > 1"),
    _rows("where_true", COPARTITION, f"select l.name, r.name rn {_INNER} where 1 = 1"),
    _rows("where_false", BROADCAST, f"select l.name, r.name rn {_INNER} where 1 = 0"),
    _rows("constant_key", COPARTITION, f"select l.name, r.name rn {_INNER} where l.k = 5"),
    _rows("two_equalities_of_one_column", COPARTITION, f"select l.name, r.name rn {_INNER} and l.k = r.grp"),
    _rows("or_with_a_common_key", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on (l.k = r.k and l.cur = 'EUR') or (l.k = r.k and l.cur = 'USD')"),
    _rows("alias_names", COPARTITION, "select inv.id, pay.id pid from inv join pay on inv.k = pay.k", "inv.id, pay.id"),
    _rows("alias_of_alias", COPARTITION, "select i.id, p.id pid from inv i join pay as p on i.k = p.k", "i.id, p.id"),
    _rows("quoted_alias", COPARTITION, 'select "My Inv".id, "P.x".id pid from inv "My Inv" join pay "P.x" on "My Inv".k = "P.x".k', '"My Inv".id, "P.x".id'),
    _rows("swapped_aliases", COPARTITION, "select r.id, l.id lid from right_src l join left_src r on l.k = r.k", "r.id, l.id"),
    _twice("mixed_names_of_one_table", COPARTITION, "select a.id, b.id bid, r.id rid from left_src a join inv b on a.k = b.k and a.id = b.id join pay r on r.k = a.k", "a.id, r.id", "b.id, r.id"),
    _rows("star_of_both", COPARTITION, f"select l.*, r.* {_INNER}"),
    _rows("star_with_aliases", COPARTITION, "select i.*, p.* from inv i join pay p on i.k = p.k", "i.id, p.id"),
    _rows("both_keys_called_id", COPARTITION, "select i.id, p.id from inv i join pay p on i.k = p.k", "i.id, p.id"),
    _rows("ids_joined", COPARTITION, "select l.id, r.id rid from left_src l join right_src r on l.id = r.id"),
    _rows("using", COPARTITION, "select k, left_src.name, right_src.name rn from left_src join right_src using (k)", "left_src.id, right_src.id"),
    _rows("using_two", COPARTITION, "select k, ref, left_src.name from left_src join right_src using (k, ref)", "left_src.id, right_src.id"),
    _rows("using_full", COPARTITION, "select k, left_src.name, right_src.name rn from left_src full join right_src using (k)", "left_src.id, right_src.id"),
    _rows("natural", COPARTITION, "select name, rn from (select k, name, id lid from left_src) a natural join (select k, name rn, id rid from right_src) b", "lid, rid"),
    _rows("brackets", COPARTITION, "select l.id, r.id rid from (left_src l join right_src r on l.k = r.k)"),
    _rows("order_by", COPARTITION, f"select l.name, r.name rn {_INNER} order by l.name"),
)  # fmt: skip

KEYS = (
    _rows("case_key", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on case when l.cur = 'EUR' then l.ref else lower(l.ref) end = r.ref"),
    _rows("explicit_text_key", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on cast(l.k as varchar) = r.sref"),
    _rows("try_cast_key", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on l.k = try_cast(r.sref as int)"),
    _rows("cast_behind_a_filter", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on l.k = cast(r.sref as int) where r.sref <> 'x'"),
    _rows("cast_in_a_sub_query", COPARTITION, "select l.name, s.n from left_src l join (select cast(sref as bigint) v, name n, id from right_src where sref <> 'x') s on l.k = s.v", "l.id, s.id"),
    _rows("decimal_key", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on l.amount = r.paid"),
    _rows("float_key", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on l.rate = r.rate"),
    _rows("integer_and_decimal_key", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on l.k = r.paid"),
    _rows("date_key", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on l.d = r.d"),
    _rows("month_key", COPARTITION, f"select l.name, r.name rn {_INNER} and date_trunc('month', l.d) = date_trunc('month', r.d)"),
    _rows("timestamp_key", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on l.at = r.at"),
    _rows("month_as_text", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on substr(l.sd, 1, 7) = substr(r.sd, 1, 7)"),
    _rows("substr_key", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on substr(l.ref, 1, 1) = substr(r.ref, 1, 1)"),
    _rows("concatenated_key", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on l.ref || '-' || l.cur = r.ref || '-' || r.cur"),
    _rows("arithmetic_key", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on l.k + 1 = r.k"),
    _told("division_behind_a_filter", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on 6 / l.grp = r.grp where l.grp <> 0", "select l.id, r.id from left_src l join right_src r on 6 // l.grp = r.grp where l.grp <> 0"),
    _rows("key_used_twice", COPARTITION, "select l.name, lower(trim(l.ref)) k1, lower(trim(l.ref)) || 'x' k2 from left_src l join right_src r on lower(trim(l.ref)) = lower(trim(r.ref)) and lower(trim(l.ref)) <> ''"),
    _rows("null_safe", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on l.k is not distinct from r.k"),
    _rows("null_safe_beside_plain", COPARTITION, f"select l.name, r.name rn {_INNER} and l.ref is not distinct from r.ref"),
    _rows("null_safe_composite", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on (l.k is not distinct from r.k) and (l.ref is not distinct from r.ref)"),
    _rows("null_safe_without_brackets", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on l.k is not distinct from r.k and l.ref is not distinct from r.ref"),
    _rows("null_safe_sums", COPARTITION, f"select l.name, r.name rn {_INNER} and l.k + l.grp is not distinct from r.k + r.grp and l.k << 1 = r.k << 1 and l.k + 1 between r.k | 1 and r.k + 1 | 1"),
    _told("same", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on same(l.k, r.k) and same(lower(l.ref), lower(r.ref))", "select l.id, r.id from left_src l join right_src r on (l.k is not distinct from r.k) and (lower(l.ref) is not distinct from lower(r.ref))"),
    _rows("differing_beside_a_key", COPARTITION, f"select l.name, r.name rn {_INNER} and (l.ref is distinct from r.ref or l.cur is distinct from r.cur and l.grp = 1)"),
    _rows("operators_unlike_datafusions", COPARTITION, f"select l.name, r.name rn {_INNER} and (l.cur = 'EUR') = l.ref in ('A1', 'a1') and (r.cur = 'EUR') = r.ref like '%1'"),
    _rows("coalesced_key", COPARTITION, "select l.name, r.name rn from left_src l join right_src r on coalesce(l.k, -1) = coalesce(r.k, -1)"),
    _rows("renamed_key", COPARTITION, "select t.n, r.name rn from (select k as q, name as n, id from left_src where amount > 1) t join right_src r on t.q = r.k", "t.id, r.id"),
    _rows("computed_key", COPARTITION, "select t.n, r.name rn from (select k + 1 as q, name as n, id from left_src) t join right_src r on t.q = r.k", "t.id, r.id"),
    _rows("swapped_column_names", COPARTITION, "select t.a, r.name rn from (select k as grp, grp as k, name a, id from left_src) t join right_src r on t.k = r.grp", "t.id, r.id"),
    _rows("keys_on_two_routes", COPARTITION, "select l.name, t.n from left_src l join (select upper(ref) u, k, name n, id from right_src) t on upper(l.ref) = t.u and l.k = t.k", "l.id, t.id"),
    _rows("nested_sub_queries", COPARTITION, "select a.v, r.name rn from (select b.v, b.id from (select lower(ref) v, id from left_src where k is not null) b where b.v <> '') a join (select lower(ref) w, name, id from right_src) r on a.v = r.w", "a.id, r.id"),
)  # fmt: skip

NO_KEY = (
    _rows("no_equality", BROADCAST, "select l.name, r.name rn from left_src l join right_src r on abs(l.amount - r.paid) < 0.05"),
    _rows("inequality_only", BROADCAST, "select l.name, r.name rn from left_src l join right_src r on l.k < r.k and l.k > r.k - 2"),
    _rows("or_between_keys", BROADCAST, "select l.name, r.name rn from left_src l join right_src r on l.k = r.k or l.ref = r.ref"),
    _rows("cross", BROADCAST, "select l.name, r.name rn from left_src l cross join right_src r where l.grp = 1 and r.grp = 1"),
    _rows("constants_on_both_sides", BROADCAST, "select l.name, r.name rn from left_src l join right_src r on l.k = 5 and r.k = 5"),
    _rows("left_without_equality", BROADCAST, "select l.name, r.name rn from left_src l left join right_src r on l.amount < r.paid"),
    _rows("right_without_equality", BROADCAST, "select l.name, r.name rn from left_src l right join right_src r on l.amount < r.paid"),
    _rows("full_without_equality", SINGLE, "select l.name, r.name rn from left_src l full join right_src r on l.amount < r.paid and l.grp = 1 or l.k = r.k"),
    _rows("between", BROADCAST, "select l.name, r.name rn from left_src l join right_src r on r.d between l.d and l.d + interval '1 day'"),
    _rows("mixed_key", BROADCAST, "select l.name, r.name rn from left_src l join right_src r on l.k + r.grp = r.k"),
)  # fmt: skip

EXTRAS = (
    _rows("extra_inner", COPARTITION, f"select l.name, x.rate {_INNER} join fx x on x.ccy = l.cur"),
    _rows("extra_left", COPARTITION, f"select l.name, x.rate {_INNER} left join fx x on x.ccy = l.cur"),
    _rows("extra_right", SINGLE, f"select l.name, x.rate {_INNER} right join fx x on x.ccy = l.cur"),
    _rows("extra_first", COPARTITION, "select l.name, x.rate from fx x join left_src l on x.ccy = l.cur join right_src r on l.k = r.k"),
    _rows("extra_as_bridge", COPARTITION, "select l.name, r.name rn from left_src l join fx x on l.k = x.k join right_src r on r.k = x.k"),
    _rows("extra_as_bridge_and_key", COPARTITION, "select l.name, r.name rn from left_src l join fx x on l.cur = x.ccy join right_src r on r.k = x.k and r.k = l.k"),
    _rows("extra_converts", COPARTITION, f"select l.name {_INNER} join fx x on x.ccy = l.cur and abs(l.amount * x.rate - r.paid) < 1"),
    _rows("extra_in_exists", COPARTITION, f"select l.name {_INNER} where exists (select 1 from fx x where x.ccy = l.cur)"),
    _told("extra_in_a_scalar", COPARTITION, f"select l.name, (select max(rate) from fx) m {_INNER}", f"select l.id, r.id {_INNER}"),
    _rows("values", COPARTITION, "select l.name, v.b from left_src l join (values (1, 'a'), (2, 'b')) v(a, b) on l.k = v.a join right_src r on r.k = l.k"),
    _refused("extra_only", "select ccy from fx"),
    _refused("extra_beside_left", "select name from left_src union all select ccy from fx"),
    _refused("extra_tested_by_the_join", f"select x.ccy from fx x where exists (select 1 {_INNER} where l.cur = x.ccy)"),
)  # fmt: skip

TESTS = (
    _rows("semi_beside_a_join", COPARTITION, f"select l.name, r.name rn {_INNER} where exists (select 1 from right_src q where q.k = l.k and q.grp = 1)"),
    _rows("anti_beside_a_join", COPARTITION, f"select l.name, r.name rn {_INNER} where not exists (select 1 from left_src q where q.k = r.k and q.grp = 1)"),
    _rows("semi_on_something_else", BROADCAST, f"select l.name, r.name rn {_INNER} where exists (select 1 from left_src q where q.ref = l.ref and q.grp = 1)"),
    _rows("in_beside_a_join", COPARTITION, f"select l.name, r.name rn {_INNER} where l.k in (select k from right_src where grp = 2)"),
    _rows("not_in_beside_a_join", BROADCAST, f"select l.name, r.name rn {_INNER} where l.k not in (select k from right_src where grp = 2)"),
    _rows("not_in_without_nulls", BROADCAST, f"select l.name, r.name rn {_INNER} where l.k not in (select k from right_src where grp = 2 and k is not null)"),
    _rows("in_list", COPARTITION, f"select l.name, r.name rn {_INNER} where l.cur in ('EUR', 'USD')"),
    _rows("exists_or", COPARTITION, f"select l.name, r.name rn {_INNER} where exists (select 1 from right_src q where q.k = l.k and q.grp = 3) or l.cur = 'EUR'"),
    _told("left_semi_join_syntax", COPARTITION, f"select l.name, r.name rn {_INNER} left semi join right_src q on q.k = l.k and q.grp = 1", f"select l.id, r.id {_INNER} where exists (select 1 from right_src q where q.k = l.k and q.grp = 1)"),
    _told("left_anti_join_syntax", COPARTITION, f"select l.name, r.name rn {_INNER} left anti join right_src q on q.k = l.k and q.grp = 1", f"select l.id, r.id {_INNER} where not exists (select 1 from right_src q where q.k = l.k and q.grp = 1)"),
    _told("right_semi_join_syntax", COPARTITION, "select l.name, r.name rn from fx x right semi join left_src l on l.cur = x.ccy join right_src r on r.k = l.k", f"select l.id, r.id {_INNER} where l.cur in (select ccy from fx)"),
    _told("scalar_of_the_whole", SINGLE, f"select l.name, (select max(paid) from right_src) m {_INNER}", f"select l.id, r.id {_INNER}"),
    _rows("filter_by_the_whole", SINGLE, f"select l.name {_INNER} where r.paid > (select avg(paid) from right_src)"),
    _told("correlated_scalar", COPARTITION, f"select l.name, (select max(q.paid) from right_src q where q.k = l.k) m {_INNER}", f"select l.id, r.id {_INNER}"),
    _told("correlated_count", COPARTITION, f"select l.name, (select count(*) from right_src q where q.k = l.k) m {_INNER}", f"select l.id, r.id {_INNER}"),
    _refused("semi_only", "select l.name from left_src l left semi join right_src r on l.k = r.k"),
    _refused("anti_only", "select l.name from left_src l left anti join right_src r on l.k = r.k"),
    _refused("right_semi_only", "select r.name from left_src l right semi join right_src r on l.k = r.k"),
    _refused("exists_only", "select l.name from left_src l where exists (select 1 from right_src r where r.k = l.k)"),
    _refused("not_exists_only", "select l.name from left_src l where not exists (select 1 from right_src r where r.k = l.k)"),
    _refused("in_only", "select l.name from left_src l where l.k in (select k from right_src)"),
    _refused("not_in_only", "select l.name from left_src l where l.k not in (select k from right_src)"),
    _refused("any_only", "select l.name from left_src l where l.k = any (select k from right_src)"),
    _refused("scalar_only", "select l.name, (select max(r.paid) from right_src r where r.k = l.k) m from left_src l"),
    _refused("left_only", "select l.name from left_src l"),
    _refused("except", "select k from left_src except select k from right_src"),
    _refused("intersect", "select k, ref from left_src intersect select k, ref from right_src"),
    _refused("nested_semi", "select l.name from left_src l where exists (select 1 from right_src r where r.k = l.k and exists (select 1 from left_src b where b.k = r.k))"),
)  # fmt: skip

GROUPS = (
    _told("group_joined", COPARTITION, f"with g as ({_G}) select l.name, g.s, g.c from left_src l join g on l.ref = g.ref and abs(l.amount - g.s) < 5", f"with g as ({_G}) select l.id, r.id from left_src l join g on l.ref = g.ref and abs(l.amount - g.s) < 5 join right_src r on r.ref = g.ref"),
    _told("group_on_the_left_of_left", COPARTITION, f"with g as ({_G}) select l.name, g.s from g left join left_src l on l.ref = g.ref", "select l.id, r.id from left_src l join right_src r on l.ref = r.ref"),
    _told("group_by_something_else", COPARTITION, "with g as (select cur, sum(paid) s from right_src group by cur) select l.name, g.s from left_src l join g on l.ref = g.cur", "select l.id, r.id from left_src l join right_src r on l.ref = r.cur"),
    _told("group_by_more", COPARTITION, "with g as (select ref, cur, sum(paid) s from right_src group by ref, cur) select l.name, g.s from left_src l join g on l.ref = g.ref", "select l.id, r.id from left_src l join right_src r on l.ref = r.ref"),
    _told("split_against_its_invoice", COPARTITION, f"with g as ({_G}) select l.name, g.s, r.name rn from left_src l join g on l.ref = g.ref join right_src r on r.ref = g.ref", "select l.id, r.id from left_src l join right_src r on l.ref = r.ref"),
    _told("split_that_adds_up", COPARTITION, f"with g as ({_G}) select l.id, r.id rid, g.s from left_src l join g on l.ref = g.ref and abs(l.amount - g.s) < 5 join right_src r on r.ref = l.ref", f"with g as ({_G}) select l.id, r.id from left_src l join g on l.ref = g.ref and abs(l.amount - g.s) < 5 join right_src r on r.ref = l.ref"),
    _told("nested_groups", COPARTITION, "with a as (select ref, cur, sum(paid) s from right_src group by ref, cur), b as (select ref, max(s) m from a group by ref) select l.name, b.m from left_src l join b on l.ref = b.ref", "select l.id, r.id from left_src l join right_src r on l.ref = r.ref"),
    _told("same_group_twice", COPARTITION, "with a as (select ref, sum(paid) s from right_src group by ref), b as (select ref, max(s) m from a group by ref) select l.name, b.m from left_src l join b on l.ref = b.ref", "select l.id, r.id from left_src l join right_src r on l.ref = r.ref"),
    _told("group_by_on_top", COPARTITION, f"select l.k, count(*) c, sum(r.paid) s {_INNER} group by l.k", f"select l.id, r.id {_INNER}"),
    _told("group_by_left_row", COPARTITION, f"select l.id, l.k, sum(r.paid) s {_INNER} group by l.id, l.k", f"select l.id, r.id {_INNER}"),
    _told("group_without_the_key", SINGLE, f"select l.cur, count(*) c {_INNER} group by l.cur", f"select l.id, r.id {_INNER}"),
    _told("group_by_nulled_key", SINGLE, "select r.k, count(*) c from left_src l left join right_src r on l.k = r.k group by r.k", f"select l.id, r.id {_INNER}"),
    _told("group_by_kept_key", COPARTITION, "select l.k, count(*) c from left_src l left join right_src r on l.k = r.k group by l.k", f"select l.id, r.id {_INNER}"),
    _told("group_by_coalesced_full", SINGLE, "select coalesce(l.k, r.k) q, count(*) c from left_src l full join right_src r on l.k = r.k group by coalesce(l.k, r.k)", f"select l.id, r.id {_INNER}"),
    _told("group_of_everything", SINGLE, f"select count(*) c {_INNER}", f"select l.id, r.id {_INNER}"),
    _told("having", COPARTITION, f"select l.k, sum(r.paid) s {_INNER} group by l.k having sum(r.paid) > 3", f"select l.id, r.id {_INNER} where l.k in (select l.k {_INNER} group by l.k having sum(r.paid) > 3)"),
    _told("group_by_expression", COPARTITION, "with g as (select lower(ref) q, sum(paid) s from right_src group by lower(ref)) select l.name, g.s from left_src l join g on lower(l.ref) = g.q", "select l.id, r.id from left_src l join right_src r on lower(l.ref) = lower(r.ref)"),
    _told("expression_of_a_group", COPARTITION, "with g as (select ref q, sum(paid) s from right_src group by ref) select l.name, g.s from left_src l join g on lower(l.ref) = lower(g.q)", "select l.id, r.id from left_src l join right_src r on lower(l.ref) = lower(r.ref)"),
    _told("group_coarser_than_the_key", BROADCAST, "with g as (select lower(ref) q, min(ref) m from right_src group by lower(ref)) select l.name from left_src l join g on l.ref = g.m", "select l.id, r.id from left_src l join (select lower(ref) q, min(ref) m from right_src group by lower(ref)) g on l.ref = g.m join right_src r on lower(r.ref) is not distinct from g.q"),
    _told("groups_on_both_sides", COPARTITION, f"with g as ({_G}), h as (select ref, sum(amount) s from left_src group by ref) select h.ref, h.s, g.s gs from h join g on h.ref = g.ref", "select l.id, r.id from left_src l join right_src r on l.ref = r.ref"),
    _told("groups_on_both_sides_full", COPARTITION, f"with g as ({_G}), h as (select ref, sum(amount) s from left_src group by ref) select h.ref, h.s, g.s gs from h full join g on h.ref = g.ref", "select l.id, r.id from left_src l join right_src r on l.ref = r.ref"),
    _told("count_distinct", COPARTITION, f"select l.k, count(distinct r.ref) c {_INNER} group by l.k", f"select l.id, r.id {_INNER}"),
    _told("filtered_aggregate", COPARTITION, f"select l.k, sum(r.paid) filter (where r.grp = 1) s {_INNER} group by l.k", f"select l.id, r.id {_INNER}"),
    _told("join_on_an_aggregate", BROADCAST, "select l.name, g.m from left_src l join (select k, max(paid) m from right_src group by k) g on l.amount = g.m", "select l.id, r.id from left_src l join (select k, max(paid) m from right_src group by k) g on l.amount = g.m join right_src r on r.k is not distinct from g.k"),
    _told("rollup", SINGLE, f"select l.k, l.cur, count(*) c {_INNER} group by rollup(l.k, l.cur)", f"select l.id, r.id {_INNER} union all select l.id, r.id {_INNER} union all select l.id, r.id {_INNER}"),
    _told("grouping_sets", SINGLE, f"select l.k, l.cur, l.grp, count(*) c {_INNER} group by grouping sets ((l.k, l.cur), (l.k, l.grp))", f"select l.id, r.id {_INNER} union all select l.id, r.id {_INNER}"),
    _told("distinct", COPARTITION, f"select distinct l.k, l.ref, r.cur {_INNER}", f"select l.id, r.id {_INNER}"),
    _told("distinct_without_the_key", SINGLE, f"select distinct l.cur, r.cur rc {_INNER}", f"select l.id, r.id {_INNER}"),
    _told("distinct_before_the_join", COPARTITION, "select l.name, g.ref from left_src l join (select distinct ref from right_src) g on l.ref = g.ref", "select l.id, r.id from left_src l join right_src r on l.ref = r.ref"),
    _told("totals_joined", BROADCAST, "with t as (select sum(paid) s from right_src) select l.id, t.s from left_src l cross join t where l.grp = 1", "select l.id, r.id from left_src l cross join right_src r where l.grp = 1"),
)  # fmt: skip

UNIONS = (
    _told("union_all_of_one_key", COPARTITION, f"select l.name, r.name rn {_INNER} where l.cur = 'EUR' union all select l.name, r.name rn {_INNER} and l.ref = r.ref", f"select l.id, r.id {_INNER} where l.cur = 'EUR' union all select l.id, r.id {_INNER} and l.ref = r.ref"),
    _told("union_all_of_two_keys", BROADCAST, f"select l.name, r.name rn {_INNER} union all select l.name, r.name rn from left_src l join right_src r on l.ref = r.ref", f"select l.id, r.id {_INNER} union all select l.id, r.id from left_src l join right_src r on l.ref = r.ref"),
    _told("union_with_the_key", COPARTITION, f"select l.k, l.id, r.id rid {_INNER} union select l.k, l.id, r.id rid {_INNER} and l.cur = r.cur", f"select l.id, r.id {_INNER}"),
    _told("union_without_the_key", SINGLE, f"select l.id, r.id rid {_INNER} union select l.id, r.id rid {_INNER} and l.cur = r.cur", f"select l.id, r.id {_INNER}"),
    _told("union_of_two_keys", SINGLE, f"select l.id, r.id rid {_INNER} union select l.id, r.id rid from left_src l join right_src r on l.ref = r.ref", "select l.id, r.id from left_src l join right_src r on l.k = r.k or l.ref = r.ref"),
    _told("union_of_rules_with_names", COPARTITION, f"select l.id, r.id rid, 'exact' rule_name, 1.0 confidence {_INNER} and l.amount = r.paid union all select l.id, r.id rid, 'near', 0.8 {_INNER} and abs(l.amount - r.paid) between 0.001 and 0.02", f"select l.id, r.id {_INNER} and (l.amount = r.paid or abs(l.amount - r.paid) between 0.001 and 0.02)"),
    _refused("union_of_sources", "select u.n, u.k from (select name n, k from left_src union all select name, k from right_src) u"),
    _refused("union_of_sources_grouped", "select u.k, count(*) c from (select k from left_src union all select k from right_src) u group by u.k"),
    _told("union_below_a_join", COPARTITION, "select u.q, r.name rn from (select k q, id from left_src where cur = 'EUR' union all select k, id from left_src where cur = 'USD') u join right_src r on r.k = u.q", f"select l.id, r.id {_INNER} where l.cur in ('EUR', 'USD')"),
    _told("union_of_columns_below_a_join", BROADCAST, "select u.q, r.name rn from (select k q, id from left_src union all select grp, id from left_src) u join right_src r on r.k = u.q", f"select l.id, r.id {_INNER} union all select l.id, r.id from left_src l join right_src r on r.k = l.grp"),
    _told("union_of_rows_and_sums", COPARTITION, f"with g as ({_G}) select l.id, r.id rid from left_src l join right_src r on l.ref = r.ref and l.amount = r.paid union all select l.id, g.c from left_src l join g on l.ref = g.ref and abs(l.amount - g.s) < 5", f"with g as ({_G}) select l.id, r.id from left_src l join right_src r on l.ref = r.ref and l.amount = r.paid union all select l.id, r.id from left_src l join g on l.ref = g.ref and abs(l.amount - g.s) < 5 join right_src r on r.ref = g.ref"),
    _told("second_rule_for_the_rest", COPARTITION, f"with a as (select l.id lid, r.id rid, l.k {_INNER} and l.amount = r.paid) select lid, rid from a union all select l.id, r.id {_INNER} and l.amount <> r.paid where not exists (select 1 from a where a.lid = l.id and a.k = l.k)", f"with a as (select l.id lid, r.id rid {_INNER} and l.amount = r.paid) select lid, rid from a union all select l.id, r.id {_INNER} and l.amount <> r.paid where not exists (select 1 from a where a.lid = l.id)"),
    _told("intersect_of_joins", COPARTITION, f"select l.k, l.id, r.id rid {_INNER} intersect select l.k, l.id, r.id rid {_INNER} and l.cur = r.cur", f"select l.id, r.id {_INNER} and l.cur = r.cur"),
    _told("except_of_joins", COPARTITION, f"select l.k, l.id, r.id rid {_INNER} except select l.k, l.id, r.id rid {_INNER} and l.cur = r.cur", f"select l.id, r.id {_INNER} and (l.cur = r.cur) is not true"),
    _told("chained_intersect", COPARTITION, f"select l.k, l.id, r.id rid {_INNER} intersect select l.k, l.id, r.id rid {_INNER} and l.cur = r.cur intersect select l.k, l.id, r.id rid {_INNER} and l.grp = r.grp", f"select l.id, r.id {_INNER} and l.cur = r.cur and l.grp = r.grp"),
)  # fmt: skip

SELVES = (
    _twice("self_join_on_the_key", COPARTITION, "select a.name, b.name bn, r.name rn from left_src a join left_src b on a.k = b.k join right_src r on r.k = a.k", "a.id, r.id", "b.id, r.id"),
    _twice("self_join_on_something_else", BROADCAST, "select a.name, b.name bn, r.name rn from left_src a join left_src b on a.ref = b.ref join right_src r on r.k = a.k", "a.id, r.id", "b.id, r.id"),
    _twice("self_join_closed_by_the_key", COPARTITION, "select a.name, b.name bn, r.name rn from left_src a join right_src r on r.k = a.k join left_src b on b.grp = a.grp and b.k = r.k", "a.id, r.id", "b.id, r.id"),
    _twice("transitive", COPARTITION, "select a.name, b.name bn, r.name rn from left_src a, left_src b, right_src r where a.k = r.k and r.k = b.k", "a.id, r.id", "b.id, r.id"),
    _twice("transitive_right", COPARTITION, "select l.name, r.name rn, q.name qn from left_src l, right_src r, right_src q where l.k = r.k and l.k = q.k", "l.id, r.id", "l.id, q.id"),
    _twice("left_left", COPARTITION, "select l.name, r.name rn, q.name qn from left_src l left join right_src r on l.k = r.k left join right_src q on r.k = q.k", "l.id, r.id", "l.id, q.id"),
    _twice("full_then_left", COPARTITION, "select l.name, r.name rn, q.name qn from left_src l full join right_src r on l.k = r.k left join right_src q on l.k = q.k", "l.id, r.id", "l.id, q.id"),
    _told("pair_of_left_rows", COPARTITION, "select a.id, b.id bid, r.id rid from left_src a join left_src b on a.k = b.k and a.id < b.id join right_src r on r.k = a.k and r.paid = a.amount + b.amount", "select a.id, r.id from left_src a join left_src b on a.k = b.k and a.id < b.id join right_src r on r.k = a.k and r.paid = a.amount + b.amount union all select b.id, r.id from left_src a join left_src b on a.k = b.k and a.id < b.id join right_src r on r.k = a.k and r.paid = a.amount + b.amount"),
)  # fmt: skip

WINDOWS = (
    _told("window_over_the_key", COPARTITION, f"select n, rn from (select l.name n, row_number() over (partition by l.k order by l.id, r.id) rn {_INNER}) t where rn = 1", f"select lid, rid from (select l.id lid, r.id rid, row_number() over (partition by l.k order by l.id, r.id) rn {_INNER}) t where rn = 1"),
    _told("window_with_ties", COPARTITION, f"select n, rn from (select l.name n, row_number() over (partition by l.k order by l.name) rn {_INNER}) t where rn <= 2", f"select lid, rid from (select l.id lid, r.id rid, row_number() over (partition by l.k order by l.name, l.id, r.id) rn {_INNER}) t where rn <= 2"),
    _told("window_before_the_join", COPARTITION, "with w as (select *, row_number() over (partition by ref order by id) rn from right_src) select l.name, w.rn from left_src l join w on l.ref = w.ref and w.rn = 1", "select l.id, w.id from left_src l join (select *, row_number() over (partition by ref order by id) rn from right_src) w on l.ref = w.ref and w.rn = 1"),
    _told("window_on_the_left_of_left", COPARTITION, "with w as (select *, count(*) over (partition by ref) n from right_src) select l.name, w.n from w left join left_src l on l.ref = w.ref", "select l.id, r.id from left_src l join right_src r on l.ref = r.ref"),
    _rows("window_over_something_else", SINGLE, f"select l.name, count(*) over (partition by l.cur) n {_INNER}"),
    _rows("window_over_everything", SINGLE, f"select l.name, rank() over (order by l.name) n {_INNER}"),
    _rows("running_sum", COPARTITION, f"select l.name, sum(r.paid) over (partition by l.k order by r.d rows between unbounded preceding and current row) s {_INNER}"),
    _rows("lag", COPARTITION, f"select l.name, lag(r.paid) over (partition by l.k order by r.d) p {_INNER}"),
    _rows("lag_ignoring_nulls", COPARTITION, f"select l.name, lag(r.paid) ignore nulls over (partition by l.k order by r.d) p {_INNER}", ),
    _rows("ntile", COPARTITION, f"select l.name, ntile(2) over (partition by l.k order by r.d) p {_INNER}"),
    _rows("first_value", COPARTITION, f"select l.name, first_value(r.name) over (partition by l.k order by r.d) p {_INNER}"),
    _told("nth_of_each_side", COPARTITION, "with a as (select *, row_number() over (partition by k order by d) n from left_src), b as (select *, row_number() over (partition by k order by d) n from right_src) select a.id, b.id bid from a join b on a.k = b.k and a.n = b.n", "with a as (select *, row_number() over (partition by k order by d nulls last, id) n from left_src), b as (select *, row_number() over (partition by k order by d nulls last, id) n from right_src) select a.id, b.id from a join b on a.k = b.k and a.n = b.n"),
    _told("qualify", COPARTITION, f"select l.name, r.name rn {_INNER} qualify count(*) over (partition by l.k, l.cur) <= 4", f"select l.id, r.id {_INNER} qualify count(*) over (partition by l.k, l.cur) <= 4"),
    _told("best_candidate", COPARTITION, f"select id, rid from (select l.id, r.id rid, row_number() over (partition by l.id, l.k order by abs(l.amount - r.paid)) n {_INNER}) t where n = 1", f"select id, rid from (select l.id, r.id rid, row_number() over (partition by l.id, l.k order by abs(l.amount - r.paid) nulls last, l.id, r.id) n {_INNER}) t where n = 1"),
)  # fmt: skip

LIMITS = (
    _told("limit", SINGLE, f"select l.id, r.id rid {_INNER} order by 1, 2 limit 5", f"select l.id, r.id {_INNER} order by 1, 2 limit 5"),
    _told("limit_with_ties", SINGLE, f"select l.name, r.id rid {_INNER} order by l.name limit 5", f"select l.id, r.id {_INNER} order by l.name nulls last, l.id, r.id limit 5"),
    _told("limit_and_offset", SINGLE, f"select l.id, r.id rid {_INNER} order by 1, 2 limit 5 offset 3", f"select l.id, r.id {_INNER} order by 1, 2 limit 5 offset 3"),
    _told("limit_without_order", SINGLE, f"select l.name {_INNER} limit 7", f"select l.id, r.id {_INNER} order by 1, 2 limit 7"),
    _told("limit_by_a_hidden_column", SINGLE, f"select l.name {_INNER} order by l.amount desc limit 5", f"select l.id, r.id {_INNER} order by l.amount desc nulls first, l.id, r.id limit 5"),
    _told("limit_before_the_join", BROADCAST, "select l.name, r.name rn from (select * from left_src order by name limit 20) l join right_src r on l.k = r.k", "select l.id, r.id from (select * from left_src order by name nulls last, id limit 20) l join right_src r on l.k = r.k"),
    _told("order_below_the_top", COPARTITION, "select l.name, r.name rn from (select * from left_src order by name) l join right_src r on l.k = r.k", f"select l.id, r.id {_INNER}"),
)  # fmt: skip

KEYED = (
    _told("distinct_on", SINGLE, f"select distinct on (l.id) l.id, l.ref, r.id rid {_INNER} order by l.id, r.id", f"select l.id, min(r.id) {_INNER} group by l.id"),
    _refused("distinct_on_without_keys", f"select distinct on (l.k) l.k, l.ref, r.name {_INNER} order by l.k, l.name, r.name"),
    _rows("lateral", COPARTITION, "select l.id, x.id xid, x.name from left_src l, lateral (select r.name, r.id from right_src r where r.k = l.k) x", "l.id, x.id"),
    _rows("lateral_left", COPARTITION, "select l.id, x.id xid from left_src l left join lateral (select r.name, r.id from right_src r where r.k = l.k) x on true", "l.id, x.id"),
    _refused("lateral_without_keys", "select l.name, x.name rn from left_src l, lateral (select r.name from right_src r where r.k = l.k) x"),
    _told("unnest", SINGLE, "select t.id, t.u, r.id rid from (select id, k, unnest(tags) u from left_src) t join right_src r on t.k = r.k", "select t.id, r.id from (select id, k, unnest(tags) u from left_src) t join right_src r on t.k = r.k"),
    _refused("unnest_without_keys", "select t.name, r.id from (select name, unnest(tags) u from left_src) t join right_src r on t.u = r.k"),
)  # fmt: skip

FUNCTIONS = (
    _told("tolerance", COPARTITION, f"select l.id, r.id rid {_INNER} and tolerance_match(l.amount, r.paid, 0.02)", f"select l.id, r.id {_INNER} and abs(l.amount - r.paid) <= 0.02"),
    _told("tolerance_only", BROADCAST, "select l.id, r.id rid from left_src l join right_src r on tolerance_match(l.amount, r.paid, 0.02)", "select l.id, r.id from left_src l join right_src r on abs(l.amount - r.paid) <= 0.02"),
    _told("normalised_reference", COPARTITION, "select l.id, r.id rid from left_src l join right_src r on norm_ref(l.ref) = norm_ref(r.ref)", "select l.id, r.id from left_src l join right_src r on upper(trim(l.ref)) = upper(trim(r.ref))"),
    _told("dates_within", COPARTITION, f"select l.id, r.id rid {_INNER} where date_within(l.d, r.d, 2)", f"select l.id, r.id {_INNER} where abs(l.d - r.d) <= 2"),
    _told("tolerance_on_a_sum", COPARTITION, f"with g as ({_G}) select l.id, g.s from left_src l join g on l.ref = g.ref and tolerance_match(l.amount, g.s, 5)", f"with g as ({_G}) select l.id, r.id from left_src l join g on l.ref = g.ref and abs(l.amount - g.s) <= 5 join right_src r on r.ref = g.ref"),
    _refused("text_against_number", "select l.name, r.name rn from left_src l join right_src r on l.k = r.sref", "types_not_comparable"),
    _refused("volatile", f"select l.name {_INNER} where random() >= 0", "forbidden_sql"),
    _refused("writes", "create table t as select 1", "forbidden_sql"),
)  # fmt: skip

SHAPES = (
    *JOINS, *KEYS, *NO_KEY, *EXTRAS, *TESTS, *GROUPS, *UNIONS, *SELVES, *WINDOWS, *LIMITS, *KEYED,
    *FUNCTIONS,
)  # fmt: skip
