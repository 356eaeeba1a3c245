"""Lines whose columns have a fixed width, written as CSV."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace

import pyarrow as pa
import pyarrow.compute as pc

from kalla_core.errors import InvalidFormat
from kalla_core.recipe.source_format import FixedColumn, SourceFormat
from kalla_core.sources.csv.encodings import has_byte_order, with_byte_order
from kalla_core.sources.csv.faults import at_line, short
from kalla_core.sources.csv.packed import NotUnpackedError, unpacked
from kalla_core.sources.transcripts.cells import DELIMITER, field
from kalla_core.sources.transcripts.format import Transcript, UntranscribedError

_BLOCK_CHARACTERS = 1 << 20
_GLANCE_BYTES = 4096
_SPECIAL = '[\t"]'


def fixed_lines(raw: pa.NativeFile, path: str, found: SourceFormat) -> Iterator[bytes]:
    """Yield the CSV of lines of a fixed width; its header is one line more than the file has."""
    if not found.columns:
        raise InvalidFormat(
            "Lines of a fixed width need `columns` in `format`: the name of each, and its `width`"
            " or its first and last character as `start` and `end`.",
            field="columns",
        )
    passed = _passed_over(found)
    yield (DELIMITER.join(field(column.name) for column in found.columns) + "\n").encode()
    before = 0
    for lines in _lines(raw, path, found.encoding or "utf-8"):
        hidden = min(max(passed - before, 0), len(lines))
        _refuse_longer(lines, before, hidden, path, found.columns)
        rows = _rows(lines.slice(hidden), found.columns).to_pylist()
        yield ("\n" * hidden + "".join(f"{row}\n" for row in rows)).encode()
        before += len(lines)


def _passed_over(found: SourceFormat) -> int:
    """Return how many of the first lines are no rows."""
    header = found.header
    if header is None or isinstance(header, bool):
        return found.skip_first + int(header is True)
    if isinstance(header, str):
        raise InvalidFormat(
            "`columns` names the columns of lines of a fixed width; `header` may say by its number"
            " which line has names as well.",
            field="header",
        )
    return max(found.skip_first, header)


def _lines(raw: pa.NativeFile, path: str, encoding: str) -> Iterator[pa.Array]:
    """Yield the lines of a file as texts, many at a time."""
    try:
        if has_byte_order(encoding):
            with unpacked(raw, path) as stream:
                encoding = with_byte_order(encoding, bytes(stream.read(_GLANCE_BYTES)))
            raw.seek(0)
        with unpacked(raw, path) as stream:
            text = io.TextIOWrapper(stream, encoding, newline=None)
            held = [text.read(_BLOCK_CHARACTERS).removeprefix("\ufeff")]
            while more := text.read(_BLOCK_CHARACTERS):
                whole, end, rest = more.rpartition("\n")
                if end:
                    yield pa.array("".join([*held, whole]).split("\n"), pa.string())
                    held.clear()
                held.append(rest)
            if rest := "".join(held):
                yield pa.array(rest.removesuffix("\n").split("\n"), pa.string())
    except UnicodeError as cause:
        raise UntranscribedError(f"is not {encoding}: {cause}.") from cause
    except NotUnpackedError as cause:
        raise UntranscribedError(str(cause)) from cause


def _refuse_longer(
    lines: pa.Array, before: int, hidden: int, path: str, columns: tuple[FixedColumn, ...]
) -> None:
    """Refuse a line with something behind its last column."""
    end = max(column.end for column in columns)
    behind = pc.utf8_trim_whitespace(pc.utf8_slice_codeunits(lines.slice(hidden), end))
    longer = pc.indices_nonzero(pc.not_equal(behind, ""))
    if len(longer):
        index = int(longer[0].as_py())
        raise at_line(
            path,
            before + hidden + index + 1,
            f"`{short(behind[index].as_py())}` stands behind the last of its `columns`, which ends"
            f" with character {end}.",
        )


def _rows(lines: pa.Array, columns: tuple[FixedColumn, ...]) -> pa.Array:
    """Return lines as lines of CSV; blanks around values are none of theirs."""
    texts = [
        pc.utf8_trim_whitespace(pc.utf8_slice_codeunits(lines, column.start, column.end))
        for column in columns
    ]
    blank = pc.equal(pc.utf8_trim_whitespace(lines), "")
    joined = pc.binary_join_element_wise(*map(_quoted, texts), DELIMITER)
    return pc.if_else(blank, "", joined)


def _quoted(texts: pa.Array) -> pa.Array:
    special = pc.match_substring_regex(texts, _SPECIAL)
    if not pc.any(special).as_py():
        return texts
    doubled = pc.replace_substring(texts, '"', '""')
    return pc.if_else(special, pc.binary_join_element_wise('"', doubled, '"', ""), texts)


def _as_csv(found: SourceFormat) -> SourceFormat:
    return replace(found, columns=(), encoding=None, header=None, skip_first=0, delimiter=DELIMITER)


FIXED = Transcript(
    kind="Files of a fixed width",
    fields=frozenset(
        {
            "columns", "encoding", "decimal", "thousands", "date", "timestamp", "true", "false",
            "null", "header", "skip_first", "skip_last", "amounts", "stop", "row_number", "amount",
        }
    ),
    pieces=fixed_lines,
    as_csv=_as_csv,
    first_line=0,
)  # fmt: skip
