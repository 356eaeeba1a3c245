"""References such as invoice numbers, freed of the ways in which people write them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

# Unicode's white space and punctuation; the ASCII characters that C calls punctuation while
# Unicode calls them symbols; the minus signs, which it calls symbols too; and what has no width:
# format characters (soft hyphen, zero-width space and joiners), the grapheme joiner, variation
# selectors.
_NOISE = (
    r"[\s\v\p{Z}\x{85}\x{1c}-\x{1f}\p{P}$+<=>^`|~"
    r"\x{2212}\x{2d7}\x{2796}\p{Cf}\x{34f}\x{fe00}-\x{fe0f}\x{e0100}-\x{e01ef}]+"
)
_LEADING_ZEROS = r"(^|[^0-9])0+([0-9])"


def normalised(texts: pa.Array) -> pa.Array:
    """Return string from any kind of string: ` inv-00120/a ` and `INV 120 A` become `INV120A`.

    What Unicode calls compatible becomes one (NFKC): composed and decomposed letters, full-width
    and superscript digits. Upper case, one character for one, but for the sharp s, which becomes
    SS. White space, punctuation, dashes of all kinds and what has no width go. Of what is left,
    runs of the digits 0 to 9 lose their leading zeros and keep at least one digit, so `1-02` is
    `102` and `000` is `0`. The result is a fixed point.
    """
    texts = texts.cast(pa.string())
    plain = pc.all(pc.string_is_ascii(texts)).as_py() is not False
    if not plain:  # noise first: made compatible, an overline would leave its mark behind
        texts = pc.replace_substring_regex(pc.utf8_normalize(texts, "NFC"), _NOISE, "")
        texts = pc.utf8_normalize(texts, "NFKC")
        texts = pc.replace_substring_regex(texts, _NOISE, "")
    upper = pc.replace_substring(pc.utf8_upper(texts), "\u1e9e", "SS")
    if not plain:  # what stood between two characters is gone, so they may compose now
        upper = pc.utf8_normalize(upper, "NFKC")
    dense = pc.replace_substring_regex(upper, _NOISE, "")
    return pc.replace_substring_regex(dense, _LEADING_ZEROS, r"\1\2")
