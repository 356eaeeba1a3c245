"""Avro container files, read by fastavro (the extra `avro`).

    types   from the types of an Avro schema to those of columns
    reader  a file as a `streams.kind.Kind`

Rows are decoded one by one, some thousands at a time; decimals, dates and times are exact.
"""
