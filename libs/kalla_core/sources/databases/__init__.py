"""Files of SQLite and DuckDB: a table or view of each is a source.

    beside  a file as a path that a database opens; what lies beside it
    sqlite  a table of an SQLite file as a `streams.kind.Kind`, by what Python brings
    duck    one of a DuckDB file, by the extra `duckdb`

A file with changes beside it that are not in it yet (`-wal`, `-journal`, `.wal`) is refused: it
would be read in a state that nobody can pin.
"""
