"""Views of text and of bytes, as many functions of DataFusion give them.

pyarrow can neither take nor filter rows of them, wherever in a nested type they stand, so results
come with plain text and plain bytes instead.
"""

from __future__ import annotations

import pyarrow as pa


def without_views(data_type: pa.DataType) -> pa.DataType:
    """Return `data_type` with text and bytes in the place of views of them."""
    if pa.types.is_string_view(data_type):
        return pa.string()
    if pa.types.is_binary_view(data_type):
        return pa.binary()
    if pa.types.is_struct(data_type):
        return pa.struct([_field(child) for child in data_type])
    if pa.types.is_map(data_type):
        return pa.map_(
            _field(data_type.key_field), _field(data_type.item_field), data_type.keys_sorted
        )
    if pa.types.is_fixed_size_list(data_type):
        return pa.list_(_field(data_type.value_field), data_type.list_size)
    if pa.types.is_large_list(data_type):
        return pa.large_list(_field(data_type.value_field))
    if pa.types.is_list(data_type):
        return pa.list_(_field(data_type.value_field))
    if pa.types.is_dictionary(data_type):
        values = without_views(data_type.value_type)
        return pa.dictionary(data_type.index_type, values, data_type.ordered)
    return data_type


def _field(field: pa.Field) -> pa.Field:
    return field.with_type(without_views(field.type))
