"""The functions Kalla adds to match SQL: exact, vectorised, one variant per mix of types.

DataFusion gives a Python UDF one exact signature and would hand decimals over as doubles where
types differ. So each call in match SQL is resolved to a `variant` made for its argument types.

- `tolerance_match(a, b, t)`: |a - b| <= t.
- `tolerance_pct(a, b, p)`: |a - b| <= p * |a|.
- `date_within(a, b, days)`: dates or timestamps at most so many times 24 hours apart. A date is
  its midnight; beside a zoned timestamp, midnight in that zone. Days may have a fraction.
- `norm_ref(s)`: a reference in upper case without white space, punctuation and leading zeros.

The first three take any mix of integers, decimals and floats where they take numbers, are null
when an argument is null, and false when one is NaN or infinite or when the tolerance is negative,
also where both sides are equal. All of them are exact: no sum or product overflows (`wide`), and
floats are the numbers they print as (`within`), of which doubles settle the clear cases.
"""

from kalla_core.functions.variants import FUNCTIONS, variant

__all__ = ["FUNCTIONS", "variant"]
