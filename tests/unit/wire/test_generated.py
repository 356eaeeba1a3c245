"""The committed protobuf code is what the protos say."""

from pathlib import Path

from tests.support.protobuf import PACKAGE, ROOT, generate


def test_the_committed_code_is_what_the_protos_say(tmp_path: Path) -> None:
    generate(tmp_path)

    made = {path.name: path.read_text() for path in (tmp_path / PACKAGE).iterdir()}
    kept = {path.name: path.read_text() for path in (ROOT / "libs" / PACKAGE).glob("*.py*")}
    assert kept == made
