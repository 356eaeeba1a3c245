import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
SHIPPED = ("libs", "services")
WRITTEN = (*SHIPPED, "benchmarks", "tests")
MOST_LINES = 450


DOCSTRING = re.compile(r'(\s|#.*\n)*[rR]?"""\s*\S')


def _texts(folders: tuple[str, ...]) -> Iterator[tuple[Path, str]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, path.read_text(encoding="utf-8")


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_each_module_is_short_enough_to_be_read_in_one_go() -> None:
    lines = {_name(path): text.count("\n") for path, text in _texts(WRITTEN)}

    assert {name: count for name, count in lines.items() if count > MOST_LINES} == {}


def test_each_module_begins_with_what_it_is_for() -> None:
    silent = [_name(path) for path, text in _texts(SHIPPED) if not DOCSTRING.match(text)]

    assert silent == []


def test_nothing_is_left_for_later_in_a_comment() -> None:
    words = {"TO" + "DO", "FIX" + "ME", "XX" + "X"}

    found = [
        (_name(path), word)
        for path, text in _texts(WRITTEN)
        for word in words
        if word in text and (word in text.split() or f"{word}:" in text)
    ]

    assert found == []


def test_unit_tests_mirror_the_tree_of_the_library() -> None:
    library = ROOT / "libs" / "kalla_core"
    packages = {path.name for path in library.iterdir() if path.is_dir()}
    modules = {path.stem for path in library.glob("*.py")}

    tested = {path.name for path in (ROOT / "tests" / "unit").iterdir() if path.is_dir()}

    assert tested - {"__pycache__"} <= packages | modules | {
        "app",
        "benchmarks",
        "coordinator",
        "executor",
    }
