"""Parquet files: typed by themselves, cut at row groups, pruned by statistics.

schema: which types rows are delivered in
groups: row groups, their sizes and what their statistics bound
format: all of it as a `FormatReader`
"""
