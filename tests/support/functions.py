"""Calling Kalla's functions as match SQL does: as UDFs in a query."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from datafusion import col

from kalla_core.functions import variant
from kalla_core.matching.plans.session import new_session

NUMPY: dict[pa.DataType, Any] = {
    pa.float16(): np.float16,
    pa.float32(): np.float32,
    pa.float64(): np.float64,
}


def call(function: str, *columns: pa.Array) -> list[Any]:
    """The answers of a function, through a query, for each row of these columns."""
    names = [f"x{place}" for place in range(len(columns))]
    function_variant = variant(function, function, [column.type for column in columns])
    frame = new_session().create_dataframe([[pa.record_batch(list(columns), names)]])
    result = frame.select(function_variant(*map(col, names)).alias("answer")).collect()
    return [value for batch in result for value in batch.column(0).to_pylist()]


def column(data_type: pa.DataType, values: Sequence[Any]) -> pa.Array:
    if pa.types.is_float16(data_type):
        return pa.array(
            [None if value is None else np.float16(value) for value in values], data_type
        )
    return pa.array(values, data_type)
