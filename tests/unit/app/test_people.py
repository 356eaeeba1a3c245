import pytest

from kalla_app.access.people import Person, Role, needed, parse_people, person_of
from kalla_core.errors import InvalidSetting

TEXT = "# people\nviewer vera see-only\noperator olaf do-things\n\nadmin anna decide\n"


def test_a_token_lets_in_whose_it_is() -> None:
    people = parse_people(TEXT, "the token file")

    assert person_of(people, "do-things") == Person("olaf", Role.OPERATOR)
    assert person_of(people, "do-thing") is None
    assert person_of(people, "") is None


@pytest.mark.parametrize("line", ["anna decide", "owner anna decide", "admin anna decide now"])
def test_a_line_that_is_none_is_refused_without_telling_what_is_in_it(line: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        parse_people(f"admin anna first\n{line}", "the token file")

    assert "Line 2 of the token file" in caught.value.message
    assert "decide" not in caught.value.message


@pytest.mark.parametrize(
    ("method", "path", "role"),
    [
        ("GET", "/health", None),
        ("GET", "/static/app.css", None),
        ("POST", "/api/worker/complete", None),
        ("GET", "/api/runs", Role.VIEWER),
        ("GET", "/runs/1", Role.VIEWER),
        ("GET", "/metrics", Role.VIEWER),
        ("POST", "/api/runs", Role.OPERATOR),
        ("PATCH", "/api/sources/a", Role.OPERATOR),
        ("PUT", "/api/recipes/a", Role.OPERATOR),
        ("DELETE", "/api/recipes/a", Role.ADMIN),
        ("GET", "/api/audit", Role.ADMIN),
        ("GET", "/api/audit/check", Role.ADMIN),
        ("POST", "/logout", Role.VIEWER),
    ],
)
def test_what_a_request_needs(method: str, path: str, role: Role | None) -> None:
    assert needed(method, path) is role
