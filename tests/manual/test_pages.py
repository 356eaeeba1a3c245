"""The manual: it builds without a fault, says what the code says, and every example in it runs.

In a page, a block with a title is a file, a block of `sh` is run with it in a folder of its own,
and a block of `text` behind it is what it prints; `…` stands for what differs from run to run. A
block of `console` is for another machine than one with Python alone, and is not run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.command import clean_environment
from tests.support.reference import FOLDER, pages

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SCRIPTS = Path(sysconfig.get_path("scripts"))
BLOCK = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Example:
    """Something that a reader would type, and what they would see."""

    command: str
    shown: str


def files_and_examples(page: Path) -> tuple[dict[str, str], list[Example]]:
    files: dict[str, str] = {}
    examples: list[Example] = []
    for kind, title, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        if title:
            files[title] = text
        elif kind == "sh":
            examples.append(Example(text, ""))
        elif kind == "text" and examples:
            examples[-1] = Example(examples[-1].command, text)
    return files, examples


WITH_EXAMPLES = [page for page in sorted(DOCS.rglob("*.md")) if files_and_examples(page)[1]]


@pytest.mark.parametrize("page", WITH_EXAMPLES, ids=lambda page: page.stem)
def test_what_a_page_tells_to_type_prints_what_it_shows(page: Path, tmp_path: Path) -> None:
    files, examples = files_and_examples(page)
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    environment = {**clean_environment(), "COLUMNS": "110", "LC_ALL": "C.UTF-8"}
    environment["PATH"] = f"{SCRIPTS}:{os.environ['PATH']}"

    for example in examples:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", example.command],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

        assert done.returncode == 0, (example.command, done.stdout, done.stderr)
        assert not example.shown or pattern(example.shown).fullmatch(tidy(done.stdout)), (
            f"{example.command}prints\n{done.stdout}"
        )


def pattern(shown: str) -> re.Pattern[str]:
    """What is shown, as a pattern: a line of `…` alone is any lines, elsewhere it is any text."""
    lines = [
        r"(?:[^\n]*\n)*?" if line.strip() == "…" else _of_line(line) + r"\n"
        for line in tidy(shown).splitlines()
    ]
    return re.compile("".join(lines))


def _of_line(line: str) -> str:
    return r"[^\n]*?".join(re.escape(part) for part in line.split("…"))


def tidy(text: str) -> str:
    """Without blanks at the ends of lines and the end of the text."""
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines()) + "\n"


@pytest.mark.parametrize(
    ("printed", "fits"), [("a 1 b\nz\n", True), ("a 1 c\nz\n", False), ("a 1 b\nx\ny\nz\n", True)]
)
def test_what_a_page_shows_has_to_be_what_is_printed(printed: str, fits: bool) -> None:
    shown = "a … b\n…\nz\n"

    found = pattern(shown).fullmatch(printed)

    assert bool(found) is fits


@pytest.mark.parametrize("name", [name for name, _ in pages()])
def test_a_page_that_is_made_says_what_the_code_says(name: str) -> None:
    made = dict(pages())

    assert (FOLDER / name).read_text(encoding="utf-8") == made[name], "run `make docs`"


def test_the_manual_builds_without_a_fault_and_asks_nobody_else(tmp_path: Path) -> None:
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    shutil.copytree(DOCS, tmp_path / "docs")

    done = subprocess.run(
        [SCRIPTS / "zensical", "build", "--strict"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "build" / "manual"
    made = {path.relative_to(site).with_suffix(".md") for path in site.rglob("*.html")}
    assert {page.relative_to(DOCS) for page in DOCS.rglob("*.md")} <= made
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r'<(?:script|img|link)[^>]*?(?:src|href)="?(https?://[^" >]+)', text)
        assert not [one for one in loaded if "canonical" not in one], (page, loaded)


def test_every_page_is_in_the_contents() -> None:
    named = set(re.findall(r'"([\w/-]+\.md)"', (ROOT / "zensical.toml").read_text()))

    assert named == {str(page.relative_to(DOCS)) for page in DOCS.rglob("*.md")}
