"""Who may come in: the lines of a token file, or this machine alone."""

from pathlib import Path

import pytest

from kalla_core.errors import InvalidSetting
from kalla_core.settings import CoordinatorSettings, ExecutorSettings, load
from kalla_core.settings.tokens import Role, Token, executor_token, read_tokens


def test_tokens_are_the_lines_but_for_blank_ones_and_comments(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("# of march\n  first  \n\n  # indented\nsecond\n")

    found = [
        read_tokens(load(kind, bind_host="10.0.0.1", token_file=file))
        for kind in (CoordinatorSettings, ExecutorSettings)
    ]

    assert found == [(Token("first"), Token("second"))] * 2
    assert "first" not in repr(found)


def test_a_line_may_say_what_its_token_is_good_for(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("people\nread  looks\nadmin,executor all\nexecutor works\n")
    settings = load(CoordinatorSettings, token_file=file)

    people, looks, everything, works = read_tokens(settings)

    assert {role for role in Role if people.may(role)} == {Role.SUBMIT, Role.READ}
    assert {role for role in Role if looks.may(role)} == {Role.READ}
    assert all(everything.may(role) for role in Role)
    assert {role for role in Role if works.may(role)} == {Role.EXECUTOR}
    assert not Token("boss", frozenset({Role.ADMIN})).may(Role.EXECUTOR)
    assert executor_token(settings) == "all"


@pytest.mark.parametrize(
    "line", ["sumbit SECRET", "read, SECRET", "read SECRET more", "submit", "read,submit"]
)
def test_a_line_that_is_none_is_named_by_its_number_and_not_shown(
    tmp_path: Path, line: str
) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"# ours\n{line}\n")

    with pytest.raises(InvalidSetting, match="Line 2") as caught:
        read_tokens(load(CoordinatorSettings, token_file=file))

    assert "SECRET" not in str(caught.value)


def test_an_executor_needs_a_token_for_executors(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("people\n")

    with pytest.raises(InvalidSetting, match="`executor TOKEN`"):
        executor_token(load(ExecutorSettings, token_file=file))
    assert executor_token(load(ExecutorSettings)) is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "[::1]"])
def test_this_machine_alone_needs_no_token(host: str) -> None:
    settings = load(ExecutorSettings, bind_host=host)

    assert read_tokens(settings) == ()


def test_others_come_in_with_a_token_or_because_somebody_said_so() -> None:
    open_to_all = load(CoordinatorSettings, bind_host="10.0.0.1")

    with pytest.raises(InvalidSetting, match="--insecure"):
        read_tokens(open_to_all)
    assert read_tokens(open_to_all.model_copy(update={"insecure": True})) == ()


@pytest.mark.parametrize("content", [b"# nothing else\n", b"\xff\xfe", None])
def test_a_token_file_without_tokens_lets_nobody_in(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "tokens"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(InvalidSetting, match="token file"):
        read_tokens(load(ExecutorSettings, token_file=file))
