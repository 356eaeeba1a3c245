"""Ways to write a text: each as SQL of a match and as Arrow kernels that do the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.functions.names import normalised_name
from kalla_core.functions.references import normalised


class Space(StrEnum):
    """Texts of one space may be compared; of two, they are written differently."""

    AS_IS = "as is"
    TRIMMED = "trimmed"
    REFERENCE = "reference"
    DIGITS = "digits"
    NAME = "name"


@dataclass(frozen=True, slots=True)
class Transform:
    """A way to write a text.

    Attributes:
        sql: with `{}` where the text stands.
        apply: string to string of the same length; null where nothing is left of a text.
        says: what it does, to follow the name of a column.
        cost: how much simpler others are; the least of equals is taken.
        derived: takes a piece of the text, so that the other side has to be whole.
    """

    sql: str
    apply: Callable[[pa.Array], pa.Array]
    says: str
    space: Space
    cost: int
    derived: bool = False

    def of(self, expression: str) -> str:
        """Return the SQL for a text that an expression gives."""
        return self.sql.replace("{}", expression)


_BRACES = str.maketrans({"{": "\ue000", "}": "\ue001"})
_AS_WRITTEN = str.maketrans({"\ue000": "{", "\ue001": "}"})


def sealed(text: str) -> str:
    """Return a text of the data whose braces no template takes for its own, until `unsealed`."""
    return text.translate(_BRACES)


def unsealed(sql: str) -> str:
    """Return SQL as it is to be written."""
    return sql.translate(_AS_WRITTEN)


def quoted(text: str) -> str:
    """Return a text as SQL has it, sealed."""
    return sealed("'" + text.replace("'", "''") + "'")


def filled(texts: pa.Array) -> pa.Array:
    """Return texts with null in the place of empty ones."""
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _upper(texts: pa.Array) -> pa.Array:
    upper = pc.utf8_upper(pc.utf8_trim(texts, " "))
    return filled(pc.replace_substring(upper, "\u1e9e", "SS"))


def _digits(texts: pa.Array) -> pa.Array:
    return filled(pc.utf8_ltrim(pc.replace_substring_regex(texts, "[^0-9]", ""), "0"))


def _reference(texts: pa.Array) -> pa.Array:
    return filled(normalised(texts))


def _unlettered(texts: pa.Array) -> pa.Array:
    return filled(pc.replace_substring_regex(normalised(texts), "^[A-Z]+|[A-Z]+$", ""))


AS_IS = Transform("{}", lambda texts: texts, "as it is", Space.AS_IS, 0)
UPPER = Transform(
    "nullif(upper(trim({})), '')", _upper, "without blanks around it, in upper case",
    Space.TRIMMED, 1,
)  # fmt: skip
REFERENCE = Transform(
    "nullif(norm_ref({}), '')", _reference,
    "without case, blanks, separators and leading zeros", Space.REFERENCE, 2,
)  # fmt: skip
NAME = Transform(
    "nullif(norm_name({}), '')", lambda texts: filled(normalised_name(texts)),
    "without case, accents and legal forms", Space.NAME, 2,
)  # fmt: skip
DIGITS = Transform(
    "nullif(ltrim(regexp_replace({}, '[^0-9]', '', 'g'), '0'), '')", _digits,
    "digits only, without leading zeros", Space.DIGITS, 4,
)  # fmt: skip
UNLETTERED = Transform(
    "nullif(regexp_replace(norm_ref({}), '^[A-Z]+|[A-Z]+$', '', 'g'), '')", _unlettered,
    "without the letters around it", Space.REFERENCE, 4,
)  # fmt: skip
WHOLE = (AS_IS, UPPER, REFERENCE, NAME, DIGITS, UNLETTERED)


def part(separator: str, place: int) -> Transform:
    """Return the piece between separators, counted from 1, or from the end from -1."""

    def apply(texts: pa.Array) -> pa.Array:
        pieces = pc.split_pattern(texts, separator)
        count = pc.list_value_length(pieces)
        long_enough = pc.greater_equal(count, abs(place))
        kept = pc.if_else(long_enough, pieces, pa.scalar(None, pieces.type))
        if place > 0:
            padded = pc.if_else(pc.is_null(kept), pa.scalar([""] * place, pieces.type), kept)
            found = pc.list_element(padded, place - 1)
        else:
            last = pc.replace_substring_regex(texts, f"^.*{_in_class(separator)}", "")
            found = pc.if_else(long_enough, last, "")
        return _reference(found)

    sql = f"nullif(norm_ref(split_part({{}}, {quoted(separator)}, {place})), '')"
    which = f"part {place}" if place > 0 else "the last part"
    return Transform(sql, apply, f"{which} between `{separator}`", Space.REFERENCE, 5, derived=True)


def head(length: int) -> Transform:
    """Return the first characters of a reference."""
    return Transform(
        f"nullif(left(norm_ref({{}}), {length}), '')",
        lambda texts: filled(pc.utf8_slice_codeunits(normalised(texts), 0, length)),
        f"its first {length} characters", Space.REFERENCE, 6, derived=True,
    )  # fmt: skip


def tail(length: int) -> Transform:
    """Return the last characters of a reference."""
    return Transform(
        f"nullif(right(norm_ref({{}}), {length}), '')",
        lambda texts: filled(pc.utf8_slice_codeunits(normalised(texts), -length)),
        f"its last {length} characters", Space.REFERENCE, 6, derived=True,
    )  # fmt: skip


def capture(pattern: str, space: Space = Space.REFERENCE) -> Transform:
    """Return what a pattern finds first in a text, written as a reference or as digits."""
    shape = f"(?P<found>{pattern})"
    plain = f"regexp_match({{}}, {quoted(f'({pattern})')})[1]"
    if space is Space.DIGITS:
        sql, write = f"nullif(ltrim({plain}, '0'), '')", _digits
    else:
        sql, write = f"nullif(norm_ref({plain}), '')", _reference

    def apply(texts: pa.Array) -> pa.Array:
        return write(pc.struct_field(pc.extract_regex(texts, shape), [0]))

    return Transform(sql, apply, f"what `{pattern}` finds in it", space, 5, derived=True)


def _in_class(separator: str) -> str:
    return f"[{chr(92)}{separator}]"
