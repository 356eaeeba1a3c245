"""Other engines doing the full job of a run, each as a process of its own.

    python -m benchmarks.peers.duckdb_peer --left L --right R --pattern P --format csv \
        --out DIR --memory 2GiB --threads 2

A peer reads both files with declared types (amounts as DECIMAL(12,2)), and writes
`matched.parquet` (both keys, both amounts), `unmatched_left.parquet` and
`unmatched_right.parquet` (all columns of the source), with the compression that Kalla uses. What
it wrote is checked against the truth before its time counts. A peer is written as somebody who
knows its engine would write it: the fastest way found that gives the right rows.
"""
