"""What a workbook of the kind XLSX says of all its sheets."""

from __future__ import annotations

import posixpath
import zipfile
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from kalla_core.errors import InvalidFormat
from kalla_core.recipe.nearest import suggestion
from kalla_core.recipe.source_format import SourceFormat
from kalla_core.sources.foreign_xml import local, parser
from kalla_core.sources.sheets.package import CHUNK_BYTES, elements, member
from kalla_core.sources.sheets.values import CellTexts, Shown, shown_by
from kalla_core.sources.transcripts.cells import field
from kalla_core.sources.transcripts.format import UntranscribedError

_WORKSHEET = "/worksheet"
_SINCE_1904 = date(1904, 1, 1)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet of a workbook, and the file that it is in."""

    name: str
    path: str


class SharedTexts:
    """The texts of a workbook as fields of CSV; held as one run of bytes."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._ends = array("Q", [0])

    def add(self, text: str) -> None:
        """Add the next text."""
        self._data += field(text).encode()
        self._ends.append(len(self._data))

    def __getitem__(self, index: int) -> str:
        """Return a text; raises `IndexError` where there is none."""
        if index < 0:
            raise IndexError(index)
        return self._data[self._ends[index] : self._ends[index + 1]].decode()


@dataclass(frozen=True, slots=True)
class Book:
    """What is to be known of a workbook to read its cells.

    Attributes:
        shown: as what the style of a cell, by its number, shows numbers.
        is_uncalculated: whether it says that its formulas are yet to be calculated.
    """

    sheets: tuple[Sheet, ...]
    texts: CellTexts
    shown: tuple[Shown, ...]
    shared_path: str | None
    is_uncalculated: bool = False

    @staticmethod
    def of(package: zipfile.ZipFile, found: SourceFormat) -> Book:
        """Read a workbook's small files; its texts are written as `found` says.

        Raises:
            UntranscribedError: it has no sheet, or is no workbook.
        """
        targets = _related(package, "")
        path = next((at for kind, at in targets.values() if kind.endswith("/officeDocument")), None)
        if path is None:
            raise UntranscribedError("is no workbook: its archive does not say where it begins.")
        related = _related(package, path)
        known = elements(package, path)
        sheets = tuple(
            Sheet(attributes.get("name", ""), related[attributes["id"]][1])
            for tag, attributes in known
            if tag == "sheet"
            and related.get(attributes.get("id", ""), ("",))[0].endswith(_WORKSHEET)
        )
        if not sheets:
            raise UntranscribedError("has no sheet with cells.")
        late = _says(known, "workbookPr", "date1904")
        texts = CellTexts(found, _SINCE_1904) if late else CellTexts(found)
        by_kind = {kind.rpartition("/")[2]: at for kind, at in related.values()}
        return Book(
            sheets,
            texts,
            _shown(package, by_kind.get("styles")),
            by_kind.get("sharedStrings"),
            _says(known, "calcPr", "fullCalcOnLoad"),
        )

    def shared(self, package: zipfile.ZipFile) -> SharedTexts:
        """Read the texts that cells have in common."""
        texts = SharedTexts()
        if self.shared_path is None:
            return texts
        parts: list[str] = []
        hidden = 0

        def start(tag: str, _: dict[str, str]) -> None:
            nonlocal hidden
            name = local(tag)
            if name == "si":
                parts.clear()
            elif name == "rPh":
                hidden += 1
            elif name == "t" and not hidden:
                made.CharacterDataHandler = parts.append

        def end(tag: str) -> None:
            nonlocal hidden
            name = local(tag)
            if name == "t":
                made.CharacterDataHandler = None
            elif name == "rPh":
                hidden -= 1
            elif name == "si":
                texts.add(unescaped("".join(parts)))

        made = parser(start, end)
        with member(package, self.shared_path) as file:
            while data := file.read(CHUNK_BYTES):
                made.Parse(data)
            made.Parse(b"", True)
        return texts


def _says(known: Iterable[tuple[str, dict[str, str]]], tag: str, attribute: str) -> bool:
    return any(one == tag and found.get(attribute) in ("1", "true") for one, found in known)


def chosen(names: Sequence[str], wanted: str | int | None) -> int:
    """Return which of some sheets is wanted, by its name or its number from 1; the first for None.

    Raises:
        InvalidFormat: there is none such.
    """
    if wanted is None:
        return 0
    if isinstance(wanted, int):
        if wanted > len(names):
            raise InvalidFormat(
                f"There is no sheet {wanted}: the workbook has {len(names)}.", field="sheet"
            )
        return wanted - 1
    if wanted not in names:
        raise InvalidFormat(
            f"There is no sheet `{wanted}`. {suggestion(wanted, names)}", field="sheet"
        )
    return names.index(wanted)


def sheet_note(path: str, names: Sequence[str], wanted: str | int | None) -> tuple[str, ...]:
    """Return a sentence where a workbook has several sheets, and nobody said which one."""
    if wanted is not None or len(names) < 2:
        return ()
    others = ", ".join(f"`{name}`" for name in names[1:6])
    return (
        f"Of the {len(names)} sheets of `{posixpath.basename(path)}`, `{names[0]}`, the first, is"
        f" read; `sheet` in the source's `format` says another one: {others}.",
    )


def unescaped(text: str) -> str:
    """Return a text without the escapes that XLSX has for signs which XML does not take."""
    if "_x" not in text:
        return text
    head, *pieces = text.split("_x")
    out = [head]
    for piece in pieces:
        code = piece[:4]
        if len(piece) > 4 and piece[4] == "_" and _is_hex(code):
            out += [chr(int(code, 16)), piece[5:]]
        else:
            out += ["_x", piece]
    return "".join(out)


def _is_hex(code: str) -> bool:
    surrogate = code[:1] in "dD" and code[1:2] in "89abcdefABCDEF"
    return all(sign in "0123456789abcdefABCDEF" for sign in code) and not surrogate


def _related(package: zipfile.ZipFile, path: str) -> dict[str, tuple[str, str]]:
    """Return kind and path of what a file of a workbook refers to, by id."""
    folder, name = posixpath.split(path)
    found = {}
    for tag, attributes in elements(package, posixpath.join(folder, "_rels", f"{name}.rels")):
        if tag == "Relationship" and attributes.get("TargetMode") != "External":
            target = posixpath.normpath(posixpath.join("/", folder, attributes.get("Target", "")))
            found[attributes.get("Id", "")] = (attributes.get("Type", ""), target.lstrip("/"))
    return found


def _shown(package: zipfile.ZipFile, path: str | None) -> tuple[Shown, ...]:
    if path is None:
        return ()
    codes: dict[int, str] = {}
    styles: list[Shown] = []
    within = False
    for tag, attributes in elements(package, path):
        if tag == "numFmt":
            codes[int(attributes.get("numFmtId", "0"))] = attributes.get("formatCode", "")
        elif tag in ("cellXfs", "cellStyles"):
            within = tag == "cellXfs"
        elif tag == "xf" and within:
            number = int(attributes.get("numFmtId", "0"))
            styles.append(shown_by(number, codes.get(number)))
    return tuple(styles)
