import re
import tomllib
from pathlib import Path

import pytest

from kalla_core import errors
from kalla_core.errors import KallaError

ROOT = Path(__file__).parents[2]


def _tree(error: type[KallaError]) -> list[type[KallaError]]:
    return [error, *(below for child in error.__subclasses__() for below in _tree(child))]


def test_the_errors_are_drawn_in_their_package_which_gives_out_all_of_them() -> None:
    drawn = errors.__doc__ or ""

    of_package = f"{errors.__name__}."
    named = [error for error in _tree(KallaError) if error.__module__.startswith(of_package)]

    assert [error.__name__ for error in named if error.__name__ not in drawn] == []
    assert [error.__name__ for error in named if error.__name__ not in errors.__all__] == []
    assert [error.code for error in named if "code" in vars(error) and error.code not in drawn] == [
        "internal"
    ]


def test_requirements_are_pinned_with_hashes_and_name_no_index() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        text = (ROOT / name).read_text(encoding="utf-8")

        pinned = [entry.split(" ")[0] for entry in re.split(r"\n(?=\S)", text.strip())]

        assert all(re.fullmatch(r"[a-z0-9_.-]+==\S+", one) for one in pinned), name
        assert text.count("--hash=sha256:") >= len(pinned)
        assert "://" not in text
        assert "index" not in text


def test_every_dependency_is_pinned() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {
        "requirements.txt": project["dependencies"],
        "requirements-dev.txt": project["dependencies"] + project["optional-dependencies"]["dev"],
    }

    for name, wanted in declared.items():
        text = (ROOT / name).read_text(encoding="utf-8")
        names = [re.split(r"[\[<>=!~ ;]", one)[0] for one in wanted]
        assert [one for one in names if f"\n{one}==" not in f"\n{text}"] == []


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_documents_name_no_file_that_is_not_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")

    linked = re.findall(r"\]\((?!https?:|#)([^)#]+)", text)

    assert [one for one in linked if not (ROOT / one).exists()] == []
