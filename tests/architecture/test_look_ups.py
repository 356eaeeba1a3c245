import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HELPER = ROOT / "libs" / "kalla_core" / "columns.py"
MINUS_ONE = {"get_field_index", "get_all_field_indices", "GetFieldIndex", "get_column_index"}
"""What answers -1, or nothing, for a name that is not there."""
LISTS_OF_NAMES = {"names", "column_names", "field_names"}


def raw_look_ups(text: str) -> list[str]:
    """Return the calls by which a module looks up columns by itself."""
    return [ast.unparse(call) for call in ast.walk(ast.parse(text)) if _is_raw(call)]


def _is_raw(node: ast.AST) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        return False
    owner, name = node.func.value, node.func.attr
    return name in MINUS_ONE or (
        name == "index"
        and (
            (isinstance(owner, ast.Name) and owner.id == "pc")
            or (isinstance(owner, ast.Attribute) and owner.attr in LISTS_OF_NAMES)
        )
    )


@pytest.mark.parametrize(
    "text",
    [
        "schema.get_field_index(name)",
        "batch.column(batch.schema.get_all_field_indices('a')[0])",
        "table.column_names.index('a')",
        "batch.schema.names.index(name)",
        "pc.index(column, value).as_py()",
    ],
)
def test_a_raw_look_up_is_recognised(text: str) -> None:
    assert len(raw_look_ups(text)) == 1


def test_columns_are_looked_up_by_name_in_one_place_only() -> None:
    shipped = [path for folder in ("libs", "services") for path in (ROOT / folder).rglob("*.py")]

    found = {
        str(path.relative_to(ROOT)): raw_look_ups(path.read_text(encoding="utf-8"))
        for path in shipped
        if path != HELPER
    }

    assert {name: calls for name, calls in found.items() if calls} == {}
