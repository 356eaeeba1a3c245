"""Some records of a block, cut out so that the others need not be parsed.

A reader takes most of its time for telling fields apart and for values, of all columns. Where a
record is a line, which most are, the lines are found at memory speed and only those wanted go on.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from kalla_core.sources.csv.dialect import NEWLINE, RETURN, Signs

Flags = npt.NDArray[np.bool_]

_BLANK_BYTES = 2
"""A line of so many bytes with its end may be none at all, and blank lines are no rows."""


def line_ends(block: pa.Buffer, signs: Signs) -> npt.NDArray[np.int32] | None:
    """Return where the lines of a block begin, and where the last one ends.

    None where lines may not be records: a quote, a carriage return that ends no line, a line that
    may be blank, signs that escape or begin comments.
    """
    view, terminator = np.frombuffer(block, np.uint8), signs.terminator
    if not len(view) or signs.escape is not None or signs.comment is not None:
        return None
    if (signs.quote is not None and (view == signs.quote).any()) or not _one_kind_of_end(
        view, terminator
    ):
        return None
    ends = np.flatnonzero(view == terminator) + 1
    last = [] if len(ends) and ends[-1] == len(view) else [len(view)]
    edges = np.concatenate([[0], ends, last]).astype(np.int32)
    return edges if int(np.diff(edges).min()) > _BLANK_BYTES else None


def cut_out(block: pa.Buffer, edges: npt.NDArray[np.int32], wanted: Flags) -> pa.Buffer:
    """Return the lines that `wanted` marks, one after the other; `edges` are of `line_ends`."""
    lines = pa.Array.from_buffers(
        pa.binary(), len(wanted), [None, pa.py_buffer(edges), block]
    ).filter(pa.array(wanted))
    _, offsets, data = lines.buffers()
    ends = np.frombuffer(offsets, np.int32)
    start, end = int(ends[lines.offset]), int(ends[lines.offset + len(lines)])
    return data.slice(start, end - start)


def _one_kind_of_end(view: npt.NDArray[np.uint8], terminator: int) -> bool:
    """Whether no line ends otherwise than with the terminator, as Arrow sees it."""
    if terminator == RETURN:
        return not bool((view == NEWLINE).any())
    returns = np.flatnonzero(view == RETURN) + 1
    if not len(returns):
        return True
    return bool(returns[-1] < len(view) and (view[returns] == NEWLINE).all())
