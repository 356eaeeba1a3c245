"""Parquet files: typed by themselves, cut at row groups, pruned by statistics.

    schema    which types rows are delivered in
    groups    row groups: shared out among parts, and what their statistics bound
    format    all of it as a `FormatReader`

A part reads its row groups one after the other, page by page, on the thread that asks. Row groups
whose statistics show that no filter lets a row pass are not read; their rows count as excluded.
"""
