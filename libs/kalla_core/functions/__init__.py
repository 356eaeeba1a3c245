"""The functions Kalla adds to match SQL: exact, vectorised, one variant per mix of types.

DataFusion gives a Python UDF one exact signature and would hand decimals over as doubles where
types differ. So each call in match SQL is resolved to a `variant` made for its argument types.

- `tolerance_match(a, b, t)`: |a - b| <= t.
- `tolerance_pct(a, b, p)`: |a - b| <= p * |a|.
- `date_within(a, b, days)`: dates or timestamps at most so many times 24 hours apart. A date is
  its midnight; beside a zoned timestamp, midnight in that zone. Days may have a fraction.
- `days_between(a, b)`: the whole days from a to b, below zero where b is the earlier.
- `norm_ref(s)`: a reference in upper case without white space, punctuation and leading zeros.
- `norm_name(s)`: a name in upper case without accents, punctuation and legal forms.
- `jaro_winkler(a, b)`, `token_sort_ratio(a, b)`, `token_set_ratio(a, b)`: how alike texts are,
  from 0 to 1.
- `parse_amount(s, locale)`: the decimal that a text such as `1.845,86-` is in `de`.
- `extract_refs(s, pattern)`: all that the pattern finds, as a sorted list.
- `refs_match(a, b)`: whether two such lists share a reference.

All are null when an argument is null. The first three take any mix of integers, decimals and
floats where they take numbers, and are false when one is NaN or infinite or when the tolerance is
negative, also where both sides are equal. They are exact: no sum or product overflows (`wide`),
and floats are the numbers they print as (`within`), of which doubles settle the clear cases.
"""

from collections.abc import Callable, Mapping

from kalla_core.functions.amounts import check_locale
from kalla_core.functions.reference_lists import check_pattern
from kalla_core.functions.variants import FUNCTIONS, RESULTS, variant

LITERALS: Mapping[str, tuple[str, Callable[[str], None]]] = {
    "extract_refs": ("the pattern of extract_refs", check_pattern),
    "parse_amount": ("the locale of parse_amount", check_locale),
}
"""Functions whose second argument is a text in quotes: what it is, and what raises InvalidSql
unless it makes sense."""

__all__ = ["FUNCTIONS", "LITERALS", "RESULTS", "variant"]
