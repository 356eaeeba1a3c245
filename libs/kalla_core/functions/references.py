"""References such as invoice numbers, freed of the ways in which people write them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

# Unicode's white space and punctuation, and the ASCII characters that C calls punctuation while
# Unicode calls them symbols.
_NOISE = r"[\s\v\p{Z}\x{85}\x{1c}-\x{1f}\p{P}$+<=>^`|~]+"
_LEADING_ZEROS = r"(^|[^0-9])0+([0-9])"


def normalised(texts: pa.Array) -> pa.Array:
    """Return string from any kind of string: ` inv-00120/a ` and `INV 120 A` become `INV120A`.

    Upper case first, one character for one, but for the sharp s, which becomes SS. Then white
    space and punctuation go. Of what is left, runs of the digits 0 to 9 lose their leading zeros
    and keep at least one digit, so `1-02` is `102` and `000` is `0`. The result is a fixed point.
    """
    upper = pc.utf8_upper(texts.cast(pa.string()))
    upper = pc.replace_substring(upper, "\u1e9e", "SS")
    dense = pc.replace_substring_regex(upper, _NOISE, "")
    return pc.replace_substring_regex(dense, _LEADING_ZEROS, r"\1\2")
