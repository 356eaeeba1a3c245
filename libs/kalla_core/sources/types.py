"""The type words of a recipe's `types`, as `kalla_core.recipe.column_types` defines them."""

from kalla_core.recipe.column_types import (
    MAX_DECIMAL128_DIGITS,
    MAX_DECIMAL_DIGITS,
    decimal_type,
    parse_type,
    type_word,
)

__all__ = ["MAX_DECIMAL128_DIGITS", "MAX_DECIMAL_DIGITS", "decimal_type", "parse_type", "type_word"]
