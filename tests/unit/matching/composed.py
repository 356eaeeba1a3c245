"""Match SQL composed of relations: CTEs, derived tables, set operations, sub-queries, windows.

Every relation offers the columns `id`, `g`, `n`, `t` and `v`, a value of any of the functions in
`values`, so that nearly all that is composed of them can be planned.
"""

from __future__ import annotations

import random
from functools import cache

from tests.unit.matching.values import FAMILIES, expressions

_ROWS = tuple(family for family in FAMILIES if family not in ("aggregates", "windows"))
_COLUMNS = ("id", "g", "n", "t")
_KEYS = ("id", "id", "g", "n", "t", "v")
_SETS = ("UNION", "UNION ALL", "EXCEPT", "INTERSECT")


@cache
def _pool(*families: str) -> tuple[str, ...]:
    return tuple(ours for family in families for ours, *_ in expressions(family))


class Composer:
    """Writes match SQL that a seed decides, over tables with the columns of `values.TABLE`."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._one = self._random.choice
        self._ctes: list[str] = []

    def query(self) -> str:
        """Return a statement."""
        value, total = self._row_value(), self._one(_pool("aggregates"))
        body = self._body(value, total)
        if self._random.random() < 0.25:
            width = self._one((1, 1, 2))
            body = f" {self._one(_SETS)} ".join(
                self._joined(value, total, "l.id, r.id AS rid, l.g AS x") for _ in range(width + 1)
            )
        end = self._one(
            ("", "", "", " ORDER BY 1", " ORDER BY 1, 2 LIMIT 4", " ORDER BY 1, 2 LIMIT 7 OFFSET 1")
        )
        ctes = f"WITH {', '.join(self._ctes)} " if self._ctes else ""
        return ctes + body + end

    def _body(self, value: str, total: str) -> str:
        return self._one((self._plain, self._plain, self._grouped, self._windowed, self._distinct))(
            value, total
        )

    def _plain(self, value: str, total: str) -> str:
        return self._joined(value, total, f"l.id, r.id AS rid, l.v AS x, {self._scalar()} AS y")

    def _grouped(self, value: str, total: str) -> str:
        by = self._one(("l.g", "l.id, r.id", "l.v", "r.t"))
        gathered = self._one(
            (
                "count(*)", "sum(r.n)", "min(l.v)", "max(r.v)", "count(DISTINCT r.v)",
                "array_agg(l.id ORDER BY l.id)", "string_agg(r.t, ',' ORDER BY r.id)",
                "avg(l.n) FILTER (WHERE r.n > 0)", "first_value(l.v ORDER BY l.id, r.id)",
            )
        )  # fmt: skip
        having = self._one(("", "", " HAVING count(*) > 1", f" HAVING {gathered} IS NOT NULL",
                            " HAVING sum(l.n) >= (SELECT min(n) FROM right_src)"))  # fmt: skip
        return f"{self._joined(value, total, f'{by}, {gathered} AS x')} GROUP BY {by}{having}"

    def _windowed(self, value: str, total: str) -> str:
        call = self._one(
            (
                "row_number()", "rank()", "ntile(2)", "lag(l.v)", "lead(r.n, 1, 0)", "count(*)",
                "first_value(r.v)", "nth_value(l.id, 2)", "sum(r.n)", "min(l.v)", "avg(l.id)",
            )
        )  # fmt: skip
        part = self._one(("", "PARTITION BY l.g ", "PARTITION BY l.id ", "PARTITION BY r.v "))
        frame = self._one(("", "", " ROWS BETWEEN 1 PRECEDING AND CURRENT ROW",
                           " RANGE UNBOUNDED PRECEDING"))  # fmt: skip
        over = f"{call} OVER ({part}ORDER BY l.id, r.id{frame})"
        sql = self._joined(value, total, f"l.id, r.id AS rid, {over} AS x")
        if self._random.random() < 0.4:
            return f"SELECT id, rid FROM ({sql}) q WHERE x IS NOT NULL"
        return sql + self._one(("", "", f" QUALIFY {over} IS NOT NULL"))

    def _distinct(self, value: str, total: str) -> str:
        columns = self._one(("DISTINCT l.v, r.v AS w", "DISTINCT l.id, r.id AS rid"))
        return self._joined(value, total, columns)

    def _joined(self, value: str, total: str, columns: str) -> str:
        key = self._one(_KEYS)
        how = self._one(("JOIN", "JOIN", "JOIN", "LEFT JOIN", "FULL JOIN"))
        on = self._one(
            (
                f"l.{key} = r.{key}", f"l.{key} = r.{key}", f"l.{key} IS NOT DISTINCT FROM r.{key}",
                f"l.{key} = r.{key} AND l.v IS NOT NULL", f"l.{key} = r.{key} AND same(l.v, r.v)",
                "l.id = r.id AND l.g <= r.g", f"l.g = r.g AND (l.n > r.n OR l.{key} = r.{key})",
                "coalesce(l.n, 0) = coalesce(r.n, 0)",
            )
        )  # fmt: skip
        left = self._relation("left", value, total)
        right = self._relation("right", value, total)
        return f"SELECT {columns} FROM {left} l {how} {right} r ON {on}{self._where()}"

    def _relation(self, side: str, value: str, total: str) -> str:
        if self._random.random() < 0.2:
            value = self._row_value()
        written = self._source(f"{side}_src", value, total)
        if self._random.random() < 0.3:
            name = f"c{len(self._ctes)}"
            self._ctes.append(f"{name} AS ({written})")
            return name
        return f"({written})"

    def _source(self, table: str, value: str, total: str) -> str:
        columns = ", ".join(_COLUMNS)
        plain = f"SELECT {columns}, {value} AS v FROM {table}"
        match self._random.randrange(8):
            case 0 | 1:
                return plain + self._own_where()
            case 2:
                over = self._one(_pool("windows"))
                return f"SELECT {columns}, {over} AS v FROM {table}"
            case 3:
                having = self._one(("", f" HAVING {total} IS NOT NULL", " HAVING count(*) > 1"))
                return (
                    f"SELECT min(id) AS id, g, max(n) AS n, min(t) AS t, {total} AS v "
                    f"FROM {table} GROUP BY g{having}"
                )
            case 4:
                return plain.replace("SELECT", "SELECT DISTINCT", 1)
            case 5:
                return f"{plain}{self._own_where()} {self._one(_SETS)} {plain}{self._own_where()}"
            case 6:
                return f"{plain} o WHERE {self._tested('o')}"
            case _:
                inner = f"SELECT *, {value} AS v FROM {table}"
                return f"SELECT {columns}, v FROM ({inner}) i WHERE id > 0"

    def _row_value(self) -> str:
        return self._one(_pool(self._one(_ROWS)))

    def _own_where(self) -> str:
        test = self._one(
            (
                f"({self._row_value()}) IS NOT NULL", "n > 0", "n IS NOT NULL AND g = 1",
                "id IN (SELECT id FROM right_src)", "id < (SELECT max(k) FROM fx)",
            )
        )  # fmt: skip
        return self._one(("", f" WHERE {test}"))

    def _where(self) -> str:
        return self._one(
            ("", "", "", " WHERE l.v IS NOT NULL OR r.n = 3", f" WHERE {self._tested('l')}",
             f" WHERE {self._tested('r')} AND {self._tested('l')}", " WHERE l.g = r.g")
        )  # fmt: skip

    def _tested(self, alias: str) -> str:
        table = self._one(("left_src", "right_src"))
        return self._one(
            (
                f"{alias}.n IN (SELECT n FROM {table} WHERE g = 1)",
                f"{alias}.n NOT IN (SELECT k FROM fx WHERE k IS NOT NULL)",
                f"EXISTS (SELECT 1 FROM {table} e WHERE e.id = {alias}.id AND e.n > 0)",
                f"NOT EXISTS (SELECT 1 FROM {table} e WHERE e.g = {alias}.g AND e.n = {alias}.n)",
                f"{alias}.n = (SELECT max(n) FROM {table})",
                f"{alias}.n = (SELECT max(e.n) FROM {table} e WHERE e.g = {alias}.g)",
                f"{alias}.n = ANY (SELECT n FROM {table})",
                f"{alias}.id <> ALL (SELECT k FROM fx WHERE k > 3)",
            )
        )  # fmt: skip

    def _scalar(self) -> str:
        return self._one(
            ("r.v", "l.t || r.t", "coalesce(l.n, r.n)", "CASE WHEN l.n > r.n THEN l.v END",
             "(SELECT count(*) FROM fx)", "(SELECT max(e.n) FROM right_src e WHERE e.g = l.g)")
        )  # fmt: skip
