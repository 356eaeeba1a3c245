"""A variable that looks like a setting of ours and is none is named, with the nearest there is."""

from kalla_core.settings import KINDS
from kalla_core.settings.unknown import unknown_variables


def test_a_variable_that_nobody_knows_is_told_with_the_nearest_name() -> None:
    environ = {
        "KALLA_MEMORY_LIMT": "1GiB",
        "KALLA_TOKEN_FILE": "tokens",
        "KALLA_XYZZY_PLUGH": "1",
        "HTTP_PROT": "8080",
    }

    found = unknown_variables(KINDS, environ)

    assert found == {"KALLA_MEMORY_LIMT": "KALLA_MEMORY_LIMIT", "KALLA_XYZZY_PLUGH": None}


def test_every_setting_is_known() -> None:
    every = {name: "x" for kind in KINDS for name in _variables(kind)}

    assert unknown_variables(KINDS, every) == {}


def _variables(kind: type) -> tuple[str, ...]:
    from kalla_core.settings.declare import variables_of

    return variables_of(kind)
