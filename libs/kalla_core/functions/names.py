"""Names of firms and people, freed of the ways in which people write them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_MARKS = r"[\p{M}\p{Cf}'`\x{b4}\x{2018}\x{2019}]+"
_LETTERS = {
    "ß": "ss", "ẞ": "SS", "Æ": "AE", "æ": "ae", "Œ": "OE", "œ": "oe", "Ø": "O", "ø": "o",
    "Ł": "L", "ł": "l", "Đ": "D", "đ": "d", "Ð": "D", "ð": "d", "Þ": "TH", "þ": "th", "\u0131": "i",
}  # fmt: skip
"""Letters that are not made of a plain one and an accent."""
_INITIAL = r"\b([\pL\pN])\."
_AND = r"[&+]"
_GAP = r"[^\pL\pN]+"
_FORMS = r"""
GMBH|MBH|AG|KG|KGAA|OHG|GBR|UG|UG HAFTUNGSBESCHRANKT|HAFTUNGSBESCHRANKT|EK|EV|EG|SE|LTD|LIMITED|
LLC|LLP|LP|INC|INCORPORATED|CORP|CORPORATION|CO|COMPANY|PLC|PTY|PTE|PVT|PRIVATE|SA|SAS|SASU|SARL|
EURL|SNC|SCA|SCS|SPA|SRL|SL|SLU|BV|NV|VOF|CV|BVBA|SPRL|CVBA|AB|HB|AS|A S|ASA|APS|OY|OYJ|SP Z O ?O|
SP ?ZOO|S R ?O|SRO|DOO|D O O|DD|AD|KFT|ZRT|NYRT|OOD|EOOD|LDA|LTDA|SA DE CV|S DE RL|S DE RL DE CV|GK|
KK|SDN BHD|BHD|OOO|ZAO|PAO|OAO|UAB|OU|SIA
""".replace("\n", "")
_LAST = rf"(?:(?: AND)? (?:{_FORMS}))+$"
_FIRST = r"^(?:(?:OOO|ZAO|PAO|OAO|UAB|SIA|PT) )+"


def normalised_name(texts: pa.Array) -> pa.Array:
    """Return string from any kind of string: `Müller & Söhne G.m.b.H.` is `MULLER AND SOHNE`.

    What Unicode calls compatible becomes one (NFKC), accents go, letters become upper case, `&`
    and `+` become AND, initials lose their dots, other punctuation and white space become one
    blank. Legal forms at the end go, and those that stand first in their language at the start;
    a name that is nothing else is kept. The result is a fixed point.
    """
    texts = texts.cast(pa.string())
    plain = pc.replace_substring_regex(pc.utf8_normalize(texts, "NFKD"), _MARKS, "")
    for letter, written in _LETTERS.items():
        plain = pc.replace_substring(plain, letter, written)
    upper = pc.utf8_normalize(pc.utf8_upper(plain), "NFC")
    joined = pc.replace_substring_regex(upper, _INITIAL, r"\1")
    words = pc.replace_substring_regex(pc.replace_substring_regex(joined, _AND, " AND "), _GAP, " ")
    name = pc.utf8_trim(words, " ")
    return pc.replace_substring_regex(pc.replace_substring_regex(name, _LAST, ""), _FIRST, "")
