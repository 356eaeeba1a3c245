r"""Postgres: tables and views read in parallel, all under one snapshot.

    uri         which server and table; Kalla's own options
    session     a connection: ADBC, the settings reading needs, streams that can be given up
    silence     waits for a server that have a bound
    faults      what the driver and the server say, as Kalla's errors
    catalogue   what a table is: kind, columns, the tables its rows lie in; its lock
    types       * from Postgres' types to exact Arrow types
    wire        * how values travel: SQL that sends them, kernels that receive them
    bundles     * many rows in one: SQL that adds them up, and what tells them apart
    conditions  * the recipe's filters as SQL
    parts       * ranges of blocks
    pin         * what is kept of a pinned table, as plain data
    statements  * the queries that read rows
    measure     digits of numerics without precision; expected sizes
    snapshots   the transaction that keeps locks and the snapshot for a run
    connector   all of it as a `Connector`

**One state.** `snapshots` opens a transaction per connection, locks every table with ACCESS SHARE,
then exports one snapshot per database. Every reader, in this process or on another machine,
imports it (`SET TRANSACTION SNAPSHOT`), so all parts of all sources of one database show the same
moment, however others write. The lock keeps away what MVCC does not cover: TRUNCATE, ALTER, DROP,
VACUUM FULL. `verify` enters the snapshot once more: that works only while the holder lives.

**Parts** are ranges of `ctid`, over the blocks a table had right after the snapshot; the last one
is open-ended. Partitions and inheritance children are read one after the other, table by table,
unless missing rights say that only the whole may be read; where policies would hide rows
(`row_security = off`), the server refuses. Views, foreign tables and
tables of other storage are one part, sorted (`statements`), so that reading again gives the same
rows in the same order, as every part does. A foreign table shows the other server's state at the
time of reading: no snapshot of this server reaches there.

**Bundles.** What a row costs is mostly that it is one. Of a table that has no value outside its
blocks, the rows of 4 MiB come as one, if all columns asked for are texts, whole numbers, decimals
of up to 18 digits, dates or timestamps. They come one by one, for the rest of a part, once a text
has the mark in it that stands between texts.

**Picked rows.** Sending a row and taking it apart costs by column, so runs over tables read the
columns that their SQL names, and later the others of some rows (`pick`). Nothing cheap tells the
server these rows but their places: a part has the same rows in the same order under the snapshot,
so the server numbers them and looks each up in one bit per row. Where most are wanted, all are
sent.

**Values** are sent in the form that reaches its Arrow type exactly and soonest: decimals of up to
18 digits as bigint times their scale, wider ones as text, which is cast by Arrow's kernels.

**Time.** Connecting takes 10 s at most, a lock 30 s, a query an hour; a server of which nothing
comes for 60 s is asked whether it is still there. All four are options of the URI. The server
itself looks every two seconds whether its client is still there, so a query of a killed process
does not go on for nothing.
"""

from kalla_core.sources.postgres.connector import postgres_tables

__all__ = ["postgres_tables"]
