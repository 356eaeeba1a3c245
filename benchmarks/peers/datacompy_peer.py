"""DataComPy on two tables: `python datacompy_peer.py LEFT RIGHT KEY`, with its own interpreter.

LEFT is a Parquet file, or `postgres://…?table=NAME`, read by psycopg. Prints, as JSON, how many
values of each column differ. Imports nothing of ours: it runs where DataComPy is installed.
"""

from __future__ import annotations

import json
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit


def _frame(place: str) -> Any:
    import pandas as pd
    import pyarrow.parquet as pq

    if not place.startswith("postgres"):
        return pq.read_table(place).to_pandas()
    import psycopg

    parts = urlsplit(place)
    options = parse_qs(parts.query)
    table = options.pop("table")[0]
    query = "&".join(f"{name}={value[0]}" for name, value in options.items())
    address = urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))
    with psycopg.connect(address) as connection:
        cursor = connection.execute(f'SELECT * FROM "{table}"')
        names = [column.name for column in cursor.description or ()]
        return pd.DataFrame(cursor.fetchall(), columns=names)


def main() -> None:
    """Compare, and print the counts."""
    import datacompy

    left, right, key = sys.argv[1:]
    compare = getattr(datacompy, "PandasCompare", None) or datacompy.Compare
    done = compare(_frame(left), _frame(right), join_columns=[key])
    counts = {one["column"]: int(one["unequal_cnt"]) for one in done.column_stats}
    print(json.dumps({name: count for name, count in counts.items() if name != key}))


if __name__ == "__main__":
    main()
