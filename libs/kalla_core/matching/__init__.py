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
"""
