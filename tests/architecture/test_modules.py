import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ("libs", "services")
WRITTEN = (*SHIPPED, "benchmarks", "tests")
MOST_LINES = 450


def _modules(folders: tuple[str, ...]) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("module", _modules(WRITTEN), ids=_name)
def test_a_module_is_short_enough_to_be_read_in_one_go(module: Path) -> None:
    lines = module.read_text(encoding="utf-8").count("\n")

    assert lines <= MOST_LINES, f"{_name(module)} has {lines} lines"


@pytest.mark.parametrize("module", _modules(SHIPPED), ids=_name)
def test_a_module_begins_with_what_it_is_for(module: Path) -> None:
    tree = ast.parse(module.read_text(encoding="utf-8"))

    assert ast.get_docstring(tree), f"{_name(module)} has no docstring"


@pytest.mark.parametrize("module", _modules(WRITTEN), ids=_name)
def test_nothing_is_left_for_later_in_a_comment(module: Path) -> None:
    words = {"TO" + "DO", "FIX" + "ME", "XX" + "X"}

    text = module.read_text(encoding="utf-8")

    assert not [word for word in words if word in text.split() or f"{word}:" in text]


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
