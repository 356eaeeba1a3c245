from pathlib import Path

import pytest
from pydantic import SecretStr

from kalla_core.database import with_password
from kalla_core.errors import InvalidSetting
from kalla_core.settings.secret_files import secret_or_file


def test_a_secret_comes_from_a_variable_or_a_file_and_not_from_both(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("in the file\n")

    assert secret_or_file(None, None, "key") is None
    assert secret_or_file(None, file, "key") == SecretStr("in the file")
    assert secret_or_file(SecretStr("given"), None, "key") == SecretStr("given")
    with pytest.raises(InvalidSetting, match="key is given twice"):
        secret_or_file(SecretStr("given"), file, "key")
    with pytest.raises(InvalidSetting, match="cannot be read"):
        secret_or_file(None, tmp_path / "none", "key")


def test_the_password_of_a_database_is_put_into_its_address() -> None:
    whole = with_password("postgresql://kalla@db:5432/kalla?sslmode=require", b"p@ss/w:rd")

    assert whole == "postgresql://kalla:p%40ss%2Fw%3Ard@db:5432/kalla?sslmode=require"
    assert with_password(None, None) is None
    assert with_password("postgres://kalla@db/kalla", None) == "postgres://kalla@db/kalla"


@pytest.mark.parametrize("url", [None, "postgres://db/kalla", "postgres://kalla:old@db/kalla", "?"])
def test_a_password_without_an_address_for_it_is_refused(url: str | None) -> None:
    with pytest.raises(InvalidSetting, match="names a user and no password") as refused:
        with_password(url, b"secret")

    assert "secret" not in str(refused.value)
