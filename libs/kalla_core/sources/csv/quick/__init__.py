"""Numbers and moments of a `format`, read from their bytes without a pattern for each text.

What is not written as most of a column is left to the patterns, so that nothing but time depends on
which of the two reads a value.
"""

from kalla_core.sources.csv.quick.numbers import digits_of
from kalla_core.sources.csv.quick.values import quick_values

__all__ = ["digits_of", "quick_values"]
