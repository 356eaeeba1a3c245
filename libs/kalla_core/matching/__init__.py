"""From match SQL to something that can be run in pieces without changing its answer.

    query       the tables of a job, without their data
    prepare     the user's text, checked, its calls and literals resolved   -> PreparedSql
    planned     everything below, for the engine                            -> Planned

Before it is planned, `operations` finds arithmetic and comparisons in the text, `operands` asks
DataFusion for their types, and `exact` says which casts keep them from wrapping, `conversions` what
written casts need. `patterns` writes SIMILAR TO and ESCAPE otherwise, `lists` keeps searches for a
list to lists that are there. `casts` and `comparable` refuse what would compare only after a cast
that nobody wrote, and `agreement` whatever is compared as two types in the plan that runs.
`fallible` is asked when a value made it fail.

A plan is made three times over. **Prepared** SQL is planned over the sources' own columns, so
that `*` and NATURAL mean what the user meant. `rebuild` makes the same plan again over tables
with a row number, operator by operator, so that each result row names its source rows
(`origins`, expanded into pairs by `pairs`, or into matches of members by `members`; both stand on
`named`); where numbers cannot travel, `identify` looks them up
by primary key or refuses. `ordering` sees to it that equal rows come in one order. The rebuilt
plan, **optimised**, is the one that is analysed, shown and run:

    logical      DataFusion's operators as values; what is not known is `Unknown`
    lineage      values as symbols over the columns of scans, whatever they are called
    trace        the plan with a symbol for every column, and what cannot be cut
    copartition  whether a way to cut the sides leaves every operator its rows
    candidates   the equalities that may be keys, as expressions over single source rows
    routes       how a value is computed from one source row; `totality`: without failing
    strategy     copartition, else broadcast, else single, and why
    keys         the key of each row of a source, for scans to hash and reasons to compare
    sorted_joins how joins that spill keep to their conditions
    requirements, conditions, pairwise
                 what else a pair must fulfil, told for given pairs

Rules that hold throughout: what is not known to be exact is not cut; a symbol is equal to another
only if it is so in every row; nothing looks at names where a position can tell.

An example, from the text to the buckets (its lines are run by the tests):

    >>> from datetime import UTC, datetime
    >>> import pyarrow as pa
    >>> from datafusion import col
    >>> from kalla_core.engine.keys.hashing import in_buckets, key_hash
    >>> from kalla_core.matching.plans.session import new_session
    >>> from kalla_core.matching.sql.query import ROW, MatchQuery, Side, TableShape
    >>> from kalla_core.matching.strategy.planned import key_frame, plan_match

    >>> money = pa.decimal128(12, 2)
    >>> bills = pa.schema([("id", pa.string()), ("ref", pa.string()), ("amount", money)])
    >>> paid = pa.schema([("no", pa.int64()), ("text", pa.string()), ("paid", money)])
    >>> sql = '''SELECT i.id, p.no FROM invoices i JOIN payments p
    ...          ON lower(i.ref) = p.text AND tolerance_match(i.amount, p.paid, 1)'''
    >>> query = MatchQuery(
    ...     sql,
    ...     TableShape("invoices", bills, ("id",)),
    ...     TableShape("payments", paid, ("no",)),
    ...     extras=(),
    ...     started_at=datetime(2026, 3, 1, tzinfo=UTC),
    ... )

The plan that runs is the user's, over tables with a row number: what begins with `__kalla_` names
the source rows of each result row, by number (`l1`, `r3`) and, for the order of equal rows, by
primary key (`t2`, `t4`).

    >>> planned = plan_match(query)
    >>> print(planned.plan_text)  # doctest: +NORMALIZE_WHITESPACE
    Projection: i.id, p.no, i.__kalla_l1 AS __kalla_l1, p.__kalla_r3 AS __kalla_r3,
                i.__kalla_t2 AS __kalla_t2, p.__kalla_t4 AS __kalla_t4
      Inner Join: lower(i.ref) = p.text Filter: tolerance_match(i.amount, p.paid, Int64(1))
        SubqueryAlias: i
          Projection: invoices.id, invoices.ref, invoices.amount,
                      invoices.__kalla_row AS __kalla_l1, invoices.id AS __kalla_t2
            TableScan: invoices projection=[id, ref, amount, __kalla_row]
        SubqueryAlias: p
          Projection: payments.no, payments.text, payments.paid,
                      payments.__kalla_row AS __kalla_r3, payments.no AS __kalla_t4
            TableScan: payments projection=[no, text, paid, __kalla_row]

One equality holds in every pair, and each of its ends is computed from one source row: it is the
key, by which both sides are cut. The condition beside it is what reasons are told from.

    >>> planned.strategy.value
    'copartition'
    >>> print(*planned.why)  # doctest: +NORMALIZE_WHITESPACE
    Rows can only meet where lower(ref) = text, so both sides are cut into buckets
    by it.
    >>> [(key.text(Side.LEFT), key.text(Side.RIGHT), str(key.type)) for key in planned.reason_keys]
    [('lower(ref)', 'text', 'string')]
    >>> [one.condition.text for one in planned.rules[0].checked]
    ['tolerance_match(i.amount, p.paid, 1)']

A scan computes the keys of its rows and their buckets. Rows without a key meet nobody, so their
bucket does not matter.

    >>> rows = {"id": ["A", "B", "C"], "ref": ["R1", "r1", None]}
    >>> rows["amount"] = pa.array([1, 2, 3], money)
    >>> session = new_session()
    >>> batch = pa.record_batch({**rows, ROW: pa.array([0, 1, 2], pa.uint64())})
    >>> session.register_record_batches("left_src", [[batch]])
    >>> keys = key_frame(planned, session, Side.LEFT)
    >>> keys.to_pydict()
    {'__k0': ['r1', 'r1', None], '__kalla_row': [0, 1, 2]}
    >>> hashed = key_hash([(col("__k0"), planned.reason_keys[0].type)])
    >>> in_buckets(keys.select(hashed.alias("h")).to_arrow_table()["h"].to_numpy(), 4).tolist()
    [0, 0, 2]
"""
